//! What spans promise. What is written is read by the types of `opentelemetry-proto`.

mod keeping;
mod sending;
mod telling;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;
use crate::headers::serialised;

pub(super) fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

/// Settings with these fields beside the cluster.
pub(super) fn settings(fields: &str) -> SpanSettings {
    let json = format!(
        r#"{{"version": 1, "service": "a", "side": "server", "spans": {{"cluster": "otel"{fields}}}}}"#
    );
    let config = sloop_model::FilterConfig::parse(json.as_bytes()).unwrap();
    config.spans.unwrap()
}

pub(super) fn spans(side: Side, fields: &str) -> Spans {
    let service = ServiceName::try_from("shop").unwrap();
    Spans::new(side, &service, &settings(fields))
}

/// A trace whose random number has this first byte.
pub(super) fn draft(first: u8) -> SpanDraft {
    let trace = TraceId {
        high: 0x0af7_6519_16cd_43dd,
        low: u64::from(first) << 48 | 0x22,
    };
    SpanDraft {
        trace,
        span: 0xb7ad_6b71_6920_3331,
        parent: 0x00f0_67aa_0ba9_02b7,
        flags: 3,
        randomness: Randomness::of(trace, None),
    }
}

/// A request that went well, from second 1 to 1.25.
pub(super) fn ended() -> EndedSpan {
    EndedSpan {
        draft: draft(0xff),
        reasons: Reasons::NONE,
        began: at(1_000),
        ended: at(1_250),
        ended_unix_nanos: 1_700_000_000_250_000_001,
        status: Some(200),
        is_grpc: false,
        grpc: None,
        outcome: Outcome::Success,
        verdict: OwnVerdict::Passed,
    }
}

pub(super) type Headers<'a> = &'a [(&'a str, &'a [u8])];

pub(super) const GET: Headers<'static> = &[
    (":method", b"GET"),
    (":scheme", b"https"),
    (":authority", b"shop.example:8443"),
    (":path", b"/items/17?token=secret"),
    ("user-agent", b"curl/8"),
];

/// What `span` becomes when it is kept and told.
pub(super) fn told(side: Side, span: &EndedSpan, headers: Headers<'_>) -> Span {
    let mut spans = spans(side, "");
    keep(&mut spans, span, "items", headers);
    let request = decoded(&spans.batch(1, "", at(100_000)).unwrap());
    only_spans(request).remove(0)
}

pub(super) fn keep(spans: &mut Spans, span: &EndedSpan, route: &str, headers: Headers<'_>) {
    assert!(spans.wants(&span.draft, span.reasons));
    spans.keep(
        span,
        &Seen {
            headers: HeaderMap::new(&serialised(headers)),
            protocol: b"HTTP/2",
            service: &ServiceName::try_from("payments").unwrap(),
            route: &RouteName::try_from(route).unwrap(),
        },
    );
}

pub(super) fn decoded(batch: &Batch<'_>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&*batch.message).unwrap()
}

pub(super) fn only_spans(mut request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut resource = request.resource_spans.remove(0);
    resource.scope_spans.remove(0).spans
}

/// A value as text; a list with blanks between.
fn text(value: Value) -> String {
    match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => {
            let values = list.values.into_iter().map(|value| value.value.unwrap());
            values.map(text).collect::<Vec<_>>().join(" ")
        }
        Value::BoolValue(_)
        | Value::DoubleValue(_)
        | Value::KvlistValue(_)
        | Value::BytesValue(_)
        | Value::StringValueStrindex(_) => panic!("spans have no such values"),
    }
}

pub(super) fn attributes(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let mut all: Vec<_> = attributes
        .iter()
        .cloned()
        .map(|one| (one.key, text(one.value.unwrap().value.unwrap())))
        .collect();
    all.sort();
    let count = all.len();
    all.dedup_by(|one, other| one.0 == other.0);
    assert_eq!(all.len(), count, "keys must be unique");
    all
}

pub(super) fn get(span: &Span, key: &str) -> Option<String> {
    let all = attributes(&span.attributes);
    let found = all.into_iter().find(|(known, _)| known == key);
    found.map(|(_, value)| value)
}
