//! What it costs to look at all nodes of a cohort while a change goes out: once a second, on the loop that makes pushes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sloop_model::{Time, WallTime};
use sloop_xds::rollout::{Counts, Health, Now, Rollout, RolloutPace, Seen, Tally, Vms, Wanted};
use sloop_xds::{Kind, Resource, Snapshot, Version};

const PACE: RolloutPace = RolloutPace {
    first: 1,
    share_percent: 10,
    quiet: std::time::Duration::from_secs(10),
};

fn at(seconds: u64) -> WallTime {
    WallTime::from_millis(1_800_000_000_000 + seconds * 1_000)
}

fn now(seconds: u64) -> Now {
    Now {
        wall: at(seconds),
        time: Time::from_nanos(seconds * 1_000_000_000),
    }
}

fn snapshot(content: u8) -> Arc<Snapshot> {
    let resource = Resource::new(Kind::EXTENSION, "filter", &[content; 2_048]);
    Arc::new(Snapshot::builder().with(resource).build())
}

/// So many nodes that have `at_once`, were well, and have traffic.
fn nodes(count: usize, at_once: &Snapshot) -> Vec<Seen> {
    let counted = Counts {
        filters: Health {
            vms: 2,
            requests: 1_000,
            failed: 1,
        },
        envoy: Health::default(),
    };
    let mut tally = Tally::default();
    tally.take(counted, at(0));
    let node = |number: usize| Seen {
        node: format!("sidecar-{number:05}"),
        has: Some(at_once.version().clone()),
        refusal: None,
        tally,
    };
    (0..count).map(node).collect()
}

/// A change that a tenth of the nodes tries.
fn tried(wanted: &Wanted, seen: &mut [Seen]) -> Rollout {
    let mut rollout = Rollout::default();
    rollout.want(wanted.clone(), &PACE, now(0));
    for second in 0..12 {
        rollout.step(seen, &PACE, now(second));
        let offer = rollout.offer().unwrap();
        for node in seen.iter_mut() {
            node.has = Some(offer.for_node(&node.node).version().clone());
            node.tally.follow(rollout.phase(&node.node), at(second));
        }
    }
    rollout
}

fn looks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rollout");
    group.sample_size(20);
    let wanted = Wanted {
        at_once: snapshot(0),
        whole: snapshot(1),
        revision: Version::of([b"change".as_slice()]),
        vms: Vms::Stay,
    };
    for count in [100, 1_000, 10_000] {
        let mut seen = nodes(count, &wanted.at_once);
        let mut rollout = tried(&wanted, &mut seen);
        assert!(rollout.is_under_way(), "there is nothing to look at");
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("look/{count}"), |bencher| {
            bencher.iter(|| rollout.step(black_box(&seen), &PACE, now(12)));
        });
        group.bench_function(format!("begin/{count}"), |bencher| {
            bencher.iter_batched(
                || {
                    let mut rollout = Rollout::default();
                    rollout.want(wanted.clone(), &PACE, now(0));
                    rollout
                },
                |mut rollout| rollout.step(&seen, &PACE, now(0)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, looks);
criterion_main!(benches);
