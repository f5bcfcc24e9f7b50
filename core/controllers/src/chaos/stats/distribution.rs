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
//! Requests of one arm that are slow together (tries of one request, a trace that fans out) would be evidence, so what is won at a bound counts
//! as that of groups, as those show that took longer than it: the design effect of [`super::Clustering`], one for each bound. Far up and down few
//! requests are on one side, and an effect that groups only seem to have hides how large they are; so there it is at least what it is at the bound where the most varies.
//!
//! # How much
//!
//! The largest gap between the distribution functions (that of Kolmogorov and Smirnov). With a chance of `1 - alpha` those of `t`
//! latencies are at no time further than `0.85 sqrt((ln ln(e t) + 0.8 ln(1612 / alpha)) / t)` from the true one (S. R. Howard and A.
//! Ramdas, as in [`super::quantile`], corollary 2: the inequality of Dvoretzky, Kiefer and Wolfowitz for all times). Both arms share `alpha`,
//! and the true gap is no further from what was seen than both together. It takes one distribution for each arm for granted, with latencies that count as fewer by the
//! largest design effect of the arm's quantiles ([`super::Latencies`]), and is wider than what shows that there is a gap.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{LatencyBucket, WallTime};

use super::evidence::{Side, Test};
use super::quantile::count;
use super::{ALPHA, Arm, Block, Clustering};

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
    /// By bound: whether requests are slow together; nothing while all took longer than it, or none did.
    clusterings: Vec<Option<Clustering>>,
    /// The highest mean of all e-values so far, as a logarithm.
    best: f64,
}

/// The shortest bound: a half of a millisecond, below which a proxy's clock tells little.
const FIRST_US: u64 = 512;
/// Octaves with two bounds each, up to a half of a minute.
const BOUNDS: usize = 2 * 16;

/// Latencies that requests may take at most, ascending: beginnings and middles of octaves, which are ends of buckets.
fn bounds() -> [u64; BOUNDS] {
    core::array::from_fn(|number| {
        let begin = FIRST_US << (number / 2);
        if number % 2 == 0 {
            begin
        } else {
            begin + begin / 2
        }
    })
}

impl Default for Differing {
    fn default() -> Self {
        let tests = [Side::Above, Side::Below].map(|side| Test::new(side, 0.0));
        Self {
            seen: vec![Block::default(); BOUNDS],
            next: vec![Block::default(); BOUNDS],
            clusterings: vec![None; BOUNDS],
            tests: vec![tests; BOUNDS],
            best: 0.0,
        }
    }
}

impl Differing {
    /// Takes latencies of a block that was reported at `at`: microseconds, and how many requests of the control arm and of the arm of the fault
    /// had them.
    pub(in super::super) fn take(
        &mut self,
        control: &[(u64, u64)],
        fault: &[(u64, u64)],
        at: WallTime,
    ) {
        let (of_control, of_fault) = (below(control), below(fault));
        let blocks = of_control.into_iter().zip(of_fault);
        let blocks = blocks.map(|(control, fault)| Block::of(control, fault));
        let all = self.next.iter_mut().zip(&mut self.clusterings);
        for ((next, clustering), block) in all.zip(blocks) {
            *next = next.plus(block);
            let (total, below) = (
                block.control.total + block.fault.total,
                block.control.bad + block.fault.bad,
            );
            if clustering.is_some() || (0.0 < below && below < total) {
                let clustering = clustering.get_or_insert_default();
                clustering.take_alone(block, at);
            }
        }
    }

    /// Bets on what has gathered, if that is `at_least` so many of both arms, of which `clustering` count as one or more.
    pub(in super::super) fn settle(&mut self, clustering: f64, at_least: f64) {
        let fewest = |block: &Block| block.control.total.min(block.fault.total);
        if self.next.first().map_or(0.0, fewest) < at_least {
            return;
        }
        let unknown = Clustering::default().effect();
        let known = self.clusterings.iter().flatten();
        let known = known.map(|one| (one.variance(), one));
        let best_known = known.max_by(|(one, _), (other, _)| one.total_cmp(other));
        let at_least = clustering.max(best_known.map_or(1.0, |(_, one)| one.effect()));
        let effects = self.clusterings.iter().map(|one| {
            let effect = one.as_ref().map_or(unknown, Clustering::effect);
            effect.max(at_least)
        });
        let effects: Vec<f64> = effects.collect();
        self.bet(effects);
    }

    /// Bets on what has gathered, when so many requests count as one at each bound.
    pub(super) fn bet(&mut self, effects: impl IntoIterator<Item = f64>) {
        let blocks = self.seen.iter_mut().zip(&mut self.next).zip(effects);
        let mut won = Vec::with_capacity(2 * BOUNDS);
        for (tests, ((seen, next), effect)) in self.tests.iter_mut().zip(blocks) {
            for test in tests {
                test.take(*seen, *next, effect);
                won.push(test.now(effect));
            }
            *seen = seen.plus(*next);
            *next = Block::default();
        }
        self.best = self.best.max(mean(&won));
    }

    /// The e-value against one distribution of both arms, its highest, as a logarithm.
    #[cfg(test)]
    pub(super) const fn best(&self) -> f64 {
        self.best
    }

    /// How far latencies (microseconds and how many requests had them) are apart, of which so many count as one in each arm; nothing when an arm
    /// has none.
    pub(in super::super) fn gap(
        &self,
        (faulted, fewer_faulted): (&BTreeMap<u64, u64>, f64),
        (control, fewer_control): (&BTreeMap<u64, u64>, f64),
    ) -> Option<LatencyGap> {
        let (of_faulted, of_control) = (count(faulted), count(control));
        if of_faulted == 0.0 || of_control == 0.0 {
            return None;
        }
        let (us, gap) = widest((faulted, of_faulted), (control, of_control));
        let error = error(of_faulted / fewer_faulted, ALPHA / 2.0)
            + error(of_control / fewer_control, ALPHA / 2.0);
        Some(LatencyGap {
            us,
            gap,
            low: (gap.abs() - error).max(0.0),
            high: (gap.abs() + error).min(1.0),
            evidence: self.best.min(700.0).exp(),
        })
    }
}

/// How many latencies there are, and how many are below each of [`bounds`].
fn below(latencies: &[(u64, u64)]) -> [(u64, u64); BOUNDS] {
    let bounds = bounds();
    let mut sums = [(0_u64, 0_u64); BOUNDS];
    for (us, count) in latencies {
        for ((total, below), bound) in sums.iter_mut().zip(bounds) {
            *total = total.saturating_add(*count);
            *below = below.saturating_add(if *us < bound { *count } else { 0 });
        }
    }
    sums
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
