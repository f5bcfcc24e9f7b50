//! By what else than their route requests are told apart.

use sloop_model::{Dimension, DimensionSettings, DimensionValue, Flags, OwnVerdict, Side};

use super::{Arrival, Ending, Exchange, Plane};
use crate::context::{Baggage, Word};
use crate::retry::{Allowance, RetryBudget};
use crate::sli::{Said, Seen};

impl Plane {
    /// What the requests of a side are told apart by; [`Seen::read`] needs it. None costs nothing more.
    #[must_use]
    pub const fn dimensions(&self, side: Side) -> Option<&DimensionSettings> {
        match side {
            Side::Server => self.server.dimensions.as_ref(),
            Side::Client => self.client.dimensions.as_ref(),
        }
    }

    /// Whether Envoy is to be asked how many attempts it made for a request that is over: where they are counted, and where
    /// a retry budget may learn from them.
    pub fn asks_attempts(&mut self, exchange: &Exchange, ending: &Ending) -> bool {
        if exchange.side == Side::Server {
            return false;
        }
        if self.client.counts_attempts() {
            return true;
        }
        if !exchange.policy.bounds_retries {
            return false;
        }
        match exchange.allowance {
            Allowance::None => false,
            Allowance::Taken(_) | Allowance::Shadow => true,
            // What was answered here was not tried, and says nothing of the service.
            Allowance::Free => {
                // It has ended when it is not there.
                let budget = self.budget_of(exchange);
                exchange.verdict() == OwnVerdict::Passed
                    && budget.is_some_and(|budget| is_failed(ending) || budget.is_watching())
            }
        }
    }

    /// The retry budget where a request went out, if there is one.
    pub(super) fn budget_of(&mut self, exchange: &Exchange) -> Option<&RetryBudget> {
        self.client.entry(exchange.scope)?.retries.as_deref()
    }

    /// Says what a request that just began says of itself. Without this it counts for its scope only.
    pub fn describe(&mut self, exchange: &mut Exchange, seen: &Seen<'_>) {
        let side = match exchange.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        exchange.slots = side.slots(exchange.scope, seen, &mut self.trouble);
        if seen.attempt.is_some_and(|attempt| 1 < attempt) {
            // The attempts before it were requests of their own here.
            exchange.retries = 1;
        }
    }

    /// Finds out which objectives of its scope a request is about. Only where one is about some requests alone.
    #[cold]
    #[inline(never)]
    pub(super) fn choose(
        &self,
        exchange: &mut Exchange,
        arrival: &Arrival<'_>,
        caller: Option<&[u8]>,
    ) {
        let settings = self.dimensions(exchange.side);
        let mut only = exchange.policy.objectives.iter().flat_map(|it| &it.only);
        let asks = only.any(|only| !only.origin.is_empty());
        let baggage = settings
            .filter(|_| asks)
            .map(|settings| Baggage::read(arrival.request, settings));
        let origin = baggage.as_ref().and_then(|baggage| baggage.origin.as_ref());
        let said = Said {
            method: arrival.request.method,
            caller: named(settings, Dimension::Caller, caller),
            origin: named(settings, Dimension::Origin, origin.map(Word::as_bytes)),
        };
        exchange.about = said.about(&exchange.policy.objectives);
    }
}

/// A value as reports name it: one that does not say is unknown, where anybody asks; elsewhere it is none.
fn named<'a>(
    settings: Option<&DimensionSettings>,
    dimension: Dimension,
    value: Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    let value = value.filter(|value| !value.is_empty());
    settings
        .filter(|settings| settings.includes(dimension))
        .map(|_| value.unwrap_or(DimensionValue::UNKNOWN.as_bytes()))
}

/// Whether the service may have failed a request. Said of a few more than did: what is asked too much harms nobody.
fn is_failed(ending: &Ending) -> bool {
    ending.status.is_none_or(|status| 500 <= status)
        || ending.flags != Flags::default()
        || ending.grpc.is_some_and(|status| status != 0)
}

impl Exchange {
    /// Says, before its end, how many attempts Envoy made for this request (`upstream.request_attempt_count`).
    pub fn attempted(&mut self, attempts: u32) {
        self.retries = attempts.saturating_sub(1);
    }
}
