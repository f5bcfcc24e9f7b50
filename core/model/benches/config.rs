//! What a configuration costs: to read, which a filter does on Envoy's main thread and each worker, and to write.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sloop_model::{FilterConfig, LatencyBucket, LatencyCounts};

/// So many scopes, each with a path, two objectives and a breaker.
fn json(scopes: usize) -> String {
    let scope = |number: usize| {
        format!(
            r#"{{"service": "shop", "route": "r{number}", "match": [{{"path": {{"prefix": "/r{number}/orders"}}}}],
                "objectives": [{{"id": {{"slo": "r{number}-up", "index": 0}}}}, {{"id": {{"slo": "r{number}-fast", "index": 0}}, "within_us": 250000}}],
                "breaker": {{"limits": {{"window_ms": 1000, "calls_min": 20, "failed_max": 2000, "sigmas_hundredths": 300,
                            "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000}}}}}}"#
        )
    };
    let scopes: Vec<String> = (0..scopes).map(scope).collect();
    format!(
        r#"{{"version": 1, "service": "shop", "side": "server", "scopes": [{}]}}"#,
        scopes.join(",")
    )
}

fn configs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config");
    for scopes in [1, 10, 100, 1_000] {
        let text = json(scopes);
        let config = FilterConfig::parse(text.as_bytes()).unwrap();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("read/{scopes}"), |bencher| {
            bencher.iter(|| FilterConfig::parse(black_box(text.as_bytes())).unwrap());
        });
        group.bench_function(format!("write/{scopes}"), |bencher| {
            bencher.iter(|| serde_json::to_string(black_box(&config)).unwrap().len());
        });
    }
    group.finish();
}

/// The latencies of a second: as many buckets as a busy route fills.
fn latencies(criterion: &mut Criterion) {
    let buckets: Vec<(LatencyBucket, u64)> = (200..300)
        .filter_map(LatencyBucket::at)
        .map(|bucket| (bucket, 17))
        .collect();
    let counts = LatencyCounts::of(buckets.iter().copied());
    criterion.bench_function("latencies, write 100 buckets", |bencher| {
        bencher.iter(|| LatencyCounts::of(black_box(&buckets).iter().copied()));
    });
    criterion.bench_function("latencies, read 100 buckets", |bencher| {
        bencher.iter(|| {
            black_box(&counts)
                .iter()
                .map(|(_, count)| count)
                .sum::<u64>()
        });
    });
}

criterion_group!(benches, configs, latencies);
criterion_main!(benches);
