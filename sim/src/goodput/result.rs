//! What was measured, for people and for programs.

use serde::{Deserialize, Serialize};

use super::measure::{Bins, Measures, measure};
use super::rival::Rival;
use super::story::Story;

/// What the JSON is called: changes when a reader would have to.
const SCHEMA: &str = "sloop-bench-goodput/2";

/// Everything about one run of the suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What it is.
    pub schema: String,
    /// Where it was played, which says what a number of one report can be compared with in another.
    pub played: Played,
    /// What arrivals and service times were drawn from.
    pub seeds: Vec<u64>,
    /// The stories.
    pub stories: Vec<Told>,
}

/// Where stories are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Played {
    /// With models of all rivals, two proxies and a service of 1,200 requests per second.
    InVirtualTime,
    /// With one Envoy and a service of 300 requests per second, in shorter stories.
    OnRealEnvoys,
}

impl Played {
    /// For sentences.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InVirtualTime => "in virtual time",
            Self::OnRealEnvoys => "on real Envoys",
        }
    }
}

/// A story, with all rivals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// What happens.
    pub about: String,
    /// From when to when there is trouble, in seconds.
    pub trouble: (f64, f64),
    /// The rivals, in the order of the table.
    pub rows: Vec<Row>,
}

/// How one rival did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Who.
    pub name: String,
    /// Good answers of all that were attainable, over the seeds.
    pub of_attainable: Spread,
    /// One per seed.
    pub runs: Vec<Measures>,
    /// Good answers in each second, the mean over the seeds.
    pub per_second: Vec<f64>,
}

/// A mean, and what it lies between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The smallest.
    pub low: f64,
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        Self {
            low: values.clone().fold(f64::INFINITY, f64::min),
            mean: mean(values.clone()),
            high: values.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Report {
    /// A report of the present form.
    #[must_use]
    pub fn new(played: Played, seeds: &[u64], stories: Vec<Told>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            played,
            seeds: seeds.to_vec(),
            stories,
        }
    }
}

impl Row {
    /// The mean of a measure over the seeds.
    #[must_use]
    pub fn mean(&self, of: fn(&Measures) -> f64) -> f64 {
        mean(self.runs.iter().map(of))
    }

    /// The mean of a time; none when it did not come with one of the seeds.
    #[must_use]
    pub fn time(&self, of: fn(&Measures) -> Option<f64>) -> Option<f64> {
        let times: Option<Vec<f64>> = self.runs.iter().map(of).collect();
        times.map(|times| mean(times.into_iter()))
    }
}

impl Told {
    /// The row of a rival.
    #[must_use]
    pub fn row(&self, rival: Rival) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == rival.name())
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count == 0.0 { 0.0 } else { sum / count }
}

/// Brings together the runs of a story, by rival and seed.
#[must_use]
pub fn told(story: &Story, rivals: &[Rival], rows: &[&[Bins]]) -> Told {
    let row = |(rival, bins): (&Rival, &&[Bins])| {
        let runs: Vec<Measures> = bins.iter().map(|bins| measure(story, bins)).collect();
        let seconds: Vec<Vec<f64>> = bins.iter().map(Bins::per_second).collect();
        let length = seconds.iter().map(Vec::len).min().unwrap_or(0);
        let at = |second: usize| mean(seconds.iter().map(|run| run[second]));
        Row {
            name: rival.name().to_owned(),
            of_attainable: Spread::of(runs.iter().map(|run| run.of_attainable)),
            runs,
            per_second: (0..length).map(at).collect(),
        }
    };
    Told {
        name: story.name.to_owned(),
        about: story.about.to_owned(),
        trouble: story.trouble,
        rows: rivals.iter().zip(rows).map(row).collect(),
    }
}
