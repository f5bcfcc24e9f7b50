//! The states of a breaker, and how it goes from one to another.

use core::time::Duration;

use sloop_model::{BreakerRule, LateOutcomes, LostProbes, Pace, Share, Time, Wake};

use super::Breaker;
use super::board::Opening;
use super::evidence::{self, Judgement};
use super::sharing::Whose;
use super::window::Window;
use super::words::{BreakerState, Cause, Change, Tally};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Open {
        until: Time,
        /// From then on it probes sooner, when [`Breaker::REFUSED_MAX`] were refused; never where time alone decides.
        early: Time,
        refused: u32,
    },
    Probing {
        /// When as many again may pass, if nothing was decided.
        again_at: Time,
        admitted: u32,
        /// How many may pass at a time.
        probes: u32,
    },
    Ramping {
        since: Time,
        /// So many may be under way, whatever share of requests passes by now.
        room: u32,
        /// Requests that passed since, and did not end.
        under_way: u32,
    },
    /// [`BreakerMode::MetricsOnly`].
    Counting,
    /// [`BreakerMode::Disabled`].
    Disabled,
    /// [`BreakerMode::ForcedOpen`].
    Forced,
}

impl State {
    pub(super) const fn seen_from_outside(self) -> BreakerState {
        match self {
            Self::Closed | Self::Counting | Self::Disabled => BreakerState::Closed,
            Self::Open { .. } | Self::Forced => BreakerState::Open,
            Self::Probing { .. } => BreakerState::Probing,
            Self::Ramping { .. } => BreakerState::Ramping,
        }
    }

    /// Whether it decides for itself what comes next.
    pub(super) const fn is_free(self) -> bool {
        match self {
            Self::Closed | Self::Open { .. } | Self::Probing { .. } | Self::Ramping { .. } => true,
            Self::Counting | Self::Disabled | Self::Forced => false,
        }
    }
}

impl Breaker {
    /// Does what time alone does.
    pub(super) fn advance(&mut self, now: Time) {
        match &mut self.state {
            State::Closed | State::Counting | State::Disabled | State::Forced => {}
            State::Open {
                until,
                early,
                refused,
            } => {
                let is_over = *until <= now && self.rule.limits().manner.wake == Wake::OnTime;
                if is_over || (*early <= now && Self::REFUSED_MAX <= *refused) {
                    self.probe(now);
                }
            }
            State::Probing {
                again_at, admitted, ..
            } => {
                // A probe that never comes back must not keep it open for good.
                if *again_at <= now && self.rule.limits().manner.lost == LostProbes::Replaced {
                    *again_at = now.after(back_off(&self.rule, self.attempts));
                    *admitted = 0;
                }
            }
            State::Ramping { since, .. } => {
                if ramp_of(&self.rule) <= now.since(*since) {
                    self.close(Cause::Time, now);
                }
            }
        }
    }

    /// Does what a request does that arrives at `now`.
    pub(super) fn wake(&mut self, now: Time) {
        if let State::Open { until, .. } = self.state
            && until < now
        {
            self.probe(now);
        }
    }

    /// Requests that passed until now say nothing about what comes, unless late outcomes count.
    #[cold]
    pub(super) fn next_epoch(&mut self) {
        self.epoch += 1;
        // What took long before says nothing of how it is from now on.
        self.spared = None;
        if self.rule.limits().manner.late == LateOutcomes::Ignored {
            self.pending.forget();
        }
    }

    /// Counts what ended while it is closed or ramping, and opens if that is too much, even if those that were
    /// overtaken turn out well ([`super::pending`]).
    pub(super) fn count(&mut self, ended: Tally, whose: Whose, now: Time) {
        let seen = self.window.add(ended, now);
        let sudden = self.sudden.add(ended, self.pending.passed(), now);
        // Nothing bad is neither above nor at any limit.
        if !seen.is_bad() {
            return;
        }
        let trips = |seen, overtaken| evidence::trips(&self.rule, seen, overtaken);
        // What was overtaken only speaks for the service, so it is asked for where the breaker would open without.
        if trips(seen, 0).or_else(|| trips(sudden?, 0)).is_none() {
            return;
        }
        let overtaken = self.overtaken(whose, now);
        if let Some(cause) = trips(seen, overtaken) {
            self.open(cause, now);
        } else if let Some(since) = sudden
            // What others' bad ones overtook is not told, and of sessions that may be nearly all: who counted them judges.
            && (whose == Whose::Own || !self.pending.may_be_sessions())
            && let Some(cause) = trips(since, overtaken)
        {
            let lasting = self.lasting(now);
            if trips(since, lasting).is_some() {
                self.open(cause, now);
            } else {
                self.sudden.weigh(lasting);
            }
        }
    }

    /// How many requests of all workers began since a sudden change, were overtaken by bad ones, and did not end. In others
    /// are as many as here, quiet ones too: what they tell is not how long it lasts.
    fn lasting(&self, now: Time) -> u32 {
        let began = self.pending.passed_since(self.sudden.passed());
        let here = began.saturating_sub(self.sudden.ended());
        here.saturating_mul(self.sharing.workers(now))
    }

    pub(super) fn judge_probes(&mut self, seen: Tally, probes: u32, now: Time) {
        match evidence::judge_probes(&self.rule, seen, probes) {
            Judgement::Open => {}
            Judgement::Failed(cause) => self.open(cause, now),
            Judgement::Served => {
                self.next_epoch();
                self.window = Window::new(self.rule.window(), now);
                self.has_recovered = true;
                self.sharing.served_at = Some(now);
                if ramp_of(&self.rule).is_zero() {
                    self.close(Cause::Recovered, now);
                } else {
                    self.enter(self.ramp(probes, now), Cause::Recovered, now);
                }
            }
        }
    }

    pub(super) fn open(&mut self, cause: Cause, now: Time) {
        self.attempts = match self.state {
            State::Probing { .. } | State::Ramping { .. } => self.attempts.saturating_add(1),
            State::Open { .. } => self.attempts,
            State::Closed | State::Counting | State::Disabled | State::Forced => 0,
        };
        if let State::Ramping { .. } = self.state {
            self.relapses = self.relapses.saturating_add(1);
        }
        self.next_epoch();
        let until = now.after(back_off(&self.rule, self.attempts));
        self.sharing.opening = Some(Opening {
            at: now,
            until,
            attempts: self.attempts,
            cause,
        });
        self.enter_open(self.opened(now, until), cause, now);
    }

    /// Goes to `open`. After a probe in vain at the pace of the traffic, of which there are many a second, it stays
    /// open for those outside.
    pub(super) fn enter_open(&mut self, open: State, cause: Cause, now: Time) {
        let is_probing = matches!(self.state, State::Probing { .. });
        match self.rule.limits().manner.pace {
            Pace::Traffic if is_probing => self.go_on_as(open),
            Pace::Traffic | Pace::Time => self.enter(open, cause, now),
        }
    }

    /// Open since `at`, until `until` at the latest.
    pub(super) fn opened(&self, at: Time, until: Time) -> State {
        let early = match self.rule.limits().manner.pace {
            Pace::Time => Time::from_nanos(u64::MAX),
            Pace::Traffic => at.after(back_off(&self.rule, self.relapses)).min(until),
        };
        State::Open {
            until,
            early,
            refused: 0,
        }
    }

    /// A ramp that begins at `now`, after so many probes were served.
    fn ramp(&self, probes: u32, now: Time) -> State {
        State::Ramping {
            since: now,
            room: match self.rule.limits().manner.pace {
                Pace::Time => 0,
                Pace::Traffic => probes.saturating_add(1).min(Self::ROOM_MAX),
            },
            under_way: 0,
        }
    }

    /// A request that passed on the ramp is over. Each that was served in time shows that there is room for one
    /// more, as in TCP's slow start (Jacobson 1988); what failed, that there is half as much.
    pub(super) fn learn_room(&mut self, ended: Option<Tally>, now: Time) {
        let State::Ramping {
            room, under_way, ..
        } = &mut self.state
        else {
            return;
        };
        *under_way = under_way.saturating_sub(1);
        let Some(ended) = ended else { return };
        if *room == 0 {
            // By time alone.
        } else if 0 < ended.failed {
            *room = (*room / 2).max(1);
        } else if ended.slow == 0 {
            *room += 1;
            if Self::ROOM_MAX <= *room {
                self.close(Cause::Recovered, now);
            }
        }
    }

    pub(super) fn probe(&mut self, now: Time) {
        self.next_epoch();
        let probes = self.sharing.probes(self.rule.limits().probes, now);
        self.window = Window::of_calls(probes);
        let probing = State::Probing {
            again_at: now.after(back_off(&self.rule, self.attempts)),
            admitted: 0,
            probes,
        };
        match self.rule.limits().manner.pace {
            Pace::Time => self.enter(probing, Cause::Time, now),
            Pace::Traffic => self.go_on_as(probing),
        }
    }

    fn close(&mut self, cause: Cause, now: Time) {
        (self.attempts, self.relapses) = (0, 0);
        self.enter(State::Closed, cause, now);
    }

    pub(super) fn begin_anew(&mut self, state: State, cause: Cause, now: Time) {
        if self.state.seen_from_outside() != state.seen_from_outside() {
            self.enter(state, cause, now);
        }
        self.state = state;
        self.next_epoch();
        (self.attempts, self.relapses) = (0, 0);
        self.window = Window::new(self.rule.window(), now);
        self.sharing.forget();
    }

    /// Goes to a state of which nobody is told.
    fn go_on_as(&mut self, state: State) {
        self.state = state;
        self.sudden.forget();
    }

    pub(super) fn enter(&mut self, state: State, cause: Cause, now: Time) {
        self.go_on_as(state);
        if Self::CHANGES_MAX <= self.changes.len() {
            self.changes.remove(0);
        }
        let to = state.seen_from_outside();
        self.changes.push(Change { to, at: now, cause });
    }
}

pub(super) fn slow_above(rule: &BreakerRule) -> Duration {
    rule.slow().map_or(Duration::MAX, |(_, above)| above)
}

const fn ramp_of(rule: &BreakerRule) -> Duration {
    Duration::from_millis(rule.limits().ramp_ms as u64)
}

/// How long it stays open after `attempts` failed attempts to close.
pub(super) fn back_off(rule: &BreakerRule, attempts: u32) -> Duration {
    let limits = rule.limits();
    // 16 doublings of the shortest time exceed the longest.
    let doubled = u64::from(limits.open_ms) << attempts.min(16);
    Duration::from_millis(doubled.min(u64::from(limits.open_max_ms)))
}

/// The share that passes `now`, on a ramp of `ramp_ms` that began at `since`.
pub(super) fn ramp_share(since: Time, ramp_ms: u32, now: Time) -> Share {
    // A ten-thousandth of a millisecond is a hundred nanoseconds.
    let passed = now.as_nanos().saturating_sub(since.as_nanos()) / 100;
    let grown = passed / u64::from(ramp_ms.max(1));
    let grown = u16::try_from(grown).unwrap_or(u16::MAX);
    Share::try_from(grown.max(Breaker::RAMP_FIRST)).unwrap_or(Share::WHOLE)
}
