//! How requests ended in the last while.

use core::time::Duration;

use sloop_model::Time;

/// Requests that ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) total: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

/// A tally over the last while, to a tenth of it.
///
/// Time is cut into buckets; the oldest is forgotten as a whole. So the window
/// covers between nine and ten tenths of its length.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bucket: Duration,
    buckets: [Tally; BUCKETS],
    /// Which bucket is being filled.
    current: usize,
    /// When it began to be.
    since: Time,
    sum: Tally,
}

/// Ten: an outage is forgotten to within a tenth of the window.
const BUCKETS: usize = 10;

impl Window {
    /// An empty window of `length` that begins at `now`.
    pub(super) fn new(length: Duration, now: Time) -> Self {
        Self {
            bucket: (length / 10).max(Duration::from_nanos(1)),
            buckets: [Tally::default(); BUCKETS],
            current: 0,
            since: now,
            sum: Tally::default(),
        }
    }

    /// Adds one request that ended at `now`, and returns the tally with it.
    pub(super) fn add(&mut self, is_failed: bool, is_slow: bool, now: Time) -> Tally {
        self.advance(now);
        if let Some(bucket) = self.buckets.get_mut(self.current) {
            for tally in [bucket, &mut self.sum] {
                tally.total = tally.total.saturating_add(1);
                tally.failed = tally.failed.saturating_add(u32::from(is_failed));
                tally.slow = tally.slow.saturating_add(u32::from(is_slow));
            }
        }
        self.sum
    }

    fn advance(&mut self, now: Time) {
        let passed = now.since(self.since).as_nanos() / self.bucket.as_nanos();
        if passed == 0 {
            return;
        }
        if BUCKETS as u128 <= passed {
            self.buckets = [Tally::default(); BUCKETS];
            self.sum = Tally::default();
            self.since = now;
            return;
        }
        for _ in 0..passed {
            self.since = self.since.after(self.bucket);
            self.current = (self.current + 1) % BUCKETS;
            if let Some(oldest) = self.buckets.get_mut(self.current) {
                self.sum.total = self.sum.total.saturating_sub(oldest.total);
                self.sum.failed = self.sum.failed.saturating_sub(oldest.failed);
                self.sum.slow = self.sum.slow.saturating_sub(oldest.slow);
                *oldest = Tally::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn totals(events: &[u64]) -> Vec<u32> {
        let mut window = Window::new(Duration::from_millis(100), at(0));
        let add = |at_ms: &u64| window.add(true, false, at(*at_ms)).failed;
        events.iter().map(add).collect()
    }

    #[test]
    fn what_is_old_is_forgotten() {
        assert_eq!(totals(&[0, 99, 100, 109, 110]), [1, 2, 2, 3, 4]);
        assert_eq!(totals(&[5, 50, 104, 154]), [1, 2, 2, 2]);
        assert_eq!(totals(&[0, 1_000_000, 1_000_000]), [1, 1, 2]);
    }

    #[test]
    fn time_that_stands_still_or_goes_back_adds_up() {
        assert_eq!(totals(&[50, 50, 20]), [1, 2, 3]);
    }

    proptest! {
        /// Everything of the last nine tenths counts, nothing older than the whole does.
        #[test]
        fn covers_nine_to_ten_tenths(steps in prop::collection::vec(0u64..40, 1..100)) {
            let mut window = Window::new(Duration::from_millis(100), at(0));
            let mut times: Vec<u64> = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                times.push(now);
                let counted = window.add(false, false, at(now)).total as usize;
                let young = times.iter().filter(|time| now - **time < 90).count();
                let not_old = times.iter().filter(|time| now - **time <= 100).count();
                prop_assert!((young..=not_old).contains(&counted), "{counted} {young} {not_old}");
            }
        }
    }
}
