//! What a report costs the filter: once a second, counts of all scopes that had requests, taken and encoded.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use core::cell::{Cell, RefCell};
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sloop_dataplane::{Arrival, Claim, Ending, HeaderMap, Plane, Request, serialised};
use sloop_model::{FilterConfig, Flags, Module, Side, Time};

/// So many scopes, each with two objectives, in a filter that counts by caller.
fn plane(scopes: usize) -> Plane {
    let scopes: Vec<String> = (0..scopes)
        .map(|number| {
            format!(
                r#"{{"service": "shop", "route": "r{number}", "match": [{{"path": {{"prefix": "/r{number}/"}}}}],
                    "objectives": [{{"id": {{"slo": "up{number}", "index": 0}}}},
                                   {{"id": {{"slo": "fast{number}", "index": 0}}, "within_us": 250000}}]}}"#
            )
        })
        .collect();
    let json = format!(
        r#"{{"version": 1, "service": "shop", "side": "server", "report": {{"cluster": "c", "interval_ms": 1000}},
            "dimensions": {{"caller": {{"header": "user-agent"}}, "version": "v1"}}, "scopes": [{}]}}"#,
        scopes.join(",")
    );
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    let config = FilterConfig::parse(json.as_bytes()).unwrap();
    plane.configure(&config, Time::from_nanos(0));
    plane
}

/// A request to each scope, at `second`.
fn requests(plane: &mut Plane, headers: &[Vec<u8>], second: u64) {
    let now = Time::from_nanos(second * 1_000_000_000);
    for bytes in headers {
        let request = Request::read(HeaderMap::new(bytes));
        let Claim::Scope(scope) = plane.claim(Side::Server, &request) else {
            unreachable!("a rule claims it");
        };
        let arrival = Arrival {
            request: &request,
            context: 1,
            joined: None,
            now,
        };
        let begun = plane.begin(Side::Server, scope, &arrival, |write| {
            black_box(write);
        });
        let ending = Ending {
            status: Some(200),
            flags: Flags::default(),
            grpc: None,
        };
        plane.end(begun.unwrap().exchange, ending, now);
    }
}

fn reports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("report");
    for scopes in [1, 10, 100] {
        let headers: Vec<Vec<u8>> = (0..scopes)
            .map(|number| {
                let path = format!("/r{number}/x");
                serialised(&[
                    (":authority", b"shop"),
                    (":path", path.as_bytes()),
                    (":method", b"GET"),
                    ("user-agent", b"bench"),
                ])
            })
            .collect();
        // Requests come before each measured call, and the plane outlives all of them.
        let (plane, second) = (RefCell::new(plane(scopes)), Cell::new(10));
        let next = || {
            second.set(second.get() + 2);
            requests(&mut plane.borrow_mut(), &headers, second.get());
            Time::from_nanos((second.get() + 1) * 1_000_000_000)
        };
        group.throughput(Throughput::Elements(scopes as u64));
        group.bench_function(format!("take and encode/{scopes}"), |bencher| {
            bencher.iter_batched(
                next,
                |now| {
                    let mut plane = plane.borrow_mut();
                    let report = plane.report(9, now).unwrap();
                    let bytes = report.encode("node", "shop", Module::Requests);
                    let sequence = report.sequence;
                    plane.acknowledge(sequence);
                    bytes
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, reports);
criterion_main!(benches);
