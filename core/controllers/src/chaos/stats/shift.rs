//! By how much a quantile of the latency differs between the arms, right whenever one looks.
//!
//! The arms are drawn apart, so the martingales of both ([`super::quantile`]) multiply to one: at no time is the product for
//! the true quantiles of both arms `1 / alpha` or more, but with a chance of `alpha`. What may be the pair of quantiles is
//! all pairs below that, and what may be their difference is what these pairs have (a projection, which cannot err more often). A sum of two logarithms
//! must be small instead of each of them, so the interval is about 1.4 times as wide as the band of one arm, not twice as wide as it would
//! be by dividing `alpha` between the arms (Bonferroni). The quantiles share `alpha` evenly, so all intervals of a
//! comparison hold together.

use serde::{Deserialize, Serialize};

use super::quantile::{Candidate, Candidates, Quantile, Quantiles, level};

/// How much longer a quantile of the latency is in the arm of the fault than in the control arm. An end of the interval is absent where too
/// few were seen to bound it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuantileShift {
    /// Which quantile, as 0.5 for the median. Left out where less than one request of either arm is expected beyond it.
    pub quantile: f64,
    /// As seen, in microseconds; negative where the arm of the fault is faster.
    pub us: i64,
    /// It is surely not below this (95 %, at every moment, all quantiles together).
    pub low_us: Option<i64>,
    /// It is surely not above this.
    pub high_us: Option<i64>,
}

/// The shifts between the quantiles that are told of both arms.
pub(in super::super) fn shifts(faulted: &Quantiles, control: &Quantiles) -> Vec<QuantileShift> {
    let both = faulted.iter().zip(control.iter());
    let shift = |(slow, fast): (&Quantile, &Quantile)| {
        let (low_us, high_us) = between(&slow.candidates, &fast.candidates);
        QuantileShift {
            quantile: slow.quantile,
            us: less(slow.us, fast.us),
            low_us,
            high_us,
        }
    };
    both.map(shift).collect()
}

/// The lowest and the highest difference of pairs that are left.
fn between(faulted: &Candidates, control: &Candidates) -> (Option<i64>, Option<i64>) {
    let (mut low, mut high): (Option<i64>, Option<i64>) = (None, None);
    let (mut is_low, mut is_high) = (true, true);
    for Candidate {
        low_us,
        high_us,
        against,
    } in faulted.iter().copied()
    {
        // What the martingale of the control arm may be beside it.
        let Some((shortest, longest)) = control.within(level() - against) else {
            continue;
        };
        match longest {
            Some(longest) => {
                let least = less(low_us, longest);
                low = Some(low.map_or(least, |low| low.min(least)));
            }
            None => is_low = false,
        }
        match high_us {
            Some(high_us) => {
                let most = less(high_us, shortest);
                high = Some(high.map_or(most, |high| high.max(most)));
            }
            None => is_high = false,
        }
    }
    (low.filter(|_| is_low), high.filter(|_| is_high))
}

/// A latency less another one.
fn less(us: u64, other: u64) -> i64 {
    let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    signed(us).saturating_sub(signed(other))
}
