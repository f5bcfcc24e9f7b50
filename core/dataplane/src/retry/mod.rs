//! Bounds retries while they do not help.
//!
//! A service that is overloaded gets the requests that it failed once more, and
//! so stays overloaded: each hop that tries `n` times makes `n` requests of one.
//! Retries are the first load that goes. But a retry that is served well gives a
//! good answer that nobody would have had: of a service with three hosts of which
//! one is down, the other two are sent its share as retries, and do well to
//! answer them. So a retry is judged by what comes of retries.
//!
//! # The law
//!
//! - *They help*, until there were more than [`RetryBudget::IN_VAIN`] more in vain than served well: all pass. The
//!   difference never is below zero, so a long good time is no credit. It is the throttle of gRPC clients (gRFC A6), with
//!   retries that weigh the same either way: below one half a refusal takes more good answers than it spares.
//! - *They do not*: then a token bucket decides. Each first attempt adds `share` of a retry, up
//!   to what `least` gives in ten seconds; each second adds `least` retries, up to one second's worth. What
//!   passes is enough to find out that retries help again: when as many more were served well, all pass. When
//!   the scope's breaker has found out that the service is back, what was in vain before is forgotten, and requests that
//!   began before say nothing any more.
//! - *The scope sheds*: then only `least` pass. Whoever tries again is not served before those who come the first time.
//!
//! In any time `t`, at most `share · first attempts + least · t + 11 · least` pass while they do not help.
//!
//! First attempts always pass. This is where requests come in; where they go out the same budget is kept
//! in another way (`outbound.rs`). Time moves with requests, nothing is allocated, and a clock that
//! stands still or goes backwards adds nothing.

mod outbound;

pub use outbound::{Allowance, NO_RETRIES, Pool, Tried};

use sloop_model::{Mode, RetryConfig, RetryRule, Share, Time, WallTime};

/// Whether a retry may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAdmit {
    /// It may.
    Pass,
    /// It may, but only because of the shadow mode.
    Shadow,
    /// It may not.
    Refuse,
}

/// Whether the service has too much to do, as far as its scope knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strain {
    /// Not that anybody knew.
    None,
    /// Requests are being shed.
    Sheds,
}

/// The retry budget of one scope.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    mode: Mode,
    rule: RetryRule,
    expires_at: Option<WallTime>,
    /// What the passing of time allows for, in billionths of a retry.
    timely: u64,
    filled_at: Time,
    /// What first attempts allow for, in billionths of a retry.
    earned: u64,
    /// Retries that were in vain without those that were served well, up to twice [`Self::IN_VAIN`].
    in_vain: u32,
    /// What requests that went out needed beyond what they took, in billionths of a retry.
    owed: u64,
    /// Requests that went out in a row and wanted no retry in vain, up to [`Self::CALM`].
    calm: u32,
    /// When it last forgot what it had learnt.
    forgot_at: Time,
}

/// A retry, in the unit of the bucket: so each nanosecond adds `least`, without a rest.
const RETRY: u64 = 1_000_000_000;
/// A ten-thousandth of a retry.
const SHARE_UNIT: u64 = RETRY / 10_000;

impl RetryBudget {
    /// Eleven more in vain than not: by chance once in 49,000 retries on average where three in ten are in vain, once in 12,000
    /// where one in three is; then a few seconds of the budget at most. Of a burst that is all in vain it is known after eleven.
    pub const IN_VAIN: u32 = 10;
    /// Seconds of `least` that first attempts may save up. As Finagle's retry budget and Linkerd's, which count the last ten seconds.
    pub const SAVED_SECONDS: u64 = 10;

    /// A budget with what one second gives, and retries that are taken to help.
    #[must_use]
    pub fn new(config: &RetryConfig, now: Time) -> Self {
        let mut budget = Self {
            mode: config.mode,
            rule: config.limits,
            expires_at: config.expires_at_ms,
            timely: 0,
            filled_at: now,
            earned: 0,
            in_vain: 0,
            owed: 0,
            calm: 0,
            forgot_at: Time::default(),
        };
        budget.timely = budget.timely_max();
        budget
    }

    /// Goes on with another rule, with what it has learnt and saved.
    pub fn adopt(&mut self, config: &RetryConfig) {
        self.mode = config.mode;
        self.rule = config.limits;
        self.expires_at = config.expires_at_ms;
        self.timely = self.timely.min(self.timely_max());
        self.earned = self.earned.min(self.earned_max());
    }

    /// Whether it is over, as the wall clock shows `wall`.
    #[must_use]
    pub fn has_expired(&self, wall: WallTime) -> bool {
        self.expires_at.is_some_and(|at| at <= wall)
    }

    /// A first attempt came.
    pub fn first(&mut self) {
        let share = u64::from(u16::from(self.rule.limits().share));
        self.earned = (self.earned + share * SHARE_UNIT).min(self.earned_max());
    }

    /// Decides about a retry that comes at `now`.
    pub fn admit(&mut self, strain: Strain, now: Time) -> RetryAdmit {
        self.fill(now);
        // What helps is counted, too: when it does not any more, nothing is saved up.
        let is_taken = self.take(strain).is_some();
        let is_allowed = is_taken || (strain == Strain::None && self.helps());
        match (is_allowed, self.mode) {
            (true, Mode::Enforce | Mode::Shadow) => RetryAdmit::Pass,
            (false, Mode::Enforce) => RetryAdmit::Refuse,
            (false, Mode::Shadow) => RetryAdmit::Shadow,
        }
    }

    /// Takes a retry out of what may be used, and says of which.
    fn take(&mut self, strain: Strain) -> Option<Pool> {
        if strain == Strain::None && take(&mut self.earned) {
            return Some(Pool::Earned);
        }
        take(&mut self.timely).then_some(Pool::Timely)
    }

    /// Learns what came of a retry that had passed.
    pub const fn learn(&mut self, was_in_vain: bool) {
        let did_help = self.helps();
        self.in_vain = if was_in_vain {
            self.in_vain.saturating_add(1)
        } else {
            self.in_vain.saturating_sub(1)
        };
        // To change one's mind again takes as much.
        let most = 2 * Self::IN_VAIN;
        match (did_help, self.helps()) {
            (true, false) => self.in_vain = most,
            (false, true) => self.in_vain = 0,
            (true, true) => {}
            (false, false) if self.in_vain <= most => {}
            (false, false) => self.in_vain = most,
        }
    }

    /// The service is back, as its breaker found out at `now`: what came of retries before says nothing of it, nor what
    /// will come of requests that are under way.
    pub const fn forget(&mut self, now: Time) {
        (self.in_vain, self.owed) = (0, 0);
        self.forgot_at = now;
    }

    /// Whether it may learn from a request that began then.
    #[must_use]
    pub fn learns_from(&self, began: Time) -> bool {
        self.forgot_at <= began
    }

    /// Whether retries are taken to help.
    #[must_use]
    pub const fn helps(&self) -> bool {
        self.in_vain <= Self::IN_VAIN
    }

    /// Adds what the time gives.
    fn fill(&mut self, now: Time) {
        let nanos = now.as_nanos().saturating_sub(self.filled_at.as_nanos());
        self.filled_at = self.filled_at.max(now);
        let added = nanos.saturating_mul(self.rule.limits().least.into());
        self.timely = self.timely.saturating_add(added).min(self.timely_max());
    }

    fn timely_max(&self) -> u64 {
        u64::from(self.rule.limits().least) * RETRY
    }

    fn earned_max(&self) -> u64 {
        if self.rule.limits().share == Share::NONE {
            return 0;
        }
        self.timely_max() * Self::SAVED_SECONDS
    }
}

/// Takes a retry out, if there is a whole one.
const fn take(from: &mut u64) -> bool {
    match from.checked_sub(RETRY) {
        Some(rest) => {
            *from = rest;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
