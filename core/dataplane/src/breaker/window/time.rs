//! How requests ended in the last while.

use core::time::Duration;

use sloop_model::{Time, whole_nanos};

use super::Tally;

/// A tally over the last while, to one bucket of it.
///
/// Time is cut into buckets at multiples of their length, so those of two
/// workers of a process begin together; the oldest is forgotten as a whole. So
/// a window of ten covers between nine and ten tenths of its length.
#[derive(Clone, Debug)]
pub(in super::super) struct TimeWindow {
    /// In nanoseconds: a division of `u128`s per request would be most of what a breaker costs.
    bucket: u64,
    buckets: Box<[Tally]>,
    /// Which bucket is being filled.
    current: usize,
    /// From when on the next one is.
    until: Time,
    sum: Tally,
}

impl TimeWindow {
    /// An empty window of `length`, cut into `buckets`, at `now`.
    pub(super) fn new(length: Duration, buckets: u32, now: Time) -> Self {
        let buckets = buckets.max(1);
        let length = whole_nanos(length);
        let count = usize::try_from(buckets).unwrap_or(1);
        let mut window = Self {
            bucket: (length / u64::from(buckets)).max(1),
            buckets: vec![Tally::default(); count].into_boxed_slice(),
            current: 0,
            until: now,
            sum: Tally::default(),
        };
        window.begin(now);
        window
    }

    /// Adds requests that ended at `now`, and returns the tally with them.
    pub(super) fn add(&mut self, ended: Tally, now: Time) -> Tally {
        if self.until <= now {
            self.advance(now);
        }
        if let Some(bucket) = self.buckets.get_mut(self.current) {
            bucket.add(ended);
            self.sum.add(ended);
        }
        self.sum
    }

    fn advance(&mut self, now: Time) {
        for _ in 0..self.buckets.len() {
            self.current += 1;
            if self.buckets.len() <= self.current {
                self.current = 0;
            }
            if let Some(oldest) = self.buckets.get_mut(self.current) {
                self.sum.remove(*oldest);
                *oldest = Tally::default();
            }
            self.until = Time::from_nanos(self.until.as_nanos().saturating_add(self.bucket));
            if now < self.until {
                return;
            }
        }
        // All are empty: nothing is left of before the pause.
        self.begin(now);
    }

    /// Lets the current bucket be the one of `now`.
    const fn begin(&mut self, now: Time) {
        let number = now.as_nanos() / self.bucket;
        let until = number.saturating_add(1).saturating_mul(self.bucket);
        self.until = Time::from_nanos(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn window() -> TimeWindow {
        TimeWindow::new(Duration::from_millis(100), 10, at(0))
    }

    fn totals(events: &[u64]) -> Vec<u32> {
        let mut window = window();
        let add = |at_ms: &u64| window.add(Tally::one(true, false), at(*at_ms)).failed;
        events.iter().map(add).collect()
    }

    #[test]
    fn what_is_old_is_forgotten() {
        assert_eq!(totals(&[0, 99, 100, 109, 110]), [1, 2, 2, 3, 4]);
        assert_eq!(totals(&[5, 50, 104, 154]), [1, 2, 2, 2]);
        assert_eq!(totals(&[0, 1_000_000, 1_000_000]), [1, 1, 2]);
    }

    #[test]
    fn buckets_begin_at_multiples_of_their_length() {
        let mut late = TimeWindow::new(Duration::from_millis(100), 10, at(7));
        let mut failed = |at_ms| late.add(Tally::one(true, false), at(at_ms)).failed;
        assert_eq!(failed(9), 1);
        assert_eq!(failed(99), 2);
        assert_eq!(failed(100), 2);
        assert_eq!(failed(1_007), 1);
        assert_eq!(failed(1_099), 2);
        assert_eq!(failed(1_100), 2);
    }

    #[test]
    fn the_end_of_time_is_a_bucket_too() {
        let end = Time::from_nanos(u64::MAX);
        let mut window = window();
        for expected in 1..3 {
            // Nothing comes after it, so it may be forgotten at once, but never adds up wrongly.
            assert!(window.add(Tally::one(true, false), end).failed <= expected);
        }
    }

    #[test]
    fn time_that_stands_still_or_goes_back_adds_up() {
        assert_eq!(totals(&[50, 50, 20]), [1, 2, 3]);
    }

    proptest! {
        /// Everything of the last nine tenths counts, nothing older than the whole does.
        #[test]
        fn covers_nine_to_ten_tenths(steps in prop::collection::vec(0u64..40, 1..100)) {
            let mut window = window();
            let mut times: Vec<u64> = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                times.push(now);
                let counted = window.add(Tally::one(false, false), at(now)).total as usize;
                let young = times.iter().filter(|time| now - **time < 90).count();
                let not_old = times.iter().filter(|time| now - **time <= 100).count();
                prop_assert!((young..=not_old).contains(&counted), "{counted} {young} {not_old}");
            }
        }
    }
}
