//! What a second costs the control plane: reports in, one step of all controllers, changes out.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sloop_controllers::{Controllers, IntentId, ObjectiveCounts, Observation, ScopeCounts, World};
use sloop_model::{ObjectiveId, RouteName, Scope, ServiceName, Side, SloName, WallTime};

const BEGIN: u64 = 1_700_000_000;
/// Sidecars that see each service.
const SIDECARS: usize = 4;

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
    let one = |number: usize, sidecar: usize| Observation {
        node: format!("service-{number}-{sidecar}"),
        incarnation: 1,
        from: at(second - 1),
        at: at(second),
        scopes: vec![ScopeCounts {
            scope: Scope {
                service: ServiceName::try_from(format!("service-{number}")).unwrap(),
                route: RouteName::other(),
                side: Side::Server,
            },
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
            refused: 0,
            shadow_refused: 0,
            shadow_refused_good: 0,
            breaker: None,
            latency: Vec::new(),
            arms: Vec::new(),
        }],
    };
    (0..slos)
        .flat_map(|number| (0..SIDECARS).map(move |sidecar| one(number, sidecar)))
        .collect()
}

fn second(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("second");
    group.sample_size(10);
    for slos in [100, 1_000, 5_000] {
        let mut controllers = controllers(slos);
        let mut world = World::default();
        let mut now = 10;
        group.throughput(Throughput::Elements(slos as u64));
        group.bench_function(format!("observe/{slos}"), |bencher| {
            bencher.iter_batched(
                || {
                    now += 1;
                    (now, reports(slos, now))
                },
                |(now, reports)| {
                    world.begin_step(at(now));
                    for report in reports {
                        world.observe(report);
                    }
                    world.take_changes().len()
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(format!("step/{slos}"), |bencher| {
            bencher.iter(|| controllers.step(&mut world).policies.len());
        });
    }
    group.finish();
}

criterion_group!(benches, second);
criterion_main!(benches);
