//! Spans: which go out, with which ids, and what becomes of them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;
use serde_json::{Value, json};
use sloop_integration::wasm_host::{GrpcCall, Request, Response, Vm};

use crate::language::{INBOUND, ask, bare, call_to, millis, paid, pay, push, reported, started};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn exporting(spans: &Value, rules: &Value) -> Value {
    let mut configuration = pay(rules);
    let mut settings = json!({"cluster": "otel", "interval_ms": 500});
    let fields = settings.as_object_mut().unwrap();
    fields.extend(spans.as_object().unwrap().clone());
    configuration["spans"] = settings;
    configuration
}

fn spans_in(call: &GrpcCall) -> Vec<Span> {
    assert_eq!(
        (call.service.as_str(), call.method.as_str()),
        (
            "opentelemetry.proto.collector.trace.v1.TraceService",
            "Export"
        )
    );
    let request = ExportTraceServiceRequest::decode(call.message.as_slice()).unwrap();
    let of_resources = request.resource_spans.into_iter();
    let of_scopes = of_resources.flat_map(|resource| resource.scope_spans);
    of_scopes.flat_map(|scope| scope.spans).collect()
}

/// The batch that is sent within a second, if one is.
fn batch(vm: &mut Vm) -> Option<GrpcCall> {
    for _ in 0..20 {
        if let Some(call) = call_to(vm, "otel") {
            return Some(call);
        }
        vm.advance(millis(50));
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_span_has_the_ids_that_were_sent_on() {
    let mut vm = started(&exporting(&json!({}), &json!({})));
    let request = Request::get("/pay").header("traceparent", TRACEPARENT);
    let sent = ask(&mut vm, request, Response::status(200));
    let sent = sent.sent("traceparent").unwrap();
    let call = batch(&mut vm).unwrap();
    let [span] = spans_in(&call).try_into().unwrap();
    assert_eq!(
        format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)),
        sent
    );
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.kind(), SpanKind::Server);
    vm.answer(&call, b"");
    assert_eq!(batch(&mut vm), None, "once");
}

#[test]
fn only_what_matters_goes_out_where_nothing_is_sampled() {
    let rules = json!({
        "objectives": [{"id": {"slo": "up", "index": 0}}],
        "breaker": {"limits": {
            "window_ms": 1_000, "calls_min": 4, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
    });
    let mut vm = started(&exporting(&json!({"sampling": 0}), &rules));
    paid(&mut vm, 200);
    assert_eq!(batch(&mut vm), None);
    let marked = Request::get("/pay")
        .header("traceparent", TRACEPARENT)
        .header("tracestate", "sloop=1.k");
    ask(&mut vm, marked, Response::status(200));
    for _ in 0..5 {
        paid(&mut vm, 500);
    }
    let refused = paid(&mut vm, 200);
    assert_eq!(refused.times_sent(), 0);
    let call = batch(&mut vm).unwrap();
    let spans = spans_in(&call);
    let said = |span: &Span, key| {
        let found = span.attributes.iter().find(|one| one.key == key);
        format!("{:?}", found.and_then(|one| one.value.clone()))
    };
    let why: Vec<String> = spans.iter().map(|span| said(span, "sloop.kept")).collect();
    let status = said(&spans[6], "http.response.status_code");
    assert!(status.contains("503"), "who refused it says how: {status}");
    assert_eq!(why.len(), 7, "{why:?}");
    assert!(
        why[0].contains("marked") && why[1].contains("objective") && why[6].contains("breaker"),
        "{why:?}"
    );
}

#[test]
fn about_the_share_that_is_sampled_goes_out() {
    let mut vm = started(&exporting(
        &json!({"sampling": 2_500, "queue_max": 1_024, "batch_max": 1_024, "interval_ms": 60_000}),
        &json!({}),
    ));
    for _ in 0..400 {
        paid(&mut vm, 200);
    }
    vm.advance(millis(60_000));
    let spans = spans_in(&call_to(&vm, "otel").unwrap()).len();
    // As with faults: five standard deviations.
    assert!((57..=143).contains(&spans), "{spans} of 400");
}

/// What goes on says by what threshold a trace was sampled, and its span says the same.
#[test]
fn the_threshold_of_a_sampled_trace_goes_on_and_is_in_its_span() {
    let mut vm = started(&exporting(
        &json!({"sampling": 2_500, "sampled_flag": "decided", "queue_max": 1_024, "batch_max": 1_024, "interval_ms": 60_000}),
        &json!({}),
    ));
    let mut sampled = BTreeMap::new();
    for _ in 0..100 {
        let sent = paid(&mut vm, 200);
        let parent = sent.sent("traceparent").unwrap();
        let state = sent.sent("tracestate").unwrap_or_default();
        let has_threshold = state.split(',').any(|one| one.starts_with("ot=th:c"));
        assert_eq!(parent.ends_with("-03"), has_threshold, "{parent} {state}");
        if has_threshold {
            sampled.insert(parent[3..35].to_owned(), state);
        }
    }
    vm.advance(millis(60_000));
    let spans = spans_in(&call_to(&vm, "otel").unwrap());
    let exported: BTreeMap<_, _> = spans
        .iter()
        .map(|span| (hex(&span.trace_id), span.trace_state.clone()))
        .collect();
    assert_eq!(exported, sampled);
    assert!((5..=45).contains(&sampled.len()), "{}", sampled.len());
}

#[test]
fn a_lost_batch_is_sent_once_more() {
    let mut vm = started(&exporting(&json!({}), &json!({})));
    paid(&mut vm, 200);
    let (mut batches, mut lost) = (Vec::new(), 0);
    for _ in 0..200 {
        vm.advance(millis(100));
        if let Some(call) = call_to(&vm, "otel") {
            vm.fail(&call, 14);
            batches.push(call.message);
        } else if call_to(&vm, "sloop").is_some() {
            paid(&mut vm, 404);
            lost += reported(&mut vm).trouble.unwrap_or_default().spans_lost;
        }
    }
    let [first, again, ..] = batches.as_slice() else {
        panic!("{} batches", batches.len())
    };
    assert_eq!(first, again);
    let sent = |message: &Vec<u8>| *message == batches[0];
    assert_eq!(batches.iter().filter(|batch| sent(batch)).count(), 2);
    assert!(1 <= lost);
}

#[test]
fn a_push_keeps_what_waits_and_what_is_under_way() {
    let mut vm = started(&exporting(&json!({"batch_max": 1}), &json!({})));
    paid(&mut vm, 200);
    let under_way = batch(&mut vm).unwrap();
    paid(&mut vm, 200);
    push(&mut vm, &exporting(&json!({}), &json!({})));
    assert_eq!(call_to(&vm, "otel"), None, "it ended with its root context");
    vm.advance(millis(1_100));
    let again = batch(&mut vm).unwrap();
    assert_eq!(again.message, under_way.message);
    vm.answer(&again, b"");
    assert_eq!(spans_in(&batch(&mut vm).unwrap()).len(), 1);
}

#[test]
fn what_finds_no_room_is_counted() {
    let mut vm = started(&exporting(
        &json!({"queue_max": 4, "batch_max": 4, "interval_ms": 60_000}),
        &json!({}),
    ));
    for _ in 0..10 {
        paid(&mut vm, 200);
    }
    assert_eq!(reported(&mut vm).trouble.unwrap().spans_dropped, 7);
}

#[test]
fn a_collector_that_is_not_there_hurts_nobody() {
    let mut vm = bare();
    vm.remove_cluster("otel");
    push(&mut vm, &exporting(&json!({}), &json!({})));
    for _ in 0..20 {
        let exchange = vm.begin(INBOUND, Request::get("/pay"));
        vm.respond(exchange, Response::status(200));
        assert_eq!(vm.end(exchange).times_sent(), 1);
        vm.advance(millis(500));
    }
}
