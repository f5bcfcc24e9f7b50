//! Which objectives are too many for a scope.
//!
//! A filter counts [`FilterConfig::OBJECTIVES_MAX`] objectives on a scope, and its configuration leaves out the rest
//! ([`crate::Configured::with`]). A sidecar that is not told of an objective says nothing of it, so nobody may take it that
//! nothing happened. Settings of filters may leave out others before, and which objectives guard depends on what they guard
//! with; so one of these here may be counted after all, which its reports say.

use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{FilterConfig, ObjectiveId, RouteName, ServiceName, Side};

use crate::circuit_break::guards;
use crate::configs::{comes_later, told_only};
use crate::slo::SloSource;
use crate::{RouteSelector, SloIntent};

/// An objective that is to be counted.
#[derive(Clone, Copy)]
struct Counted<'a> {
    /// By how soon it gives way: where it guards, if it may, and where it does not.
    later: [(bool, bool); 2],
    intent: &'a SloIntent,
    index: u32,
    source: &'a SloSource,
}

/// What is to be counted at one service, on one side.
#[derive(Default)]
struct Place<'a> {
    on_all: Vec<Counted<'a>>,
    on_route: BTreeMap<RouteName, Vec<Counted<'a>>>,
}

/// Those of `wanted` that not every sidecar counts that should.
pub(super) fn surplus(wanted: &[&SloIntent]) -> BTreeSet<ObjectiveId> {
    let mut places: BTreeMap<(&ServiceName, Side), Place<'_>> = BTreeMap::new();
    for intent in wanted {
        for (index, objective, source) in intent.counted() {
            let indicator = &source.indicator;
            let guards = guards(intent.protection(), objective.target, indicator);
            let only = told_only(source.side, indicator.only.clone());
            let later = |guards| comes_later(guards, only.as_deref());
            let counted = Counted {
                later: [later(guards), later(None)],
                intent,
                index,
                source,
            };
            let place = places.entry((&source.service, source.side)).or_default();
            match &source.route {
                RouteSelector::Any => place.on_all.push(counted),
                RouteSelector::Named(_) => {
                    let route = source.route.route_name();
                    place.on_route.entry(route).or_default().push(counted);
                }
            }
        }
    }
    let mut surplus = BTreeSet::new();
    for ((_, side), mut place) in places {
        let [first, second] = ORDERS.map(|order| beyond(side, &mut place.on_all, order));
        if side == Side::Server {
            // What gives way on all routes does so on each.
            let gives_way = |id: &ObjectiveId| first.contains(id) && second.contains(id);
            place.on_all.retain(|it| !gives_way(&it.id()));
        }
        surplus.extend(first.into_iter().chain(second));
        for mut counted in place.on_route.into_values() {
            counted.extend(&place.on_all);
            for order in ORDERS {
                surplus.extend(beyond(side, &mut counted, order));
            }
        }
    }
    surplus
}

/// The orders in which they may give way.
const ORDERS: [usize; 2] = [0, 1];

/// What is too much of all that is to be counted on one scope, at the sidecars of whichever service.
fn beyond(side: Side, counted: &mut [Counted<'_>], order: usize) -> BTreeSet<ObjectiveId> {
    let mut beyond = BTreeSet::new();
    if counted.len() <= FilterConfig::OBJECTIVES_MAX {
        return beyond;
    }
    counted.sort_by_cached_key(|it| (it.later.get(order).copied(), it.id()));
    let named = counted.iter().flat_map(|it| it.source.callers());
    // Whom nobody names is told what is about all callers.
    let callers: BTreeSet<&str> = match side {
        Side::Server => BTreeSet::from([""]),
        Side::Client => named.chain([""]).collect(),
    };
    for caller in callers {
        let told = counted.iter().filter(|it| it.source.is_counted_by(caller));
        beyond.extend(told.skip(FilterConfig::OBJECTIVES_MAX).map(Counted::id));
    }
    beyond
}

impl Counted<'_> {
    fn id(&self) -> ObjectiveId {
        self.intent.objective_id(self.index)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sloop_model::TraceSettings;

    use super::*;
    use crate::{ConfigSettings, Controllers, IntentId, RouteSet, World, filter_config};

    /// One objective of an SLO over requests to payments.
    fn objective(route: &str, side: &str, only: Option<Value>) -> Value {
        let route = match route {
            "*" => json!("any"),
            route => json!({"named": route}),
        };
        let indicator = only.map_or(json!({}), |only| json!({"only": only}));
        json!({"target": 999_000_000, "source":
            {"service": "payments", "route": route, "side": side, "indicator": indicator}})
    }

    fn slo(name: &str, mode: &str, objectives: &[Value]) -> Value {
        json!({
            "name": name, "service": "payments", "mode": mode, "window": {"rolling": 2_592_000_000_u64},
            "budgeting": "occurrences", "objectives": objectives,
        })
    }

    /// The objectives that are said to be surplus, and those that `at` is not told of on each scope of theirs.
    fn compared(slos: &[Value], (at, side): (&str, Side)) -> (Vec<String>, Vec<String>) {
        let mut controllers = Controllers::with_all();
        let mut world = World::default();
        for slo in slos {
            let id = IntentId(format!("SLO/{}", slo["name"].as_str().unwrap()));
            controllers.put(&id, "slo", &slo.to_string()).unwrap();
        }
        let step = controllers.step(&mut world);
        let set: RouteSet = serde_json::from_value(json!({
            "name": "r", "service": "payments", "authorities": ["payments"],
            "routes": [{"name": "charge", "match": [{"path": {"prefix": "/charge"}}]},
                {"name": "refund", "match": [{"path": {"prefix": "/refund"}}]}],
        }))
        .unwrap();
        let settings = ConfigSettings {
            report: None,
            trace: TraceSettings::default(),
        };
        let own = ServiceName::try_from(at).unwrap();
        let sets = [set];
        let made = filter_config(&own, side, &sets, &step.policies, &settings).with(&[], &sets);
        let name = |id: &ObjectiveId| format!("{} {}", id.slo, id.index);
        let mut wanted = BTreeSet::new();
        let mut missing = BTreeSet::new();
        for (_, intent) in controllers.intents::<crate::Slo>() {
            for (index, _, source) in intent.counted() {
                let id = intent.objective_id(index);
                if !(source.side == side && source.is_counted_by(at)) {
                    continue;
                }
                let mut scopes = made.config.scopes.iter();
                let is_told = scopes.all(|scope| {
                    let is_meant = source.route.covers(&scope.route);
                    !is_meant || scope.objectives.iter().any(|it| it.id == id)
                });
                if !is_told {
                    missing.insert(name(&id));
                }
                wanted.insert(id);
            }
        }
        let surplus = wanted.iter().filter(|id| world.is_surplus(id));
        (surplus.map(name).collect(), missing.into_iter().collect())
    }

    #[test]
    fn what_is_too_much_is_what_filters_are_not_told() {
        let many = |count: usize, route: &str, side: &str, only: Option<Value>| {
            vec![objective(route, side, only); count]
        };
        let post = json!({"method": ["POST"]});
        let cases = [
            (
                vec![slo("a", "monitored", &many(32, "charge", "server", None))],
                0,
            ),
            (
                vec![slo("a", "monitored", &many(33, "charge", "server", None))],
                1,
            ),
            // Nine on all routes are too many beside 24 on one, and not beside 10 on another.
            (
                vec![
                    slo("a", "monitored", &many(24, "charge", "server", None)),
                    slo("b", "monitored", &many(9, "*", "server", None)),
                    slo("c", "monitored", &many(10, "refund", "server", None)),
                ],
                1,
            ),
            // Those about some requests give way first.
            (
                vec![
                    slo("a", "monitored", &many(3, "charge", "server", Some(post))),
                    slo("b", "monitored", &many(40, "*", "server", None)),
                ],
                11,
            ),
        ];
        for (slos, count) in cases {
            let (surplus, missing) = compared(&slos, ("payments", Side::Server));
            assert_eq!(surplus, missing);
            assert_eq!(surplus.len(), count, "{surplus:?}");
        }
        let of = |caller: &str| Some(json!({"caller": [caller]}));
        let slos = [
            slo("a", "monitored", &many(30, "charge", "client", of("cart"))),
            slo("b", "monitored", &many(30, "charge", "client", of("mail"))),
            slo("c", "monitored", &many(3, "charge", "client", of("mail"))),
            slo("d", "monitored", &many(2, "*", "client", None)),
        ];
        let (surplus, missing) = compared(&slos, ("mail", Side::Client));
        assert_eq!(surplus, missing);
        assert_eq!(surplus, ["c 2", "d 0", "d 1"]);
        // What not every sidecar counts that should is not known, whoever says that nothing happened.
        let (surplus, missing) = compared(&slos, ("cart", Side::Client));
        assert_eq!((surplus.len(), missing.len()), (2, 0), "{surplus:?}");
    }
}
