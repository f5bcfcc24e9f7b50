//! Faults, as a request meets them.

use std::cell::Cell;
use std::rc::Rc;

use core::time::Duration;

use sloop_model::{ExchangeSide, FaultEnding, FaultRule};

use super::Plane;
use super::exchange::{Arrival, Decided, Exchange, HeaderWrite, Verdict};
use super::held::{Held, Hold, HoldState};
use crate::context::Context;
use crate::fault::{Facts, Hit, Injection};
use crate::span::Reasons;

/// What a fault does to a request at once.
struct Effects {
    delay: Option<Duration>,
    ending: Option<FaultEnding>,
}

impl Plane {
    /// How many requests may be held back at a time.
    pub const HELD_MAX: usize = Held::MAX;

    /// Chooses a fault for a request that may pass.
    pub(super) fn inject(
        &mut self,
        exchange: &mut Exchange,
        context: &mut Context<'_>,
        arrival: &Arrival<'_>,
        caller: &[u8],
    ) -> Verdict {
        let policy = Rc::clone(&exchange.policy);
        if policy.faults.is_empty() {
            return Verdict::Pass;
        }
        let now = arrival.now;
        let arms = context.said.arms;
        let facts = Facts {
            trace: context.trace.id(),
            request: Some(arrival.request),
            caller,
            criticality: context.said.criticality.unwrap_or_default(),
            arms: &arms,
        };
        let clock = self.clock;
        let choice = policy.faults.choose(&facts, || clock.wall(now));
        if choice.is_untouched() {
            return Verdict::Pass;
        }
        let injection = choice
            .hit()
            .and_then(|hit| policy.faults.injection(hit, Some(arrival.request)));
        if let Some(injection) = &injection
            && !self.has_room(exchange, injection)
        {
            exchange.choice = choice.kept_out();
            return Verdict::Pass;
        }
        exchange.choice = choice;
        context.said.arms = policy.faults.arms(choice, &arms);
        let (Some(hit), Some(injection)) = (choice.hit(), injection) else {
            return Verdict::Pass;
        };
        exchange.reasons = exchange.reasons.and(Reasons::FAULT);
        if injection.on == ExchangeSide::Response {
            exchange.response = Some(hit);
            return Verdict::Pass;
        }
        let effects = Effects {
            delay: injection.delay,
            ending: injection.ending,
        };
        let rule = injection.rule;
        self.strike(exchange, arrival, (hit, rule), effects)
    }

    /// Whether the fault may touch one more, and hold it back if it is to.
    fn has_room(&mut self, exchange: &mut Exchange, injection: &Injection<'_>) -> bool {
        let waits = injection.on == ExchangeSide::Request && injection.delay.is_some();
        if waits && self.held.is_full() {
            self.trouble.delays_over_cap += 1;
            return false;
        }
        self.touch(exchange, injection.rule)
    }

    /// Whether the fault may touch one more.
    fn touch(&mut self, exchange: &mut Exchange, rule: &FaultRule) -> bool {
        let side = match exchange.side {
            sloop_model::Side::Server => &mut self.server,
            sloop_model::Side::Client => &mut self.client,
        };
        let is_in = side.entry(exchange.scope).is_some_and(|entry| {
            let in_flight = entry.in_flight;
            entry.active.begin(rule, in_flight, &mut self.active)
        });
        if is_in {
            exchange.touched = Some(rule.key());
        } else {
            self.trouble.faults_over_cap += 1;
        }
        is_in
    }

    fn strike(
        &mut self,
        exchange: &mut Exchange,
        arrival: &Arrival<'_>,
        (hit, rule): (Hit, &FaultRule),
        effects: Effects,
    ) -> Verdict {
        let Some(delay) = effects.delay else {
            return effects.ending.map_or(Verdict::Pass, |ending| {
                exchange.decided = Decided::Ended;
                Verdict::End(ending)
            });
        };
        // Nothing that was injected outlives the fault, so the wait ends with it.
        let now = arrival.now;
        let wanted = now.after(delay);
        let expiry = self.clock.time(rule.expires_at(), now);
        let key = (wanted.min(expiry), arrival.context);
        let state = Rc::new(Cell::new(HoldState::Waiting));
        let hold = Hold {
            side: exchange.side,
            scope: exchange.scope,
            policy: Rc::clone(&exchange.policy),
            fault: hit,
            ending: effects.ending.filter(|_| wanted < expiry),
            is_grpc: exchange.is_grpc,
            state: Rc::clone(&state),
        };
        self.held.hold(key, hold);
        exchange.decided = Decided::Held { key, state };
        Verdict::Hold
    }
}

/// Writes the headers that a fault on the request changes.
pub(super) fn change_headers(exchange: &Exchange, write: &mut impl FnMut(HeaderWrite<'_>)) {
    let Some(hit) = exchange.choice.hit() else {
        return;
    };
    let Some(injection) = exchange.policy.faults.injection(hit, None) else {
        return;
    };
    if injection.on == ExchangeSide::Request {
        for (name, value) in &injection.headers.set {
            write(HeaderWrite::Set(name, value.as_bytes()));
        }
        for name in &injection.headers.remove {
            write(HeaderWrite::Remove(name));
        }
    }
}
