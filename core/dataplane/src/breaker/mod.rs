//! Refuses requests while they would surely fail.
//!
//! States and how they change ([`BreakerRule`] has the limits):
//!
//! - *closed*: everything passes. Too many failed or slow in the window or since
//!   a sudden change, an order (unless the service is surely well as seen from
//!   here), or another worker that opened: open.
//! - *open*: nothing passes for a while. Then: probing.
//! - *probing*: a few pass. One fails, or too many of them are slow: open, for
//!   twice as long. All were served: ramping, or closed without a ramp. Probes
//!   that do not come back: as many again may pass, and what the first ones
//!   say still counts.
//! - *ramping*: a growing share passes. Too many fail: open, for twice as long.
//!   The ramp is over: closed.
//!
//! At the pace of the traffic ([`sloop_model::Pace::Traffic`]) it comes back sooner. An open breaker
//! probes when [`Breaker::REFUSED_MAX`] requests were refused: of what an outage would have failed
//! anyway one in twenty finds out whether it is over, so that costs nobody an answer, and the
//! service a twentieth of its load. On the ramp as many may be under way as answers come back in time, which a
//! service that is well doubles with each of its own round trips, and one that is overwhelmed does not.
//!
//! What fails is often known before what is served. So where limits judge a window in time and want to be sure, requests that a bad one
//! overtook count as not bad while they are under way (`pending`): in a burst the first answers are not all.
//!
//! Where there is another way to do it, [`sloop_model::BreakerManner`] has it as
//! a setting. Beside these states there are those that an operator wants
//! ([`BreakerMode`]): counting without deciding, doing nothing, refusing all.
//!
//! A [`Ticket`] ties what a request proves to the state that it was admitted
//! in, so a slow old request can neither close nor open a breaker. Requests that
//! prove nothing (the caller went away, the filter answered) give their
//! permission back.
//!
//! The workers of a sidecar have a breaker each; [`board`] makes them one.

pub mod board;
mod evidence;
mod pending;
mod sharing;
mod state;
mod sudden;
mod usual;
mod window;
mod words;

use core::time::Duration;

use sloop_model::{BreakerMode, BreakerRule, BreakerWindow, LateOutcomes, Outcome, Time};

pub use board::{Heard, Opening, Told};
use pending::Pending;
use sharing::{Sharing, Whose};
use state::{State, back_off, ramp_share, slow_above};
use sudden::Sudden;
use window::Window;
pub use words::{Admit, BreakerState, Cause, Change, Tally, Ticket};

/// The breaker of one scope.
#[derive(Clone, Debug)]
pub struct Breaker {
    rule: BreakerRule,
    /// Above this a request was slow.
    slow_above: Duration,
    state: State,
    /// Counts the changes after which earlier tickets prove nothing.
    epoch: u64,
    /// Failed attempts to close since it was last closed.
    attempts: u32,
    /// How many of them got as far as the ramp: where a part is served, there is no haste.
    relapses: u32,
    /// While probing, and open after it, the probes; else what [`BreakerRule::window`] says.
    window: Window,
    /// What it did not judge by ([`Breaker::record_mildly`]), since there was any; only of the last while.
    spared: Option<Window>,
    sudden: Sudden,
    pending: Pending,
    changes: Vec<Change>,
    /// Probes were served since that was last asked.
    has_recovered: bool,
    sharing: Sharing,
}

impl Breaker {
    /// The report's bound on changes between two reports; with more, the oldest are forgotten.
    pub const CHANGES_MAX: usize = 16;
    /// The share that a ramp begins with: a tenth finds out whether the service bears load at all.
    pub const RAMP_FIRST: u16 = 1_000;
    /// At the pace of the traffic, refused requests before the next attempt: a twentieth of the load is little for a
    /// service that is down, and twenty good answers are the most that waiting takes from one that is back.
    pub const REFUSED_MAX: u32 = 20;
    /// At the pace of the traffic, requests that may be under way at a time at the end of a ramp. It takes thirty
    /// answers in time to get there, of which surely less than a quarter are bad (Wilson's interval at three standard deviations).
    pub const ROOM_MAX: u32 = 32;

    /// A closed breaker that decides.
    #[must_use]
    pub fn new(rule: BreakerRule, now: Time) -> Self {
        Self {
            rule,
            slow_above: slow_above(&rule),
            state: State::Closed,
            epoch: 0,
            attempts: 0,
            relapses: 0,
            window: Window::new(rule.window(), now),
            spared: None,
            sudden: Sudden::new(&rule),
            pending: Pending::new(&rule),
            changes: Vec::new(),
            has_recovered: false,
            sharing: Sharing::new(now),
        }
    }

    /// Goes on with other limits, in the state that it is in.
    #[cold]
    pub fn adopt(&mut self, rule: BreakerRule, now: Time) {
        let has_window = match self.state {
            State::Closed | State::Ramping { .. } | State::Counting => true,
            State::Open { .. } | State::Probing { .. } | State::Disabled | State::Forced => false,
        };
        if has_window && rule.window() != self.rule.window() {
            self.window = Window::new(rule.window(), now);
        }
        self.slow_above = slow_above(&rule);
        if rule != self.rule {
            self.spared = None;
            self.sudden = Sudden::new(&rule);
            self.pending.adopt(&rule);
        }
        self.rule = rule;
    }

    /// Does what an operator wants from `now` on. To enforce and to be a shadow is the same here.
    #[cold]
    pub fn obey(&mut self, mode: BreakerMode, now: Time) {
        let state = match mode {
            BreakerMode::Enforce | BreakerMode::Shadow if self.state.is_free() => return,
            BreakerMode::Enforce | BreakerMode::Shadow if self.state == State::Forced => {
                return self.probe(now);
            }
            BreakerMode::Enforce | BreakerMode::Shadow => State::Closed,
            BreakerMode::MetricsOnly => State::Counting,
            BreakerMode::Disabled => State::Disabled,
            BreakerMode::ForcedOpen => State::Forced,
        };
        if state != self.state {
            self.begin_anew(state, Cause::Fleet, now);
        }
    }

    /// The state at `now`.
    pub fn state(&mut self, now: Time) -> BreakerState {
        self.advance(now);
        self.state.seen_from_outside()
    }

    /// Whether the last request that was asked about was admitted, if it was, to find out how the service is.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        matches!(self.state, State::Probing { .. })
    }

    /// What it has seen, by which it would judge at `now`.
    pub fn seen(&mut self, now: Time) -> Tally {
        self.window.seen(now)
    }

    /// Whether [`Breaker::admit`] looks at its draw. It need not be drawn else.
    #[must_use]
    pub const fn draws(&self) -> bool {
        matches!(self.state, State::Ramping { .. })
    }

    /// Decides about a request that arrives at `now`. `draw` is uniform over `0..10_000`.
    pub fn admit(&mut self, draw: u16, now: Time) -> Admit {
        if matches!(self.state, State::Closed) {
            return Admit::Pass(self.ticket(now));
        }
        self.advance(now);
        self.wake(now);
        let refused_until = match &mut self.state {
            State::Closed | State::Counting | State::Disabled => None,
            State::Open { until, refused, .. } => {
                *refused = refused.saturating_add(1);
                Some(*until)
            }
            State::Probing {
                again_at,
                admitted,
                probes,
            } => {
                if *admitted < *probes {
                    *admitted += 1;
                    None
                } else {
                    Some(*again_at)
                }
            }
            State::Ramping {
                since,
                room,
                under_way,
            } => {
                let share = ramp_share(*since, self.rule.limits().ramp_ms, now);
                if *under_way < *room || share.includes(draw) {
                    *under_way = under_way.saturating_add(1);
                    None
                } else {
                    Some(now)
                }
            }
            // Nobody knows for how long; not less than any other breaker would wait.
            State::Forced => Some(now.after(back_off(&self.rule, u32::MAX))),
        };
        match refused_until {
            None => Admit::Pass(self.ticket(now)),
            Some(retry_at) => Admit::Refuse { retry_at },
        }
    }

    #[inline]
    fn ticket(&mut self, now: Time) -> Ticket {
        Ticket {
            epoch: self.epoch,
            passed: self.pending.pass(now),
        }
    }

    /// Learns, at `now`, how the request that `ticket` was given for ended.
    pub fn record(&mut self, ticket: Ticket, outcome: Outcome, latency: Duration, now: Time) {
        if !matches!(self.state, State::Closed) {
            self.advance(now);
        }
        let Ticket { epoch, passed } = ticket;
        self.pending.end(passed);
        self.sudden.end(passed);
        // A request admitted in an earlier state says nothing about this one.
        if epoch != self.epoch && self.rule.limits().manner.late == LateOutcomes::Ignored {
            return;
        }
        let is_slow = self.slow_above < latency && outcome.shows_slowness();
        let is_evidence = outcome.is_evidence();
        if !is_evidence && !is_slow {
            match &mut self.state {
                State::Probing { admitted, .. } if epoch == self.epoch => {
                    *admitted = admitted.saturating_sub(1);
                }
                State::Ramping { .. } if epoch == self.epoch => self.learn_room(None, now),
                State::Closed
                | State::Open { .. }
                | State::Probing { .. }
                | State::Ramping { .. }
                | State::Counting
                | State::Disabled
                | State::Forced => {}
            }
            return;
        }
        let ended = Tally::one(is_evidence && !outcome.is_served(), is_slow);
        if ended.is_bad() {
            self.pending.fail(passed);
        } else if outcome.has_latency() && !self.is_probing() {
            // A probe may be judged when its answer begins: that is not how long requests take.
            self.pending.serve(latency);
        }
        match self.state {
            State::Closed => {
                self.sharing.count(ended, now);
                self.count(ended, Whose::Own, now);
            }
            State::Ramping { .. } => {
                self.sharing.count(ended, now);
                self.count(ended, Whose::Own, now);
                if epoch == self.epoch {
                    self.learn_room(Some(ended), now);
                }
            }
            State::Probing { probes, .. } => {
                let seen = self.window.add(ended, now);
                self.judge_probes(seen, probes, now);
            }
            State::Counting => {
                self.sharing.count(ended, now);
                self.window.add(ended, now);
            }
            State::Open { .. } => {
                self.window.add(ended, now);
            }
            State::Disabled | State::Forced => {}
        }
    }

    /// As [`Breaker::record`], while something milder can be done about requests that take too long: of these only
    /// probes count, and against an order ([`Breaker::trip`]) they do not speak.
    pub fn record_mildly(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        latency: Duration,
        now: Time,
    ) {
        let decides = match self.state {
            State::Closed | State::Ramping { .. } => true,
            State::Open { .. }
            | State::Probing { .. }
            | State::Counting
            | State::Disabled
            | State::Forced => false,
        };
        let is_slow = self.slow_above < latency && outcome.shows_slowness();
        if !(decides && is_slow) {
            self.record(ticket, outcome, latency, now);
            return;
        }
        self.pending.end(ticket.passed);
        self.sudden.end(ticket.passed);
        if ticket.epoch != self.epoch {
            return;
        }
        self.learn_room(None, now);
        if let window @ BreakerWindow::Time { .. } = self.rule.window() {
            let has_failed = outcome.is_evidence() && !outcome.is_served();
            let ended = Tally::one(has_failed, true);
            let spared = self.spared.get_or_insert_with(|| Window::new(window, now));
            spared.add(ended, now);
        }
    }

    /// Opens because the control plane says so. An open breaker stays open as long as it would,
    /// and a closed one that surely sees the service well, with all that it did not judge by, stays closed: others have
    /// the trouble.
    #[cold]
    pub fn trip(&mut self, now: Time) {
        self.advance(now);
        let mut seen = self.window.seen(now);
        if let Some(spared) = &mut self.spared {
            // The window has what all workers counted, and this is of one: others did not judge by as many, more or less.
            let workers = self.sharing.others(now).saturating_add(1);
            seen.add(spared.seen(now).times(workers));
        }
        match self.state {
            State::Closed if evidence::is_well(&self.rule, seen) => {}
            State::Closed | State::Probing { .. } | State::Ramping { .. } => {
                self.open(Cause::Fleet, now);
            }
            State::Open { .. } | State::Counting | State::Disabled | State::Forced => {}
        }
    }

    /// Forgets everything: the breaker is no longer wanted.
    pub fn reset(&mut self, now: Time) {
        self.begin_anew(State::Closed, Cause::Time, now);
    }

    /// Takes the changes of state, oldest first.
    pub fn take_changes(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.changes)
    }

    /// Whether probes were served since this was last asked.
    pub const fn take_recovered(&mut self) -> bool {
        core::mem::replace(&mut self.has_recovered, false)
    }

    /// Whether the state changed since the changes were last taken.
    #[must_use]
    pub const fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }
}

#[cfg(test)]
mod tests;
