//! Faults, as a request meets them.

use std::rc::Rc;

use sloop_model::{ExchangeSide, FaultRule};

use super::Plane;
use super::exchange::{Arrival, Exchange, HeaderWrite, Verdict};
use super::held::Held;
use super::respond::{self, Struck};
use super::wait::{Place, UnderFault};
use crate::context::Context;
use crate::fault::{Choice, Facts, Injection};
use crate::span::Reasons;

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
        if exchange.policy.faults.is_empty() {
            return Verdict::Pass;
        }
        let facts = Facts {
            trace: context.trace.id(),
            request: Some(arrival.request),
            caller,
            criticality: context.said.criticality.unwrap_or_default(),
            arms: &context.said.arms,
        };
        let wall = || self.clock.wall(arrival.now);
        let choice = exchange.policy.faults.choose(&facts, wall);
        if choice.is_untouched() {
            return Verdict::Pass;
        }
        self.touched(exchange, context, arrival, choice)
    }

    /// Does what was chosen. Few requests are touched, so that the others do not even step over it.
    #[inline(never)]
    fn touched(
        &mut self,
        exchange: &mut Exchange,
        context: &mut Context<'_>,
        arrival: &Arrival<'_>,
        choice: Choice,
    ) -> Verdict {
        let policy = Rc::clone(&exchange.policy);
        let now = arrival.now;
        let injection = choice
            .hit()
            .and_then(|hit| policy.faults.injection(hit, Some(arrival.request)));
        exchange.choice = choice;
        context.said.arms = policy.faults.arms(choice, &context.said.arms);
        let (Some(hit), Some(injection)) = (choice.hit(), injection) else {
            return Verdict::Pass;
        };
        if !self.has_room(exchange, &injection) {
            return Verdict::Pass;
        }
        exchange.reasons = exchange.reasons.and(Reasons::FAULT);
        let mut fault = Box::new(UnderFault::new(hit));
        fault.awaits_response = injection.on == ExchangeSide::Response;
        let awaits_response = fault.awaits_response;
        exchange.fault = Some(fault);
        if awaits_response {
            return Verdict::Pass;
        }
        respond::plan_body(exchange, &injection);
        let place = Place {
            context: arrival.context,
            half: ExchangeSide::Request,
            now,
        };
        match self.strike(exchange, place, &injection) {
            Struck::Pass => Verdict::Pass,
            Struck::Hold => Verdict::Hold,
            Struck::End(ending) => Verdict::End(ending),
        }
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
}

/// Writes the headers that a fault on the request changes.
pub(super) fn change_headers(exchange: &Exchange, write: &mut impl FnMut(HeaderWrite<'_>)) {
    let Some(fault) = &exchange.fault else {
        return;
    };
    let Some(injection) = exchange.policy.faults.injection(fault.hit, None) else {
        return;
    };
    if injection.on == ExchangeSide::Request {
        respond::change_headers(&injection, write);
        respond::unframe(exchange, write);
    }
}
