//! Which policies hold on the routes of a service.

use std::collections::BTreeSet;

use sloop_model::{
    BreakerConfig, DeadlineConfig, DenyRule, FaultRule, FilterConfig, Judge, Objective, Only,
    Policy, RequestMatch, RetryConfig, RouteName, Rule, ScopeConfig, ServiceName, ShedConfig, Side,
    Trip,
};

/// The policies of one service on one side.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    service: &'a ServiceName,
    side: Side,
    policies: Vec<&'a Policy>,
}

impl<'a> Rules<'a> {
    /// Those among `policies` that are about `service` seen from `side`, and that sidecars of `own` are told.
    pub(super) fn of(
        service: &'a ServiceName,
        own: &ServiceName,
        side: Side,
        policies: &'a [Policy],
    ) -> Self {
        let is_meant = |policy: &&Policy| {
            let scope = &policy.scope;
            scope.service == *service && scope.side == side && is_for(own, policy)
        };
        Self {
            service,
            side,
            policies: policies.iter().filter(is_meant).collect(),
        }
    }

    /// Whether anything holds on all routes.
    pub(super) fn any_on_all(&self) -> bool {
        self.policies.iter().any(|policy| match self.side {
            Side::Server => holds_on_all(policy),
            Side::Client => policy.scope.route.is_any(),
        })
    }

    /// Whether anything holds on `route` in particular.
    pub(super) fn any_on(&self, route: &RouteName) -> bool {
        self.policies
            .iter()
            .any(|policy| policy.scope.route == *route)
    }

    /// The routes that policies name.
    pub(super) fn routes(&self) -> BTreeSet<&'a RouteName> {
        self.policies
            .iter()
            .map(|policy| &policy.scope.route)
            .collect()
    }

    /// What holds on `route`. Adds to `left_out` what is too much for one scope, but for objectives: of those it is known
    /// later which count anything.
    pub(super) fn scope_config(
        &self,
        route: &RouteName,
        matches: Vec<RequestMatch>,
        left_out: &mut Vec<String>,
    ) -> ScopeConfig {
        let mut config = ScopeConfig {
            service: self.service.clone(),
            route: route.clone(),
            matches,
            objectives: self.objectives(route),
            criticality: None,
            spared: false,
            deny: self.denials(route),
            breaker: self.breaker(route),
            shed: self.shed(route),
            deadline: self.deadline(route),
            retries: self.retries(route),
            faults: self.faults(route),
        };
        config.objectives.retain(|objective| {
            let checked = objective.check();
            if let Err((field, error)) = checked {
                left_out.push(format!(
                    "objective {}: {field}: {error}",
                    name_of(objective)
                ));
            }
            checked.is_ok()
        });
        guard(&mut config);
        let on = format!("{} {route}", self.service);
        for fault in surplus(&mut config.faults, FilterConfig::FAULTS_MAX) {
            left_out.push(format!(
                "fault {} on {on}: a scope may have {}",
                fault.id(),
                FilterConfig::FAULTS_MAX
            ));
        }
        config
    }

    fn objectives(&self, route: &RouteName) -> Vec<Objective> {
        let mut objectives: Vec<Objective> = self
            .on(route)
            .filter_map(|policy| match &policy.rule {
                Rule::Count(objective) => Some(self.told(objective)),
                Rule::Break { .. }
                | Rule::Trip(_)
                | Rule::Fault(_)
                | Rule::Shed { .. }
                | Rule::Deny(_)
                | Rule::RetryBudget { .. }
                | Rule::Deadline { .. } => None,
            })
            .collect();
        objectives.sort();
        objectives.dedup_by(|later, first| later.id == first.id);
        objectives
    }

    /// `objective` as a filter is told it.
    fn told(&self, objective: &Objective) -> Objective {
        let mut told = objective.clone();
        told.only = told_only(self.side, told.only);
        told
    }

    /// The breaker of the route itself if there is one, else that of all routes; with the highest order.
    fn breaker(&self, route: &RouteName) -> Option<BreakerConfig> {
        let breakers = |is_any: bool| {
            self.on(route).find_map(move |policy| match policy.rule {
                Rule::Break {
                    mode,
                    limits,
                    expires_at_ms,
                } if policy.scope.route.is_any() == is_any => Some(BreakerConfig {
                    mode,
                    expires_at_ms: Some(expires_at_ms),
                    limits,
                    trip: None,
                }),
                Rule::Break { .. }
                | Rule::Count(_)
                | Rule::Trip(_)
                | Rule::Fault(_)
                | Rule::Shed { .. }
                | Rule::Deny(_)
                | Rule::RetryBudget { .. }
                | Rule::Deadline { .. } => None,
            })
        };
        let breaker = breakers(false).or_else(|| breakers(true))?;
        Some(BreakerConfig {
            trip: self.trip(route),
            ..breaker
        })
    }

    /// Shedding on the route itself if there is any, else that on all routes.
    fn shed(&self, route: &RouteName) -> Option<ShedConfig> {
        self.on(route).find_map(|policy| match policy.rule {
            Rule::Shed {
                mode,
                limits,
                expires_at_ms,
            } => Some(ShedConfig {
                mode,
                expires_at_ms: Some(expires_at_ms),
                limits: limits?,
            }),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        })
    }

    /// The deadline on the route itself if there is one, else that on all routes.
    fn deadline(&self, route: &RouteName) -> Option<DeadlineConfig> {
        self.on(route).find_map(|policy| match policy.rule {
            Rule::Deadline {
                mode,
                limit_ms,
                expires_at_ms,
            } => Some(DeadlineConfig {
                mode,
                expires_at_ms: Some(expires_at_ms),
                limit_ms,
            }),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::RetryBudget { .. }
            | Rule::Deny(_) => None,
        })
    }

    /// The retry budget of the route itself if there is one, else that of all routes.
    fn retries(&self, route: &RouteName) -> Option<RetryConfig> {
        self.on(route).find_map(|policy| match policy.rule {
            Rule::RetryBudget {
                mode,
                limits,
                expires_at_ms,
            } => Some(RetryConfig {
                mode,
                expires_at_ms: Some(expires_at_ms),
                limits,
            }),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::Deadline { .. } => None,
        })
    }

    /// What is denied on `route`. What is denied on all routes is, on the server side, beside the scopes.
    fn denials(&self, route: &RouteName) -> Vec<DenyRule> {
        self.on(route)
            .filter(|policy| self.side == Side::Client || !policy.scope.route.is_any())
            .filter_map(denied)
            .collect()
    }

    /// What is denied on all routes, for the server side.
    pub(super) fn denied_everywhere(&self) -> Vec<DenyRule> {
        let all = self
            .policies
            .iter()
            .filter(|policy| policy.scope.route.is_any());
        all.copied().filter_map(denied).collect()
    }

    fn trip(&self, route: &RouteName) -> Option<Trip> {
        self.on(route)
            .filter_map(|policy| match policy.rule {
                Rule::Trip(trip) => Some(trip),
                Rule::Break { .. }
                | Rule::Count(_)
                | Rule::Fault(_)
                | Rule::Shed { .. }
                | Rule::Deny(_)
                | Rule::RetryBudget { .. }
                | Rule::Deadline { .. } => None,
            })
            .max()
    }

    fn faults(&self, route: &RouteName) -> Vec<FaultRule> {
        self.on(route)
            .filter_map(|policy| match &policy.rule {
                Rule::Fault(fault) => Some(fault.clone()),
                Rule::Break { .. }
                | Rule::Count(_)
                | Rule::Trip(_)
                | Rule::Shed { .. }
                | Rule::Deny(_)
                | Rule::RetryBudget { .. }
                | Rule::Deadline { .. } => None,
            })
            .collect()
    }

    /// The policies that hold on `route`, its own first.
    fn on(&self, route: &RouteName) -> impl Iterator<Item = &'a Policy> {
        let on = |is_wanted: fn(&RouteName, &RouteName) -> bool| {
            self.policies
                .iter()
                .filter(move |policy| is_wanted(&policy.scope.route, route))
                .copied()
        };
        on(|named, route| named == route).chain(on(|named, _| named.is_any()))
    }
}

/// Which requests a filter is told that an objective is about: outbound whose sidecar it is in says who calls, and needs no
/// looking at requests.
pub(crate) fn told_only(side: Side, mut only: Option<Box<Only>>) -> Option<Box<Only>> {
    if let (Side::Client, Some(only)) = (side, &mut only) {
        only.caller.clear();
    }
    only.filter(|only| **only != Only::default())
}

/// Leaves only those objectives to guard that the breaker or the shedding of the scope is derived from: the SLOs that act,
/// or where none does, those that watch; and none where neither asks objectives.
fn guard(config: &mut ScopeConfig) {
    let breaker = config.breaker.map(|breaker| breaker.limits.limits().manner);
    let judges = [
        breaker.map(|manner| manner.judge),
        config.shed.map(|shed| shed.limits.limits().judge),
    ];
    let asks = judges.into_iter().flatten().any(Judge::asks_objectives);
    let first = config.objectives.iter().filter_map(|one| one.guards).min();
    let first = first.filter(|_| asks);
    for objective in &mut config.objectives {
        objective.guards = objective.guards.filter(|mode| Some(*mode) == first);
    }
}

/// Whether sidecars of `own` are told `policy`: outbound they count no objective that is about other callers only.
pub(super) fn is_for(own: &ServiceName, policy: &Policy) -> bool {
    match (&policy.rule, policy.scope.side) {
        (Rule::Count(objective), Side::Client) => {
            let only = objective.only.as_ref();
            only.is_none_or(|only| only.is_for_calls_of(own.as_str()))
        }
        (
            Rule::Count(_)
            | Rule::Break { .. }
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. },
            Side::Server | Side::Client,
        ) => true,
    }
}

/// Whether `policy` holds on all routes of a service, inbound, so that its filter has a scope for all that no set claims.
pub(crate) fn holds_on_all(policy: &Policy) -> bool {
    let is_on_all = policy.scope.route.is_any() && policy.scope.side == Side::Server;
    is_on_all
        && match policy.rule {
            // Beside the scopes there is a place for what is denied everywhere.
            Rule::Deny(_) => false,
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => true,
        }
}

fn denied(policy: &Policy) -> Option<DenyRule> {
    match &policy.rule {
        Rule::Deny(rule) => Some(rule.clone()),
        Rule::Break { .. }
        | Rule::Count(_)
        | Rule::Trip(_)
        | Rule::Fault(_)
        | Rule::Shed { .. }
        | Rule::RetryBudget { .. }
        | Rule::Deadline { .. } => None,
    }
}

/// Takes what is beyond `max` out of `list`.
pub(super) fn surplus<T>(list: &mut Vec<T>, max: usize) -> Vec<T> {
    list.split_off(max.min(list.len()))
}

pub(super) fn name_of(objective: &Objective) -> String {
    format!("{} of SLO {}", objective.id.index, objective.id.slo)
}
