//! The budget on the side of who asks, whose own Envoy tries again.
//!
//! There the router makes the retries, behind the filter, which cannot refuse one. It can say beforehand that there shall be none
//! ([`NO_RETRIES`]), and Envoy says afterwards how many there were. So it is decided once for all retries of a request:
//!
//! - *Retries help*: the route's retry policy decides alone, and nothing is written.
//! - *They do not, or the scope sheds*: a request that may be tried again takes a retry out of the bucket when it comes. It
//!   gives it back where it took it if it needed none, and owes what it needed besides, which the bucket pays first. Without one
//!   to take it goes out with [`NO_RETRIES`]. What was saved up while nobody counted is no credit.
//!
//! What came of retries says whether they help: of those of a request that was served well the last one helped; all others were
//! in vain. It is the same difference as on the side of who is asked, and so it is known of as soon.
//!
//! While there were no more in vain than served well, one that is served well changes nothing, and nobody needs to know of it. So Envoy
//! is asked for the attempts of what failed alone, and of all answers only after some were in vain ([`RetryBudget::is_watching`]).
//! So an answer below 500 that objectives call bad, as one that came too late, does not begin it, and counts among the calm ones:
//! retries that lead to nothing else are bounded where requests come in.
//!
//! Who is served at once makes no retries, and so there may be none to tell that they help again. Therefore
//! [`RetryBudget::CALM`] requests in a row that wanted none, or a good one, end it as well: where less than one in so many wants a
//! retry in vain, all of them are below any budget that is derived.
//!
//! In any time `t`, at most `share · first attempts + least · t + 11 · least` retries are made while they do not help, and
//! what requests that are under way make beyond their first.

use sloop_model::{Mode, Time};

use super::{RETRY, RetryBudget, Strain};

/// Takes precedence over the number of retries in the route's policy and in what the application asks for; Envoy takes it out before
/// it sends the request on. Only none is never more than there would have been.
pub const NO_RETRIES: (&str, &[u8]) = ("x-envoy-max-retries", b"0");

/// What a request that goes out may have of retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowance {
    /// What Envoy's policy gives.
    #[default]
    Free,
    /// The same, and one was taken out of the bucket for it.
    Taken(Pool),
    /// The same, but only because of the shadow mode.
    Shadow,
    /// None.
    None,
}

/// What a retry was taken out of, and goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// What first attempts allow for.
    Earned,
    /// What the passing of time allows for.
    Timely,
}

/// What came of a request that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Retries that were made, 0 where nobody asked.
    pub retries: u32,
    /// Whether Envoy would have made another one, had it been allowed to (flag `URX`).
    pub wants_more: bool,
    /// Whether it was served well.
    pub is_good: bool,
}

impl RetryBudget {
    /// A derived retry budget is a tenth of first attempts at least (`sloop_controllers`): where fewer than one in a hundred want
    /// any, and each ten at most, they are within it. Of a declared one with less, down to no `share` at all, this is not
    /// true: there, retries in vain of fewer than one in a hundred may be more than it allows.
    pub const CALM: u32 = 100;

    /// Decides, at `now`, about a request that goes out.
    pub fn allow(&mut self, strain: Strain, now: Time) -> Allowance {
        self.first();
        if strain == Strain::None && self.helps() {
            return Allowance::Free;
        }
        self.fill(now);
        for pool in [&mut self.earned, &mut self.timely] {
            let paid = self.owed.min(*pool);
            *pool -= paid;
            self.owed -= paid;
        }
        match (self.take(strain), self.mode) {
            (Some(pool), Mode::Enforce | Mode::Shadow) => Allowance::Taken(pool),
            (None, Mode::Shadow) => Allowance::Shadow,
            (None, Mode::Enforce) => Allowance::None,
        }
    }

    /// Settles what a request that began at `began` took, when it is known how many retries were made for it. From before
    /// [`RetryBudget::forget`] nothing is owed any more.
    pub fn settle(&mut self, allowance: Allowance, retries: u32, began: Time) {
        match (allowance, retries.checked_sub(1)) {
            (Allowance::Taken(Pool::Earned), None) => {
                self.earned = (self.earned + RETRY).min(self.earned_max());
            }
            (Allowance::Taken(Pool::Timely), None) => {
                self.timely = (self.timely + RETRY).min(self.timely_max());
            }
            (Allowance::Taken(_), Some(more)) if self.learns_from(began) => {
                self.owed = self.owed.saturating_add(u64::from(more) * RETRY);
            }
            (Allowance::Taken(_), Some(_))
            | (Allowance::Free | Allowance::Shadow | Allowance::None, _) => {}
        }
    }

    /// Learns what came of a request.
    pub fn learn_tried(&mut self, tried: Tried) {
        let Tried {
            retries,
            wants_more,
            is_good,
        } = tried;
        let did_help = self.helps();
        let in_vain = retries - u32::from(is_good).min(retries);
        // More change nothing.
        for _ in 0..in_vain.min(2 * Self::IN_VAIN) {
            self.learn(true);
        }
        if is_good && 0 < retries {
            self.learn(false);
        }
        self.calm = if is_good || !(wants_more || 0 < retries) {
            self.calm + 1
        } else {
            0
        };
        if Self::CALM <= self.calm {
            self.calm = 0;
            self.in_vain = 0;
        }
        if did_help && !self.helps() {
            (self.earned, self.owed) = (0, 0);
        }
    }

    /// Whether a retry that was served well would change anything.
    #[must_use]
    pub const fn is_watching(&self) -> bool {
        0 < self.in_vain
    }
}
