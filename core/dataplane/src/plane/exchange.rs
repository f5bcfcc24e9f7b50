//! One request and its response, from beginning to end.

use std::cell::Cell;
use std::rc::Rc;

use sloop_model::{Arms, Ended, ExchangeSide, FaultEnding, Flags, OwnVerdict, Side, Time};

use super::Plane;
use super::entry::Policy;
use super::guard::Admission;
use super::held::{Held, Hold, HoldState};
use crate::breaker::Ticket;
use crate::context::TraceId;
use crate::fault::Facts;
use crate::scope::ScopeId;
use crate::sli::{self, Judged, Slots};

/// What is known of a request when its headers are here.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its trace.
    pub trace: TraceId,
    /// Its number at the host, to find it again when it is held back.
    pub context: u32,
    /// Whether it is a gRPC request.
    pub is_grpc: bool,
    /// When it came.
    pub now: Time,
}

/// What the host says when a request is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// The HTTP status that the client was sent.
    pub status: Option<u16>,
    /// Envoy's flags.
    pub flags: Flags,
    /// The gRPC status; looked at only when the request was gRPC.
    pub grpc: Option<u8>,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass.
    Pass,
    /// Hold it back until [`Plane::release`] names it.
    Hold,
    /// Answer it: the breaker is open.
    Refuse {
        /// When to try again, in whole seconds from now, at least 1.
        retry_after_seconds: u64,
    },
    /// Answer it as a fault.
    Abort {
        /// 200 to 599.
        status: u16,
    },
}

/// A request that is under way. Hand it back to [`Plane::end`], or to [`Plane::abandon`].
#[derive(Debug)]
#[must_use = "hand it back to `Plane::end`"]
pub struct Exchange {
    pub(super) side: Side,
    pub(super) scope: ScopeId,
    policy: Rc<Policy>,
    /// Where it counts besides its scope, and how many attempts beyond the first it stands for.
    pub(super) slots: Slots,
    pub(super) retries: u32,
    began: Time,
    is_grpc: bool,
    ticket: Option<Ticket>,
    decided: Decided,
}

#[derive(Debug)]
enum Decided {
    Passed,
    /// Passed, but only because the breaker is in shadow mode.
    ShadowRefused,
    Refused,
    Aborted,
    Held {
        key: (Time, u32),
        state: Rc<Cell<HoldState>>,
    },
}

impl Exchange {
    /// Whether the request was gRPC.
    #[must_use]
    pub const fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// What the filter did to it.
    #[must_use]
    pub fn verdict(&self) -> OwnVerdict {
        match &self.decided {
            Decided::Passed | Decided::ShadowRefused => OwnVerdict::Passed,
            Decided::Refused => OwnVerdict::Refused,
            Decided::Aborted => OwnVerdict::Faulted,
            Decided::Held { state, .. } => match state.get() {
                HoldState::Waiting | HoldState::Continued { .. } => OwnVerdict::Passed,
                HoldState::Aborted => OwnVerdict::Faulted,
            },
        }
    }
}

impl Plane {
    /// Decides about a request of `scope`. None when there is no such scope: let it pass, uncounted.
    pub fn begin(
        &mut self,
        side: Side,
        scope: ScopeId,
        arrival: Arrival,
    ) -> Option<(Exchange, Verdict)> {
        let now = arrival.now;
        let draw = self.random.draw();
        self.start(now);
        let clock = self.clock;
        let entry = self.side(side).entry(scope)?;
        entry.in_flight = entry.in_flight.saturating_add(1);
        let mut exchange = Exchange {
            side,
            scope,
            policy: Rc::clone(&entry.policy),
            slots: Slots::default(),
            retries: 0,
            began: now,
            is_grpc: arrival.is_grpc,
            ticket: None,
            decided: Decided::Passed,
        };
        let admission = entry.guard.admit(draw, now, &clock);
        let has_changed = entry.guard.has_changed();
        let verdict = match admission {
            Admission::Refuse { retry_at } => {
                exchange.decided = Decided::Refused;
                Verdict::Refuse {
                    retry_after_seconds: retry_at
                        .since(now)
                        .as_nanos()
                        .div_ceil(1_000_000_000)
                        .max(1)
                        .try_into()
                        .unwrap_or(u64::MAX),
                }
            }
            Admission::Shadow => {
                exchange.decided = Decided::ShadowRefused;
                Verdict::Pass
            }
            Admission::Pass(ticket) => {
                exchange.ticket = ticket;
                self.fault(&mut exchange, arrival)
            }
        };
        if has_changed {
            self.outbox.hurry(now);
        }
        Some((exchange, verdict))
    }

    /// Counts how a request ended, and lets the breaker learn from it.
    pub fn end(&mut self, exchange: Exchange, ending: Ending, now: Time) {
        let verdict = exchange.verdict();
        let waited = self.settle(&exchange);
        let ended = Ended {
            verdict,
            status: ending.status,
            flags: ending.flags,
            grpc: ending.grpc.filter(|_| exchange.is_grpc),
        };
        let Some(entry) = self.side(exchange.side).entry(exchange.scope) else {
            return;
        };
        entry.in_flight = entry.in_flight.saturating_sub(1);
        let Judged { outcome, is_good } = entry.counts.add(sli::Request {
            objectives: &exchange.policy.objectives,
            ended: &ended,
            latency_us: now.micros_since(exchange.began),
            slots: &exchange.slots,
        });
        entry.counts.retries += u64::from(exchange.retries);
        match (&exchange.decided, verdict) {
            (Decided::Refused, _) => entry.guard.count_refused(),
            (Decided::ShadowRefused, _) => entry.guard.count_shadow_refused(is_good),
            (Decided::Held { .. }, OwnVerdict::Faulted) => {
                entry.counts.delayed += 1;
                entry.counts.aborted += 1;
            }
            (
                Decided::Held { .. },
                OwnVerdict::Passed
                | OwnVerdict::Refused
                | OwnVerdict::Shed
                | OwnVerdict::Blocked
                | OwnVerdict::DeadlinePassed,
            ) => entry.counts.delayed += 1,
            (Decided::Aborted, _) => entry.counts.aborted += 1,
            (Decided::Passed, _) => {}
        }
        if let Some(ticket) = exchange.ticket {
            // The wait was ours: it says nothing about the service.
            let own = now.since(exchange.began.after(waited));
            entry.guard.record(ticket, outcome, own, now);
        }
        if entry.guard.has_changed() {
            self.outbox.hurry(now);
        }
    }

    /// Forgets a request of which no end was told.
    pub fn abandon(&mut self, exchange: Exchange) {
        self.settle(&exchange);
        if let Some(entry) = self.side(exchange.side).entry(exchange.scope) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
    }

    /// The first request begins the reports: threads without traffic have nothing to say.
    pub(super) fn start(&mut self, now: Time) {
        if !self.has_traffic {
            self.has_traffic = true;
            self.statistics.start(now);
            let interval = self.interval();
            self.outbox.start(now, self.clock.wall(now), interval);
        }
    }

    /// Forgets that a request waits, and says how long it did.
    fn settle(&mut self, exchange: &Exchange) -> core::time::Duration {
        let Decided::Held { key, state } = &exchange.decided else {
            return core::time::Duration::ZERO;
        };
        match state.get() {
            HoldState::Waiting => {
                self.held.forget(*key);
                core::time::Duration::ZERO
            }
            HoldState::Continued { at } => at.since(exchange.began),
            HoldState::Aborted => core::time::Duration::ZERO,
        }
    }

    /// Chooses a fault for a request that may pass.
    fn fault(&mut self, exchange: &mut Exchange, arrival: Arrival) -> Verdict {
        let faults = &exchange.policy.faults;
        if faults.is_empty() {
            return Verdict::Pass;
        }
        let now = arrival.now;
        let facts = Facts {
            trace: arrival.trace,
            request: None,
            caller: b"",
            criticality: sloop_model::Criticality::Critical,
            arms: &Arms::NONE,
        };
        let choice = faults.choose(&facts, || self.clock.wall(now));
        let Some(hit) = choice.hit() else {
            return Verdict::Pass;
        };
        let injection = faults.injection(hit, None);
        let Some(injection) = injection.filter(|one| one.on == ExchangeSide::Request) else {
            return Verdict::Pass;
        };
        let abort = match injection.ending {
            Some(FaultEnding::Abort { status }) => Some(status),
            Some(FaultEnding::AbortGrpc { .. } | FaultEnding::Reset) | None => None,
        };
        let Some(delay) = injection.delay else {
            return abort.map_or(Verdict::Pass, |status| {
                exchange.decided = Decided::Aborted;
                Verdict::Abort { status }
            });
        };
        // Nothing that was injected outlives the fault, so the wait ends with it.
        let wanted = now.after(delay);
        let expiry = self.clock.time(injection.rule.expires_at(), now);
        let key = (wanted.min(expiry), arrival.context);
        let state = Rc::new(Cell::new(HoldState::Waiting));
        let hold = Hold {
            side: exchange.side,
            scope: exchange.scope,
            policy: Rc::clone(&exchange.policy),
            fault: hit,
            abort: abort.filter(|_| wanted < expiry),
            is_grpc: arrival.is_grpc,
            state: Rc::clone(&state),
        };
        if !self.held.hold(key.1, key.0, hold) {
            self.trouble.delays_over_cap += 1;
            return Verdict::Pass;
        }
        exchange.decided = Decided::Held { key, state };
        Verdict::Hold
    }
}

/// The cap is part of what the filter promises, so tests outside this module may name it.
impl Plane {
    /// How many requests may be held back at a time.
    pub const HELD_MAX: usize = Held::MAX;
}
