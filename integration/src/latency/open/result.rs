//! What pairs of slices say about latency, and what they cannot say.

use hdrhistogram::Histogram;
use sloop_bench::open::Slice;
use sloop_bench::paired::{self, Estimate, Pair};
use sloop_bench::{Quantile, quantile};

use super::lanes::OpenLane;
use super::{Check, OpenSettings};
use crate::latency::variants::AGAIN;

/// How far the baseline's median may be from itself, as a share of it.
const DISAGREEMENT_MAX: f64 = 0.015;
/// The finest difference that can be told, as a share of what it is a difference of. A percentile
/// whose A/A scatters further than this is not shown: every number there would be an accident.
const RESOLUTION_MAX: f64 = 0.15;
/// How late the generator may be for half of the requests, as a share of what half of them take:
/// it is in their latency, in equal parts of both slices of a pair.
const LATE_MAX: f64 = 0.25;
/// Points of a histogram in a report: enough for a smooth line over five decades.
const POINTS_PER_HALF: u32 = 20;

/// Percentiles of one slice, in nanoseconds.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    /// Half of the requests took at most this.
    pub p50: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p999: f64,
}

/// Two neighbouring slices over the same schedule.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct OpenPair {
    /// Without the variant.
    pub baseline: Percentiles,
    /// With it.
    pub variant: Percentiles,
}

/// One number for each percentile that is reported.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Spread<T> {
    /// Of the median.
    pub p50: T,
    /// Of 99 %.
    pub p99: T,
    /// Of 99.9 %.
    pub p999: T,
}

/// How fine a difference can be told, and whether that is fine enough.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The further end of the A/A's interval, in nanoseconds: smaller differences are noise.
    pub resolution_ns: f64,
    /// Whether differences of this percentile are shown.
    pub is_told: bool,
}

/// What one variant does to latency, or the baseline.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRow {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Percentiles of all its requests together.
    pub all: Percentiles,
    /// What it adds, in nanoseconds; absent for the baseline.
    pub added_ns: Option<Spread<Estimate>>,
    /// Requests that found no connection free.
    pub waited: u64,
    /// All its requests: (at most so many nanoseconds, this many), for each bucket that is not empty.
    pub histogram: Vec<(u64, u64)>,
    /// Every pair, in the order of time. Empty for the baseline.
    pub pairs: Vec<OpenPair>,
}

/// Everything about latency.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenReport {
    /// Why none of it must be used; empty when it may.
    pub refusals: Vec<String>,
    /// How it was measured.
    pub settings: OpenSettings,
    /// What the generator made of a known delay.
    pub check: Check,
    /// How late the generator was in all slices, in nanoseconds.
    pub late_ns: Percentiles,
    /// What can be told.
    pub told: Spread<Told>,
    /// The baseline, then every variant in the order of the table.
    pub variants: Vec<OpenRow>,
}

impl Percentiles {
    /// `None` when nothing was recorded.
    pub(super) fn of(values: &Histogram<u64>) -> Option<Self> {
        let at = |share| quantile(values, share).map(|value| value as f64);
        Some(Self {
            p50: at(Quantile::P50)?,
            p99: at(Quantile::P99)?,
            p999: at(Quantile::P999)?,
        })
    }
}

impl<T> Spread<T> {
    /// From what `of` makes of each percentile.
    fn each(of: impl Fn(fn(Percentiles) -> f64) -> Option<T>) -> Option<Self> {
        Some(Self {
            p50: of(|all| all.p50)?,
            p99: of(|all| all.p99)?,
            p999: of(|all| all.p999)?,
        })
    }
}

impl OpenReport {
    /// Whether any of it may be used.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.refusals.is_empty()
    }

    /// The baseline.
    #[must_use]
    pub fn baseline(&self) -> Option<&OpenRow> {
        self.variants.first()
    }

    /// `None` when there are too few rounds, or no A/A.
    pub(super) fn of(lanes: &[OpenLane], settings: OpenSettings, check: Check) -> Option<Self> {
        let variants: Option<Vec<OpenRow>> = lanes.iter().map(row).collect();
        let variants = variants?;
        let mut everything = Slice::default();
        lanes.iter().for_each(|lane| everything.add(&lane.all));
        let late_ns = Percentiles::of(&everything.late)?;
        let base = variants.first()?.all;
        let again = variants.iter().find(|row| row.name == AGAIN)?.added_ns?;
        let told = Spread {
            p50: told(again.p50, base.p50),
            p99: told(again.p99, base.p99),
            p999: told(again.p999, base.p999),
        };
        let refusals = [
            check.refusal(),
            late(late_ns, base),
            disagreement(again.p50, base.p50),
        ];
        Some(Self {
            refusals: refusals.into_iter().flatten().collect(),
            settings,
            check,
            late_ns,
            told,
            variants,
        })
    }
}

fn row(lane: &OpenLane) -> Option<OpenRow> {
    let added = |of: fn(Percentiles) -> f64| {
        let pairs = lane.pairs.iter().map(|pair| Pair {
            baseline: of(pair.baseline),
            variant: of(pair.variant),
        });
        paired::estimate(&pairs.collect::<Vec<_>>(), Pair::added)
    };
    let added_ns = if lane.pairs.is_empty() {
        None
    } else {
        Some(Spread::each(added)?)
    };
    Some(OpenRow {
        name: lane.variant.name.clone(),
        about: lane.variant.about.clone(),
        all: Percentiles::of(&lane.all.latency)?,
        added_ns,
        waited: lane.all.waited,
        histogram: points(&lane.all.latency),
        pairs: lane.pairs.clone(),
    })
}

/// The histogram in fewer buckets: each ends where a percentile of the usual plot lies.
fn points(values: &Histogram<u64>) -> Vec<(u64, u64)> {
    let steps = values.iter_quantiles(POINTS_PER_HALF);
    let points = steps.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
    points.filter(|(_, count)| 0 < *count).collect()
}

fn told(again: Estimate, base: f64) -> Told {
    let resolution_ns = again.low.abs().max(again.high.abs());
    Told {
        resolution_ns,
        is_told: resolution_ns <= RESOLUTION_MAX * base,
    }
}

fn late(late: Percentiles, base: Percentiles) -> Option<String> {
    (LATE_MAX * base.p50 < late.p50).then(|| {
        format!(
            "the generator was the bottleneck: it came {:.0} us late to half of the requests, which take {:.0} us. \
             Let it run before everything else (as root, without --polite), or on a machine with more processors",
            late.p50 / 1e3,
            base.p50 / 1e3
        )
    })
}

fn disagreement(again: Estimate, base: f64) -> Option<String> {
    let off = again.median / base;
    (DISAGREEMENT_MAX < off.abs()).then(|| {
        format!(
            "A/A of the median latency is off by {:.1} %, more than {:.1} %: the machine was too busy for so few rounds. \
             End what else runs here, or give more --rounds, and run it again",
            off * 100.0,
            DISAGREEMENT_MAX * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(low: f64, median: f64, high: f64) -> Estimate {
        Estimate { low, median, high }
    }

    fn percentiles(p50: f64) -> Percentiles {
        Percentiles {
            p50,
            p99: 2.0 * p50,
            p999: 4.0 * p50,
        }
    }

    #[test]
    fn a_percentile_is_told_when_the_baseline_agrees_with_itself_finely_enough() {
        let fine = told(estimate(-10.0, 1.0, 15.0), 100.0);
        assert_eq!((fine.resolution_ns, fine.is_told), (15.0, true));
        let coarse = told(estimate(-15.1, 0.0, 3.0), 100.0);
        assert_eq!((coarse.resolution_ns, coarse.is_told), (15.1, false));
    }

    #[test]
    fn a_late_generator_is_refused() {
        assert_eq!(late(percentiles(25.0), percentiles(100.0)), None);
        let refusal = late(percentiles(25.1), percentiles(100.0)).unwrap();
        assert!(refusal.contains("bottleneck"), "{refusal}");
    }

    #[test]
    fn a_median_that_does_not_agree_with_itself_is_refused_in_both_directions() {
        for (median, is_refused) in [(1.5, false), (-1.5, false), (1.51, true), (-1.51, true)] {
            let refusal = disagreement(estimate(-9.0, median, 9.0), 100.0);
            assert_eq!(refusal.is_some(), is_refused, "{median}");
        }
    }

    #[test]
    fn a_smaller_histogram_has_every_request() {
        let mut values = Histogram::new(3).unwrap();
        for value in 1..=5_000_u64 {
            values.record(value * 1_000).unwrap();
        }
        let points = points(&values);
        let count: u64 = points.iter().map(|(_, count)| count).sum();
        assert_eq!(count, 5_000);
        assert!(points.is_sorted() && points.len() < 400, "{}", points.len());
        assert_eq!(points.last().unwrap().0, values.max());
    }
}
