//! How a shedder ends: by itself, or because it is no longer wanted.

use sloop_model::{Criticality, Mode, Share, Time};

use super::Shedder;

impl Shedder {
    /// Expires at another moment than it was told, because the wall clock was set. What has expired stays so.
    pub fn expire_at(&mut self, expires_at: Time) {
        if !self.has_expired {
            self.expires_at = Some(expires_at);
            self.wake_at = self.next_wake();
        }
    }

    /// Expires at once: it is no longer wanted. Its tickets can still be handed back, and its counts be taken.
    pub const fn expire(&mut self) {
        self.has_expired = true;
        self.shares = [Share::NONE; Criticality::ALL.len()];
        self.wake_at = Time::from_nanos(u64::MAX);
    }

    /// Whether it sheds nothing any more, and will not before [`Shedder::adopt`]. Then it need not be asked.
    #[must_use]
    pub const fn has_expired(&self) -> bool {
        self.has_expired
    }

    /// Whether it keeps requests out at the moment.
    #[must_use]
    pub fn sheds(&self) -> bool {
        matches!(self.mode, Mode::Enforce) && self.level() != Share::NONE
    }

    /// It is wanted again, if it had expired. What came meanwhile says nothing about a step.
    pub(super) const fn revive(&mut self, now: Time) {
        if self.has_expired {
            self.has_expired = false;
            self.offered = [0; Criticality::ALL.len()];
            self.forget_period(now);
        }
    }

    /// `moment`, or the expiry if that is sooner.
    pub(super) fn until_expiry(&self, moment: Time) -> Time {
        self.expires_at
            .map_or(moment, |expires_at| moment.min(expires_at))
    }
}
