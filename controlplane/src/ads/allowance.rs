//! How many requests a stream may send.

use sloop_model::WallTime;

/// A token bucket. Time that goes backwards adds nothing.
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
        let passed_ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = now;
        self.left = passed_ms
            .saturating_mul(self.per_second)
            .saturating_add(self.left)
            .min(self.burst);
        match self.left.checked_sub(1_000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
