//! From merged policies to what one filter is told.
//!
//! - The server side gets the service's own routes and its server-side policies;
//!   the client side gets the routes of every service, told apart by authority,
//!   and all client-side policies.
//! - On the client side an objective that is about some callers only is told to the sidecars of these services alone.
//! - What holds on the route `*` holds on every route of the service and on
//!   `other`, where requests go that no route claims.
//! - A service without a [`RouteSet`]: on the server side Envoy's route names tell
//!   its routes apart, unless something holds on `*`: then all of its requests
//!   are `other`, because a filter cannot name routes in advance that Envoy has
//!   not told it yet. On the client side it is `other`, known by its name as authority.
//! - While a deadline is given anywhere, all filters pass on what is left of one,
//!   as it would end at the first hop otherwise; but for what settings say.
//!
//! The same arguments give the same configuration byte for byte, and with [`Configured::with`] it always
//! passes [`FilterConfig::check`] as far as routes and policies are concerned:
//! whatever does not fit is left out and said. What would count nothing is left out before what is too much.

mod fit;
mod names;
mod reading;
mod routes;
mod rules;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloop_model::{
    DeadlineMode, DenyRule, FILTER_CONFIG_VERSION, FilterConfig, Ignored, Mode, Policy,
    ReportSettings, RouteName, Rule, Scope, ScopeConfig, ServiceName, Side, StatsSettings,
    TraceSettings,
};

use crate::RouteSet;
pub(crate) use fit::comes_later;
pub use names::{RouteNames, Unnamed, route_names};
pub use reading::fleet_objective;
use routes::Routes;
use rules::Rules;
pub(crate) use rules::{holds_on_all, told_only};

/// What every configuration says that no document does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigSettings {
    /// Where filters report to; nowhere when absent.
    pub report: Option<ReportSettings>,
    /// How traces are carried on.
    pub trace: TraceSettings,
}

/// A configuration, and what could not be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Its generation is 0: whoever pushes it counts.
    pub config: FilterConfig,
    /// What was left out and why, for people.
    pub left_out: Vec<String>,
}

/// What the filter of `service` on `side` must know, but for what [`Configured::with`] adds. Only with that it has no more
/// objectives on a scope than a filter takes.
#[must_use]
pub fn filter_config(
    service: &ServiceName,
    side: Side,
    route_sets: &[RouteSet],
    policies: &[Policy],
    settings: &ConfigSettings,
) -> Configured {
    let services: BTreeSet<&ServiceName> = match side {
        Side::Server => BTreeSet::from([service]),
        Side::Client => route_sets
            .iter()
            .map(|set| &set.service)
            .chain(
                policies
                    .iter()
                    .filter(|policy| policy.scope.side == side && rules::is_for(service, policy))
                    .map(|policy| &policy.scope.service),
            )
            .collect(),
    };
    let mut making = Making {
        own: service,
        side,
        route_sets,
        policies,
        route_names: false,
        deny: Vec::new(),
        scopes: Vec::new(),
        left_out: Vec::new(),
    };
    for service in services {
        making.add(service);
    }
    for scope in making
        .scopes
        .drain(FilterConfig::SCOPES_MAX.min(making.scopes.len())..)
    {
        making.left_out.push(format!(
            "{} {} ({side}): a filter may have {} scopes",
            scope.service,
            scope.route,
            FilterConfig::SCOPES_MAX
        ));
    }
    let mut made = Configured {
        config: FilterConfig {
            version: FILTER_CONFIG_VERSION,
            generation: 0,
            service: service.clone(),
            side,
            trace: carrying(&settings.trace, policies),
            report: settings.report.clone(),
            spans: None,
            dimensions: None,
            stats: StatsSettings::default(),
            route_names: making.route_names,
            deny: making.deny,
            scopes: making.scopes,
            optional: Ignored {},
        },
        left_out: making.left_out,
    };
    fit::deny(&mut made);
    made
}

/// `settings`, and what is left of deadlines is passed on where any of `policies` gives some. It does no harm, so it
/// needs no end: without a deadline there is nothing to pass on.
fn carrying(settings: &TraceSettings, policies: &[Policy]) -> TraceSettings {
    let mut trace = settings.clone();
    let gives = |policy: &Policy| match policy.rule {
        Rule::Deadline { mode, .. } => mode == Mode::Enforce,
        Rule::Count(_)
        | Rule::Break { .. }
        | Rule::Trip(_)
        | Rule::Fault(_)
        | Rule::Shed { .. }
        | Rule::RetryBudget { .. }
        | Rule::Deny(_) => false,
    };
    if trace.context.deadlines == DeadlineMode::Ignore && policies.iter().any(gives) {
        trace.context.deadlines = DeadlineMode::Carry;
    }
    trace
}

/// A configuration on the way.
#[derive(Debug)]
struct Making<'a> {
    /// The service whose sidecars are told.
    own: &'a ServiceName,
    side: Side,
    route_sets: &'a [RouteSet],
    policies: &'a [Policy],
    route_names: bool,
    deny: Vec<DenyRule>,
    scopes: Vec<ScopeConfig>,
    left_out: Vec<String>,
}

impl Making<'_> {
    /// Adds the scopes of one service.
    fn add(&mut self, service: &ServiceName) {
        let rules = Rules::of(service, self.own, self.side, self.policies);
        let routes = Routes::of(service, self.side, self.route_sets, &mut self.left_out);
        if self.side == Side::Server {
            self.deny.extend(rules.denied_everywhere());
        }
        let has_sets = self.route_sets.iter().any(|set| set.service == *service);
        let by_name = !has_sets && self.side == Side::Server && !rules.any_on_all();
        self.route_names |= by_name;
        let known: BTreeSet<&RouteName> = routes.named.iter().map(|(name, _)| name).collect();
        let other = RouteName::other();
        for route in rules.routes() {
            if known.contains(route) || *route == other || route.is_any() {
                continue;
            }
            if by_name {
                self.scopes
                    .push(rules.scope_config(route, Vec::new(), &mut self.left_out));
            } else {
                let scope = Scope {
                    service: service.clone(),
                    route: route.clone(),
                    side: self.side,
                };
                self.left_out.push(format!(
                    "{scope}: no RouteSet says which requests these are"
                ));
            }
        }
        for (route, matches) in &routes.named {
            self.scopes
                .push(rules.scope_config(route, matches.clone(), &mut self.left_out));
        }
        if !known.contains(&other)
            && (!routes.rest.is_empty() || rules.any_on_all() || rules.any_on(&other))
        {
            self.scopes
                .push(rules.scope_config(&other, routes.rest, &mut self.left_out));
        }
    }
}

#[cfg(test)]
mod tests;
