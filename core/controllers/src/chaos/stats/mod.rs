//! Comparing two arms while they run, and being right whenever one looks.
//!
//! | question | answer | method |
//! |---|---|---|
//! | is the effect above or below a bound? | [`Evidence`] | e-processes for two binomials, by blocks |
//! | how large is it? | [`Evidence::interval`] | the bounds that no e-process has rejected |
//! | do requests come in clusters? | [`Clustering`] | design effect against the hypergeometric variance of each second, by reports, seconds, sidecars and callers |
//! | what latency had each arm? | [`quantile::Quantiles`] | quantiles with bands that hold at all times at once |
//! | are requests slow together? | [`Latencies`], [`Differing`] | design effect of each quantile, by seconds and spells; of each bound, as of bad requests |
//! | by how much did a quantile change? | [`shifts`] | pairs of quantiles that the martingales of both arms together have not rejected |
//! | did latency change at all, and where? | [`Differing`] | mean of e-processes over fixed bounds; largest gap of the distribution functions |
//! | which of many routes are affected? | [`discoveries`] | e-BH |
//! | how long will it take? | [`needed`], [`fixed_sample`] | growth of the evidence; the usual formula to compare with |
//!
//! Everything here is a plain value; nothing draws, so the same counts give the same verdict.

mod callers;
mod clustering;
mod discovery;
mod distribution;
mod evidence;
mod latencies;
mod quantile;
mod sample;
mod seconds;
mod shift;

pub(super) use clustering::Clustering;
pub(super) use discovery::discoveries;
pub(super) use distribution::Differing;
pub use distribution::LatencyGap;
pub(super) use evidence::Evidence;
pub use evidence::Interval;
pub(super) use latencies::Latencies;
pub use quantile::QuantileBand;
pub(super) use sample::needed;
pub use shift::QuantileShift;
pub(super) use shift::shifts;

use serde::{Deserialize, Serialize};

/// The chance to be wrong that a verdict may have: one in twenty, as custom has it.
pub(super) const ALPHA: f64 = 0.05;

/// What one block says: requests of both arms that ended side by side, and the bad among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) control: Arm,
    pub(super) fault: Arm,
}

/// Requests of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Arm {
    /// How many ended.
    pub(super) total: f64,
    /// How many of them were bad, at most `total`.
    pub(super) bad: f64,
}

impl Block {
    /// Of counts, as reported.
    #[expect(
        clippy::cast_precision_loss,
        reason = "reports are cut to 2^40, sums of an experiment stay below 2^52"
    )]
    pub(super) fn of(control: (u64, u64), fault: (u64, u64)) -> Self {
        let arm = |(total, bad): (u64, u64)| Arm {
            total: total as f64,
            bad: bad.min(total) as f64,
        };
        Self {
            control: arm(control),
            fault: arm(fault),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let sum = |one: Arm, other: Arm| Arm {
            total: one.total + other.total,
            bad: one.bad + other.bad,
        };
        Self {
            control: sum(self.control, other.control),
            fault: sum(self.fault, other.fault),
        }
    }
}

impl Arm {
    /// The share that was bad; nothing when nothing was seen.
    pub(super) fn share(self) -> Option<f64> {
        (0.0 < self.total).then(|| self.bad / self.total)
    }
}

#[cfg(test)]
pub(super) use tests::Draws;

#[cfg(test)]
mod tests;
