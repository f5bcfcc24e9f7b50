//! What a configuration is told beside policies, and what must go so that a filter takes it.

use sloop_model::{
    Criticality, DenyRule, Dimension, FilterConfig, Module, ScopeConfig, TraceOwner, TraceResponse,
};

use super::Configured;
use super::rules::name_of;
use crate::{FilterSettings, RouteSet};

impl Configured {
    /// The same with what `settings` say about the filter, and with the criticality of routes.
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
        self.without_unasked();
        self
    }

    /// Leaves out objectives that ask for a dimension by which the filter tells nobody apart: they would count nothing.
    fn without_unasked(&mut self) {
        let settings = self.config.dimensions.as_ref();
        let is_asked = |dimension| settings.is_some_and(|settings| settings.includes(dimension));
        let has = [Dimension::Caller, Dimension::Origin].map(is_asked);
        for scope in &mut self.config.scopes {
            let on = format!("{} {}", scope.service, scope.route);
            scope.objectives.retain(|objective| {
                let missing = objective.only.iter().find_map(|only| {
                    let names = [("caller", &only.caller), ("origin", &only.origin)];
                    let mut wants = names.into_iter().zip(has);
                    wants.find_map(|((what, names), has)| {
                        (!has && !names.is_empty()).then_some(what)
                    })
                });
                if let Some(what) = missing {
                    self.left_out.push(format!(
                        "objective {} on {on}: is about some {what}s only, and no FilterSettings have dimensions.{what}",
                        name_of(objective),
                    ));
                }
                missing.is_none()
            });
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
