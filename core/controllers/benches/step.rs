//! What a second costs the control plane: reports in, changes out, one step of all controllers,
//! and the statuses that people see of all SLOs, in processor time. And what a question about a window costs, however long it is.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

mod mesh;
mod processor;

use core::cell::{Cell, RefCell};
use core::hint::black_box;
use core::time::Duration;

/// As in `sloop`, which gives memory out like this.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mesh::{Health, at, controllers, objective, reports, world};
use processor::Processor;
use sloop_controllers::Observation;

/// Seconds that are reported on before anything is measured.
const SECONDS: u64 = 40;

fn second(criterion: &mut Criterion<Processor>) {
    let mut group = criterion.benchmark_group("second");
    group.sample_size(10);
    let sizes = [100, 500, 1_500, 5_000];
    let of = |slos| Health::ALL.map(|health| (slos, health));
    for (slos, health) in sizes.into_iter().flat_map(of) {
        let mut controllers = controllers(slos);
        let name = |what: &str| format!("{what}/{slos}/{}", health.name());
        // Reports come in before each measured call, and the world outlives all of them.
        let (world, now) = (RefCell::new(world(slos, health)), Cell::new(0));
        let next = || {
            now.set(now.get() + 1);
            (now.get(), reports(slos, now.get(), health))
        };
        let observe = |(now, reports): (u64, Vec<Observation>)| {
            let mut world = world.borrow_mut();
            world.begin_step(at(now));
            for report in reports {
                world.observe(report);
            }
        };
        let changes = || world.borrow_mut().take_changes().len();
        // More than what is kept of single sidecars.
        for _ in 0..SECONDS {
            observe(next());
            changes();
        }
        group.throughput(Throughput::Elements(slos as u64));
        group.bench_function(name("observe"), |bencher| {
            bencher.iter_batched(next, observe, BatchSize::PerIteration);
        });
        group.bench_function(name("changes"), |bencher| {
            bencher.iter_batched(|| observe(next()), |()| changes(), BatchSize::PerIteration);
        });
        let mut world = world.into_inner();
        group.bench_function(name("step"), |bencher| {
            bencher.iter(|| {
                // Forgets the signals of the step before, which would otherwise be more each time.
                world.begin_step(world.now());
                controllers.step(&mut world).policies.len()
            });
        });
        let step = controllers.step(&mut world);
        group.bench_function(name("statuses"), |bencher| {
            bencher.iter(|| controllers.slo_statuses(&world, &step).len());
        });
    }
    group.finish();
}

fn window(criterion: &mut Criterion) {
    let world = world(1, Health::Well);
    let objective = objective(0);
    let mut group = criterion.benchmark_group("window");
    for (name, seconds) in [
        ("5s", 5),
        ("1h", 3_600),
        ("6h", 21_600),
        ("30d", 2_592_000),
        ("90d", 7_776_000),
    ] {
        let length = Duration::from_secs(seconds);
        assert!(world.counts(&objective, length).is_some());
        group.bench_function(name, |bencher| {
            bencher.iter(|| world.counts(black_box(&objective), black_box(length)));
        });
    }
    group.finish();
}

criterion_group! {
    name = seconds;
    config = Criterion::default().with_measurement(Processor);
    targets = second
}
criterion_group!(windows, window);
criterion_main!(seconds, windows);
