//! What a breaker tells the other workers of its sidecar, and takes from them.

use core::time::Duration;

use sloop_model::{BreakerWindow, Time};

use super::Breaker;
use super::board::{Elsewhere, Heard, Opening, SILENCE_MAX, Told, UNDER_WAY_FOR, UnderWay};
use super::state::{State, back_off};
use super::words::Tally;

/// What one breaker shares.
#[derive(Clone, Debug)]
pub(super) struct Sharing {
    /// See [`Told`].
    counted: [u64; 3],
    since: Time,
    /// What was counted when it was told, and when that last changed.
    told: Option<(u64, Time)>,
    /// The last opening that it made or followed, over or not.
    pub(super) opening: Option<Opening>,
    /// When its own probes were last served.
    pub(super) served_at: Option<Time>,
    others: Others,
}

/// What was last heard of the other workers that have requests of this scope.
#[derive(Clone, Copy, Debug)]
struct Others {
    at: Time,
    /// How many workers there are, this one included.
    workers: u32,
    elsewhere: Elsewhere,
}

/// Who counted what is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This worker, so what its bad requests overtook is known.
    Own,
    /// Others.
    Others,
}

impl Sharing {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            counted: [0; 3],
            since: now,
            told: None,
            opening: None,
            served_at: None,
            others: Others {
                at: now,
                workers: 1,
                elsewhere: Elsewhere::NOTHING,
            },
        }
    }

    /// Counts what ended in this worker.
    pub(super) fn count(&mut self, ended: Tally, now: Time) {
        let [total, failed, slow] = &mut self.counted;
        if *total == 0 {
            self.since = now;
        }
        *total += u64::from(ended.total);
        *failed += u64::from(ended.failed);
        *slow += u64::from(ended.slow);
    }

    /// This worker's part of `probes`, at least 1.
    pub(super) fn probes(&self, probes: u32, now: Time) -> u32 {
        probes.div_ceil(self.workers(now))
    }

    /// How many workers have requests of this scope, at least 1.
    pub(super) fn workers(&self, now: Time) -> u32 {
        if now.since(self.others.at) < SILENCE_MAX {
            self.others.workers.max(1)
        } else {
            1
        }
    }

    /// What is under way in other workers, as far as that was heard lately.
    fn elsewhere(&self, now: Time) -> Elsewhere {
        if now.since(self.others.at) < UNDER_WAY_FOR {
            self.others.elsewhere
        } else {
            Elsewhere::NOTHING
        }
    }

    /// How many other workers have requests of this scope that may be under way, or were a moment ago.
    pub(super) fn others(&self, now: Time) -> u32 {
        (self.workers(now) - 1).saturating_sub(self.elsewhere(now).quiet)
    }

    /// Begins to count anew, with the next request.
    pub(super) const fn forget(&mut self) {
        (self.counted, self.told) = ([0; 3], None);
    }

    fn tell(&mut self, under_way: Option<UnderWay>, now: Time) -> Option<Told> {
        // The board was looked at just before, and nobody else told anything.
        if self.others.at != now {
            self.others.workers = 1;
        }
        let [total, ..] = self.counted;
        self.told = self.told.filter(|(before, _)| *before == total);
        match self.told {
            None if total != 0 => self.told = Some((total, now)),
            // Long quiet: the board is for scopes with traffic.
            Some((_, at)) if SILENCE_MAX <= now.since(at) => self.forget(),
            None | Some(_) => {}
        }
        let opening = self.opening.filter(|opening| now < opening.until);
        let waits = under_way.is_some_and(|under_way| under_way.all() != 0);
        (self.told.is_some() || opening.is_some() || waits).then_some(Told {
            since: self.since,
            counted: self.counted,
            opening,
            under_way,
        })
    }
}

impl Breaker {
    /// What the other workers should know at `now`, if there is anything. On each tick.
    pub fn tell(&mut self, now: Time) -> Option<Told> {
        self.advance(now);
        if self.state == State::Disabled || self.state == State::Forced {
            return None;
        }
        self.sharing.tell(self.pending.under_way(now), now)
    }

    /// Takes in what the other workers told: counts what they counted, and opens when one of them did.
    pub fn hear(&mut self, heard: &Heard, now: Time) {
        self.advance(now);
        self.sharing.others = Others {
            at: now,
            workers: heard.workers,
            elsewhere: heard.elsewhere,
        };
        // First: who follows does not judge the same evidence once more.
        if let Some(opening) = heard.opening {
            self.follow(opening, now);
        }
        // Where this worker had nothing to do, it did not listen: what was counted meanwhile may be long over.
        let is_recent = match self.rule.window() {
            BreakerWindow::Time { length, .. } => heard.over <= length,
            // Of more than the window holds its last ones are not known, only the average.
            BreakerWindow::Calls(size) => {
                heard.tally.total <= size || heard.over <= Duration::from_secs(1)
            }
        };
        match self.state {
            _ if !is_recent => {}
            State::Closed | State::Ramping { .. } if heard.tally.total != 0 => {
                self.count(heard.tally, Whose::Others, now);
            }
            State::Counting => {
                self.window.add(heard.tally, now);
            }
            State::Closed
            | State::Ramping { .. }
            | State::Open { .. }
            | State::Probing { .. }
            | State::Disabled
            | State::Forced => {}
        }
    }

    /// How many requests of all workers bad ones overtook that may end well. Whom those of others overtook is not told:
    /// it may be all that is under way. What others did not tell, or not yet, is taken from what is under way here, as
    /// connections are spread over workers, more or less; but not of those that have been quiet for a while.
    #[cold]
    pub(super) fn overtaken(&self, whose: Whose, now: Time) -> u32 {
        let Some(here) = self.pending.under_way(now) else {
            return 0;
        };
        let elsewhere = self.sharing.elsewhere(now);
        let (here, told) = match whose {
            Whose::Own => self.pending.overtaken(elsewhere.under_way, now),
            Whose::Others => (here.all(), elsewhere.under_way.all()),
        };
        let others = self.sharing.others(now);
        let tellers = elsewhere.tellers.min(others);
        let not_told = here.saturating_mul(others - tellers);
        let not_yet = self.pending.since(elsewhere.at, now).min(here);
        here.saturating_add(told)
            .saturating_add(not_told)
            .saturating_add(not_yet.saturating_mul(tellers))
    }

    /// Opens as another worker did, unless it knows of that or a later opening, or was served since. Open already, it
    /// waits for both.
    fn follow(&mut self, opening: Opening, now: Time) {
        // Nobody's word keeps it open for longer than its own limits would.
        let latest = opening.at.after(back_off(&self.rule, u32::MAX));
        let until = opening.until.min(latest);
        let opening = Opening { until, ..opening };
        let known = self.sharing.opening;
        if !self.state.is_free() || until <= now {
            return;
        }
        if let State::Open { until, .. } = &mut self.state {
            *until = opening.until.max(*until);
            self.attempts = self.attempts.max(opening.attempts);
            self.sharing.opening = known.map_or(Some(opening), |known| Some(known.and(opening)));
        } else if known.is_none_or(|known| known.at < opening.at)
            && self.sharing.served_at.is_none_or(|at| at <= opening.at)
        {
            self.attempts = opening.attempts;
            self.next_epoch();
            self.sharing.opening = Some(opening);
            self.enter_open(self.opened(opening.at, until), opening.cause, now);
        }
    }
}
