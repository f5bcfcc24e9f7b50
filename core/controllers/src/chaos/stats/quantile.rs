//! Latency as a whole: quantiles with bands that hold at all times.
//!
//! # One arm
//!
//! S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
//! identification", Bernoulli 28(3), 2022, theorem 1 b, with the mixture of H. Robbins ("Statistical methods related to the law of
//! the iterated logarithm", 1970): of `n` latencies that are drawn from one distribution `S` are at most its quantile `p`, each with the
//! chance `p`. Were the chance another one, drawn from a beta distribution with the mean `p` and the weight `r`, what was seen
//! would be more likely by
//! `B(r p + S, r (1 - p) + n - S) / (B(r p, r (1 - p)) p^S (1 - p)^(n - S))`. That is a martingale with the mean 1, so the chance that it
//! ever reaches `1 / alpha` is at most `alpha` (Ville). A latency may be the quantile as long as it was not reached with any `S` from those
//! below it to those at most as long; it is convex in `S`, so what is left is one band. Several quantiles share `alpha` evenly.
//!
//! # Buckets
//!
//! Reports have latencies in buckets ([`LatencyBucket`]). Where in its bucket a latency was is not known, so ends of bands are the outer ends
//! of buckets: nothing is said that the histogram does not know.
//!
//! # What it takes for granted
//!
//! That an arm has one distribution. If that moves over the run, the bands are those of the mixture so far, and no longer
//! exact. Requests that are slow together count as fewer: `n` and `S` are divided by the design effect at the quantile
//! ([`super::Latencies`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::LatencyBucket;

use super::ALPHA;

/// A quantile of the latencies of an arm. An end of the band is absent where too few were seen to bound it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuantileBand {
    /// Which quantile, as 0.5 for the median. Left out where less than one request is expected beyond it.
    pub quantile: f64,
    /// As seen, in microseconds.
    pub us: u64,
    /// It is surely not below this.
    pub low_us: Option<u64>,
    /// It is surely not above this.
    pub high_us: Option<u64>,
    /// How many requests count as one, as they are slow together.
    #[serde(default = "alone")]
    pub design_effect: f64,
}

/// Each request counts: so it was in results of before.
const fn alone() -> f64 {
    1.0
}

/// The quantiles of an arm, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Quantiles(Vec<Quantile>);

/// What is known of a quantile.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantile {
    /// Which, as 0.5 for the median.
    pub(super) quantile: f64,
    /// As seen, in microseconds.
    pub(super) us: u64,
    design_effect: f64,
    /// What it may be.
    pub(super) candidates: Candidates,
}

/// The latencies that an arm's quantile may be, and how much speaks against each. Shape: ascending, and `against` falls, then grows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidates {
    all: Vec<Candidate>,
    /// The position of the one that the least speaks against.
    likeliest: usize,
}

/// Latencies that are as likely as each other to be the quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The shortest; 0 below all that was seen.
    pub(super) low_us: u64,
    /// The longest; nothing above all that was seen.
    pub(super) high_us: Option<u64>,
    /// The martingale, as a logarithm: the lowest that it can be.
    pub(super) against: f64,
}

/// The martingale of one quantile after `count` latencies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture {
    quantile: f64,
    count: f64,
    /// What does not depend on how many are below.
    fixed: f64,
}

/// The quantiles that people ask for.
pub(super) const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];
/// The weight of the mixture: bands are about the narrowest after ten times as many latencies, as an arm has them after minutes.
const WEIGHT: f64 = 100.0;
/// How far the least of a martingale is from where digamma functions, taken as logarithms, say that it is: well below this.
const NEAR: f64 = 4.0;
/// Steps of a search that takes a third off each time: down to a ten-thousandth of a request.
const THIRDS: u32 = 30;

/// The level of one of [`QUANTILES`], as a logarithm, so that all of them err with a chance of at most [`ALPHA`].
pub(super) fn level() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "five quantiles")]
    let quantiles = QUANTILES.len() as f64;
    (quantiles / ALPHA).ln()
}

/// How many latencies there are.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
pub(super) fn count(latencies: &BTreeMap<u64, u64>) -> f64 {
    let all = latencies.values();
    all.fold(0_u64, |sum, count| sum.saturating_add(*count)) as f64
}

/// The quantiles beyond which at least one of `count` latencies is expected.
fn told(count: f64) -> impl Iterator<Item = f64> {
    let is_told = move |quantile: &f64| 1.0 - 1e-9 <= count * (1.0 - quantile);
    QUANTILES.into_iter().filter(is_told)
}

impl Quantiles {
    /// Those of latencies (microseconds and how many requests had them). Where one is, so many count as one as `design_effect` says.
    pub(super) fn of(latencies: &BTreeMap<u64, u64>, design_effect: impl Fn(u64) -> f64) -> Self {
        let all = count(latencies);
        let known = told(all).filter_map(|quantile| {
            let us = at(latencies, quantile * all)?;
            let design_effect = design_effect(us).max(1.0);
            Some(Quantile {
                quantile,
                us,
                design_effect,
                candidates: Candidates::of(latencies, quantile, design_effect),
            })
        });
        Self(known.collect())
    }

    /// The largest of how many requests count as one; 1 when nothing is known.
    pub(in super::super) fn design_effect(&self) -> f64 {
        let all = self.0.iter().map(|one| one.design_effect);
        all.fold(1.0, f64::max)
    }

    /// Where each surely is; empty when there are no latencies.
    pub(in super::super) fn bands(&self) -> Vec<QuantileBand> {
        let band = |one: &Quantile| {
            let (low_us, high_us) = one.candidates.within(level())?;
            Some(QuantileBand {
                quantile: one.quantile,
                us: one.us,
                low_us: Some(low_us).filter(|us| 0 < *us),
                high_us,
                design_effect: one.design_effect,
            })
        };
        self.0.iter().filter_map(band).collect()
    }

    /// Each quantile, as seen and as it may be, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Quantile> {
        self.0.iter()
    }
}

impl Candidates {
    /// Those for `quantile`, when `clustering` latencies count as one.
    pub(super) fn of(latencies: &BTreeMap<u64, u64>, quantile: f64, clustering: f64) -> Self {
        let count = count(latencies) / clustering;
        let mixture = Mixture::new(quantile, count);
        let likeliest = mixture.likeliest();
        let mut below = 0.0;
        let seen = latencies.iter().map(|(us, requests)| {
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
            let through = below + *requests as f64 / clustering;
            let bucket = LatencyBucket::of(*us);
            // The last bucket has everything that took longer, too.
            let is_last = bucket.index() + 1 == LatencyBucket::COUNT;
            let candidate = Candidate {
                low_us: bucket.lowest_us(),
                high_us: (!is_last).then(|| bucket.highest_us()),
                against: mixture.log(likeliest.clamp(below, through.max(below))),
            };
            below = through;
            candidate
        });
        let seen: Vec<Candidate> = seen.collect();
        let beyond = |against: f64, low_us: u64, high_us: Option<u64>| Candidate {
            low_us,
            high_us,
            against,
        };
        let first = seen.first().map_or(0, |one| one.low_us);
        let last = seen
            .last()
            .map_or(0, |one| one.high_us.unwrap_or(one.low_us));
        let shorter = beyond(mixture.log(0.0), 0, Some(first));
        let longer = beyond(mixture.log(count), last, None);
        let all = core::iter::once(shorter).chain(seen);
        let all: Vec<Candidate> = all.chain([longer]).collect();
        let mut numbered = all.iter().enumerate();
        let first = numbered
            .next()
            .map_or((0, f64::INFINITY), |(at, one)| (at, one.against));
        let (likeliest, _) = numbered.fold(first, |least, (at, one)| {
            if one.against < least.1 {
                (at, one.against)
            } else {
                least
            }
        });
        Self { all, likeliest }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.all.iter()
    }

    /// The shortest and the longest latency against which less than `level` speaks; nothing when there is none.
    pub(super) fn within(&self, level: f64) -> Option<(u64, Option<u64>)> {
        let (falling, growing) = self.all.split_at_checked(self.likeliest)?;
        if level <= growing.first()?.against {
            return None;
        }
        let shorter = falling.partition_point(|one| level <= one.against);
        let longer = growing.partition_point(|one| one.against < level);
        let shortest = falling.get(shorter).or_else(|| growing.first())?;
        let longest = growing.get(longer.checked_sub(1)?)?;
        Some((shortest.low_us, longest.high_us))
    }
}

impl Mixture {
    pub(super) fn new(quantile: f64, count: f64) -> Self {
        let (below, above) = weights(quantile);
        Self {
            quantile,
            count,
            fixed: libm::lgamma(WEIGHT)
                - libm::lgamma(below)
                - libm::lgamma(above)
                - libm::lgamma(WEIGHT + count),
        }
    }

    /// The logarithm of the martingale when `below` latencies were at most as long as the quantile.
    pub(super) fn log(&self, below: f64) -> f64 {
        let below = below.clamp(0.0, self.count);
        let above = self.count - below;
        let (of_below, of_above) = weights(self.quantile);
        self.fixed + libm::lgamma(of_below + below) + libm::lgamma(of_above + above)
            - below * self.quantile.ln()
            - above * (1.0 - self.quantile).ln()
    }

    /// The number of latencies below the quantile at which it is the lowest.
    fn likeliest(&self) -> f64 {
        let about = self.quantile * self.count + 0.5 - self.quantile;
        let [mut low, mut high] =
            [about - NEAR, about + NEAR].map(|end| end.clamp(0.0, self.count));
        for _ in 0..THIRDS {
            let third = (high - low) / 3.0;
            if self.log(low + third) < self.log(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        f64::midpoint(low, high)
    }
}

/// The parameters of the mixture.
fn weights(quantile: f64) -> (f64, f64) {
    (WEIGHT * quantile, WEIGHT * (1.0 - quantile))
}

/// The latency that `rank` requests are at most as slow as.
fn at(latencies: &BTreeMap<u64, u64>, rank: f64) -> Option<u64> {
    let mut below = 0.0;
    for (us, count) in latencies {
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
        let count = *count as f64;
        below += count;
        if rank <= below {
            return Some(*us);
        }
    }
    latencies.last_key_value().map(|(us, _)| *us)
}
