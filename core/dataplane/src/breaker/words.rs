//! What a breaker is asked and answers.

use sloop_model::Time;

use super::pending::Passed;

/// What a breaker does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets all pass.
    Closed,
    /// Lets none pass.
    Open,
    /// Lets a few pass.
    Probing,
    /// Lets a growing share pass.
    Ramping,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Too many failed.
    Failures,
    /// Too many were slow.
    Slowness,
    /// The control plane ordered it.
    Fleet,
    /// Time passed, or the breaker is no longer wanted.
    Time,
    /// Probes were served.
    Recovered,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state that it went to.
    pub to: BreakerState,
    /// When.
    pub at: Time,
    /// Why.
    pub cause: Cause,
}

/// Whether a request may pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Admit {
    /// It may. Hand the ticket back with its outcome.
    Pass(Ticket),
    /// It may not; before `retry_at` there is little hope.
    Refuse {
        /// When to try again.
        retry_at: Time,
    },
}

/// Ties an outcome to the state that its request was admitted in.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "hand it back to `Breaker::record`"]
pub struct Ticket {
    pub(super) epoch: u64,
    pub(super) passed: Passed,
}

/// Requests that ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub total: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that were slow, failed or not.
    pub slow: u32,
}

impl Tally {
    /// One request.
    pub(super) fn one(is_failed: bool, is_slow: bool) -> Self {
        Self {
            total: 1,
            failed: u32::from(is_failed),
            slow: u32::from(is_slow),
        }
    }

    pub(super) const fn is_bad(self) -> bool {
        self.failed | self.slow != 0
    }

    pub(super) const fn add(&mut self, more: Self) {
        self.total = self.total.saturating_add(more.total);
        // In good times there is nothing more.
        if !more.is_bad() {
            return;
        }
        self.failed = self.failed.saturating_add(more.failed);
        self.slow = self.slow.saturating_add(more.slow);
    }

    /// As many of each as `times` workers have that are alike.
    pub(super) const fn times(self, times: u32) -> Self {
        Self {
            total: self.total.saturating_mul(times),
            failed: self.failed.saturating_mul(times),
            slow: self.slow.saturating_mul(times),
        }
    }

    pub(super) const fn remove(&mut self, less: Self) {
        self.total = self.total.saturating_sub(less.total);
        self.failed = self.failed.saturating_sub(less.failed);
        self.slow = self.slow.saturating_sub(less.slow);
    }
}
