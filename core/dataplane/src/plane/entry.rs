//! One scope in the memory of a VM.

use std::rc::Rc;

use core::time::Duration;

use sloop_model::{
    Criticality, DeadlineConfig, Objective, RetryConfig, RouteName, Scope, ScopeConfig,
    ServiceName, ShedConfig, Side, Time, WallTime,
};

use super::clock::Clock;
use super::guard::{Guard, Relief};
use super::outbox::Outbox;
use crate::breaker::board::ScopeKey;
use crate::deny::DenyBudget;
use crate::fault::{Active, ArmCounts, Faults, Sidecar};
use crate::report::{RetryDelta, ScopeDelta, ShedDelta};
use crate::retry::RetryBudget;
use crate::shed::Shedder;
use crate::sli::{About, Counts};

/// What holds on a scope, as its requests carry it with them: what began under
/// one configuration is judged by it, whatever came in between.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// That of requests that do not say, if the configuration does.
    pub(super) criticality: Option<Criticality>,
    pub(super) objectives: Vec<Objective>,
    /// All of them.
    pub(super) about: About,
    /// Whether any is about some requests only.
    pub(super) chooses: bool,
    /// Whether any of them selects requests by Envoy's flags.
    pub(super) asks_flags: bool,
    /// The deadline of requests, by the wall clock: it is read for each that has one anyway.
    pub(super) deadline: Option<DeadlineConfig>,
    /// Whether breaker and shedder may have to judge by some of them.
    pub(super) has_guards: bool,
    pub(super) faults: Faults,
    /// Whether there is a retry budget, unless it has expired.
    pub(super) bounds_retries: bool,
    /// Whether deny rules leave its requests alone.
    pub(super) is_spared: bool,
}

/// When and where a configuration is put in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adopting {
    pub(super) now: Time,
    pub(super) clock: Clock,
    pub(super) sidecar: Sidecar,
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
    /// On the server's side, and on the client's.
    keys: (ScopeKey, ScopeKey),
    pub(super) policy: Rc<Policy>,
    pub(super) guard: Guard,
    /// Also one that has expired, until its counts are taken and its requests are over.
    pub(super) shedder: Option<Box<Shedder>>,
    /// When it expires, if it does.
    shed_until: Option<WallTime>,
    /// Until it has expired.
    pub(super) retries: Option<Box<RetryBudget>>,
    /// Retries that it refused; those that it would have refused without its shadow mode, and those of them that were good.
    pub(super) retries_refused: u64,
    pub(super) shadow_retries_refused: u64,
    pub(super) shadow_retries_refused_good: u64,
    pub(super) deny_budget: DenyBudget,
    /// Requests that a deny rule in shadow mode would have refused, and those of them that were good.
    pub(super) shadow_denied: u64,
    pub(super) shadow_denied_good: u64,
    pub(super) active: Active,
    pub(super) arms: ArmCounts,
    pub(super) counts: Counts,
    pub(super) in_flight: u32,
    in_flight_reported: u32,
}

impl Entry {
    pub(super) fn new(service: ServiceName, route: RouteName) -> Self {
        let key = |side| {
            ScopeKey::of(&Scope {
                service: service.clone(),
                route: route.clone(),
                side,
            })
        };
        Self {
            keys: (key(Side::Server), key(Side::Client)),
            service,
            route,
            origin: Origin::Retired,
            policy: Rc::default(),
            guard: Guard::default(),
            shedder: None,
            shed_until: None,
            retries: None,
            retries_refused: 0,
            shadow_retries_refused: 0,
            shadow_retries_refused_good: 0,
            deny_budget: DenyBudget::default(),
            shadow_denied: 0,
            shadow_denied_good: 0,
            active: Active::default(),
            arms: ArmCounts::default(),
            counts: Counts::default(),
            in_flight: 0,
            in_flight_reported: 0,
        }
    }

    /// Puts a configuration in force, or none.
    pub(super) fn adopt(&mut self, config: Option<&ScopeConfig>, adopting: Adopting) {
        let Adopting {
            now,
            clock,
            sidecar,
        } = adopting;
        self.policy = config.map_or_else(Rc::default, |config| {
            Rc::new(Policy {
                criticality: config.criticality,
                objectives: config.objectives.clone(),
                about: About::all(&config.objectives),
                chooses: config.objectives.iter().any(|one| one.only.is_some()),
                asks_flags: config.objectives.iter().any(Objective::asks_flags),
                deadline: config.deadline,
                has_guards: config.objectives.iter().any(|one| one.guards.is_some()),
                faults: Faults::new(&config.faults, sidecar),
                bounds_retries: config.retries.is_some(),
                is_spared: config.spared,
            })
        });
        self.counts.adopt(&self.policy.objectives);
        let breaker = config.and_then(|config| config.breaker.as_ref());
        // An order is left aside for the shedding that goes on, not for that which ends.
        self.adopt_shed(config.and_then(|config| config.shed.as_ref()), now, &clock);
        let relief = self.relief(Duration::ZERO);
        self.guard.adopt(breaker, relief, (now, clock.wall(now)));
        self.adopt_retries(config.and_then(|config| config.retries.as_ref()), now);
    }

    fn adopt_retries(&mut self, config: Option<&RetryConfig>, now: Time) {
        match (config, &mut self.retries) {
            (None, retries) => *retries = None,
            (Some(config), Some(budget)) => budget.adopt(config),
            (Some(config), None) => self.retries = Some(Box::new(RetryBudget::new(config, now))),
        }
    }

    /// The breaker changed its state. Where it found the service back, what others learnt while it was not begins anew.
    /// Whether a report comes sooner for it.
    #[cold]
    pub(super) fn changed(&mut self, outbox: &mut Outbox, now: Time) -> bool {
        if self.guard.take_recovered() {
            if let Some(shedder) = &mut self.shedder {
                shedder.begin_anew(now);
            }
            if let Some(budget) = &mut self.retries {
                budget.forget(now);
            }
        }
        outbox.hurry(now)
    }

    /// What can be done beside the breaker about requests that take so long.
    pub(super) fn relief(&self, latency: Duration) -> Relief {
        match &self.shedder {
            Some(shedder) if shedder.is_at_work() => Relief::AtWork,
            Some(shedder) if shedder.can_relieve(latency) => Relief::Possible,
            Some(_) | None => Relief::None,
        }
    }

    /// Works out again when shedding expires: the wall clock was set.
    pub(super) fn reckon(&mut self, now: Time, clock: &Clock) {
        if let (Some(shedder), Some(until)) = (&mut self.shedder, self.shed_until) {
            shedder.expire_at(clock.time(until, now));
        }
    }

    fn adopt_shed(&mut self, config: Option<&ShedConfig>, now: Time, clock: &Clock) {
        self.shed_until = config.and_then(|config| config.expires_at_ms);
        let Some(config) = config else {
            if let Some(shedder) = &mut self.shedder {
                shedder.expire();
            }
            return;
        };
        let ends = self.shed_until.map(|at| clock.time(at, now));
        match &mut self.shedder {
            Some(shedder) => shedder.adopt(config.limits, config.mode, ends, now),
            None => {
                let shedder = Shedder::new(config.limits, config.mode, ends, now);
                self.shedder = Some(Box::new(shedder));
            }
        }
    }

    /// Whether nothing would be lost without it.
    pub(super) fn is_spent(&mut self, now: Time) -> bool {
        self.origin == Origin::Retired
            && self.in_flight == 0
            && self.in_flight_reported == 0
            && self.counts.is_empty()
            && self.arms.is_empty()
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
        let shed = self.shedder.as_mut().map(|shedder| ShedDelta {
            level: shedder.level(),
            counts: shedder.take_counts(),
        });
        let callers = if self.arms.is_empty() {
            Vec::new()
        } else {
            self.counts.callers()
        };
        let is_over = |one: &Shedder| one.has_expired() && one.in_flight() == 0;
        if self.shedder.as_deref().is_some_and(is_over) {
            self.shedder = None;
        }
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
            shed,
            shadow_denied: core::mem::take(&mut self.shadow_denied),
            shadow_denied_good: core::mem::take(&mut self.shadow_denied_good),
            arms: self.arms.take(&callers),
            budget: RetryDelta {
                refused: core::mem::take(&mut self.retries_refused),
                shadow_refused: core::mem::take(&mut self.shadow_retries_refused),
                shadow_refused_good: core::mem::take(&mut self.shadow_retries_refused_good),
            },
        })
    }

    /// Its name among the workers.
    pub(super) fn key(&self, side: Side) -> ScopeKey {
        match side {
            Side::Server => self.keys.0,
            Side::Client => self.keys.1,
        }
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
