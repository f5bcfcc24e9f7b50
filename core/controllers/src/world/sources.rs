//! Where each objective counts.
//!
//! A report names objectives, and a sidecar that may report on one service could name those of any.
//! So an objective that is wanted counts only where its own source says, and outbound, where that names callers, only
//! what their sidecars report. One that nobody wants
//! counts anywhere: its document may only be away for a moment.

use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{ObjectiveId, Scope, ServiceName, Side, WallTime};

use super::World;
use super::surplus::surplus;
use super::unnamed::Known;
use crate::slo::SloSource;
use crate::{SidecarReading, SloIntent};

/// The sources of all objectives that are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// Nothing for those that no report counts: composites, and sources that are not ours.
    sources: BTreeMap<ObjectiveId, Option<SloSource>>,
    /// Those that are too many for a scope: not every sidecar counts them that should.
    surplus: BTreeSet<ObjectiveId>,
    /// Of those among them that were counted elsewhere.
    elsewhere: BTreeMap<ObjectiveId, Elsewhere>,
    /// By service, those that the sidecars of the service count, each with the side: inbound, or as callers that are named.
    counted_by: BTreeMap<String, Vec<(Side, ObjectiveId)>>,
    /// Whether anybody said what is wanted.
    is_told: bool,
}

/// What sidecars counted for an objective where it does not count, since its source says what it says or the process began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// How many requests.
    pub(crate) requests: u64,
    /// Where the newest of them were.
    pub(crate) scope: Scope,
    /// Until when the newest report with some counted.
    pub(crate) at: WallTime,
}

/// Requests that a sidecar counted for an objective.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// What they were counted for.
    pub objective: &'a ObjectiveId,
    /// Where they were.
    pub scope: &'a Scope,
    /// The service whose sidecar it is; empty when it does not say.
    pub service: &'a str,
}

impl Sources {
    /// Whether a document wants it.
    pub(super) fn is_wanted(&self, id: &ObjectiveId) -> bool {
        self.sources.contains_key(id)
    }

    /// Whether what was counted so may count.
    pub(super) fn may_count(&self, counted: Counted<'_>) -> bool {
        match self.sources.get(counted.objective) {
            None => true,
            Some(None) => false,
            Some(Some(source)) => {
                source.covers(counted.scope) && source.is_counted_by(counted.service)
            }
        }
    }

    /// The objectives that `sidecar` surely counts for, by what it says it is. With what its Envoy began with it counts for none.
    pub(super) fn counted_by(
        &self,
        sidecar: &SidecarReading,
    ) -> impl Iterator<Item = &ObjectiveId> {
        let counted = self.counted_by.get(&sidecar.service).into_iter().flatten();
        let has = |side: Side| {
            let mut filters = sidecar.filters.iter();
            filters.any(|filter| filter.side == side && filter.is_configured)
        };
        let here = counted.filter(move |(side, _)| has(*side));
        here.map(|(_, id)| id)
    }

    /// Whether `sidecar`, which counted for an objective before and `asked` these services, still counts for it.
    pub(super) fn is_counted(
        &self,
        id: &ObjectiveId,
        sidecar: &SidecarReading,
        asked: &BTreeSet<ServiceName>,
        routes: &Known,
    ) -> bool {
        let source = match self.sources.get(id) {
            None => return !self.is_told,
            Some(None) => return false,
            Some(Some(_)) if self.surplus.contains(id) => return false,
            Some(Some(source)) if routes.unnamed(source).is_some() => return false,
            Some(Some(source)) => source,
        };
        match source.side {
            Side::Server if sidecar.says_nothing() => true,
            Side::Server => sidecar.service == source.service.as_str(),
            Side::Client => {
                let asked = asked.contains(&source.service) || source.callers().next().is_some();
                asked && source.is_counted_by(&sidecar.service)
            }
        }
    }

    /// Notes so many requests, up to `at`, that do not count for `id`, which is wanted.
    pub(super) fn note(&mut self, id: &ObjectiveId, scope: &Scope, requests: u64, at: WallTime) {
        if requests == 0 {
            return;
        }
        let before = self.elsewhere.get(id).map_or(0, |known| known.requests);
        let known = Elsewhere {
            requests: before.saturating_add(requests),
            scope: scope.clone(),
            at,
        };
        self.elsewhere.insert(id.clone(), known);
    }
}

impl World {
    /// Lets the objectives of `wanted` count only where their sources say. Call it when these have changed.
    pub(crate) fn count_where<'a>(&mut self, wanted: impl Iterator<Item = &'a SloIntent>) {
        let wanted: Vec<&SloIntent> = wanted.collect();
        let mut sources = BTreeMap::new();
        for intent in &wanted {
            sources.insert(intent.composite_id(), None);
            for (index, objective) in (0..).zip(&intent.objectives) {
                sources.insert(intent.objective_id(index), objective.source.clone());
            }
        }
        let mut elsewhere = core::mem::take(&mut self.sources.elsewhere);
        let before = &self.sources.sources;
        elsewhere.retain(|id, _| sources.get(id) == before.get(id));
        let surplus = surplus(&wanted);
        let counted_by = counted_by(&sources, &surplus);
        self.sources = Sources {
            sources,
            surplus,
            elsewhere,
            counted_by,
            is_told: true,
        };
    }

    /// Whether an objective is too much for a scope, so that not every sidecar counts it that should.
    pub(crate) fn is_surplus(&self, id: &ObjectiveId) -> bool {
        self.sources.surplus.contains(id)
    }

    /// What sidecars counted for an objective where it does not count; nothing when they did not.
    pub(crate) fn elsewhere(&self, id: &ObjectiveId) -> Option<&Elsewhere> {
        self.sources.elsewhere.get(id)
    }
}

/// By service, those of `sources` that its sidecars surely count.
fn counted_by(
    sources: &BTreeMap<ObjectiveId, Option<SloSource>>,
    surplus: &BTreeSet<ObjectiveId>,
) -> BTreeMap<String, Vec<(Side, ObjectiveId)>> {
    let mut by: BTreeMap<String, Vec<(Side, ObjectiveId)>> = BTreeMap::new();
    for (id, source) in sources.iter().filter(|(id, _)| !surplus.contains(id)) {
        let Some(source) = source else { continue };
        let mut add = |service: &str| {
            let counted = by.entry(service.to_owned()).or_default();
            counted.push((source.side, id.clone()));
        };
        match source.side {
            Side::Server => add(source.service.as_str()),
            Side::Client => source.callers().for_each(add),
        }
    }
    by
}

#[cfg(test)]
mod tests {
    use core::ops::Range;
    use core::time::Duration;

    use sloop_model::{RouteName, SloName};

    use super::*;
    use crate::{Controllers, IntentId, ObjectiveCounts, Observation, ScopeCounts, SpentBy};

    const BODY: &str = r#"{
        "name": "pay", "service": "payments", "mode": "actionable",
        "window": {"rolling": 2592000000}, "budgeting": "occurrences",
        "objectives": [
            {"target": 999000000, "source": {
                "service": "payments", "route": {"named": "charge"}, "side": "server", "indicator": {}
            }},
            {"target": 999000000}
        ]
    }"#;

    fn scope((service, route, side): (&str, &str, Side)) -> Scope {
        Scope {
            service: ServiceName::try_from(service).unwrap(),
            route: RouteName::try_from(route).unwrap(),
            side,
        }
    }

    /// Whether the objective at `index` of `pay` counts on a scope.
    fn counts(world: &World, index: u32, (service, route, side): (&str, &str, Side)) -> bool {
        let id = ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index,
        };
        counts_of(world, &id, &scope((service, route, side)), "payments")
    }

    /// Whether what a sidecar of `service` saw on a scope counts for an objective.
    fn counts_of(world: &World, objective: &ObjectiveId, scope: &Scope, service: &str) -> bool {
        let counted = Counted {
            objective,
            scope,
            service,
        };
        world.sources.may_count(counted)
    }

    const HOME: (&str, &str, Side) = ("payments", "charge", Side::Server);

    #[test]
    fn an_objective_counts_only_where_its_source_says() {
        let mut controllers = Controllers::with_all();
        let mut world = World::default();
        let id = IntentId("SLO/pay".to_owned());
        controllers.put(&id, "slo", BODY).unwrap();
        controllers.step(&mut world);
        assert!(counts(&world, 0, HOME));
        assert!(!counts(&world, 0, ("shop", "charge", Side::Server)));
        assert!(!counts(&world, 0, ("payments", "refund", Side::Server)));
        assert!(!counts(&world, 0, ("payments", "charge", Side::Client)));
        assert!(!counts(&world, 1, HOME), "its source is not ours");
        assert!(
            !counts(&world, u32::MAX, HOME),
            "a composite counts nothing itself"
        );
        controllers.remove(&id);
        controllers.step(&mut world);
        let elsewhere = ("shop", "charge", Side::Server);
        assert!(counts(&world, 0, elsewhere), "nobody wants it");
    }

    /// A report of one bad request on the server of `payments charge` for each of these objectives of an SLO.
    fn saw(slo: &str, objectives: Range<u32>) -> Observation {
        let counts = |index| ObjectiveCounts {
            id: ObjectiveId {
                slo: SloName::try_from(slo).unwrap(),
                index,
            },
            total: 1,
            good: 0,
        };
        Observation {
            node: "a".to_owned(),
            incarnation: 1,
            sidecar: SidecarReading::default(),
            from: WallTime::from_millis(1_000),
            at: WallTime::from_millis(2_000),
            scopes: vec![ScopeCounts {
                requests: 1,
                objectives: objectives.map(counts).collect(),
                ..ScopeCounts::nothing(scope(HOME))
            }],
        }
    }

    #[test]
    fn outbound_a_caller_that_is_named_counts_by_its_own_sidecars_only() {
        let mut controllers = Controllers::with_all();
        let mut world = World::default();
        let id = IntentId("SLO/pay".to_owned());
        let body = |side: &str, only: &str| {
            let indicator = format!(r#""side": "{side}", "indicator": {{"only": {only}}}"#);
            BODY.replace("actionable", "monitored")
                .replace(r#""side": "server", "indicator": {}"#, &indicator)
        };
        let mut counts = |side: Side, only: &str, service: &str| {
            let body = body(&side.to_string(), only);
            controllers.put(&id, "slo", &body).unwrap();
            controllers.step(&mut world);
            let id = ObjectiveId {
                slo: SloName::try_from("pay").unwrap(),
                index: 0,
            };
            counts_of(&world, &id, &scope(("payments", "charge", side)), service)
        };
        let named = r#"{"caller": ["mail", "shop"]}"#;
        assert!(counts(Side::Client, named, "shop"));
        assert!(!counts(Side::Client, named, "cart"), "it lags");
        assert!(!counts(Side::Client, named, ""), "it does not say");
        assert!(counts(Side::Client, r#"{"method": ["GET"]}"#, "cart"));
        assert!(counts(Side::Server, named, "payments"));
    }

    #[test]
    fn what_nobody_wants_leaves_room_for_what_somebody_does() {
        let mut world = World::default();
        world.begin_step(WallTime::from_millis(2_000));
        let half = u32::try_from(World::OBJECTIVES_MAX / 2).unwrap();
        world.observe(saw("made-up", 0..half + 5));
        assert_eq!(
            (world.series.len(), world.lost().over_cap),
            (half as usize, 5)
        );
        let mut controllers = Controllers::with_all();
        let id = IntentId("SLO/pay".to_owned());
        controllers.put(&id, "slo", BODY).unwrap();
        controllers.step(&mut world);
        world.observe(saw("pay", 0..1));
        assert_eq!(
            (world.series.len(), world.lost().over_cap),
            (half as usize + 1, 5)
        );
    }

    #[test]
    fn what_does_not_count_is_due_to_nobody() {
        let mut world = World::default();
        world.begin_step(WallTime::from_millis(2_000));
        let mut controllers = Controllers::with_all();
        let id = IntentId("SLO/pay".to_owned());
        controllers.put(&id, "slo", BODY).unwrap();
        controllers.step(&mut world);
        world.observe(saw("pay", 0..1));
        let mut blame = |place, caller| {
            let pay = ObjectiveId {
                slo: SloName::try_from("pay").unwrap(),
                index: 0,
            };
            let counted = Counted {
                objective: &pay,
                scope: &scope(place),
                service: "payments",
            };
            world.attribute(counted, (SpentBy::Caller, caller), 1, world.now());
            let spent = world.spent(&pay, Duration::from_secs(60));
            spent.iter().any(|spent| spent.name == caller)
        };
        assert!(!blame(("shop", "charge", Side::Server), "x"));
        assert!(blame(HOME, "y"));
    }
}
