//! What was measured, for people and for programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_bench::cpus::Shares;
use sloop_bench::paired::{self, Estimate, Pair};

use super::aims::Aims;
use super::first::First;
use super::growth::Growth;
use super::lanes::Lane;
use super::open::OpenReport;
use super::push::PushReport;
use super::rounds;
use super::settings::Settings;
use super::standing::Standing;
use super::variants::{AGAIN, NAIVE};

/// What the JSON is called: changes when a reader would have to.
pub(super) const SCHEMA: &str = "sloop-bench-latency/2";

/// How far the baseline may be from itself, as a share of it. On a machine
/// where the method works it is a third of that.
pub(super) const DISAGREEMENT_MAX: f64 = 0.015;

/// How much of the processors' time the hypervisor may give to others. What it takes, it takes from slices.
const STOLEN_MAX: f64 = 0.03;

/// Everything about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What it is.
    pub schema: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// Why the numbers must not be used; empty when they may.
    pub refusals: Vec<String>,
    /// Where it was made.
    pub machine: Machine,
    /// How it was made.
    pub settings: Settings,
    /// Nanoseconds of the worker per request without a filter: the median of all slices.
    pub baseline_ns: f64,
    /// What each variant costs, in the order of the table.
    pub variants: Vec<Row>,
    /// What it does to latency; absent when that was not measured.
    pub latency: Option<OpenReport>,
    /// What more of something costs.
    pub growth: Vec<Growth>,
    /// How long the first request after a start takes.
    pub first: Vec<First>,
    /// From a push to its being in force; absent when that was not measured.
    pub push: Option<PushReport>,
    /// What filters cost while nobody asks for anything; absent when that was not measured.
    pub standing: Option<Standing>,
    /// What Sloop is meant to cost, by this run; absent in a run without it.
    #[serde(default)]
    pub aims: Option<Aims>,
}

/// Where it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor, as the kernel calls it.
    pub processor: String,
    /// Processors.
    pub processors: usize,
    /// The kernel.
    pub kernel: String,
    /// Envoy's version.
    pub envoy: String,
    /// Which processors did what; absent where there is only one.
    pub shares: Option<Shares>,
    /// Whether what was measured ran before everything else on the machine.
    pub is_real_time: bool,
    /// The share of the processors' time that the hypervisor gave to others meanwhile.
    pub stolen: Option<f64>,
    /// Threads that wanted to run, on average over a minute, at the end.
    pub load: Option<f64>,
}

/// What one variant costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// The status that its requests are answered with.
    pub status: u16,
    /// What it adds to a request, in nanoseconds of the worker.
    pub added_ns: Estimate,
    /// How many times as much a request costs.
    pub ratio: Estimate,
    /// What it adds as a share of what `naive` adds; absent without `naive`, and where that does not surely add
    /// anything.
    pub of_naive: Option<Estimate>,
    /// Half of the interval of `of_naive` as a share of it, of `added_ns` where there is no `naive`: two runs
    /// agree within a tenth where it is at most 0.045. Absent for the A/A, `naive`, what refuses, what adds nothing, and
    /// where `naive` does not surely add anything.
    #[serde(default)]
    pub error: Option<f64>,
    /// Every pair, in the order of time.
    pub pairs: Vec<Pair>,
}

impl Report {
    /// Whether the numbers may be used.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.refusals.is_empty()
    }

    /// The variants whose ratio another run need not agree on within a tenth, and what they are: for people.
    #[must_use]
    pub fn unsure(&self) -> Vec<String> {
        let unsure = self.variants.iter().filter(|row| row.is_unsure());
        let said = |row: &Row| {
            let pairs = row.pairs.len();
            let (of, what, digits) = match row.of_naive {
                Some(share) => (share, "of naive's", 3),
                None => (row.added_ns.in_parts_of(1e3), "µs added", 2),
            };
            let Estimate { low, median, high } = of;
            format!(
                "{}: {median:.digits$} [{low:.digits$}, {high:.digits$}] {what}, after {pairs} pairs",
                row.name
            )
        };
        unsure.map(said).collect()
    }

    /// Takes in how much was stolen in all of the run.
    pub(super) fn see_what_was_stolen(&mut self, stolen: Option<f64>) {
        self.machine.stolen = stolen;
        self.refusals = refusals(&self.variants, stolen);
    }

    /// `None` when there are too few rounds.
    pub(super) fn of(
        lanes: &[Lane],
        settings: Settings,
        machine: Machine,
        made_ms: u64,
    ) -> Option<Self> {
        let variants = rows(lanes)?;
        Some(Self {
            schema: SCHEMA.to_owned(),
            made_ms,
            refusals: refusals(&variants, machine.stolen),
            machine,
            settings,
            baseline_ns: baseline(lanes)?,
            variants,
            latency: None,
            growth: Vec::new(),
            first: Vec::new(),
            push: None,
            standing: None,
            aims: None,
        })
    }
}

impl Row {
    /// Whether another run need not agree on its ratio within a tenth.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        let is_compared = ![AGAIN, NAIVE].contains(&self.name.as_str()) && self.status < 500;
        is_compared && self.error.is_none_or(|error| paired::ERROR_MAX < error)
    }
}

/// What each variant costs by what is known so far. `None` while there are too few rounds.
pub(super) fn rows(lanes: &[Lane]) -> Option<Vec<Row>> {
    let naive = lanes.iter().find(|lane| lane.variant.name == NAIVE);
    let known = naive.map(Lane::known);
    let row = |lane: &Lane| {
        let error = rounds::compared(lane.known(), known).map(Estimate::error);
        let of_naive = naive.and_then(|naive| paired::share_of(&lane.pairs, &naive.pairs));
        Some(Row {
            name: lane.variant.name.clone(),
            about: lane.variant.about.clone(),
            status: lane.variant.status,
            added_ns: paired::estimate(&lane.pairs, Pair::added)?,
            ratio: paired::estimate(&lane.pairs, Pair::ratio)?,
            of_naive: of_naive.filter(|_| lane.variant.status < 500),
            error: error.filter(|error| error.is_finite()),
            pairs: lane.pairs.clone(),
        })
    };
    lanes.iter().skip(1).map(row).collect()
}

/// The median of all slices of the baseline.
pub(super) fn baseline(lanes: &[Lane]) -> Option<f64> {
    let slices = lanes.iter().flat_map(|lane| &lane.pairs);
    let slices: Vec<f64> = slices.map(|pair| pair.baseline).collect();
    paired::median(&slices)
}

/// Why the numbers must not be used, and what to do.
fn refusals(rows: &[Row], stolen: Option<f64>) -> Vec<String> {
    let mut refusals = Vec::new();
    let again = rows.iter().find(|row| row.name == AGAIN);
    let Some(again) = again else {
        return vec!["there is no A/A, so nobody knows the error".to_owned()];
    };
    let off = again.ratio.median - 1.0;
    if DISAGREEMENT_MAX < off.abs() {
        refusals.push(format!(
            "A/A is off by {:.1} %, more than {:.1} %: the machine was too busy for so few rounds. \
             End what else runs here, or give more --rounds, and run it again",
            off * 100.0,
            DISAGREEMENT_MAX * 100.0
        ));
    }
    if let Some(stolen) = stolen.filter(|stolen| STOLEN_MAX < *stolen) {
        refusals.push(format!(
            "the hypervisor gave {:.1} % of the time to others, more than {:.0} %: what they took is missing from slices. \
             Run it again later, or on a machine of your own",
            stolen * 100.0,
            STOLEN_MAX * 100.0
        ));
    }
    refusals
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row(name: &str, ratio: f64) -> Row {
        let exactly = |value| Estimate {
            low: value,
            median: value,
            high: value,
        };
        Row {
            name: name.into(),
            about: "something".into(),
            status: 200,
            added_ns: exactly((ratio - 1.0) * 40_000.0),
            ratio: exactly(ratio),
            of_naive: Some(exactly(0.5)),
            error: Some(0.0),
            pairs: vec![],
        }
    }

    pub(in super::super) fn report(rows: Vec<Row>) -> Report {
        Report {
            schema: SCHEMA.to_owned(),
            made_ms: 1,
            refusals: refusals(&rows, Some(0.01)),
            machine: Machine {
                processor: "one".into(),
                processors: 2,
                kernel: "6".into(),
                envoy: "1.40.0".into(),
                shares: None,
                is_real_time: false,
                stolen: Some(0.01),
                load: Some(1.5),
            },
            settings: Settings::new(100, 7, super::super::quiet::Priority::Ordinary),
            baseline_ns: 40_000.0,
            variants: rows,
            latency: None,
            growth: vec![],
            first: vec![],
            push: None,
            standing: None,
            aims: None,
        }
    }

    #[test]
    fn numbers_are_usable_while_the_baseline_agrees_with_itself() {
        for (ratio, is_usable) in [
            (1.0, true),
            (1.0149, true),
            (0.9851, true),
            (1.0151, false),
            (0.9849, false),
        ] {
            let report = report(vec![row(AGAIN, ratio), row("sloop", 1.2)]);
            assert_eq!(report.is_usable(), is_usable, "{ratio}");
        }
    }

    #[test]
    fn without_a_double_of_the_baseline_nothing_is_usable() {
        assert!(!report(vec![row("sloop", 1.2)]).is_usable());
    }

    #[test]
    fn numbers_of_a_machine_that_others_took_are_refused() {
        let rows = [row(AGAIN, 1.0)];
        assert!(refusals(&rows, None).is_empty());
        assert!(refusals(&rows, Some(0.03)).is_empty());
        let refused = refusals(&rows, Some(0.031));
        assert!(refused[0].contains("3.1 %"), "{refused:?}");
    }

    #[test]
    fn a_ratio_that_two_runs_need_not_agree_on_is_said_with_its_interval() {
        let mut rows = vec![row(AGAIN, 1.0), row("raw", 1.1), row("sloop", 1.3)];
        rows[1].error = Some(0.046);
        rows[2].error = Some(0.045);
        let unsure = report(rows).unsure();
        assert_eq!(
            unsure,
            ["raw: 0.500 [0.500, 0.500] of naive's, after 0 pairs"]
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let report = report(vec![row(AGAIN, 1.03)]);
        let [refusal] = report.refusals.as_slice() else {
            panic!("{:?}", report.refusals);
        };
        assert!(
            refusal.contains("3.0 %") && refusal.contains("--rounds"),
            "{refusal}"
        );
    }
}
