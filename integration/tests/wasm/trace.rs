//! Traces: continued where there is one, begun where there is none.

use serde_json::json;
use sloop_integration::wasm_host::{Request, Response, Stream};

use crate::language::{INBOUND, answering, ask, bare, inbound, paid, pay, started};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The trace id and the span id of a `traceparent`.
fn ids(header: &str) -> (&str, &str) {
    let mut parts = header.split('-').skip(1);
    (parts.next().unwrap(), parts.next().unwrap())
}

fn with(name: &str, value: &str) -> Stream {
    let mut vm = answering(&pay(&json!({})));
    let request = Request::get("/pay").header(name, value);
    ask(&mut vm, request, Response::status(200))
}

#[test]
fn a_trace_is_continued_with_a_new_span() {
    let ended = with("traceparent", TRACEPARENT);
    let sent = ended.sent("traceparent").unwrap();
    let (trace, span) = ids(&sent);
    assert_eq!(trace, ids(TRACEPARENT).0);
    assert_ne!(span, ids(TRACEPARENT).1);
    assert_eq!(
        ended.received("traceresponse"),
        None,
        "the caller knows its trace"
    );
}

#[test]
fn what_others_say_about_a_trace_is_left_alone() {
    let mut vm = started(&pay(&json!({})));
    let request = Request::get("/pay")
        .header("traceparent", TRACEPARENT)
        .header("tracestate", "congo=t61rcWkgMzE");
    let ended = ask(&mut vm, request, Response::status(200));
    assert_eq!(ended.sent("tracestate").unwrap(), "congo=t61rcWkgMzE");
}

#[test]
fn a_trace_begins_where_there_is_none_and_the_caller_is_told() {
    let mut vm = answering(&pay(&json!({})));
    let (first, second) = (paid(&mut vm, 200), paid(&mut vm, 200));
    let sent = first.sent("traceparent").unwrap();
    assert_eq!(sent.len(), TRACEPARENT.len());
    assert_eq!(first.received("traceresponse"), Some(sent.clone()));
    let other = second.sent("traceparent").unwrap();
    assert_ne!(ids(&sent).0, ids(&other).0, "each has its own");
}

#[test]
fn what_is_no_traceparent_begins_a_trace() {
    for nonsense in [
        "",
        "00",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        let ended = with("traceparent", nonsense);
        assert!(ended.received("traceresponse").is_some(), "{nonsense:?}");
    }
}

#[test]
fn answers_carry_the_trace_as_configured() {
    for (respond, is_told) in [("always", true), ("never", false)] {
        let mut configuration = inbound(&json!([]));
        configuration["trace"] = json!({"respond": respond});
        let mut vm = answering(&configuration);
        let request = Request::get("/").header("traceparent", TRACEPARENT);
        let ended = ask(&mut vm, request, Response::status(200));
        assert_eq!(
            ended.received("traceresponse").is_some(),
            is_told,
            "{respond}"
        );
    }
}

#[test]
fn the_filters_own_answers_carry_the_trace_too() {
    let mut vm = answering(&pay(&json!({"faults": [{
        "id": "trial", "share": 10_000, "abort_status": 503, "expires_at_ms": u64::MAX,
    }]})));
    let ended = paid(&mut vm, 200);
    assert!(ended.reply().is_some());
    assert!(ended.received("traceresponse").is_some());
}

#[test]
fn the_module_that_leaves_answers_alone_says_so() {
    let mut vm = started(&pay(&json!({})));
    let ended = paid(&mut vm, 200);
    assert!(ended.sent("traceparent").is_some());
    assert_eq!(ended.received("traceresponse"), None);

    let mut configuration = inbound(&json!([]));
    configuration["trace"] = json!({"respond": "origin"});
    let mut vm = bare();
    assert!(!vm.configure(INBOUND, &configuration.to_string()));
    let log = vm.take_log().join(" ");
    assert!(
        log.contains("trace.respond") && log.contains("sloop_filter_answers.wasm"),
        "{log}"
    );
}
