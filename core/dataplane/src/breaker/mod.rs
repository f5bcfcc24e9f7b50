//! Refuses requests while they would surely fail.
//!
//! States and how they change ([`BreakerRule`] has the limits):
//!
//! - *closed*: everything passes. Too many failed or slow in the window, or an
//!   order: open.
//! - *open*: nothing passes for a while. Then: probing.
//! - *probing*: a few pass. One fails, or too many of them are slow: open, for
//!   twice as long. All were served: ramping, or closed without a ramp. Probes
//!   that do not come back: as many again may pass, and what the first ones
//!   say still counts.
//! - *ramping*: a growing share passes. Too many fail: open, for twice as long.
//!   The ramp is over: closed.
//!
//! A [`Ticket`] ties what a request proves to the state that it was admitted
//! in, so a slow old request can neither close nor open a breaker. Requests that
//! prove nothing (the caller went away, the filter answered) give their
//! permission back.

mod evidence;
mod window;

use core::time::Duration;

use sloop_model::{BreakerRule, Outcome, Share, Time};

use evidence::surely_exceeds;
use window::{Tally, Window};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    epoch: u64,
}

/// The breaker of one scope.
#[derive(Clone, Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: State,
    /// Counts the changes after which earlier tickets prove nothing.
    epoch: u64,
    /// Failed attempts to close since it was last closed.
    attempts: u32,
    window: Window,
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Time,
    },
    Probing {
        /// When as many again may pass, if nothing was decided.
        again_at: Time,
        admitted: u32,
        seen: Tally,
    },
    Ramping {
        since: Time,
    },
}

impl Breaker {
    /// The report's bound on changes between two reports; with more, the oldest are forgotten.
    pub const CHANGES_MAX: usize = 16;
    /// The share that a ramp begins with: a tenth finds out whether the service bears load at all.
    pub const RAMP_FIRST: u16 = 1_000;

    /// A closed breaker.
    #[must_use]
    pub fn new(rule: BreakerRule, now: Time) -> Self {
        Self {
            rule,
            state: State::Closed,
            epoch: 0,
            attempts: 0,
            window: Window::new(window_of(&rule), now),
            changes: Vec::new(),
        }
    }

    /// Goes on with other limits, in the state that it is in.
    pub fn adopt(&mut self, rule: BreakerRule, now: Time) {
        if window_of(&rule) != window_of(&self.rule) {
            self.window = Window::new(window_of(&rule), now);
        }
        self.rule = rule;
    }

    /// The state at `now`.
    pub fn state(&mut self, now: Time) -> BreakerState {
        self.advance(now);
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::Probing,
            State::Ramping { .. } => BreakerState::Ramping,
        }
    }

    /// Decides about a request that arrives at `now`. `draw` is uniform over `0..10_000`.
    pub fn admit(&mut self, draw: u16, now: Time) -> Admit {
        self.advance(now);
        let probes = self.rule.limits().probes;
        let ticket = Ticket { epoch: self.epoch };
        match &mut self.state {
            State::Closed => Admit::Pass(ticket),
            State::Open { until } => Admit::Refuse { retry_at: *until },
            State::Probing {
                again_at, admitted, ..
            } => {
                if *admitted < probes {
                    *admitted += 1;
                    Admit::Pass(ticket)
                } else {
                    Admit::Refuse {
                        retry_at: *again_at,
                    }
                }
            }
            State::Ramping { since } => {
                if ramp_share(since, self.rule.limits().ramp_ms, now).includes(draw) {
                    Admit::Pass(ticket)
                } else {
                    Admit::Refuse { retry_at: now }
                }
            }
        }
    }

    /// Learns, at `now`, how the request that `ticket` was given for ended.
    pub fn record(&mut self, ticket: Ticket, outcome: Outcome, latency: Duration, now: Time) {
        self.advance(now);
        // A request admitted in an earlier state says nothing about this one.
        let Ticket { epoch } = ticket;
        if epoch != self.epoch {
            return;
        }
        let is_slow =
            outcome.shows_slowness() && self.rule.slow().is_some_and(|(_, limit)| limit < latency);
        if !outcome.is_evidence() && !is_slow {
            if let State::Probing { admitted, .. } = &mut self.state {
                *admitted = admitted.saturating_sub(1);
            }
            return;
        }
        let is_failed = outcome.is_evidence() && !outcome.is_served();
        match &mut self.state {
            State::Closed | State::Ramping { .. } => {
                let tally = self.window.add(is_failed, is_slow, now);
                if let Some(cause) = trips(&self.rule, tally) {
                    self.open(cause, now);
                }
            }
            State::Probing { seen, .. } => {
                seen.total += 1;
                seen.failed += u32::from(is_failed);
                seen.slow += u32::from(is_slow);
                let seen = *seen;
                self.judge_probes(seen, now);
            }
            State::Open { .. } => {}
        }
    }

    /// Opens because the control plane says so. An open breaker stays open as long as it would.
    pub fn trip(&mut self, now: Time) {
        self.advance(now);
        match self.state {
            State::Open { .. } => {}
            State::Closed | State::Probing { .. } | State::Ramping { .. } => {
                self.open(Cause::Fleet, now);
            }
        }
    }

    /// Forgets everything: the breaker is no longer wanted.
    pub fn reset(&mut self, now: Time) {
        if self.state != State::Closed {
            self.enter(State::Closed, Cause::Time, now);
        }
        self.epoch += 1;
        self.attempts = 0;
        self.window = Window::new(window_of(&self.rule), now);
    }

    /// Takes the changes of state, oldest first.
    pub fn take_changes(&mut self) -> Vec<Change> {
        core::mem::take(&mut self.changes)
    }

    /// Whether the state changed since the changes were last taken.
    #[must_use]
    pub const fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Does what time alone does.
    fn advance(&mut self, now: Time) {
        match &mut self.state {
            State::Closed => {}
            State::Open { until } => {
                if *until <= now {
                    self.probe(now);
                }
            }
            State::Probing {
                again_at, admitted, ..
            } => {
                // A probe that never comes back must not keep it open for good.
                if *again_at <= now {
                    *again_at = now.after(back_off(&self.rule, self.attempts));
                    *admitted = 0;
                }
            }
            State::Ramping { since } => {
                if ramp_of(&self.rule) <= now.since(*since) {
                    self.close(Cause::Time, now);
                }
            }
        }
    }

    fn judge_probes(&mut self, seen: Tally, now: Time) {
        let probes = self.rule.limits().probes;
        let slow_max = self.rule.slow().map_or(Share::WHOLE, |(share, _)| share);
        if 0 < seen.failed {
            self.open(Cause::Failures, now);
        } else if slow_max.exceeded_by(u64::from(seen.slow), u64::from(probes)) {
            self.open(Cause::Slowness, now);
        } else if probes <= seen.total {
            self.epoch += 1;
            self.window = Window::new(window_of(&self.rule), now);
            if ramp_of(&self.rule).is_zero() {
                self.close(Cause::Recovered, now);
            } else {
                self.enter(State::Ramping { since: now }, Cause::Recovered, now);
            }
        }
    }

    fn open(&mut self, cause: Cause, now: Time) {
        self.attempts = match self.state {
            State::Closed => 0,
            State::Probing { .. } | State::Ramping { .. } => self.attempts.saturating_add(1),
            State::Open { .. } => self.attempts,
        };
        self.epoch += 1;
        let until = now.after(back_off(&self.rule, self.attempts));
        self.enter(State::Open { until }, cause, now);
    }

    fn probe(&mut self, now: Time) {
        self.epoch += 1;
        let probing = State::Probing {
            again_at: now.after(back_off(&self.rule, self.attempts)),
            admitted: 0,
            seen: Tally::default(),
        };
        self.enter(probing, Cause::Time, now);
    }

    fn close(&mut self, cause: Cause, now: Time) {
        self.attempts = 0;
        self.enter(State::Closed, cause, now);
    }

    fn enter(&mut self, state: State, cause: Cause, now: Time) {
        self.state = state;
        let to = match state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::Probing,
            State::Ramping { .. } => BreakerState::Ramping,
        };
        if Self::CHANGES_MAX <= self.changes.len() {
            self.changes.remove(0);
        }
        self.changes.push(Change { to, at: now, cause });
    }
}

/// Why the limits are exceeded, if they are.
fn trips(rule: &BreakerRule, tally: Tally) -> Option<Cause> {
    let limits = rule.limits();
    if tally.total < limits.calls_min {
        return None;
    }
    let exceeds = |bad, limit| surely_exceeds(bad, tally.total, limit, limits.sigmas_hundredths);
    if exceeds(tally.failed, limits.failed_max) {
        return Some(Cause::Failures);
    }
    let (slow_max, _) = rule.slow()?;
    exceeds(tally.slow, slow_max).then_some(Cause::Slowness)
}

const fn window_of(rule: &BreakerRule) -> Duration {
    Duration::from_millis(rule.limits().window_ms as u64)
}

const fn ramp_of(rule: &BreakerRule) -> Duration {
    Duration::from_millis(rule.limits().ramp_ms as u64)
}

/// How long it stays open after `attempts` failed attempts to close.
fn back_off(rule: &BreakerRule, attempts: u32) -> Duration {
    let limits = rule.limits();
    // 16 doublings of the shortest time exceed the longest.
    let doubled = u64::from(limits.open_ms) << attempts.min(16);
    Duration::from_millis(doubled.min(u64::from(limits.open_max_ms)))
}

/// The share that passes `now`, on a ramp of `ramp_ms` that began at `since`.
fn ramp_share(since: &Time, ramp_ms: u32, now: Time) -> Share {
    let passed = now.since(*since).as_millis() * 10_000;
    let grown = u16::try_from(passed / u128::from(ramp_ms.max(1))).unwrap_or(u16::MAX);
    Share::try_from(grown.max(Breaker::RAMP_FIRST)).unwrap_or(Share::WHOLE)
}

#[cfg(test)]
mod tests;
