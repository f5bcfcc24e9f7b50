//! Whether shedding helps.
//!
//! A service that is slow or fails for its own reasons does not get better by
//! being asked less: every request that is shed is then lost for nothing. That
//! cannot be known before it is tried, because a full queue and a slow
//! dependency look the same from outside. So shedding is a trial:
//!
//! - *trying*: while the objective is missed, the strain must be at most three
//!   quarters (failures: half) of what it was in the first window, or the
//!   objective be met, or with slowness most of what passes be served in time. Else: given up. Windows are as long as shedding needs to
//!   show: 750 ms and once the wait. What the first one said fades by a
//!   sixteenth per window, so that no old outage excuses shedding for ever.
//!   A miss within a minute of the end of a trial continues it. And from the
//!   second window on (with failures, for which there is no queue to be drained
//!   first, from the first), no fewer requests may be served in time than were
//!   before anything was shed ([`Harvest::is_worse_than`]). Else: given up. What was before is what was lately, or
//!   at last if that is less: while a queue is being filled all are still served in time, which
//!   is not what would have come of doing nothing.
//! - *given up*: nothing is shed for a pause, twice as long after each trial
//!   in vain. It ends early when the strain is twice what it was, or another
//!   one: then something else has begun; and when fewer requests are served in
//!   time than while it was tried: then it did help.
//!
//! Strains that take turns, as requests that fail and requests that are too many, are tried side by side ([`Turns`]), each with
//! windows of its own and its own end of the pause; how long pauses are, and what comes in, is counted for all together. Neither
//! begins the other's anew. While one is given up, the trial of another goes on, as long as that one was there within
//! [`Trial::WINDOW_MIN`]. Not so slowness and failures, or slowness and too many under way: it is the one of them that a queue
//! explains, and where it comes, that is what is tried. What the fleet says is no queue of another kind, and takes turns with it.
//!
//! Worst case: of the good requests of a service that shedding cannot help, at
//! most `share_max` are lost for two windows of each strain in each pause: of 10 s at first, of
//! [`Trial::PAUSE_MAX`] in the end, where it is about one hundredth of the time.
//! Slowness that takes turns with failures, or with too many under way, has no such bound.
//! The other way round, a real overload of a service that was given up a moment
//! ago waits for the strain to double.

mod turns;
mod window;

use core::time::Duration;

use sloop_model::Time;

use super::harvest::{Harvest, Reaped, Reaping};
use turns::Turns;
use window::Window;

/// In what way the objective is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strain {
    /// Too many are slow.
    Slowness,
    /// Too many fail.
    Failures,
    /// Too many are under way.
    InFlight,
    /// The fleet says so.
    Fleet,
}

/// How strong a strain is, in a unit of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strength {
    /// Summed up over what was seen since the last step.
    pub(super) sum: u64,
    /// How many were summed up.
    pub(super) count: u64,
    /// On average lately.
    pub(super) lately: u64,
}

impl Strength {
    /// That of one sample.
    pub(super) const fn of(sample: u64) -> Self {
        Self {
            sum: sample,
            count: 1,
            lately: sample,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Trial {
    state: State,
    /// How long the next pause is.
    pause: Duration,
    given_up: u64,
    /// What came in lately, and comes in during the present window.
    lately: Harvest,
    reaping: Reaping,
    turns: Turns,
    /// When it was last known whether the objective is met.
    last: Time,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing was missed since `since`, after a trial of `strain` that began with `first`.
    Content { since: Time, tried: Option<Tried> },
    /// It is being tried.
    Trying { strain: Strain, window: Window },
    /// It was tried in vain, with a strain that was `lately` as strong.
    GivenUp {
        strain: Strain,
        lately: u64,
        until: Time,
        /// What came in while it was tried.
        harvest: Harvest,
        /// Since when what comes in without is compared with that.
        since: Time,
    },
}

/// A trial that was not in vain.
#[derive(Clone, Copy, Debug)]
struct Tried {
    strain: Strain,
    first: u64,
    before: Harvest,
}

impl Trial {
    /// The first pause: seven times a trial with a service that answers at once.
    pub(super) const PAUSE_MIN: Duration = Duration::from_secs(10);
    /// The longest pause.
    pub(super) const PAUSE_MAX: Duration = Duration::from_secs(320);
    /// Longer than the level needs to come near what the model wants, and a queue to begin to shrink.
    const WINDOW_MIN: Duration = Duration::from_millis(750);
    /// Readings of the fleet cover up to ten seconds.
    const WINDOW_MAX: Duration = Duration::from_secs(10);
    /// An objective that is missed again this soon is missed because less was shed: the same trial goes on.
    /// A minute, which is about the longest that a level takes to fall.
    const MEMORY: Duration = Duration::from_secs(60);
    /// Fewest samples of a window: with 50, chance alone hardly makes a quarter.
    const SAMPLES_MIN: u64 = 50;

    pub(super) fn new(now: Time) -> Self {
        Self {
            state: State::Content {
                since: now,
                tried: None,
            },
            pause: Self::PAUSE_MIN,
            given_up: 0,
            lately: Harvest::default(),
            reaping: Reaping::default(),
            turns: Turns::default(),
            last: now,
        }
    }

    /// Learns what came in since the last step; `lately` is what it was before.
    pub(super) fn reap(&mut self, lately: Harvest, reaped: Reaped, elapsed: Duration) {
        let mut last = Reaping::default();
        last.add(reaped, elapsed);
        let (last, _) = last.finish();
        self.lately = Harvest {
            good: lately.good.min(last.good),
            ..lately
        };
        self.reaping.add(reaped, elapsed);
    }

    /// Whether it is being tried because of `strain`, or was not in vain a moment ago.
    pub(super) fn is_about(&self, strain: Strain, now: Time) -> bool {
        match &self.state {
            State::Trying { strain: tried, .. } => *tried == strain,
            State::Content { .. } => self.state.remembers(strain, now).is_some(),
            State::GivenUp { .. } => false,
        }
    }

    /// Whether it was tried in vain, and the pause is not over; not while it is tried for another strain.
    pub(super) fn has_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp { .. }) && !self.turns.tries(None, self.last)
    }

    /// Whether it is being tried because of slowness, or was not in vain a moment ago.
    pub(super) fn is_against_a_queue(&self) -> bool {
        if self.turns.tries(Some(Strain::Slowness), self.last) {
            return true;
        }
        match &self.state {
            State::Trying { strain, .. } => matches!(strain, Strain::Slowness),
            State::Content { tried, .. } => matches!(
                tried,
                Some(Tried {
                    strain: Strain::Slowness,
                    ..
                })
            ),
            State::GivenUp { .. } => false,
        }
    }

    /// The objective is met: whatever is shed is not in vain.
    pub(super) fn met(&mut self, now: Time) {
        self.last = now;
        self.turns.met(now);
        match self.state {
            State::Content { since, .. } => {
                // As good for as long as the pause would be: a trial may begin afresh.
                if self.pause <= now.since(since) {
                    self.pause = Self::PAUSE_MIN;
                }
            }
            State::Trying { strain, window } => {
                self.state = State::Content {
                    since: now,
                    tried: window.first.map(|first| Tried {
                        strain,
                        first,
                        before: window.before,
                    }),
                };
            }
            State::GivenUp { until, .. } => {
                if until <= now {
                    self.state = State::Content {
                        since: now,
                        tried: None,
                    };
                }
            }
        }
    }

    /// What `strain` was about is over, for reasons that have nothing to do with the trial.
    pub(super) fn end_of(&mut self, strain: Strain, now: Time) {
        self.turns.take(strain);
        let tried = match &self.state {
            State::Trying { strain, .. } => Some(*strain),
            State::Content { tried, .. } => tried.map(|tried| tried.strain),
            State::GivenUp { .. } => None,
        };
        if tried == Some(strain) {
            self.state = State::Content {
                since: now,
                tried: None,
            };
        }
    }

    /// The objective is missed, while requests wait for `wait`: may it be tried to shed?
    pub(super) fn may_shed(
        &mut self,
        strain: Strain,
        strength: Strength,
        wait: Duration,
        now: Time,
    ) -> bool {
        self.last = now;
        self.turn(strain, now);
        match &mut self.state {
            State::Trying {
                strain: tried,
                window,
            } if *tried == strain => {
                window.add(strength);
                if !window.is_over(strain, wait, now) {
                    return true;
                }
                let reaping = core::mem::take(&mut self.reaping);
                let (harvest, time) = reaping.finish();
                let is_harmful = window.is_harmful(strain, harvest, time);
                // At the edge of a queue there is little to be better than.
                let is_at_the_edge = strain == Strain::Slowness && reaping.is_mostly_good();
                let is_better = window.is_better_than_the_first(strain, now);
                if !is_harmful && (is_better || is_at_the_edge) {
                    return true;
                }
                if is_harmful {
                    // Nothing will have changed soon.
                    self.pause = (self.pause * 2).min(Self::PAUSE_MAX);
                }
                self.state = State::GivenUp {
                    strain,
                    lately: strength.lately,
                    until: now.after(self.pause),
                    harvest,
                    since: now,
                };
                self.pause = (self.pause * 2).min(Self::PAUSE_MAX);
                self.given_up = self.given_up.saturating_add(1);
                self.turns.tries(None, now)
            }
            State::GivenUp {
                strain: tried,
                lately,
                until,
                harvest,
                since,
            } if now < *until && *tried == strain && strength.lately < lately.saturating_mul(2) => {
                if now.since(*since) < (Self::WINDOW_MIN + wait).min(Self::WINDOW_MAX) {
                    return self.turns.tries(None, now);
                }
                *since = now;
                let (without, time) = core::mem::take(&mut self.reaping).finish();
                let did_help = without.is_worse_than(*harvest, time);
                if did_help {
                    self.pause = Self::PAUSE_MIN;
                    self.begin(strain, Window::new(strength, without, now));
                }
                did_help || self.turns.tries(None, now)
            }
            state @ (State::Content { .. } | State::Trying { .. } | State::GivenUp { .. }) => {
                let window = match state.remembers(strain, now) {
                    Some(tried) => Window {
                        first: Some(tried.first),
                        ..Window::new(strength, tried.before, now)
                    },
                    None => Window::new(strength, self.lately, now),
                };
                self.begin(strain, window);
                true
            }
        }
    }

    /// Goes on with what is known of `strain`, if the present state is that of another.
    fn turn(&mut self, strain: Strain, now: Time) {
        let present = match &self.state {
            State::Trying { strain, .. } | State::GivenUp { strain, .. } => Some(*strain),
            State::Content { .. } => None,
        };
        let stays = present.is_some_and(|present| {
            let has = |one| present == one || strain == one;
            // What the fleet says is no queue of another kind.
            present == strain || has(Strain::Slowness) && !has(Strain::Fleet)
        });
        // Where it stays, a trial of another strain begins anew.
        let own = self.turns.take(strain);
        if stays {
            return;
        }
        if let Some(present) = present {
            self.turns.put(present, self.state, now);
        }
        match own {
            Some(State::GivenUp {
                strain,
                lately,
                until,
                harvest,
                ..
            }) if now < until => {
                // What came in meanwhile is of another trial.
                self.reaping = Reaping::default();
                self.state = State::GivenUp {
                    strain,
                    lately,
                    until,
                    harvest,
                    since: now,
                };
            }
            Some(tried @ State::Trying { .. }) => self.state = tried,
            Some(State::GivenUp { .. } | State::Content { .. }) | None => {}
        }
    }

    fn begin(&mut self, strain: Strain, window: Window) {
        self.reaping = Reaping::default();
        self.state = State::Trying { strain, window };
    }

    /// How often it was given up since the last call.
    pub(super) const fn take_given_up(&mut self) -> u64 {
        core::mem::replace(&mut self.given_up, 0)
    }
}

impl State {
    /// The trial that made an end of `strain` a moment ago.
    fn remembers(&self, strain: Strain, now: Time) -> Option<Tried> {
        match self {
            Self::Content {
                since,
                tried: Some(tried),
            } => (tried.strain == strain && now.since(*since) < Trial::MEMORY).then_some(*tried),
            Self::Content { tried: None, .. } | Self::Trying { .. } | Self::GivenUp { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
