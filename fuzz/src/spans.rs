//! Spans of requests with any headers, as OTLP.
//!
//! An input is five letters and then headers, of which `route` and `protocol` are what Envoy says. The letters say:
//! side, HTTP status, gRPC status, outcome and reasons.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sloop_dataplane::span::{EndedSpan, Randomness, Reasons, Seen, SpanDraft, Spans, ot_of};
use sloop_dataplane::{HeaderMap, TraceId};
use sloop_model::{FilterConfig, Outcome, OwnVerdict, RouteName, ServiceName, Side, Time};

use crate::input::{Headers, Input};

const NOW: Time = Time::from_nanos(5_000_000_000);
const VERDICTS: [OwnVerdict; 3] = [OwnVerdict::Passed, OwnVerdict::Refused, OwnVerdict::Faulted];

/// Keeps one span, and reads the batch with it as a collector would.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let side = if input.flag() {
        Side::Client
    } else {
        Side::Server
    };
    let status = [
        Some(200),
        None,
        Some(404),
        Some(503),
        Some(u16::MAX),
        Some(0),
    ][usize::from(input.choice(6))];
    let grpc = [None, Some(0), Some(14), Some(u8::MAX)][usize::from(input.choice(4))];
    let outcomes = Outcome::ALL;
    let outcome = outcomes[usize::from(input.choice(48)) % outcomes.len()];
    let kind = usize::from(input.choice(6));
    let reasons = if kind < 3 {
        Reasons::NONE
    } else {
        Reasons::MARKED.and(Reasons::FAULT)
    };
    let headers = Headers::parse(input.rest());
    let trace = TraceId { high: 1, low: 2 };
    let randomness = Randomness::of(trace, ot_of(&headers.lines("tracestate").join(&b',')));
    let draft = SpanDraft {
        trace,
        span: 3,
        parent: 4,
        flags: 3,
        randomness,
    };
    let ended = EndedSpan {
        draft,
        reasons,
        began: Time::from_nanos(1),
        ended: NOW,
        ended_unix_nanos: 1_800_000_000_000_000_000,
        status,
        is_grpc: grpc.is_some(),
        grpc,
        outcome,
        verdict: VERDICTS[kind % 3],
    };
    check_span(side, &ended, &headers);
}

fn check_span(side: Side, ended: &EndedSpan, headers: &Headers<'_>) {
    let json = br#"{"version": 1, "service": "a", "side": "server", "spans": {"cluster": "otel", "sampling": 5000}}"#;
    let settings = FilterConfig::parse(json).unwrap().spans.unwrap();
    let service = ServiceName::try_from("shop").unwrap();
    let mut spans = Spans::new(side, &service, &settings);
    if !spans.wants(&ended.draft, ended.reasons) {
        assert!(ended.reasons.is_empty());
        return;
    }
    let last = |name| headers.lines(name).last().copied().unwrap_or_default();
    let route = core::str::from_utf8(last("route")).ok();
    let route = route.and_then(|route| RouteName::try_from(route.to_owned()).ok());
    let bytes = headers.serialised();
    let seen = Seen {
        headers: HeaderMap::new(&bytes),
        protocol: last("protocol"),
        service: &service,
        route: &route.unwrap_or_else(|| RouteName::try_from("items").unwrap()),
    };
    spans.keep(ended, &seen);
    let batch = spans
        .batch(1, "sidecar-1", Time::from_nanos(60_000_000_000))
        .unwrap();
    let request = ExportTraceServiceRequest::decode(&*batch.message).expect("it is OTLP");
    assert_eq!(
        request.encode_to_vec().len(),
        batch.message.len(),
        "nothing is written twice"
    );
    let [resource] = request.resource_spans.as_slice() else {
        panic!("one resource");
    };
    let [scope] = resource.scope_spans.as_slice() else {
        panic!("one scope");
    };
    let [span] = scope.spans.as_slice() else {
        panic!("one span");
    };
    check_written(span, ended);
}

fn check_written(span: &Span, ended: &EndedSpan) {
    assert_eq!(span.span_id, ended.draft.span.to_be_bytes());
    assert_eq!(span.parent_span_id, ended.draft.parent.to_be_bytes());
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    assert!(span.trace_state.len() <= 512);
    assert!(span.encoded_len() <= 4_096, "{} bytes", span.encoded_len());
    let threshold = ot_of(span.trace_state.as_bytes()).and_then(|ot| ot.threshold);
    assert!(threshold.is_some_and(|one| one.keeps(ended.draft.randomness)));
    let mut keys: Vec<_> = span.attributes.iter().map(key).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "a key twice");
    assert!(!keys.contains(&"url.query"), "secrets are in queries");
}

fn key(attribute: &KeyValue) -> &str {
    let value = attribute
        .value
        .as_ref()
        .and_then(|value| value.value.as_ref());
    assert!(value.is_some(), "{} has no value", attribute.key);
    &attribute.key
}
