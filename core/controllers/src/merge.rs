//! Settles what several controllers want on one scope. One line per kind of rule:
//!
//! | rule | what holds |
//! |---|---|
//! | count | all: the union, by objective |
//! | break | an explicit document's, else the stricter of what SLOs imply; forced open before disabled, enforced, shadow, and metrics only |
//! | trip | the order with the highest id, unless only a shadow gave it and the breaker is enforced, or the breaker obeys none, or is an explicit document's that bears more than what the order was given for |
//! | fault | all, up to what a scope may have; the surplus is said |
//! | shed | an explicit document's, enforced before shadow, with the bounds that SLOs imply where it gives none; else what SLOs imply that act, or else watch, the earliest |
//! | deny | all |
//! | deadline | enforced before shadow; of several the latest, as whoever waits longest decides |
//! | retry budget | an explicit document's, enforced before shadow, the fewest; else what SLOs imply, enforced before shadow, the fewest |
//!
//! The route `*` stands for all routes of a service, so what holds on it also
//! takes part in what holds on each named route: there the named document comes
//! first among explicit ones, and among SLOs the stricter.

mod deadlines;
mod retries;
mod sheds;

use core::cmp::Ordering;
use std::collections::BTreeMap;

use sloop_model::{BreakerMode, BreakerRule, FilterConfig, Policy, Rule, Scope, Trip, WallTime};

use crate::by_scope::ByScope;
use crate::circuit_break::{is_as_strict, is_as_strict_to_failures, stricter};
use crate::{CircuitBreak, Controller, Decided, LoadShed};
use deadlines::{Deadlines, WantedDeadline};
use retries::{Retries, WantedRetries};
use sheds::{Sheds, WantedShed};

/// The policies that hold when all of `decisions` do, sorted, and what was left out, in words.
#[must_use]
pub fn merge(decisions: &[Decided]) -> (Vec<Policy>, Vec<String>) {
    let mut merging = Merging::default();
    // What each kind of rule is merged to is at most as much as there was.
    let most = decisions
        .iter()
        .map(|one| one.decision.policies.len())
        .sum();
    merging.policies.reserve(most);
    for decided in decisions {
        for policy in &decided.decision.policies {
            merging.add(decided, policy);
        }
    }
    merging.finish()
}

/// A breaker that somebody wants.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    mode: BreakerMode,
    limits: BreakerRule,
    expires_at: WallTime,
}

#[derive(Debug, Default)]
struct Merging {
    policies: Vec<Policy>,
    faults: BTreeMap<Scope, Vec<Policy>>,
    explicit: Vec<(Scope, Wanted)>,
    derived: Vec<(Scope, Wanted)>,
    sheds: Sheds,
    deadlines: Deadlines,
    retries: Retries,
    trips: BTreeMap<Scope, Vec<Order>>,
}

/// An order to open, with the breaker that it was given for.
#[derive(Clone, Copy, Debug)]
struct Order {
    trip: Trip,
    given_for: Option<(BreakerMode, BreakerRule)>,
    /// Whether it was given because too many failed, however slow the others were: what a document declares judges outcomes.
    is_for_failures: bool,
}

/// The breakers that are wanted, as documents declare them and as SLOs imply them.
#[derive(Debug)]
struct Breakers {
    explicit: ByScope<Wanted>,
    derived: ByScope<Wanted>,
}

impl Merging {
    fn add(&mut self, decided: &Decided, policy: &Policy) {
        let scope = &policy.scope;
        match &policy.rule {
            Rule::Count(_) | Rule::Deny(_) => self.policies.push(policy.clone()),
            Rule::Shed {
                mode,
                limits,
                expires_at_ms,
            } => {
                let wanted = WantedShed {
                    mode: *mode,
                    limits: *limits,
                    expires_at: *expires_at_ms,
                };
                self.sheds
                    .add(scope, wanted, decided.kind == LoadShed::KIND);
            }
            Rule::Deadline {
                mode,
                limit_ms,
                expires_at_ms,
            } => {
                let wanted = WantedDeadline {
                    mode: *mode,
                    limit: *limit_ms,
                    expires_at: *expires_at_ms,
                };
                self.deadlines.add(scope, wanted);
            }
            Rule::RetryBudget {
                mode,
                limits,
                expires_at_ms,
            } => {
                let wanted = WantedRetries {
                    mode: *mode,
                    limits: *limits,
                    expires_at: *expires_at_ms,
                };
                self.retries
                    .add(scope, wanted, decided.kind == LoadShed::KIND);
            }
            Rule::Fault(_) => self
                .faults
                .entry(scope.clone())
                .or_default()
                .push(policy.clone()),
            Rule::Break {
                mode,
                limits,
                expires_at_ms,
            } => {
                let wanted = Wanted {
                    mode: *mode,
                    limits: *limits,
                    expires_at: *expires_at_ms,
                };
                let list = if decided.kind == CircuitBreak::KIND {
                    &mut self.explicit
                } else {
                    &mut self.derived
                };
                list.push((scope.clone(), wanted));
            }
            Rule::Trip(trip) => {
                let order = Order::of(decided, scope, *trip);
                self.trips.entry(scope.clone()).or_default().push(order);
            }
        }
    }

    fn finish(mut self) -> (Vec<Policy>, Vec<String>) {
        let mut left_out = Vec::new();
        for (scope, mut faults) in core::mem::take(&mut self.faults) {
            faults.sort();
            faults.dedup();
            for surplus in faults.drain(FilterConfig::FAULTS_MAX.min(faults.len())..) {
                let Rule::Fault(fault) = surplus.rule else {
                    continue;
                };
                left_out.push(format!(
                    "fault {} on {scope}: a scope may have {} faults",
                    fault.id(),
                    FilterConfig::FAULTS_MAX
                ));
            }
            self.policies.append(&mut faults);
        }
        let breakers = Breakers {
            explicit: ByScope::new(self.explicit, Wanted::and),
            derived: ByScope::new(self.derived, Wanted::and),
        };
        for (scope, wanted) in breakers.all() {
            self.policies.push(Policy {
                scope: scope.clone(),
                rule: Rule::Break {
                    mode: wanted.mode,
                    limits: wanted.limits,
                    expires_at_ms: wanted.expires_at,
                },
            });
        }
        for (scope, orders) in &self.trips {
            let guarding = breakers.on(scope).map(|wanted| wanted.mode);
            let explicit = breakers.explicit_on(scope).map(|wanted| wanted.limits);
            let trip = orders
                .iter()
                .filter(|order| order.is_obeyed_by(guarding) && order.is_right_for(explicit))
                .map(|order| order.trip)
                .max();
            self.policies.extend(trip.map(|trip| Policy {
                scope: scope.clone(),
                rule: Rule::Trip(trip),
            }));
        }
        self.sheds.finish(&mut self.policies, &mut left_out);
        self.deadlines.finish(&mut self.policies);
        self.retries.finish(&mut self.policies);
        self.policies.sort();
        self.policies.dedup();
        (self.policies, left_out)
    }
}

impl Breakers {
    /// What guards each scope that one is wanted on.
    fn all(&self) -> impl Iterator<Item = (&Scope, Wanted)> {
        let explicit = self.explicit.iter();
        let derived = self.derived.iter().map(|(scope, derived)| {
            let explicit = self.explicit_on(scope);
            (
                scope,
                explicit.unwrap_or_else(|| self.widened(scope, derived)),
            )
        });
        explicit.chain(derived)
    }

    /// What guards `scope`.
    fn on(&self, scope: &Scope) -> Option<Wanted> {
        let derived = || {
            let own = self.derived.get(scope);
            own.map(|own| self.widened(scope, own))
                .or_else(|| self.derived.get_around(scope))
        };
        self.explicit_on(scope).or_else(derived)
    }

    fn explicit_on(&self, scope: &Scope) -> Option<Wanted> {
        let own = self.explicit.get(scope);
        own.or_else(|| self.explicit.get_around(scope))
    }

    /// What SLOs imply on `scope` when they imply `own` there, with what they imply on all routes of its service.
    fn widened(&self, scope: &Scope, own: Wanted) -> Wanted {
        let around = self.derived.get_around(scope);
        around.map_or(own, |around| own.and(around))
    }
}

impl Wanted {
    /// What satisfies both: a breaker that only watches must not make an enforced one stricter.
    fn and(self, other: Self) -> Self {
        match weight(self.mode).cmp(&weight(other.mode)) {
            Ordering::Greater => self,
            Ordering::Less => other,
            Ordering::Equal => Self {
                mode: self.mode,
                limits: stricter(self.limits, other.limits),
                expires_at: self.expires_at.max(other.expires_at),
            },
        }
    }
}

/// Which of two modes on one scope holds, the heavier: what a person forces comes before what a breaker
/// decides, and that before what only counts.
const fn weight(mode: BreakerMode) -> u8 {
    match mode {
        BreakerMode::ForcedOpen => 4,
        BreakerMode::Disabled => 3,
        BreakerMode::Enforce => 2,
        BreakerMode::Shadow => 1,
        BreakerMode::MetricsOnly => 0,
    }
}

impl Order {
    fn of(decided: &Decided, scope: &Scope, trip: Trip) -> Self {
        Self {
            trip,
            given_for: breaker_on(decided, scope),
            is_for_failures: decided.kind == CircuitBreak::KIND,
        }
    }

    /// Whether it means something to a breaker in mode `guarding`.
    fn is_obeyed_by(&self, guarding: Option<BreakerMode>) -> bool {
        match guarding {
            Some(BreakerMode::Enforce) => self
                .given_for
                .is_some_and(|(mode, _)| mode == BreakerMode::Enforce),
            Some(BreakerMode::Shadow) | None => true,
            Some(BreakerMode::MetricsOnly | BreakerMode::Disabled | BreakerMode::ForcedOpen) => {
                false
            }
        }
    }

    /// Whether the breaker that a document declares, if one does, would open by what the order was given for. What is laxer than
    /// an SLO implies is so on purpose.
    fn is_right_for(&self, explicit: Option<BreakerRule>) -> bool {
        let is_as_strict = match self.is_for_failures {
            true => is_as_strict_to_failures,
            false => is_as_strict,
        };
        explicit.is_none_or(|explicit| {
            self.given_for
                .is_some_and(|(_, limits)| is_as_strict(explicit, limits))
        })
    }
}

/// The breaker that a decision wants on `scope`: the stricter of those on it and on all routes.
fn breaker_on(decided: &Decided, scope: &Scope) -> Option<(BreakerMode, BreakerRule)> {
    let covers = |policy: &Policy| {
        policy.scope.service == scope.service
            && policy.scope.side == scope.side
            && (policy.scope.route == scope.route || policy.scope.route.is_any())
    };
    decided
        .decision
        .policies
        .iter()
        .filter(|policy| covers(policy))
        .filter_map(|policy| match policy.rule {
            Rule::Break { mode, limits, .. } => Some((mode, limits)),
            Rule::Count(_)
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        })
        .reduce(|(mode, one), (_, other)| (mode, stricter(one, other)))
}

#[cfg(test)]
mod tests;
