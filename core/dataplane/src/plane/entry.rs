//! One scope in the memory of a VM.

use std::rc::Rc;

use sloop_model::{Objective, RouteName, Scope, ScopeConfig, ServiceName, Side, Time, WallTime};

use super::clock::Clock;
use super::guard::Guard;
use crate::fault::{Faults, Sidecar};
use crate::report::ScopeDelta;
use crate::sli::Counts;

/// What holds on a scope, as its requests carry it with them: what began under
/// one configuration is judged by it, whatever came in between.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) objectives: Vec<Objective>,
    pub(super) faults: Faults,
}

/// Why a scope is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration names it.
    Configured,
    /// Envoy names the route.
    Named,
    /// It takes what nothing else claims.
    Other,
    /// No reason left but what it still has to report.
    Retired,
}

/// One scope: what holds on it, and what happened in it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) service: ServiceName,
    pub(super) route: RouteName,
    pub(super) origin: Origin,
    pub(super) policy: Rc<Policy>,
    pub(super) guard: Guard,
    pub(super) counts: Counts,
    pub(super) in_flight: u32,
    in_flight_reported: u32,
}

impl Entry {
    pub(super) fn new(service: ServiceName, route: RouteName) -> Self {
        Self {
            service,
            route,
            origin: Origin::Retired,
            policy: Rc::default(),
            guard: Guard::default(),
            counts: Counts::default(),
            in_flight: 0,
            in_flight_reported: 0,
        }
    }

    /// Puts a configuration in force, or none.
    pub(super) fn adopt(&mut self, config: Option<&ScopeConfig>, now: Time, wall: WallTime) {
        self.policy = config.map_or_else(Rc::default, |config| {
            Rc::new(Policy {
                objectives: config.objectives.clone(),
                faults: Faults::new(&config.faults, Sidecar::UNKNOWN),
            })
        });
        self.counts.adopt(&self.policy.objectives);
        let breaker = config.and_then(|config| config.breaker.as_ref());
        self.guard.adopt(breaker, now, wall);
    }

    /// Whether nothing would be lost without it.
    pub(super) fn is_spent(&mut self, now: Time) -> bool {
        self.origin == Origin::Retired
            && self.in_flight == 0
            && self.in_flight_reported == 0
            && self.counts.is_empty()
            && !self.guard.is_news(now)
    }

    /// Takes what is to be reported, if there is news.
    pub(super) fn take(&mut self, side: Side, now: Time, clock: &Clock) -> Option<ScopeDelta> {
        let is_quiet =
            self.counts.is_empty() && self.in_flight == 0 && self.in_flight_reported == 0;
        let breaker = self.guard.take(now, clock);
        let is_news = breaker.as_ref().is_some_and(|delta| {
            !delta.changes.is_empty() || delta.state != crate::breaker::BreakerState::Closed
        });
        if is_quiet && !is_news {
            return None;
        }
        self.in_flight_reported = self.in_flight;
        let taken = self.counts.take(self.policy.objectives.len());
        Some(ScopeDelta {
            scope: self.scope(side),
            requests: taken.requests,
            outcomes: taken.outcomes,
            objectives: taken.objectives,
            latency: taken.latency,
            in_flight: self.in_flight,
            breaker,
            delayed: taken.delayed,
            aborted: taken.aborted,
            retries: taken.retries,
            dimensions: taken.dimensions,
        })
    }

    /// Its name.
    pub(super) fn scope(&self, side: Side) -> Scope {
        Scope {
            service: self.service.clone(),
            route: self.route.clone(),
            side,
        }
    }
}
