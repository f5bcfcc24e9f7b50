//! A response arrives: what the fault that waits for it does.

use std::rc::Rc;

use sloop_model::{ExchangeSide, FaultEnding, Side, Time};

use super::Plane;
use super::exchange::{Decided, Exchange, HeaderWrite};
use super::held::Part;
use super::wait::{Body, Place, Wish};
use crate::fault::{FaultName, Injection};
use crate::scope::ScopeId;

/// What is known of a response when its headers are here.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The exchange's number at the host, to find it again when it is held back.
    pub context: u32,
    /// Whether it has no body.
    pub is_end: bool,
    /// When it came.
    pub now: Time,
}

/// What to do with one half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// Let it pass.
    Pass,
    /// Hold it back until [`Plane::release`] names it.
    Hold,
    /// End the exchange.
    End(FaultEnding),
}

impl Plane {
    /// Decides about the response of `exchange`, and calls `write` for each of its headers that is to be changed.
    pub fn respond(
        &mut self,
        exchange: &mut Exchange,
        answer: Answer,
        mut write: impl FnMut(HeaderWrite<'_>),
    ) -> Struck {
        let Answer {
            context,
            is_end,
            now,
        } = answer;
        let Some(fault) = &mut exchange.fault else {
            return Struck::Pass;
        };
        fault.catch_up();
        if !core::mem::take(&mut fault.awaits_response) {
            return Struck::Pass;
        }
        let hit = fault.hit;
        let policy = Rc::clone(&exchange.policy);
        let Some(injection) = policy.faults.injection(hit, None) else {
            return Struck::Pass;
        };
        let whose = (exchange.side, exchange.scope);
        let is_wanted = self.ends(whose, policy.faults.name(hit), now).is_some();
        let is_kept_out = is_wanted && injection.delay.is_some() && self.held.is_full();
        self.trouble.delays_over_cap += u64::from(is_kept_out);
        if is_kept_out || !is_wanted {
            // It stays in its arm, as the requests do that it is compared with.
            return Struck::Pass;
        }
        change_headers(&injection, &mut write);
        if !is_end {
            plan_body(exchange, &injection);
            unframe(exchange, &mut write);
        }
        let place = Place {
            context,
            half: ExchangeSide::Response,
            now,
        };
        self.strike(exchange, place, &injection)
    }

    /// When a fault that chose a request earlier ends, by the configuration in force: a lease is renewed while requests
    /// are under way. Nothing when it has ended.
    #[inline(never)]
    pub(super) fn ends(
        &self,
        (side, scope): (Side, ScopeId),
        name: Option<FaultName>,
        now: Time,
    ) -> Option<Time> {
        let side = match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        };
        let ends = self.clock.time(side.fault_until(scope, name?)?, now);
        (now < ends).then_some(ends)
    }

    /// Holds back and ends, as the fault asks for.
    pub(super) fn strike(
        &mut self,
        exchange: &mut Exchange,
        place: Place,
        injection: &Injection<'_>,
    ) -> Struck {
        let Some(delay) = injection.delay else {
            return injection.ending.map_or(Struck::Pass, |ending| {
                exchange.decided = Decided::Ended;
                Struck::End(ending)
            });
        };
        let wish = Wish {
            part: Part::Headers,
            due: place.now.after(delay),
            ending: injection.ending,
        };
        if self.hold(exchange, place, wish) {
            Struck::Hold
        } else {
            Struck::Pass
        }
    }
}

/// Remembers what is to become of a body, if something is.
pub(super) fn plan_body(exchange: &mut Exchange, injection: &Injection<'_>) {
    if let Some(fault) = &mut exchange.fault {
        let half = injection.on;
        fault.body = injection.body_plan().map(|plan| Body {
            half,
            plan,
            is_resumed: false,
            is_cut: false,
        });
    }
}

/// Writes the headers that a fault changes.
pub(super) fn change_headers(injection: &Injection<'_>, write: &mut impl FnMut(HeaderWrite<'_>)) {
    for (name, value) in &injection.headers.set {
        write(HeaderWrite::Set(name, value.as_bytes()));
    }
    for name in &injection.headers.remove {
        write(HeaderWrite::Remove(name));
    }
}

/// Removes the length of a body that will have another.
pub(super) fn unframe(exchange: &Exchange, write: &mut impl FnMut(HeaderWrite<'_>)) {
    let fault = exchange.fault.as_ref();
    let body = fault.and_then(|fault| fault.body.as_ref());
    if body.is_some_and(|body| body.plan.changes_length()) {
        write(HeaderWrite::Remove("content-length"));
    }
}
