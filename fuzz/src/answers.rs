//! What comes back from a collector of spans and from the control plane.
//!
//! An input is a letter that says which, and then the message.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use sloop_dataplane::report::readings;
use sloop_dataplane::shed::FleetReading;
use sloop_dataplane::span::{EndedSpan, Randomness, Reasons, Seen, SpanDraft, Spans};
use sloop_dataplane::{HeaderMap, TraceId};
use sloop_model::{
    FilterConfig, Outcome, OwnVerdict, RouteName, Scope, ServiceName, Side, SpanSettings, Time,
};
use sloop_xds_protos::report::v1 as report;

use crate::input::Input;

/// Reads the answer as the filter does.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() {
        check_report(input.rest());
    } else {
        check_collector(input.rest());
    }
}

/// No answer makes more spans rejected than were sent, and an honest one is understood.
fn check_collector(answer: &[u8]) {
    let mut spans = Spans::new(Side::Server, &service(), &settings());
    // Twice, since what is counted adds up.
    for second in [10, 20] {
        for _ in 0..2 {
            keep(&mut spans, Time::from_nanos(second * 1_000_000_000));
        }
        let now = Time::from_nanos((second + 5) * 1_000_000_000);
        let number = spans.batch(1, "", now).unwrap().number;
        spans.acknowledge(number, answer);
        assert!(spans.wake_at().is_none(), "nothing waits any more");
        let rejected = spans.take_counts().rejected;
        assert!(rejected <= 2, "{rejected} of 2");
        if let Ok(answer) = ExportTraceServiceResponse::decode(answer)
            && let Some(partial) = answer.partial_success
            && (1..=2).contains(&partial.rejected_spans)
        {
            // A message in pieces, or a field twice, is no encoder's; the first counts here, the last there.
            assert!(rejected <= 2);
        }
    }
    check_honest(answer);
}

/// An encoder's own bytes are read as they were meant.
fn check_honest(answer: &[u8]) {
    let Ok(answer) = ExportTraceServiceResponse::decode(answer) else {
        return;
    };
    let expected = answer.partial_success.as_ref().map_or(0, |partial| {
        u64::try_from(partial.rejected_spans).unwrap_or(0).min(2)
    });
    let mut spans = Spans::new(Side::Server, &service(), &settings());
    for _ in 0..2 {
        keep(&mut spans, Time::from_nanos(1));
    }
    let number = spans
        .batch(1, "", Time::from_nanos(5_000_000_000))
        .unwrap()
        .number;
    spans.acknowledge(number, &answer.encode_to_vec());
    assert_eq!(spans.take_counts().rejected, expected);
}

fn service() -> ServiceName {
    ServiceName::try_from("shop").unwrap()
}

fn settings() -> SpanSettings {
    let json = br#"{"version": 1, "service": "a", "side": "server", "spans": {"cluster": "otel"}}"#;
    FilterConfig::parse(json).unwrap().spans.unwrap()
}

fn keep(spans: &mut Spans, now: Time) {
    let trace = TraceId { high: 1, low: 2 };
    let draft = SpanDraft {
        trace,
        span: 3,
        parent: 0,
        flags: 1,
        randomness: Randomness::of(trace, None),
    };
    let reasons = Reasons::MARKED;
    assert!(spans.wants(&draft, reasons));
    let ended = EndedSpan {
        draft,
        reasons,
        began: now,
        ended: now,
        ended_unix_nanos: 1_800_000_000_000_000_000,
        status: Some(200),
        is_grpc: false,
        grpc: None,
        outcome: Outcome::Success,
        verdict: OwnVerdict::Passed,
    };
    let route = RouteName::try_from("items").unwrap();
    let seen = Seen {
        headers: HeaderMap::new(b""),
        protocol: b"",
        service: &service(),
        route: &route,
    };
    spans.keep(&ended, &seen);
}

/// Readings are taken as they are, or not at all.
fn check_report(answer: &[u8]) {
    heard(answer);
    let Ok(answer) = report::ReportResponse::decode(answer) else {
        return;
    };
    let expected: Vec<_> = answer.readings.iter().filter_map(reading).collect();
    assert_eq!(heard(&answer.encode_to_vec()), expected);
}

fn heard(answer: &[u8]) -> Vec<(Scope, FleetReading)> {
    let mut heard = Vec::new();
    readings(answer, &mut |scope, reading| {
        heard.push((scope.clone(), reading));
    });
    heard
}

/// As the types say it that are generated from the protocol.
fn reading(reading: &report::ScopeReading) -> Option<(Scope, FleetReading)> {
    let side = match report::Side::try_from(reading.side).ok()? {
        report::Side::Server => Side::Server,
        report::Side::Client => Side::Client,
        report::Side::Unspecified => return None,
    };
    let scope = Scope {
        service: ServiceName::try_from(reading.service.clone()).ok()?,
        route: RouteName::try_from(reading.route.clone()).ok()?,
        side,
    };
    let reading = FleetReading {
        requests: reading.requests,
        good: reading.good,
    };
    Some((scope, reading))
}
