//! What a run came to.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::Criticality;

use super::OBJECTIVE;
use super::story::Story;

/// Classes of criticality.
const CLASSES: usize = Criticality::ALL.len();
/// Tenths of a second in a second.
const TENTHS: usize = 10;
/// What is mitigated reaches this share of what is attainable.
const MITIGATED: f64 = 0.8;
/// What has recovered reaches this share of what is attainable.
const RECOVERED: f64 = 0.95;
/// And goes on to, for so many tenths.
const SUSTAINED: usize = 50;
/// The end is left out: what comes then is under way when the story ends.
const TAIL: usize = 20;

/// What came in a tenth of a second, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Requests by [`Criticality::index`].
    pub offered: [u32; CLASSES],
    /// Those that were answered well and in time.
    pub good: [u32; CLASSES],
    /// Attempts of those that a proxy refused.
    pub refused: u32,
}

/// A run, by the tenth of a second in which requests came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bins(pub Vec<Bin>);

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Good answers of all that were attainable, in the whole story, `0.0..=1.0` but for chance.
    pub of_attainable: f64,
    /// Good answers per second while there was trouble.
    pub goodput: f64,
    /// Good answers of all requests of each class while there was trouble, the least critical first.
    pub by_class: [f64; CLASSES],
    /// Seconds from the trouble's beginning until 80 % of what is attainable is reached and held for 5 s.
    pub mitigated: Option<f64>,
    /// Seconds from the trouble's end until 95 % of what is attainable is reached and held for 5 s.
    pub recovered: Option<f64>,
    /// Attempts that were refused before there was any trouble, of all requests by then.
    pub needless: f64,
}

impl Bins {
    /// An empty run.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self(vec![Bin::default(); length.as_millis() as usize / 100 + 1])
    }

    /// A request came.
    pub fn offered(&mut self, at: Duration, class: Criticality) {
        self.at(at).offered[class.index()] += 1;
    }

    /// The request that came then was answered well, after `latency`.
    pub fn answered(&mut self, at: Duration, class: Criticality, latency: Duration) {
        self.at(at).good[class.index()] += u32::from(latency <= OBJECTIVE);
    }

    /// An attempt of the request that came then was refused.
    pub fn refused(&mut self, at: Duration) {
        self.at(at).refused += 1;
    }

    fn at(&mut self, at: Duration) -> &mut Bin {
        let last = self.0.len() - 1;
        &mut self.0[(at.as_millis() as usize / 100).min(last)]
    }

    /// Good answers in each whole second.
    #[must_use]
    pub fn per_second(&self) -> Vec<f64> {
        self.0
            .chunks_exact(TENTHS)
            .map(|second| second.iter().map(Bin::good).sum())
            .collect()
    }
}

impl Bin {
    fn good(&self) -> f64 {
        f64::from(self.good.iter().sum::<u32>())
    }

    fn offered(&self) -> f64 {
        f64::from(self.offered.iter().sum::<u32>())
    }
}

/// What was attainable in each tenth: what came, smoothed over a second around, as far as anybody could have served it.
fn attainable(story: &Story, bins: &[Bin]) -> Vec<f64> {
    (0..bins.len())
        .map(|tenth| {
            let around = tenth.saturating_sub(5)..(tenth + 5).min(bins.len());
            let length = around.len().max(1) as f64;
            let came = bins[around].iter().map(Bin::offered).sum::<f64>() / length;
            came.min((story.attainable)(tenth as f64 / 10.0) / 10.0)
        })
        .collect()
}

/// Measures a run of `story`.
#[must_use]
pub fn measure(story: &Story, bins: &Bins) -> Measures {
    let bins = &bins.0;
    let could = attainable(story, bins);
    let tenth = |second: f64| ((second * 10.0) as usize).min(bins.len());
    let (from, to) = (tenth(story.trouble.0), tenth(story.trouble.1));
    let end = bins.len().saturating_sub(TAIL);
    let sum = |from: usize, to: usize| bins[from..to].iter().map(Bin::good).sum::<f64>();
    let reaches = |share: f64, at: usize| {
        [TENTHS, SUSTAINED].into_iter().all(|length| {
            let to = (at + length).min(bins.len());
            share * could[at..to].iter().sum::<f64>() <= sum(at, to)
        })
    };
    let after = |begin: usize, last: usize, share: f64| {
        (begin..last.saturating_sub(SUSTAINED))
            .find(|at| reaches(share, *at))
            .map(|at| (at - begin) as f64 / 10.0)
    };
    let is_hopeless = could[from..to].iter().sum::<f64>() < 1.0;
    let before = &bins[..from.min(end)];
    let refused: f64 = before.iter().map(|bin| f64::from(bin.refused)).sum();
    Measures {
        of_attainable: sum(0, end) / could[..end].iter().sum::<f64>().max(1.0),
        goodput: sum(from, to) * 10.0 / (to - from).max(1) as f64,
        by_class: core::array::from_fn(|class| {
            let total = |of: fn(&Bin) -> &[u32; CLASSES]| {
                let all = bins[from..to].iter().map(|bin| f64::from(of(bin)[class]));
                all.sum::<f64>()
            };
            total(|bin| &bin.good) / total(|bin| &bin.offered).max(1.0)
        }),
        mitigated: (!is_hopeless).then(|| after(from, to, MITIGATED)).flatten(),
        recovered: after(to, end, RECOVERED),
        needless: refused / before.iter().map(Bin::offered).sum::<f64>().max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::stories;
    use super::*;

    /// A run of the overload with 100 requests a tenth, of which so many are good, by the second.
    fn run(good: fn(f64) -> u32) -> Measures {
        let stories = stories();
        let story = stories
            .iter()
            .find(|story| story.name == "overload")
            .unwrap();
        let mut bins = Bins::new(story.length);
        for (tenth, bin) in bins.0.iter_mut().enumerate() {
            bin.offered = [0, 0, 100, 0];
            bin.good = [0, 0, good(tenth as f64 / 10.0), 0];
            bin.refused = u32::from(tenth < 10);
        }
        measure(story, &bins)
    }

    #[test]
    fn all_that_is_attainable_is_all() {
        let run = run(|_| 100);
        assert!((run.of_attainable - 1.0).abs() < 1e-9, "{run:?}");
        assert!((run.goodput - 1_000.0).abs() < 1e-9, "{run:?}");
        assert_eq!((run.mitigated, run.recovered), (Some(0.0), Some(0.0)));
        assert!((run.needless - 10.0 / 20_000.0).abs() < 1e-9, "{run:?}");
        assert!((run.by_class[2] - 1.0).abs() < 1e-9 && run.by_class[0] < 1e-9);
    }

    #[test]
    fn what_comes_back_is_mitigated_when_it_stays() {
        let run = run(|second| match second as u64 {
            20..24 | 40 => 0,
            _ => 100,
        });
        // Four fifths of the second from then on are good.
        assert_eq!(run.mitigated, Some(3.8));
    }

    #[test]
    fn what_is_a_little_too_little_is_not_mitigated() {
        let run = run(|second| if 20.0 <= second { 79 } else { 100 });
        assert_eq!((run.mitigated, run.recovered), (None, None));
    }
}
