//! How many of something may come.

use sloop_model::WallTime;

/// A token bucket of requests, calls or streams. Time that goes backwards adds nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    burst: u64,
    per_second: u64,
    /// In thousandths of a request.
    left: u64,
    at: WallTime,
}

impl Allowance {
    /// A full bucket.
    pub(crate) fn new(burst: u32, per_second: u32, now: WallTime) -> Self {
        Self {
            burst: u64::from(burst) * 1_000,
            per_second: u64::from(per_second),
            left: u64::from(burst) * 1_000,
            at: now,
        }
    }

    /// Whether one more request may come at `now`; if so, it is counted.
    pub(crate) fn take(&mut self, now: WallTime) -> bool {
        self.left = self.left_at(now);
        self.at = now;
        match self.left.checked_sub(1_000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Whether as many may come at `now` as ever.
    pub(super) fn is_full(&self, now: WallTime) -> bool {
        self.left_at(now) == self.burst
    }

    fn left_at(&self, now: WallTime) -> u64 {
        let passed_ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        passed_ms
            .saturating_mul(self.per_second)
            .saturating_add(self.left)
            .min(self.burst)
    }
}
