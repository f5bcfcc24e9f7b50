//! The windows that burn rates are judged over.
//!
//! The table is that of the Google SRE workbook, chapter 5 ("Alerting on SLOs",
//! multiwindow, multi-burn-rate), with the third row that Sloth's default adds,
//! for an SLO over 30 days. For another window all lengths are scaled, so that a
//! pair fires at the same share of the budget: 2, 5, 10 and 10 %.

use core::time::Duration;

use sloop_model::Target;

use crate::Speed;

/// Windows that only counting in the request path can have.
pub(crate) const FAST: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// Two windows that must both burn faster than `factor`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// The burn rate.
    pub(crate) factor: f64,
    /// The long window: it says that it matters.
    pub(crate) long: Duration,
    /// The short window: it says that it is still going on.
    pub(crate) short: Duration,
    /// How urgent it is.
    pub(crate) speed: Speed,
}

/// The window that the workbook's table is for.
const WORKBOOK_WINDOW_S: u64 = 30 * 86_400;
/// Factor, long and short window in seconds.
const WORKBOOK: [(f64, u64, u64, Speed); 4] = [
    (14.4, 3_600, 300, Speed::Page),
    (6.0, 21_600, 1_800, Speed::Page),
    (3.0, 86_400, 7_200, Speed::Fast),
    (1.0, 259_200, 21_600, Speed::Slow),
];
/// Below this a window holds too few cells of a second to be what it says.
const SHORTEST: Duration = Duration::from_secs(5);

/// The pairs for an SLO over `window`, fastest first.
pub(crate) fn pairs(window: Duration) -> [Pair; 4] {
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    // Whole milliseconds: what the status shows is what is used.
    let scaled = |seconds: u64| {
        let millis = window_ms.saturating_mul(seconds) / WORKBOOK_WINDOW_S;
        Duration::from_millis(millis).max(SHORTEST)
    };
    WORKBOOK.map(|(factor, long, short, speed)| Pair {
        factor,
        long: scaled(long),
        short: scaled(short),
        speed,
    })
}

/// The share of bad requests at which a budget burns `factor` times too fast.
///
/// `factor x (1 - target)` is above 1 when the target is low (14.4: below
/// 93.06 %), and no outage could ever reach it. So it is at most an eighth of
/// the budget's complement below 1: a total outage always fires, and targets of
/// 94 % and more are not touched.
pub(crate) fn bad_share(factor: f64, target: Target) -> f64 {
    let budget = target.budget_fraction();
    (factor * budget).min(1.0 - (1.0 - budget) / 8.0)
}
