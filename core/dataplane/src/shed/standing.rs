//! How a shedder stands.

use core::time::Duration;

use sloop_model::{Criticality, Judge, Mode, Share};

use super::{ShedCounts, Shedder};

impl Shedder {
    /// The share of all requests that is being shed.
    #[must_use]
    pub fn level(&self) -> Share {
        if self.has_expired {
            Share::NONE
        } else {
            self.law.level()
        }
    }

    /// The share of a class that is being shed.
    #[must_use]
    pub fn share_of(&self, class: Criticality) -> Share {
        let share = self.shares.get(class.index());
        share.copied().unwrap_or(Share::NONE)
    }

    /// Whether there are more requests than can be served in time, and shedding is being tried against it: then
    /// it is too early to refuse everything.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        !self.has_expired
            && matches!(self.mode, Mode::Enforce)
            && self.law.is_at_work(&self.rule)
            && !self.law.vain().is_at_its_end()
    }

    /// Whether it has an answer to requests that take so long: they are slow, and what it does about that was not found
    /// to be in vain, nor is it nothing.
    #[must_use]
    pub fn can_relieve(&self, latency: Duration) -> bool {
        !self.has_expired
            && matches!(self.mode, Mode::Enforce)
            && self.slow_above < latency
            && !self.law.has_given_up()
            && !self.law.vain().is_at_its_end()
            && !self.law.vain().has_no_answer()
    }

    /// By what it has to be told how requests ended.
    #[must_use]
    pub const fn judge(&self) -> Judge {
        self.rule.limits().judge
    }

    /// Requests that passed and did not end.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Takes what was done since the last call.
    pub fn take_counts(&mut self) -> ShedCounts {
        self.counts.given_up += self.law.take_given_up();
        core::mem::take(&mut self.counts)
    }
}
