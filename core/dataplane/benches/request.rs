//! What one request costs in the core, natively, without any host.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sloop_dataplane::context::{Context, Reading};
use sloop_dataplane::{
    Arrival, Begun, Claim, Ending, HeaderMap, Plane, Random, Request, ScopeId, Verdict, serialised,
};
use sloop_model::{
    ContextSettings, Ended, FilterConfig, Flags, Outcome, OwnVerdict, Side, Time, WallTime,
};

type Headers = &'static [(&'static str, &'static [u8])];

const HEADERS: Headers = &[
    (":authority", b"payments:8080"),
    (":path", b"/charge/17?card=1"),
    (":method", b"POST"),
    (":scheme", b"http"),
    ("user-agent", b"bench"),
    ("x-request-id", b"3f1b7a52-0c0e-4bb0-8a2e-6f8f3f6f8a11"),
    (
        "traceparent",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("content-type", b"application/json"),
];

/// Scopes of other services before ours, as an outbound filter has them.
fn plane(others: u32) -> Plane {
    let mut scopes: Vec<String> = (0..others)
        .map(|other| {
            format!(
                r#"{{"service": "s{other}", "route": "r", "match": [{{"authority": ["service{other}"], "path": {{"prefix": "/"}}}}]}}"#
            )
        })
        .collect();
    scopes.push(
        r#"{"service": "payments", "route": "charge", "match": [{"path": {"prefix": "/charge"}}],
            "objectives": [{"id": {"slo": "up", "index": 0}}, {"id": {"slo": "fast", "index": 0}, "within_us": 250000}],
            "breaker": {"limits": {"window_ms": 1000, "calls_min": 20, "failed_max": 2000, "sigmas_hundredths": 300,
                        "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000}},
            "faults": [{"id": "e", "share": 0, "abort_status": 503, "expires_at_ms": 4102444800000}]}"#
            .to_owned(),
    );
    let json = format!(
        r#"{{"version": 1, "service": "payments", "side": "server", "scopes": [{}]}}"#,
        scopes.join(",")
    );
    configured(&json)
}

fn configured(json: &str) -> Plane {
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    plane.configure(
        &FilterConfig::parse(json.as_bytes()).unwrap(),
        Time::from_nanos(0),
    );
    plane
}

/// Each feature alone, with nothing that calls for it: fields of the configuration, and fields of the scope.
const FEATURES: [(&str, &str, &str); 7] = [
    ("nothing", "", ""),
    (
        "objectives",
        "",
        r#","objectives": [{"id": {"slo": "up", "index": 0}}, {"id": {"slo": "fast", "index": 0}, "within_us": 250000}]"#,
    ),
    (
        "breaker",
        "",
        r#","breaker": {"limits": {"window_ms": 1000, "calls_min": 20, "failed_max": 2000, "sigmas_hundredths": 300,
            "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000}}"#,
    ),
    (
        "shed",
        "",
        r#","shed": {"limits": {"share_max": 6000, "slow_us": 1000000, "slow_max": 500, "failed_max": 500, "in_flight_max": 1000}}"#,
    ),
    (
        "two faults",
        "",
        r#","faults": [{"id": "e", "share": 0, "abort_status": 503, "expires_at_ms": 4102444800000},
            {"id": "s", "share": 0, "delay_ms": 300, "expires_at_ms": 4102444800000}]"#,
    ),
    (
        "a deny rule",
        r#","deny": [{"id": "admin", "match": {"path": {"prefix": "/admin"}}, "status": 404, "share_max": 500, "expires_at_ms": 4102444800000}]"#,
        "",
    ),
    (
        "dimensions",
        r#","dimensions": {"caller": {"header": "user-agent"}, "origin": {"baggage": "origin"}, "version": "v1", "attempts": true}"#,
        "",
    ),
];

fn features(criterion: &mut Criterion) {
    let bytes = serialised(HEADERS);
    for (name, of_all, of_scope) in FEATURES {
        let mut plane = configured(&format!(
            r#"{{"version": 1, "service": "payments", "side": "server"{of_all}, "scopes": [
                {{"service": "payments", "route": "charge", "match": [{{"path": {{"prefix": "/charge"}}}}]{of_scope}}}]}}"#
        ));
        let mut nanos = 0;
        criterion.bench_function(&format!("request, {name}"), |bencher| {
            bencher.iter(|| {
                nanos += 10_000;
                request(&mut plane, black_box(&bytes), nanos)
            });
        });
    }
}

/// Features that read something of a request: fields of the configuration, and headers beside those of [`HEADERS`].
const READERS: [(&str, &str, Headers); 4] = [
    (
        "a deadline",
        r#","trace": {"context": {"deadlines": "enforce"}}"#,
        &[("grpc-timeout", b"5S")],
    ),
    (
        "baggage",
        r#","dimensions": {"origin": {"baggage": "origin"}, "journey": {"baggage": "journey"}}"#,
        &[("baggage", b"origin=web,journey=checkout")],
    ),
    (
        "B3 sent on",
        r#","trace": {"context": {"b3": "single"}}"#,
        &[],
    ),
    (
        "joins",
        r#","trace": {"context": {"join": {"reach": "sidecar"}}}"#,
        &[],
    ),
];

fn readers(criterion: &mut Criterion) {
    for (name, of_all, more) in READERS {
        let bytes = serialised(&[HEADERS, more].concat());
        let mut plane = configured(&format!(
            r#"{{"version": 1, "service": "payments", "side": "server"{of_all}, "scopes": [
                {{"service": "payments", "route": "charge", "match": [{{"path": {{"prefix": "/charge"}}}}]}}]}}"#
        ));
        let mut nanos = 0;
        criterion.bench_function(&format!("request, {name}"), |bencher| {
            bencher.iter(|| {
                nanos += 10_000;
                let verdict = request(&mut plane, black_box(&bytes), nanos);
                black_box(plane.to_share());
                verdict
            });
        });
    }
}

/// A request that comes with B3 alone, and the outcome of one that ended.
fn steps(criterion: &mut Criterion) {
    let rest = HEADERS.iter().filter(|(name, _)| *name != "traceparent");
    let mut b3: Vec<(&str, &[u8])> = rest.copied().collect();
    b3.push(("b3", b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"));
    let bytes = serialised(&b3);
    let mut plane = plane(0);
    let mut nanos = 0;
    criterion.bench_function("request, by B3", |bencher| {
        bencher.iter(|| {
            nanos += 10_000;
            request(&mut plane, black_box(&bytes), nanos)
        });
    });
    let ended = Ended {
        verdict: OwnVerdict::Passed,
        status: Some(200),
        flags: Flags::default(),
        grpc: Some(0),
    };
    criterion.bench_function("outcome", |bencher| {
        bencher.iter(|| Outcome::of(black_box(ended)));
    });
}

fn scope(plane: &Plane, request: &Request<'_>) -> ScopeId {
    match plane.claim(Side::Server, request) {
        Claim::Scope(scope) => scope,
        Claim::ByRouteName | Claim::Unconfigured => unreachable!("the rule claims it"),
    }
}

fn request(plane: &mut Plane, bytes: &[u8], nanos: u64) -> Verdict {
    let request = Request::read(HeaderMap::new(bytes));
    let scope = scope(plane, &request);
    let arrival = Arrival {
        request: &request,
        context: 1,
        joined: None,
        now: Time::from_nanos(nanos),
    };
    let begun = plane.begin(Side::Server, scope, &arrival, |write| {
        black_box(write);
    });
    let Begun {
        exchange, verdict, ..
    } = begun.unwrap();
    let ending = Ending {
        status: Some(200),
        flags: Flags::default(),
        grpc: None,
    };
    black_box(plane.end(exchange, ending, Time::from_nanos(nanos + 1_000_000)));
    verdict
}

fn benches(criterion: &mut Criterion) {
    let bytes = serialised(HEADERS);
    for others in [0, 100] {
        let mut plane = plane(others);
        let mut nanos = 0;
        criterion.bench_function(&format!("request, {others} scopes before it"), |bencher| {
            bencher.iter(|| {
                nanos += 10_000;
                request(&mut plane, black_box(&bytes), nanos)
            });
        });
    }
}

/// What is read of the headers and said to the next service, without any decision.
fn contexts(criterion: &mut Criterion) {
    let ordinary = serialised(HEADERS);
    let others = [
        HEADERS,
        &[("tracestate", b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")],
    ]
    .concat();
    let member = [
        HEADERS,
        &[("tracestate", b"sloop=1.c3.e0badcafef,congo=t61rcWkgMzE")],
    ]
    .concat();
    let settings = ContextSettings::default();
    let mut random = Random::seeded([1, 2, 3, 4]);
    let mut into = Vec::new();
    criterion.bench_function("headers", |bencher| {
        bencher.iter(|| Request::read(HeaderMap::new(black_box(&ordinary))).is_grpc);
    });
    for (name, bytes, keep) in [
        ("parent", &ordinary, false),
        ("parent, two others", &serialised(&others), false),
        ("parent, two others, keep", &serialised(&others), true),
        ("parent, member", &serialised(&member), false),
        ("parent, member, keep", &serialised(&member), true),
    ] {
        criterion.bench_function(&format!("context, {name}"), |bencher| {
            bencher.iter(|| {
                let request = Request::read(HeaderMap::new(black_box(bytes)));
                let reading = Reading {
                    settings: &settings,
                    side: Side::Server,
                    wall: WallTime::from_millis(1_800_000_000_000),
                };
                let mut context = Context::read(&request, reading, None, &mut random);
                context.said.keep |= keep;
                black_box(context.trace.header());
                context.tracestate(&[], &mut into)
            });
        });
    }
}

criterion_group!(all, benches, features, readers, steps, contexts);
criterion_main!(all);
