//! Sees a sudden change before the window does, which holds what was good before.
//!
//! A walk goes up with every bad request and down with every good one, never
//! below zero, and so wide that it goes nowhere when half of what the rule allows is
//! bad. Below that it keeps coming back to zero; above it climbs, and the last
//! time that it left zero is the most likely moment of the change (Page's CUSUM, 1954;
//! the control plane does the same with the whole fleet's counts). What was counted
//! since then is judged by the same limits as the window.
//!
//! What chance does. If a share `b` of the requests is bad, each by itself, a run of `n` requests that a bad one begins
//! is taken for a change with the chance that as many of the others are bad as the limits ask. Added up over all `n`, and with the
//! same for a window that begins anywhere, that bounds the false alarms per request, at exactly the budget, of what is derived from an objective
//! (`core/controllers/src/circuit_break/derive.rs`):
//!
//! | target | the shortest proof | false alarms per request at most |
//! |---|---|---|
//! | 99.9 % | 10 of 10 bad | 2e-30 |
//! | 99 % | 10 of 10 | 2e-20 |
//! | 95 % | 11 of 11 | 1e-14 |
//! | 90 % | 12 of 12 | 2e-12 |
//! | 50 % | 28 of 28 | 1.4e-8: one a day at 800 per second |
//!
//! An objective with a threshold has two shares that can be too large, so twice as many. What is declared with
//! other limits has other numbers: `sigmas_hundredths` 0, by which a plain share is compared, promises nothing.
//!
//! Sessions last. While none has ended, all that ends is what failed to become one, however little that is. So those that began
//! since the change, were overtaken by bad requests and did not end speak against it. Where everything fails only after a
//! time-out there are none: what takes longest overtakes nobody. Nor are there where what is served is known to take less than
//! two windows: there what does not end hangs.
//!
//! Failures come together: a connection that breaks takes all its requests with
//! it. So what was bad must go on after [`DWELL`], by two requests at least.

use core::time::Duration;

use sloop_model::{BreakerRule, BreakerWindow, Share, Time};

use super::pending::Passed;
use super::words::Tally;

/// The requests since the last sudden change.
#[derive(Clone, Debug)]
pub(super) struct Sudden {
    /// What a bad request adds, when a good one takes 1; zero where the window alone decides.
    step: u32,
    walk: u32,
    since: Tally,
    began: Time,
    /// How many requests had passed then.
    passed: u32,
    /// Of those that passed since, how many are over, whatever came of them.
    ended: u32,
    /// Bad requests after [`DWELL`].
    late: u32,
}

/// What is over sooner is no change: as long as the control plane's reports are apart.
const DWELL: Duration = Duration::from_millis(100);
/// One bad request may come at any time.
const LATE_MIN: u32 = 2;
/// Higher it need not be to tell, and would only be slower to come back.
const WALK_MAX: u32 = 1 << 20;

impl Sudden {
    /// Nothing was seen.
    pub(super) fn new(rule: &BreakerRule) -> Self {
        Self {
            step: step(rule),
            walk: 0,
            since: Tally::default(),
            began: Time::from_nanos(0),
            passed: 0,
            ended: 0,
            late: 0,
        }
    }

    /// Forgets what was seen.
    pub(super) fn forget(&mut self) {
        self.walk = 0;
    }

    /// How many requests had passed when the change began.
    pub(super) const fn passed(&self) -> u32 {
        self.passed
    }

    /// How many of those that passed since are over.
    pub(super) const fn ended(&self) -> u32 {
        self.ended
    }

    /// A request that `passed` is over.
    #[inline]
    pub(super) const fn end(&mut self, passed: Passed) {
        if self.walk != 0 && passed.is_after(self.passed) {
            self.ended = self.ended.saturating_add(1);
        }
    }

    /// Learns that so many that began since the change last, and what is bad did not come before them. They take the walk
    /// down as what ends well does; where they take it to zero there was no change.
    pub(super) fn weigh(&mut self, lasting: u32) {
        if self.walk <= lasting {
            self.forget();
        }
    }

    /// Adds what ended at `now`, when so many had `passed`. Returns what ended since the change, if there may have been one.
    pub(super) fn add(&mut self, ended: Tally, passed: u32, now: Time) -> Option<Tally> {
        let bad = ended.failed.max(ended.slow);
        // In good times it is always here.
        if self.step == 0 || (bad == 0 && self.walk == 0) {
            return None;
        }
        if self.walk == 0 {
            (self.since, self.began, self.late) = (Tally::default(), now, 0);
            (self.passed, self.ended) = (passed, 0);
        }
        self.since.add(ended);
        self.walk = self
            .walk
            .saturating_add(bad.saturating_mul(self.step))
            .saturating_sub(ended.total.saturating_sub(bad))
            .min(WALK_MAX);
        if bad == 0 || self.walk == 0 || now.since(self.began) < DWELL {
            return None;
        }
        self.late = self.late.saturating_add(bad);
        (LATE_MIN <= self.late).then_some(self.since)
    }
}

/// Where nothing is to be sure, or the last so many requests are to be judged, the window is as it was asked for.
fn step(rule: &BreakerRule) -> u32 {
    let limits = rule.limits();
    let is_free = limits.sigmas_hundredths != 0
        && match rule.window() {
            BreakerWindow::Time { .. } => true,
            BreakerWindow::Calls(_) => false,
        };
    let level = limits
        .slow_max
        .map_or(limits.failed_max, |slow| slow.min(limits.failed_max));
    let (whole, level) = (
        u32::from(u16::from(Share::WHOLE)),
        u32::from(u16::from(level)),
    );
    if is_free {
        // The walk goes nowhere when `level / 2` is bad: step x level / 2 = 1 - level / 2.
        (2 * whole).saturating_sub(level) / level.max(1)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::{BreakerLimits, BreakerManner};

    use super::*;

    fn rule(sigmas_hundredths: u16) -> BreakerRule {
        BreakerRule::try_from(BreakerLimits {
            window_ms: Some(1_000),
            window_buckets: None,
            window_calls: None,
            calls_min: 5,
            failed_max: Share::try_from(2_000).unwrap(),
            slow_max: None,
            slow_us: None,
            sigmas_hundredths,
            open_ms: 1_000,
            open_max_ms: 8_000,
            probes: 5,
            ramp_ms: 0,
            manner: BreakerManner::default(),
        })
        .unwrap()
    }

    /// Plays (millisecond, whether it is bad) and returns what is to be judged at the end.
    fn seen(events: impl IntoIterator<Item = (u64, bool)>) -> Option<(u32, u32)> {
        let mut sudden = Sudden::new(&rule(300));
        let mut last = None;
        for (at_ms, is_bad) in events {
            let now = Time::from_nanos(at_ms * 1_000_000);
            last = sudden.add(Tally::one(is_bad, false), 0, now);
        }
        last.map(|tally| (tally.total, tally.failed))
    }

    #[test]
    fn what_was_good_before_does_not_count() {
        let good = (0..1_000).map(|ms| (ms, false));
        let bad = (0..13).map(|number| (1_000 + number * 10, true));
        assert_eq!(seen(good.chain(bad)), Some((13, 13)));
    }

    #[test]
    fn what_is_over_at_once_is_no_change() {
        let burst = (0..30).map(|ms| (1_000 + ms, true));
        assert_eq!(seen(burst.clone()), None);
        let one_more = (0..10).map(|number| (1_030 + number * 10, number == 9));
        assert_eq!(
            seen(burst.chain(one_more)),
            None,
            "one may come at any time"
        );
    }

    #[test]
    fn half_of_what_is_allowed_begins_anew_again_and_again() {
        // One in twenty: half of the half at which the walk goes nowhere.
        let rare = (0..=10_000).map(|number: u64| (number * 10, number.is_multiple_of(20)));
        assert_eq!(seen(rare), None);
    }

    #[test]
    fn plain_limits_are_judged_by_their_window_alone() {
        let mut sudden = Sudden::new(&rule(0));
        for ms in 0..1_000 {
            let now = Time::from_nanos(ms * 1_000_000);
            assert_eq!(sudden.add(Tally::one(true, false), 0, now), None);
        }
    }

    #[test]
    fn nothing_overflows_and_time_may_go_back() {
        let mut sudden = Sudden::new(&rule(300));
        let many = Tally {
            total: u32::MAX,
            failed: u32::MAX,
            slow: u32::MAX,
        };
        assert_eq!(sudden.add(many, 0, Time::from_nanos(u64::MAX)), None);
        assert_eq!(sudden.add(many, 0, Time::from_nanos(0)), None);
        sudden.forget();
        assert_eq!(
            sudden.add(Tally::one(false, false), 0, Time::from_nanos(1)),
            None
        );
    }
}
