//! Which rates of failure are tested against each other.

use sloop_model::{Share, Target};

use super::{ALTERNATIVES, SUSPICION, THRESHOLD};
use crate::Counts;

/// Evidence is counted in millionths of a nat (the unit of a natural logarithm), so
/// that it is the same on every machine and can be compared.
pub(super) const NAT: f64 = 1_000_000.0;

/// What one request changes in the evidence for each alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hypotheses {
    weights: [Weight; ALTERNATIVES],
}

/// Evidence that a request adds; what a good one adds is not above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    bad: i64,
    good: i64,
}

/// The workbook's fastest burn rate: what is slower is left to its windows.
const BURN_MIN: f64 = 14.4;
/// Shares nearer to nothing than this have logarithms that mean nothing in practice; targets end at a billionth.
const SHARE_MIN: f64 = 1e-9;

impl Hypotheses {
    /// The budget of `target` against burning it at 14.4 times the rate, or half way to
    /// everything where that is less, and more. Nothing when everything may be bad.
    pub(crate) fn of(target: Target) -> Option<Self> {
        Some(Self::between(target.budget_fraction(), least(target)?))
    }

    /// An eighth of `level` against `level` and more, for a breaker that knows of no objective.
    pub(crate) fn below(level: Share) -> Self {
        let level = level.as_fraction();
        Self::between(level / 8.0, level)
    }

    /// How many requests it takes on average until there is evidence enough, where the share `bad` of them is bad; nothing where
    /// it is never enough.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "weights are small, and what is rounded is positive"
    )]
    pub(crate) fn needed(&self, bad: f64) -> Option<u64> {
        let gain = |weight: &Weight| bad * weight.bad as f64 + (1.0 - bad) * weight.good as f64;
        let most = self.weights.iter().map(gain).fold(0.0, f64::max);
        (0.0 < most).then(|| (THRESHOLD as f64 / most).ceil() as u64)
    }

    /// Whether `seen`, taken by itself, makes a change as likely as one that is suspected.
    pub(crate) fn is_suspected(&self, seen: Counts) -> bool {
        self.gains(seen).any(|gain| SUSPICION <= gain)
    }

    /// Up to `allowed` against alternatives from `least` to nearly everything, evenly spread in
    /// the logarithm of the odds: as far from each other as the numbers of requests that tell them apart.
    fn between(allowed: f64, least: f64) -> Self {
        let allowed = allowed.clamp(SHARE_MIN, 1.0 - SHARE_MIN);
        let least = least.clamp(allowed, 1.0 - SHARE_MIN);
        // As far below everything as an eighth of what is below `allowed`: still above `least`.
        let most = (1.0 - (1.0 - allowed) / 8.0).max(least);
        let (low, high) = (odds(least).ln(), odds(most).ln());
        let mut weights = [Weight::default(); ALTERNATIVES];
        let mut step = 0.0;
        for weight in &mut weights {
            let share = share_of((low + (high - low) * step).exp());
            *weight = Weight {
                bad: fixed((share / allowed).ln()),
                good: fixed(((1.0 - share) / (1.0 - allowed)).ln()),
            };
            step += 1.0 / 3.0;
        }
        Self { weights }
    }

    /// How much evidence `new` adds for each alternative.
    pub(super) fn gains(&self, new: Counts) -> impl Iterator<Item = i64> {
        self.weights.into_iter().map(move |weight| {
            let of = |count: u64, each: i64| i128::from(count) * i128::from(each);
            let gain = of(new.bad(), weight.bad) + of(new.good, weight.good);
            i64::try_from(gain).unwrap_or(if gain < 0 { i64::MIN } else { i64::MAX })
        })
    }
}

/// The least share of bad requests that is looked for; nothing when everything may be bad.
pub(super) fn least(target: Target) -> Option<f64> {
    let budget = target.budget_fraction();
    (budget < 1.0).then(|| (BURN_MIN * budget).min(f64::midpoint(1.0, budget)))
}

fn odds(share: f64) -> f64 {
    share / (1.0 - share)
}

fn share_of(odds: f64) -> f64 {
    (odds / (1.0 + odds)).min(1.0 - SHARE_MIN)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "logarithms of shares above a billionth are between -21 and 21"
)]
fn fixed(nats: f64) -> i64 {
    (nats * NAT).round() as i64
}
