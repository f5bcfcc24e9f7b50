//! What is left of an error budget, and for how long.
//!
//! The budget of a window is `allowed = (1 - target) x counted`, of what was counted so far.
//! If the last hour (or as much of the window as an hour is of 30 days) goes on, bad ones
//! come at a rate `b`; where the window still fills (a calendar window, or a service
//! that is younger than the window), what is allowed grows with what is counted at a rate
//! `c`, by `(1 - target) c`. So nothing is left after
//!
//! ```text
//! left / (b - (1 - target) c)
//! ```
//!
//! In a full rolling window as much leaves as comes, and `allowed` stays. Bad ones that leave
//! it are not counted on, so the forecast is early rather than late. Worked example: 99.9 %
//! over 30 days at 100,000 requests per hour allows 72,000; an hour with 1,440 bad ones (a
//! burn of 14.4) leaves 70,560, which last 49 hours.

use core::time::Duration;

use sloop_model::{ShareBounds, Target};

use super::status::BudgetStatus;
use super::tally::Tally;

/// How it went of late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lately {
    /// What was counted.
    pub(crate) tally: Tally,
    /// In how much time that somebody reported on.
    pub(crate) known: Duration,
    /// Whether the SLO's window still fills.
    pub(crate) is_filling: bool,
    /// The time until the SLO's window ends; nothing when it never does.
    pub(crate) ends_in: Option<Duration>,
}

/// The error budget of `target` after `tally`; with a forecast when it is known how it went of late.
pub(crate) fn budget(tally: &Tally, target: Target, lately: Option<Lately>) -> BudgetStatus {
    let (units, worth) = (tally.units(), tally.worth());
    let allowed = target.allowed_bad_billionths(units.total);
    let spent = u128::from(units.bad()) * u128::from(Target::WHOLE);
    // In whole billionths first: `allowed - spent` in floats has no exact zero.
    let left = if spent <= allowed {
        amount(allowed - spent, worth)
    } else {
        -amount(spent - allowed, worth)
    };
    let allowed = amount(allowed, worth);
    let left_share = if units.total == 0 {
        1.0
    } else {
        left / allowed
    };
    let gone_in = |bad: f64| {
        let lately = lately.filter(|_| units.total != 0)?;
        if left <= 0.0 {
            return Some(0);
        }
        gone_in(left, bad, target, &lately)
    };
    let bad = lately.and_then(|lately| lately.tally.bad_share());
    let bounds = lately.and_then(|lately| lately.tally.bounds());
    let bound = |which: fn(ShareBounds) -> f64| bounds.map_or(0.0, which);
    BudgetStatus {
        unit: tally.unit(),
        allowed,
        spent: units.bad().div_ceil(worth),
        left,
        left_share,
        exhausted_in_s: gone_in(bad.unwrap_or_default()),
        exhausted_earliest_s: gone_in(bound(|bounds| bounds.high)),
        exhausted_latest_s: gone_in(bound(|bounds| bounds.low)),
    }
}

/// When `left` is gone if a share `bad` of what was counted lately is bad, in seconds.
fn gone_in(left: f64, bad: f64, target: Target, lately: &Lately) -> Option<u64> {
    let seconds = lately.known.as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let tally = &lately.tally;
    let rate = amount(
        u128::from(tally.units().total) * u128::from(Target::WHOLE),
        tally.worth(),
    ) / seconds;
    let grows = if lately.is_filling {
        target.budget_fraction()
    } else {
        0.0
    };
    let speed = rate * (bad - grows);
    // At the very rate that is allowed it lasts, whatever the window.
    let lasts = bad <= target.budget_fraction();
    let time = Duration::try_from_secs_f64(left / speed).ok()?;
    let ends_first = lately.ends_in.is_some_and(|end| end <= time);
    (!lasts && !ends_first).then_some(time.as_secs())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people: 15 digits are enough"
)]
fn amount(billionths: u128, worth: u64) -> f64 {
    billionths as f64 / f64::from(Target::WHOLE) / worth as f64
}
