//! Whether latency differs between the arms at all, and where most.
//!
//! # Whether
//!
//! If latencies of both arms are of one distribution, as many of both are below any bound. For each of [`bounds`], fixed beforehand, two
//! e-processes ([`super::evidence`]) bet that more are, and that fewer are. The mean of e-values is one, too, however they
//! depend on each other (V. Vovk and R. Wang, "E-values: calibration, combination and applications", 2021), so the chance that the mean ever reaches
//! `1 / alpha` is at most `alpha`. It holds block by block: a slow second that meets both arms is no evidence. A difference
//! between two bounds alone, less than half an octave apart, is not seen.
//!
//! Requests count as that of groups as bad requests show them ([`super::Clustering`]); where none is bad, latencies that come in
//! groups of one arm are taken for independent, and then it may be said too soon that they differ.
//!
//! # How much
//!
//! The largest gap between the distribution functions (that of Kolmogorov and Smirnov). With a chance of `1 - alpha` those of `t`
//! latencies are at no time further than `0.85 sqrt((ln ln(e t) + 0.8 ln(1612 / alpha)) / t)` from the true one (S. R. Howard and A.
//! Ramdas, as in [`super::quantile`], corollary 2: the inequality of Dvoretzky, Kiefer and Wolfowitz for all times). Both arms share `alpha`,
//! and the true gap is no further from what was seen than both together. It takes one distribution for each arm for granted, and is
//! wider than what shows that there is a gap.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::LatencyBucket;

use super::evidence::{Side, Test};
use super::quantile::count;
use super::{ALPHA, Arm, Block};

/// How far the latencies of both arms are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LatencyGap {
    /// Where the gap is the largest, in microseconds.
    pub us: u64,
    /// The share of the control arm that took at most so long less that of the arm of the fault: above 0 where faults make requests slower.
    pub gap: f64,
    /// The largest gap, of either sign, is surely not below this (95 %, at every moment).
    pub low: f64,
    /// It is surely not above this.
    pub high: f64,
    /// The e-value against "latencies of both arms are of one distribution", its highest. From 20 on they surely differ (95 %, at every moment).
    pub evidence: f64,
}

/// Bets that latencies differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Differing {
    /// By bound: more of the arm of the fault are below it, fewer are.
    tests: Vec<[Test; 2]>,
    seen: Vec<Block>,
    next: Vec<Block>,
    /// The highest mean of all e-values so far, as a logarithm.
    best: f64,
}

/// The shortest bound: a half of a millisecond, below which a proxy's clock tells little.
const FIRST_US: u64 = 512;
/// Octaves with two bounds each, up to a half of a minute.
const OCTAVES: u32 = 16;

/// Latencies that requests may take at most, ascending: beginnings and middles of octaves, which are ends of buckets.
fn bounds() -> impl Iterator<Item = u64> {
    (0..OCTAVES).flat_map(|octave| {
        let begin = FIRST_US << octave;
        [begin, begin + begin / 2]
    })
}

impl Default for Differing {
    fn default() -> Self {
        let tests = bounds().map(|_| [Side::Above, Side::Below].map(|side| Test::new(side, 0.0)));
        let tests: Vec<_> = tests.collect();
        Self {
            seen: vec![Block::default(); tests.len()],
            next: vec![Block::default(); tests.len()],
            tests,
            best: 0.0,
        }
    }
}

impl Differing {
    /// Takes latencies of one block: microseconds, and how many requests of the control arm and of the arm of the fault had them.
    pub(in super::super) fn take(&mut self, control: &[(u64, u64)], fault: &[(u64, u64)]) {
        for (bound, next) in bounds().zip(&mut self.next) {
            let of = |latencies: &[(u64, u64)]| {
                let (mut total, mut below) = (0_u64, 0_u64);
                for (us, count) in latencies {
                    total = total.saturating_add(*count);
                    below = below.saturating_add(if *us < bound { *count } else { 0 });
                }
                (total, below)
            };
            *next = next.plus(Block::of(of(control), of(fault)));
        }
    }

    /// Bets on what has gathered, if that is `at_least` so many of both arms; `clustering` requests count as one.
    pub(in super::super) fn settle(&mut self, clustering: f64, at_least: f64) {
        let fewest = |block: &Block| block.control.total.min(block.fault.total);
        if self.next.first().map_or(0.0, fewest) < at_least {
            return;
        }
        let blocks = self.seen.iter_mut().zip(&mut self.next);
        for (tests, (seen, next)) in self.tests.iter_mut().zip(blocks) {
            for test in tests {
                test.take(*seen, *next, clustering);
            }
            *seen = seen.plus(*next);
            *next = Block::default();
        }
        let won = self.tests.iter().flatten();
        let won: Vec<f64> = won.map(|test| test.now(clustering)).collect();
        self.best = self.best.max(mean(&won));
    }

    /// The e-value against one distribution of both arms, its highest, as a logarithm.
    #[cfg(test)]
    pub(super) const fn best(&self) -> f64 {
        self.best
    }

    /// How far latencies (microseconds and how many requests had them) are apart; nothing when an arm has none.
    pub(in super::super) fn gap(
        &self,
        faulted: &BTreeMap<u64, u64>,
        control: &BTreeMap<u64, u64>,
        clustering: f64,
    ) -> Option<LatencyGap> {
        let (of_faulted, of_control) = (count(faulted), count(control));
        if of_faulted == 0.0 || of_control == 0.0 {
            return None;
        }
        let (us, gap) = widest((faulted, of_faulted), (control, of_control));
        let error = [of_faulted, of_control]
            .map(|count| error(count / clustering.max(1.0), ALPHA / 2.0))
            .iter()
            .sum::<f64>();
        Some(LatencyGap {
            us,
            gap,
            low: (gap.abs() - error).max(0.0),
            high: (gap.abs() + error).min(1.0),
            evidence: self.best.min(700.0).exp(),
        })
    }
}

/// Where the shares that took at most so long are the furthest apart, and by how much.
fn widest(
    (faulted, of_faulted): (&BTreeMap<u64, u64>, f64),
    (control, of_control): (&BTreeMap<u64, u64>, f64),
) -> (u64, f64) {
    let mut all: BTreeMap<u64, Block> = BTreeMap::new();
    for (us, count) in faulted {
        all.entry(*us).or_default().fault = Block::of((0, 0), (*count, 0)).fault;
    }
    for (us, count) in control {
        all.entry(*us).or_default().control = Block::of((*count, 0), (0, 0)).control;
    }
    let mut below = Block::default();
    let mut widest = (0, 0.0_f64);
    for (us, counts) in all {
        below = below.plus(counts);
        let share = |arm: Arm, all: f64| arm.total / all;
        let gap = share(below.control, of_control) - share(below.fault, of_faulted);
        if widest.1.abs() < gap.abs() {
            widest = (LatencyBucket::of(us).highest_us(), gap);
        }
    }
    widest
}

/// How far the distribution function of `count` latencies is from the true one at most, at all times at once.
pub(super) fn error(count: f64, alpha: f64) -> f64 {
    let count = count.max(1.0);
    let level = (core::f64::consts::E * count).ln().ln() + 0.8 * (1_612.0 / alpha).ln();
    (0.85 * (level / count).sqrt()).min(1.0)
}

/// The logarithm of the mean of what has these logarithms.
fn mean(logs: &[f64]) -> f64 {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return 0.0;
    }
    let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
    #[expect(clippy::cast_precision_loss, reason = "two for each bound")]
    let count = logs.len() as f64;
    largest + (sum / count).ln()
}
