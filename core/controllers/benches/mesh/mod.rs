//! A service mesh in which all is well, or nothing: an SLO that acts for each service, four routes, a sidecar for each.

use core::time::Duration;

use sloop_controllers::{
    Cell, Controllers, Counted, Counts, IntentId, Level, ObjectiveCounts, Observation, Resolution,
    ScopeCounts, SidecarReading, Spent, SpentBy, World,
};
use sloop_model::{ObjectiveId, Outcome, RouteName, Scope, ServiceName, Side, SloName, WallTime};

/// When the measurement begins, in seconds since the Unix epoch.
const BEGIN: u64 = 1_700_000_000;
/// Routes of each service, and so scopes; each is reported on by one sidecar in each second.
pub(crate) const ROUTES: usize = 4;
/// Cells of 10 s in which somebody spent something: as many as are kept.
const SPENT_SHORTLY: u64 = 31;
/// What each spender spent in each cell: as many as take three bytes.
const SPENT: u64 = 1 << 20;

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

/// How the mesh is, and was for as long as anything is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Few requests, all of them good by now.
    Well,
    /// Something is bad in every cell of time that is kept, of everybody's, and there are so many requests that sums lie far apart.
    Bad,
}

impl Health {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Well, Self::Bad];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Bad => "bad",
        }
    }

    /// What was counted in one cell of time.
    const fn counts(self) -> Counts {
        match self {
            Self::Well => Counts {
                total: 400,
                good: 399,
            },
            Self::Bad => Counts {
                total: 1 << 32,
                good: (1 << 32) - (1 << 20),
            },
        }
    }

    /// How many of a hundred requests are bad.
    const fn bad(self) -> u64 {
        match self {
            Self::Well => 0,
            Self::Bad => 10,
        }
    }
}

/// What is known of so many SLOs after 400 days.
pub(crate) fn world(slos: usize, health: Health) -> World {
    let mut world = World::default();
    for number in 0..slos {
        let mut cells = history(number, health);
        if health == Health::Bad {
            cells.extend(spent(number));
        }
        world.restore(cells);
    }
    drop(world.take_changes());
    world.begin_step(at(0));
    if health == Health::Bad {
        for number in 0..slos {
            spend(&mut world, number);
        }
    }
    world
}

/// Every cell that is kept of one SLO, as after 400 days of traffic.
pub(crate) fn history(number: usize, health: Health) -> Vec<Cell> {
    let objective = objective(number);
    let of = |resolution: Resolution| {
        let newest = BEGIN * 1_000 / resolution.cell_ms();
        let objective = objective.clone();
        (newest + 1 - resolution.cells()..=newest).map(move |cell| Cell::Budget {
            objective: objective.clone(),
            resolution,
            start: WallTime::from_millis(cell * resolution.cell_ms()),
            counts: health.counts(),
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

/// Who spends the budget of an SLO where things go bad everywhere: its routes, a sidecar of each, one version, those that
/// call it, where that began, and what it is part of.
fn spenders() -> impl Iterator<Item = (SpentBy, String)> {
    let all = [
        (SpentBy::Route, ROUTES),
        (SpentBy::Sidecar, ROUTES),
        (SpentBy::Version, 1),
        (SpentBy::Caller, 4),
        (SpentBy::Origin, 1),
        (SpentBy::Journey, 2),
    ];
    let each = |(by, count): (SpentBy, usize)| {
        (0..count).map(move |place| (by, format!("{by:?}-{place}")))
    };
    all.into_iter().flat_map(each)
}

/// Every cell that is stored of who spent the budget of one SLO, where something was spent in each for 90 days.
fn spent(number: usize) -> Vec<Cell> {
    let spent: Vec<Spent> = spenders()
        .map(|(by, name)| Spent {
            by,
            name,
            bad: SPENT,
        })
        .collect();
    // Lengths of cells, and how many there are, as the docs of `Level` say.
    let levels = [
        (Level::Minutes, 300_000, 73),
        (Level::Hours, 43_200_000, 181),
    ];
    let cells = |(level, cell_ms, cells)| {
        let newest = BEGIN * 1_000 / cell_ms;
        let spent = spent.clone();
        (newest + 1 - cells..=newest).map(move |cell| Cell::Spending {
            objective: objective(number),
            level,
            start: WallTime::from_millis(cell * cell_ms),
            spent: spent.clone(),
        })
    };
    levels.into_iter().flat_map(cells).collect()
}

/// Lets each spender of an SLO spend in all of the cells that no store keeps.
fn spend(world: &mut World, number: usize) {
    let objective = objective(number);
    let scope = Scope {
        service: ServiceName::try_from(format!("service-{number}")).unwrap(),
        route: RouteName::try_from("route-0").unwrap(),
        side: Side::Server,
    };
    let counted = Counted {
        objective: &objective,
        scope: &scope,
        service: scope.service.as_str(),
    };
    for (by, name) in spenders() {
        for cell in (0..SPENT_SHORTLY).rev() {
            let at = world.now().before(Duration::from_secs(10 * cell));
            world.attribute(counted, (by, &name), SPENT, at);
        }
    }
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

/// What all sidecars of all services report in one second: a hundred requests on each route.
pub(crate) fn reports(slos: usize, second: u64, health: Health) -> Vec<Observation> {
    let bad = health.bad();
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
                outcomes[Outcome::Success.index()] = 100 - bad;
                outcomes[Outcome::ServerError.index()] = bad;
                outcomes
            },
            objectives: vec![ObjectiveCounts {
                id: objective(number),
                total: 100,
                good: 100 - bad,
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
