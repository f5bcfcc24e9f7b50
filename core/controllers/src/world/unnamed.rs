//! Which objectives are about routes that no filter knows.
//!
//! Configurations leave such a route out ([`crate::filter_config`]) with all that holds on it, so a sidecar that says nothing
//! of its objectives says nothing about it. Which routes sets name must have been told; else nothing is left out.

use std::collections::BTreeSet;

use sloop_model::{Policy, ServiceName};

use super::World;
use crate::configs::{RouteNames, Unnamed, holds_on_all};
use crate::{RouteSelector, SloSource};

/// By what filters know routes.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What the sets name; nothing when it was not told.
    named: Option<RouteNames>,
    /// Services on all routes of which something held inbound in the last step; nothing before the first one.
    held: Option<BTreeSet<ServiceName>>,
}

impl Known {
    /// Why nobody counts what `source` is about; nothing when somebody does.
    pub(super) fn unnamed(&self, source: &SloSource) -> Option<Unnamed> {
        if source.route == RouteSelector::Any {
            return None;
        }
        let sets = self.named.as_ref()?.get(&source.service);
        let held = self.held.as_ref();
        let is_held = held.is_none_or(|held| held.contains(&source.service));
        Unnamed::of((&source.route, source.side), sets, is_held)
    }
}

impl World {
    /// Learns which routes sets name.
    pub fn set_route_names(&mut self, names: RouteNames) {
        self.known_routes.named = Some(names);
    }

    /// Which routes sets name, as it was last told.
    #[must_use]
    pub const fn route_names(&self) -> Option<&RouteNames> {
        self.known_routes.named.as_ref()
    }

    /// Keeps on all routes of which services something holds by `policies`, those of a step.
    pub(crate) fn note_held(&mut self, policies: &[Policy]) {
        let held = policies.iter().filter(|policy| holds_on_all(policy));
        let mut services = BTreeSet::new();
        for policy in held {
            if !services.contains(&policy.scope.service) {
                services.insert(policy.scope.service.clone());
            }
        }
        self.known_routes.held = Some(services);
    }

    /// Why nobody counts what `source` is about; nothing when somebody does.
    pub(crate) fn unnamed(&self, source: &SloSource) -> Option<Unnamed> {
        self.known_routes.unnamed(source)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use serde_json::{Value, json};
    use sloop_model::{
        Module, ObjectiveId, RouteName, Scope, Side, SloName, TraceSettings, WallTime,
    };

    use super::*;
    use crate::{
        ConfigSettings, Controllers, FilterReading, IntentId, ObjectiveCounts, Observation,
        RouteSet, ScopeCounts, SidecarReading, filter_config, route_names,
    };

    const ROUTES: [&str; 3] = ["pay", "other", "*"];

    /// An SLO on one route of checkout.
    fn slo(route: &str, side: Side) -> Value {
        let on = match route {
            "*" => json!("any"),
            route => json!({"named": route}),
        };
        let source = json!({"service": "checkout", "route": on, "side": side, "indicator": {}});
        json!({
            "name": "pay", "service": "checkout", "mode": "monitored", "window": {"rolling": 2_592_000_000_u64},
            "budgeting": "occurrences", "objectives": [{"target": 999_000_000, "source": source}],
        })
    }

    /// Sheds on this route of checkout.
    fn shedding(route: &str) -> Value {
        let on = match route {
            "*" => json!("any"),
            route => json!({"named": route}),
        };
        json!({"name": "shed", "service": "checkout", "route": on, "side": "server", "retries": {"share": 500, "least": 1}})
    }

    fn set(routes: &[&str]) -> RouteSet {
        let route = |name: &&str| json!({"name": name, "match": [{"method": ["GET"]}]});
        let routes: Vec<Value> = routes.iter().map(route).collect();
        serde_json::from_value(json!({"name": "r", "service": "checkout", "routes": routes}))
            .unwrap()
    }

    fn id() -> ObjectiveId {
        ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        }
    }

    /// A control plane that was told of these.
    struct Plane {
        controllers: Controllers,
        world: World,
        sets: Vec<RouteSet>,
    }

    impl Plane {
        fn of(slo: &Value) -> Self {
            let mut plane = Self {
                controllers: Controllers::with_all(),
                world: World::default(),
                sets: Vec::new(),
            };
            plane.put("slo", slo);
            plane.name(&[]);
            plane
        }

        fn put(&mut self, kind: &str, body: &Value) {
            let id = IntentId(kind.to_owned());
            let body = body.to_string();
            self.controllers.put(&id, kind, &body).unwrap();
        }

        fn name(&mut self, sets: &[RouteSet]) {
            self.sets = sets.to_vec();
            self.world.set_route_names(route_names(sets));
        }

        /// Whether filters are told of the objective, and why the world thinks that they are not.
        fn is_told(&mut self, side: Side) -> (bool, Option<Unnamed>) {
            let step = self.controllers.step(&mut self.world);
            let settings = ConfigSettings {
                report: None,
                trace: TraceSettings::default(),
            };
            let own = ServiceName::try_from("checkout").unwrap();
            let made = filter_config(&own, side, &self.sets, &step.policies, &settings);
            let scopes = made.with(&[], &self.sets).config.scopes;
            let mut objectives = scopes.iter().flat_map(|it| &it.objectives);
            let slos = self.controllers.intents::<crate::Slo>();
            let mut sources = slos.flat_map(|(_, slo)| slo.counted());
            let why = sources.find_map(|(_, _, source)| self.world.unnamed(source));
            (objectives.any(|it| it.id == id()), why)
        }

        /// A sidecar reports at `second`, of so many requests to pay.
        fn reports(&mut self, second: u64, requests: u64) {
            let at = |second| WallTime::from_millis((1_699_999_200 + second) * 1_000);
            self.world.begin_step(at(second));
            let counted = ScopeCounts {
                requests,
                objectives: vec![ObjectiveCounts {
                    id: id(),
                    total: requests,
                    good: requests,
                }],
                ..ScopeCounts::nothing(Scope {
                    service: ServiceName::try_from("checkout").unwrap(),
                    route: RouteName::try_from("pay").unwrap(),
                    side: Side::Server,
                })
            };
            let filter = FilterReading {
                side: Side::Server,
                module: Module::Requests,
                version: None,
                is_configured: true,
            };
            self.world.observe(Observation {
                node: "checkout-1".to_owned(),
                incarnation: 1,
                sidecar: SidecarReading {
                    service: "checkout".to_owned(),
                    filters: vec![filter],
                },
                from: at(second - 1),
                at: at(second),
                scopes: (0 < requests).then_some(counted).into_iter().collect(),
            });
        }

        /// What was counted in the last minute, if that is known.
        fn known(&self) -> Option<u64> {
            let counts = self.world.counts(&id(), Duration::from_secs(60));
            counts.map(|it| it.total)
        }
    }

    #[test]
    fn what_is_said_to_be_left_out_is_what_filters_are_not_told() {
        let sets: [&[RouteSet]; 4] = [&[], &[set(&[])], &[set(&["order"])], &[set(&["pay"])]];
        for side in [Side::Server, Side::Client] {
            for (route, sets) in ROUTES.iter().flat_map(|it| sets.map(|sets| (it, sets))) {
                for held in [None, Some("order"), Some("*")] {
                    let mut plane = Plane::of(&slo(route, side));
                    plane.name(sets);
                    if let Some(held) = held {
                        plane.put("load_shed", &shedding(held));
                    }
                    let (is_told, why) = plane.is_told(side);
                    let case = format!("{route} {side} {sets:?} {held:?}: {why:?}");
                    assert_eq!(is_told, why.is_none(), "{case}");
                }
            }
        }
    }

    #[test]
    fn of_a_route_that_filters_lost_nobody_says_that_nothing_happened() {
        let mut plane = Plane::of(&slo("pay", Side::Server));
        plane.is_told(Side::Server);
        plane.reports(10, 5);
        plane.reports(100, 0);
        assert_eq!(plane.known(), Some(0), "it is idle");
        plane.put("load_shed", &shedding("*"));
        plane.is_told(Side::Server);
        plane.reports(200, 0);
        assert_eq!(plane.known(), None);
        let step = plane.controllers.step(&mut plane.world);
        let statuses = plane.controllers.slo_statuses(&plane.world, &step);
        assert_eq!(
            statuses[0].notes.first().map(String::as_str),
            Some(
                "objective 0: nobody counts it: no RouteSet names the route pay of checkout, and where \
                 something holds on all routes of a service, Envoy's own names are not used"
            )
        );
        plane.reports(201, 5);
        assert_eq!(plane.known(), Some(5), "one that is told all the same");
        plane.controllers.remove(&IntentId("load_shed".to_owned()));
        plane.is_told(Side::Server);
        plane.reports(300, 0);
        assert_eq!(plane.known(), Some(0));
        plane.name(&[set(&[])]);
        plane.reports(400, 0);
        assert_eq!(plane.known(), None);
    }
}
