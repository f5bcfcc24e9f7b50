//! What a configuration is told beside policies, and what must go so that a filter takes it.

use sloop_model::{
    Criticality, DenyRule, Dimension, FilterConfig, Mode, Module, Objective, Only, RequestMatch,
    RouteName, ScopeConfig, ServiceName, Side, TraceOwner, TraceResponse,
};

use super::Configured;
use super::rules::{name_of, surplus};
use crate::{FilterSettings, RouteSet};

impl Configured {
    /// The same with what `settings` say about the filter, with the criticality of routes, and without the objectives that
    /// would count nothing by these settings or are too many for a scope.
    #[must_use]
    pub fn with(mut self, settings: &[FilterSettings], route_sets: &[RouteSet]) -> Self {
        FilterSettings::apply(settings, &mut self.config);
        if self.config.trace.context.owner == TraceOwner::Envoy
            && self.config.spans.take().is_some()
        {
            let why = "spans: trace.context.owner is envoy, so nobody is told their ids";
            self.left_out.push(why.to_owned());
        }
        for scope in &mut self.config.scopes {
            scope.criticality = criticality(scope, route_sets);
        }
        self.set_health_checks_apart(settings);
        self.without_unasked();
        self.without_surplus();
        self
    }

    /// Puts a scope for health checks before all others, on which nothing holds: also what holds on all routes does not.
    fn set_health_checks_apart(&mut self, settings: &[FilterSettings]) {
        let FilterConfig {
            service,
            side,
            scopes,
            ..
        } = &mut self.config;
        let matches = FilterSettings::health_checks(settings, service, *side);
        if matches.is_empty() {
            return;
        }
        let apart = health_checks(service, *side, matches);
        scopes.retain(|scope| {
            let is_other = (&scope.service, &scope.route) != (&apart.service, &apart.route);
            if !is_other {
                self.left_out.push(format!(
                    "{} {} ({side}): the FilterSettings that hold here keep this name for health checks",
                    scope.service, scope.route,
                ));
            }
            is_other
        });
        for scope in surplus(scopes, FilterConfig::SCOPES_MAX - 1) {
            self.left_out.push(format!(
                "{} {} ({side}): a filter may have {} scopes, and one is for health checks",
                scope.service,
                scope.route,
                FilterConfig::SCOPES_MAX
            ));
        }
        scopes.insert(0, apart);
    }

    /// Leaves out objectives that ask for a dimension by which the filter tells nobody apart: they would count nothing.
    fn without_unasked(&mut self) {
        let settings = self.config.dimensions.as_ref();
        let is_asked = |dimension| settings.is_some_and(|settings| settings.includes(dimension));
        let mut missing = vec![Dimension::Caller, Dimension::Origin];
        missing.retain(|dimension| !is_asked(*dimension));
        for scope in &mut self.config.scopes {
            let on = format!("{} {}", scope.service, scope.route);
            scope.objectives.retain(|objective| {
                let lists = objective.only.iter().flat_map(|only| only.lists());
                let mut named = lists.filter(|(_, names)| !names.is_empty());
                let lacks = |(what, _): &(&str, _)| missing.iter().any(|it| it.name() == *what);
                let Some((what, _)) = named.find(lacks) else {
                    return true;
                };
                self.left_out.push(format!(
                    "objective {} on {on}: is about some {what}s only, and the FilterSettings that hold here have no dimensions.{what}",
                    name_of(objective),
                ));
                false
            });
        }
    }

    /// Leaves out the objectives that are too many for one scope. First those stay that guard, then those about all requests,
    /// which something may be derived from, then the others, each in the order of their ids.
    fn without_surplus(&mut self) {
        for scope in &mut self.config.scopes {
            if scope.objectives.len() <= FilterConfig::OBJECTIVES_MAX {
                continue;
            }
            let later = |one: &Objective| comes_later(one.guards, one.only.as_deref());
            scope.objectives.sort_by_key(later);
            for objective in surplus(&mut scope.objectives, FilterConfig::OBJECTIVES_MAX) {
                self.left_out.push(format!(
                    "objective {} on {} {}: a scope may have {}",
                    name_of(&objective),
                    scope.service,
                    scope.route,
                    FilterConfig::OBJECTIVES_MAX
                ));
            }
            scope.objectives.sort();
        }
    }

    /// The same without what `module` cannot do, which a filter would refuse as a whole.
    #[must_use]
    pub fn fitting(mut self, module: Module) -> Self {
        match module {
            Module::Answers => return self,
            Module::Requests => {}
        }
        let why = "only sloop_filter_answers.wasm can do that, and not every sidecar has said that it runs it";
        if matches!(
            self.config.trace.respond,
            Some(TraceResponse::Origin | TraceResponse::Always)
        ) {
            self.config.trace.respond = None;
            self.left_out.push(format!("trace.respond: {why}"));
        }
        for scope in &mut self.config.scopes {
            let on = format!("{} {}", scope.service, scope.route);
            scope.faults.retain(|fault| {
                let Some(field) = fault.effect().asks_for_answers() else {
                    return true;
                };
                let left_out = format!("fault {} on {on}: {field}: {why}", fault.id());
                self.left_out.push(left_out);
                false
            });
        }
        self
    }
}

/// How soon an objective gives way where there are too many for a scope, the later the greater, before the order of ids.
pub(crate) const fn comes_later(guards: Option<Mode>, only: Option<&Only>) -> (bool, bool) {
    (guards.is_none(), only.is_some())
}

/// The scope of health checks at sidecars of `service`. Of those that go out nobody says whom they ask.
fn health_checks(service: &ServiceName, side: Side, matches: &[RequestMatch]) -> ScopeConfig {
    ScopeConfig {
        service: match side {
            Side::Server => service.clone(),
            Side::Client => ServiceName::unknown(),
        },
        route: RouteName::health_checks(),
        matches: matches.to_vec(),
        objectives: Vec::new(),
        criticality: None,
        spared: true,
        deny: Vec::new(),
        breaker: None,
        shed: None,
        deadline: None,
        retries: None,
        faults: Vec::new(),
    }
}

/// How much the requests of `scope` matter, as the first set says that names its route.
fn criticality(scope: &ScopeConfig, route_sets: &[RouteSet]) -> Option<Criticality> {
    let sets = route_sets.iter().filter(|set| set.service == scope.service);
    let mut routes = sets.flat_map(|set| &set.routes);
    routes
        .find(|route| route.name == scope.route)
        .and_then(|route| route.criticality)
}

/// Leaves out the deny rules that are too many for one filter: those beside the scopes stay, then those of
/// the first scopes.
pub(super) fn deny(made: &mut Configured) {
    let FilterConfig { deny, scopes, .. } = &mut made.config;
    let mut room = DenyRule::MAX;
    let lists = core::iter::once(deny).chain(scopes.iter_mut().map(|scope| &mut scope.deny));
    for list in lists {
        for surplus in list.split_off(room.min(list.len())) {
            made.left_out.push(format!(
                "deny rule {}: a filter may have {} on all its routes together",
                surplus.id(),
                DenyRule::MAX
            ));
        }
        room = room.saturating_sub(list.len());
    }
}
