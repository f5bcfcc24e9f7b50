//! A service mesh in which all is well: an SLO that acts for each service, four routes, a sidecar for each.

use sloop_controllers::{
    Cell, Controllers, Counts, IntentId, ObjectiveCounts, Observation, Resolution, ScopeCounts,
    SidecarReading,
};
use sloop_model::{ObjectiveId, Outcome, RouteName, Scope, ServiceName, Side, SloName, WallTime};

/// When the measurement begins, in seconds since the Unix epoch.
const BEGIN: u64 = 1_700_000_000;
/// Routes of each service, and so scopes; each is reported on by one sidecar in each second.
pub(crate) const ROUTES: usize = 4;

/// The moment of a second of the measurement.
pub(crate) fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN + second) * 1_000)
}

/// The objective of the SLO with this number.
pub(crate) fn objective(number: usize) -> ObjectiveId {
    ObjectiveId {
        slo: SloName::try_from(format!("slo-{number}")).unwrap(),
        index: 0,
    }
}

/// Every cell that is kept of one SLO, as after 400 days of traffic.
pub(crate) fn history(number: usize) -> Vec<Cell> {
    let objective = objective(number);
    let of = |resolution: Resolution| {
        let newest = BEGIN * 1_000 / resolution.cell_ms();
        let objective = objective.clone();
        (newest + 1 - resolution.cells()..=newest).map(move |cell| Cell::Budget {
            objective: objective.clone(),
            resolution,
            start: WallTime::from_millis(cell * resolution.cell_ms()),
            counts: Counts {
                total: 400,
                good: 399,
            },
            known_s: 1,
        })
    };
    let all = [
        Resolution::Second,
        Resolution::Minute,
        Resolution::Hour,
        Resolution::Day,
    ];
    all.into_iter().flat_map(of).collect()
}

/// All controllers, with so many SLOs that act.
pub(crate) fn controllers(slos: usize) -> Controllers {
    let mut controllers = Controllers::with_all();
    for number in 0..slos {
        let body = serde_json::json!({
            "name": format!("slo-{number}"),
            "service": format!("service-{number}"),
            "mode": "actionable",
            "window": {"rolling": 2_592_000_000_u64},
            "budgeting": "occurrences",
            "objectives": [{"target": 999_000_000, "source": {
                "service": format!("service-{number}"), "route": "any", "side": "server", "indicator": {},
            }}],
        });
        let id = IntentId(format!("SLO/{number}"));
        controllers.put(&id, "slo", &body.to_string()).unwrap();
    }
    controllers
}

/// What all sidecars of all services report in one second.
pub(crate) fn reports(slos: usize, second: u64) -> Vec<Observation> {
    let one = |number: usize, route: usize| Observation {
        node: format!("service-{number}-{route}"),
        incarnation: 1,
        sidecar: SidecarReading::default(),
        from: at(second - 1),
        at: at(second),
        scopes: vec![ScopeCounts {
            requests: 100,
            outcomes: {
                let mut outcomes = [0; Outcome::ALL.len()];
                outcomes[0] = 100;
                outcomes
            },
            objectives: vec![ObjectiveCounts {
                id: objective(number),
                total: 100,
                good: 100,
            }],
            ..ScopeCounts::nothing(Scope {
                service: ServiceName::try_from(format!("service-{number}")).unwrap(),
                route: RouteName::try_from(format!("route-{route}")).unwrap(),
                side: Side::Server,
            })
        }],
    };
    (0..slos)
        .flat_map(|number| (0..ROUTES).map(move |route| one(number, route)))
        .collect()
}
