//! What spans cost, natively, without any host.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sloop_dataplane::span::{EndedSpan, Randomness, Reasons, Seen, SpanDraft, Spans};
use sloop_dataplane::{HeaderMap, TraceId, serialised};
use sloop_model::{
    FilterConfig, Outcome, OwnVerdict, RouteName, ServiceName, Side, SpanSettings, Time,
};

const HEADERS: &[(&str, &[u8])] = &[
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
    ("tracestate", b"sloop=1-2-3,ot=th:8,other=abcdef"),
    ("content-type", b"application/json"),
];

fn settings() -> SpanSettings {
    let json = br#"{"version": 1, "service": "shop", "side": "server", "spans": {"cluster": "otel", "sampling": 100}}"#;
    FilterConfig::parse(json).unwrap().spans.unwrap()
}

fn spans() -> Spans {
    let service = ServiceName::try_from("shop").unwrap();
    Spans::new(Side::Server, &service, &settings())
}

fn draft(low: u64) -> SpanDraft {
    let trace = TraceId { high: 1, low };
    SpanDraft {
        trace,
        span: 7,
        parent: 8,
        flags: 3,
        randomness: Randomness::of(trace, None),
    }
}

fn ended() -> EndedSpan {
    EndedSpan {
        draft: draft(u64::MAX),
        reasons: Reasons::OBJECTIVE,
        began: Time::from_nanos(0),
        ended: Time::from_nanos(1_000_000),
        ended_unix_nanos: 1_700_000_000_000_000_000,
        status: Some(503),
        is_grpc: false,
        grpc: None,
        outcome: Outcome::ServerError,
        verdict: OwnVerdict::Passed,
    }
}

fn benches(criterion: &mut Criterion) {
    let bytes = serialised(HEADERS);
    let (service, route) = (
        ServiceName::try_from("payments").unwrap(),
        RouteName::try_from("charge").unwrap(),
    );
    let seen = Seen {
        headers: HeaderMap::new(&bytes),
        protocol: b"",
        service: &service,
        route: &route,
    };
    criterion.bench_function("span, not kept", |bencher| {
        let mut spans = spans();
        let mut low = 0;
        bencher.iter(|| {
            low += 1;
            spans.wants(black_box(&draft(low)), Reasons::NONE)
        });
    });
    criterion.bench_function("span, kept", |bencher| {
        bencher.iter_batched_ref(
            spans,
            |spans| spans.keep(black_box(&ended()), &seen),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("batch of 256", |bencher| {
        bencher.iter_batched_ref(
            || {
                let mut spans = spans();
                for _ in 0..256 {
                    spans.keep(&ended(), &seen);
                }
                spans
            },
            |spans| {
                let batch = spans.batch(1, "node", Time::from_nanos(1_000_000)).unwrap();
                batch.message.len()
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(all, benches);
criterion_main!(all);
