//! Guards scopes with breakers, and opens them all when the whole fleet sees trouble.
//!
//! A breaker in the filter judges by what its own sidecar sees, within a second.
//! The fleet's counts, a report later, see what no single sidecar can be sure of:
//! a sudden change ([`watch`]), or too much in a window. Then an order ([`orders`]) opens all of them. What counts as trouble is derived
//! from the objective ([`derive`]), or declared with a [`CircuitBreakerIntent`].
//!
//! Missing readings give no order and withdraw none: not known is neither good nor bad. So after a start, or where nobody was
//! heard of for a minute, there is no order before all sidecars can have reported ([`World::set_report_interval`]): two seconds where
//! they report every second. Meanwhile each breaker judges by itself.

mod deadline;
mod derive;
mod derived;
mod implied;
mod intent;
mod orders;
mod retry;
mod shed;
mod watch;

pub(crate) use deadline::deadline_status;
#[cfg(test)]
pub(crate) use derive::limits as derived_limits;
pub(crate) use derive::{guards, is_as_strict, is_as_strict_to_failures, stricter, trip_status};
pub use implied::implied_breaker;
pub use intent::CircuitBreakerIntent;
pub use orders::Orders;
#[cfg(test)]
pub(crate) use retry::retry_limits as derived_retry_limits;
pub(crate) use retry::{fewer, retry_status};
#[cfg(test)]
pub(crate) use shed::shed_limits as derived_shed_limits;
pub(crate) use shed::{earlier, shed_status};

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeSet;

use derived::AllDerived;
use orders::{Opened, QUORUM_WINDOW, Verdict, quorum};
use sloop_model::{
    BreakerMode, BreakerRule, Judge, Mode, Policy, Rule, Scope, Share, ShedRule, WallTime,
};
use watch::Subject;

use crate::by_scope::ByScope;
use crate::detect::Hypotheses;
use crate::lease;
use crate::slo::share;
use crate::words::{Length, Percent, joined};
use crate::{BreakerState, Controller, Decision, Signal, SloIntent, Stage, World};

/// Derives breakers, shedding, deadlines and retry budgets from SLOs that are actionable, or in shadow mode.
#[derive(Clone, Copy, Debug)]
pub struct DerivedBreak;

/// Carries out explicit `CircuitBreaker` documents.
#[derive(Clone, Copy, Debug)]
pub struct CircuitBreak;

impl Controller for DerivedBreak {
    type Intent = SloIntent;
    type Memory = Orders;
    const KIND: &'static str = "slo";
    const STAGE: Stage = Stage::Protect;

    fn step(&self, intent: &SloIntent, memory: &mut Orders, world: &World) -> Decision {
        let Some(mode) = intent.protection() else {
            let because = match intent.mode.protection() {
                None => "monitored: it is counted and shown, nothing acts on it",
                Some(_) => {
                    "it counts some requests of a route only, so nothing that is for all of them acts on it"
                }
            };
            return Decision {
                because: because.to_owned(),
                ..Decision::default()
            };
        };
        let mut derived = core::mem::take(&mut memory.derived);
        derived.follow(intent);
        let mut guard = Guard::new(mode.into(), memory, world);
        let mut rules = Vec::new();
        for ((index, _, source), derived) in intent.counted().zip(derived.iter()) {
            let Some(rule) = derived.breaker else {
                continue;
            };
            rules.push((source.scope(), rule));
            let Some(hypotheses) = derived.hypotheses else {
                continue;
            };
            for (scope, fleet) in world.fleets(&intent.objective_id(index)) {
                if source.covers(scope) {
                    let subject = Subject {
                        scope,
                        objective: Some(index),
                        fleet,
                    };
                    guard.judge(subject, &hypotheses, rule);
                }
            }
        }
        let decision = guard.decide(ByScope::new(rules, stricter));
        let decision = with_shedding(decision, (intent, &derived), mode, world.now());
        let decision = deadline::added(decision, (intent, &derived), mode, world.now());
        let mut decision =
            retry::with_retry_budgets(decision, (intent, &derived), mode, world.now());
        memory.derived = derived;
        if mode == Mode::Enforce && memory.are_told(world) {
            let slo = intent.name.clone();
            decision.signals.push(Signal::Ordered { slo });
        }
        decision
    }
}

impl Controller for CircuitBreak {
    type Intent = CircuitBreakerIntent;
    type Memory = Orders;
    const KIND: &'static str = "circuit_break";
    const STAGE: Stage = Stage::Protect;

    fn step(&self, intent: &CircuitBreakerIntent, memory: &mut Orders, world: &World) -> Decision {
        if intent.expires_at.is_some_and(|at| at <= world.now()) {
            return Decision {
                because: "the breaker has expired, and what SLOs imply holds".to_owned(),
                ..Decision::default()
            };
        }
        let mut guard = Guard::new(intent.mode, memory, world);
        let hypotheses = Hypotheses::below(intent.limits.limits().failed_max);
        for (scope, fleet) in world.service_fleets(&intent.service) {
            let is_meant = scope.side == intent.side && intent.route.covers(&scope.route);
            if is_meant && obeys_orders(intent.mode) {
                let subject = Subject {
                    scope,
                    objective: None,
                    fleet,
                };
                guard.judge(subject, &hypotheses, intent.limits);
            }
        }
        let scope = Scope {
            service: intent.service.clone(),
            route: intent.route.route_name(),
            side: intent.side,
        };
        let rules = ByScope::new(vec![(scope, intent.limits)], stricter);
        let decision = guard.decide(rules);
        match intent.expires_at {
            Some(at) => ending(decision, at, world.now()),
            None => decision,
        }
    }
}

/// The same, which ends at `at` at the latest: in the filters, and here.
fn ending(mut decision: Decision, at: WallTime, now: WallTime) -> Decision {
    for policy in &mut decision.policies {
        match &mut policy.rule {
            Rule::Break { expires_at_ms, .. } => *expires_at_ms = at.min(*expires_at_ms),
            Rule::Trip(trip) => trip.until_ms = at.min(trip.until_ms),
            Rule::Count(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => {}
        }
    }
    decision.wake_at = decision.wake_at.map(|wake| at.min(wake));
    let left = Duration::from_secs(at.since(now).as_secs());
    decision
        .because
        .push_str(&format!("; for {} more", Length(left)));
    decision
}

/// Adds the shedding that `intent` implies.
fn with_shedding(
    mut decision: Decision,
    (intent, derived): (&SloIntent, &AllDerived),
    given: Mode,
    now: WallTime,
) -> Decision {
    let sources = intent.counted().zip(derived.iter());
    let rules = sources
        .filter_map(|((_, _, source), derived)| Some((source.scope(), derived.shed?)))
        .collect();
    let rules: ByScope<ShedRule> = ByScope::new(rules, earlier);
    let because = &mut decision.because;
    for (mode, does) in [
        (Mode::Enforce, "load is shed, as far as that helps,"),
        (Mode::Shadow, "it is counted what shedding would do"),
    ] {
        let levels = rules.iter().map(|(_, rule)| rule);
        let levels = levels.filter(|rule| shed::mode(given, rule) == mode);
        if let Some(level) = levels.filter_map(|rule| rule.limits().failed_max).min() {
            let level = Percent(level.as_fraction());
            write!(because, "; {does} while more than {level} are slow or fail").ok();
        }
    }
    let sheds = rules.into_pairs().map(|(scope, limits)| Policy {
        scope,
        rule: Rule::Shed {
            mode: shed::mode(given, &limits),
            limits: Some(limits),
            expires_at_ms: lease::BREAKERS.ends_at(now),
        },
    });
    decision.policies.extend(sheds);
    decision
}

/// One step over the scopes of one intent.
#[derive(Debug)]
struct Guard<'a> {
    mode: BreakerMode,
    orders: &'a mut Orders,
    world: &'a World,
    /// Scopes that have an order and are well for an objective.
    well: BTreeSet<&'a Scope>,
    /// Scopes that are to open for an objective.
    unwell: BTreeSet<&'a Scope>,
    because: Vec<String>,
}

/// Whether a breaker in `mode` does something when it is ordered to open.
const fn obeys_orders(mode: BreakerMode) -> bool {
    match mode {
        BreakerMode::Enforce | BreakerMode::Shadow => true,
        BreakerMode::MetricsOnly | BreakerMode::Disabled | BreakerMode::ForcedOpen => false,
    }
}

impl<'a> Guard<'a> {
    const fn new(mode: BreakerMode, orders: &'a mut Orders, world: &'a World) -> Self {
        Self {
            mode,
            orders,
            world,
            well: BTreeSet::new(),
            unwell: BTreeSet::new(),
            because: Vec::new(),
        }
    }

    /// Orders the breakers of a scope to open when the fleet sees too much trouble.
    fn judge(&mut self, subject: Subject<'a>, hypotheses: &Hypotheses, rule: BreakerRule) {
        let now = self.world.now();
        let Subject { scope, fleet, .. } = subject;
        let level: Share = rule.limits().failed_max;
        let change = self.orders.watches.look(subject, hypotheses, &rule, now);
        // Who sees bad requests reports first: nobody opens a fleet that had no time to be heard.
        if !fleet.is_gathered(now) {
            return;
        }
        let opened = self.world.opened_by_themselves(scope, QUORUM_WINDOW);
        // In health nobody is counted: that looks at every sidecar.
        if 0 < opened {
            // Who is well reports less often, and would be in no window.
            let callers = fleet.heard(now).max(opened);
            if quorum(callers) <= opened {
                let window = Length(QUORUM_WINDOW);
                let saw = format!(
                    "the breakers of {opened} of {callers} sidecars opened in the last {window}"
                );
                return self.order(scope, &saw);
            }
        }
        // Without an objective the counts are of outcomes, and one may well be met by what was not served. What breakers
        // say themselves, which asks objectives, has been heard above.
        if subject.objective.is_none() && rule.limits().manner.judge == Judge::Objectives {
            return;
        }
        let (counts, window) = match change {
            Some(change) => (change.counts, now.since(change.at)),
            None => match Verdict::of(fleet, level, rule.limits().calls_min, now) {
                Verdict::Unclear => return,
                Verdict::Good => return self.note_well(scope),
                Verdict::Bad(counts, window) => (counts, window),
            },
        };
        let saw = format!(
            "{} of {} requests ({}) were bad in the last {}, seen by {}, surely more than {}",
            counts.bad(),
            counts.total,
            Percent(share(counts.bad(), counts.total)),
            Length(window),
            match fleet.nodes(now, window) {
                1 => "one sidecar".to_owned(),
                nodes => format!("{nodes} sidecars"),
            },
            Percent(level.as_fraction()),
        );
        self.order(scope, &saw);
    }

    fn note_well(&mut self, scope: &'a Scope) {
        if self.orders.has_any_for(scope) {
            self.well.insert(scope);
        }
    }

    fn order(&mut self, scope: &'a Scope, saw: &str) {
        self.unwell.insert(scope);
        let did = if self.any_closed(scope) {
            // One that another intent gave is for all of them.
            let given = self.world.order_to(scope);
            match self.orders.open(scope, given, self.world.now()) {
                Opened::Ordered => "all breakers are ordered to open",
                Opened::InForce if self.orders.is_kept_back(scope, self.world) => {
                    "an order to open would reach no breaker: the one declared there bears more, or does not act"
                }
                Opened::InForce => "the order to open is in force",
                Opened::Full => "no order, as there are as many as a filter can have",
            }
        } else {
            "all breakers have opened by themselves"
        };
        self.because.push(format!("{scope}: {saw}: {did}"));
    }

    /// What should hold: a breaker per scope, and the orders.
    fn decide(self, rules: ByScope<BreakerRule>) -> Decision {
        let now = self.world.now();
        // Many objectives may be about one scope, and what is good for one of them need not be for another.
        for scope in self.well.difference(&self.unwell) {
            self.orders.recovered(scope);
        }
        let mut because = self.because;
        if because.is_empty() {
            let acts = match self.mode {
                BreakerMode::Enforce => "breakers are in force",
                BreakerMode::Shadow => "breakers decide and count, and let everything pass",
                BreakerMode::MetricsOnly => "breakers only count, as declared,",
                BreakerMode::Disabled => "breakers do nothing, as declared,",
                BreakerMode::ForcedOpen => "breakers refuse everything, as declared,",
            };
            let on = if rules.is_empty() {
                "nothing can be broken: no objective has a source of ours that may not fail always"
                    .to_owned()
            } else {
                let fleet = if obeys_orders(self.mode) {
                    "; the fleet is well, or too little is known to order anything"
                } else {
                    ""
                };
                let mut text = String::with_capacity(256);
                let mut before = " on ";
                text.push_str(acts);
                for (scope, _) in rules.iter() {
                    write!(text, "{before}{scope}").ok();
                    before = ", ";
                }
                text.push_str(fleet);
                text
            };
            because.push(on);
        }
        // Most have a breaker, shedding, a deadline and a retry budget on one scope.
        let mut policies = Vec::with_capacity(4);
        policies.extend(rules.into_pairs().map(|(scope, limits)| Policy {
            scope,
            rule: Rule::Break {
                mode: self.mode,
                limits,
                expires_at_ms: lease::BREAKERS.ends_at(now),
            },
        }));
        policies.extend(self.orders.current(now).map(|(scope, trip)| Policy {
            scope: scope.clone(),
            rule: Rule::Trip(trip),
        }));
        let renewal = lease::BREAKERS.renewed_at(now);
        let wake_at = self
            .orders
            .ends_at(now)
            .map_or(renewal, |at| at.min(renewal));
        Decision {
            policies,
            wake_at: Some(wake_at),
            because: joined(because),
            ..Decision::default()
        }
    }

    /// Whether any breaker of `scope` may still be closed. One that nobody reported may.
    fn any_closed(&self, scope: &Scope) -> bool {
        let mut states = self.world.breakers(scope).peekable();
        states.peek().is_none() || states.any(|(_, state)| state == BreakerState::Closed)
    }
}

#[cfg(test)]
mod tests;
