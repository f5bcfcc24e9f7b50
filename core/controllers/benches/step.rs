//! What a second costs the control plane: reports in, changes out, one step of all controllers,
//! and the statuses that people see of all SLOs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use core::cell::{Cell, RefCell};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sloop_controllers::{Controllers, IntentId, ObjectiveCounts, Observation, ScopeCounts, World};
use sloop_model::{ObjectiveId, RouteName, Scope, ServiceName, Side, SloName, WallTime};

const BEGIN: u64 = 1_700_000_000;
/// Routes of each service, and so scopes; each is reported on by one sidecar in each second.
const ROUTES: usize = 4;

fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN + second) * 1_000)
}

fn controllers(slos: usize) -> Controllers {
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
fn reports(slos: usize, second: u64) -> Vec<Observation> {
    let one = |number: usize, route: usize| Observation {
        node: format!("service-{number}-{route}"),
        incarnation: 1,
        sidecar: sloop_controllers::SidecarReading::default(),
        from: at(second - 1),
        at: at(second),
        scopes: vec![ScopeCounts {
            requests: 100,
            outcomes: {
                let mut outcomes = [0; sloop_model::Outcome::ALL.len()];
                outcomes[0] = 100;
                outcomes
            },
            objectives: vec![ObjectiveCounts {
                id: ObjectiveId {
                    slo: SloName::try_from(format!("slo-{number}")).unwrap(),
                    index: 0,
                },
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

fn second(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("second");
    group.sample_size(10);
    for slos in [100, 1_000, 5_000] {
        let mut controllers = controllers(slos);
        // Reports come in before each measured call, and the world outlives all of them.
        let (world, now) = (RefCell::new(World::default()), Cell::new(10));
        let next = || {
            now.set(now.get() + 1);
            (now.get(), reports(slos, now.get()))
        };
        let observe = |(now, reports): (u64, Vec<Observation>)| {
            let mut world = world.borrow_mut();
            world.begin_step(at(now));
            for report in reports {
                world.observe(report);
            }
        };
        let changes = || world.borrow_mut().take_changes().len();
        // Six minutes, so that the rings of seconds are full.
        for _ in 0..360 {
            observe(next());
            changes();
        }
        group.throughput(Throughput::Elements(slos as u64));
        group.bench_function(format!("observe/{slos}"), |bencher| {
            bencher.iter_batched(next, observe, BatchSize::PerIteration);
        });
        group.bench_function(format!("changes/{slos}"), |bencher| {
            bencher.iter_batched(|| observe(next()), |()| changes(), BatchSize::PerIteration);
        });
        let mut world = world.into_inner();
        group.bench_function(format!("step/{slos}"), |bencher| {
            bencher.iter(|| controllers.step(&mut world).policies.len());
        });
        let step = controllers.step(&mut world);
        group.bench_function(format!("statuses/{slos}"), |bencher| {
            bencher.iter(|| controllers.slo_statuses(&world, &step).len());
        });
    }
    group.finish();
}

criterion_group!(benches, second);
criterion_main!(benches);
