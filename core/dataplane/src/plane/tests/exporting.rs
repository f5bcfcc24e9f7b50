//! Which spans are kept, and with which ids they were sent on.

use super::*;
use crate::span::Reasons;

/// No span is kept but those that matter.
const MATTERS: &str = r#""spans": {"cluster": "o", "sampling": 0}"#;
const ALL: &str = r#""spans": {"cluster": "o", "sampling": 10000, "interval_ms": 1000}"#;
const BREAKER: &str = r#""breaker": {"limits": {"window_ms": 1000, "calls_min": 4, "failed_max": 5000,
    "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;

fn exporting(spans: &str, more: &str) -> Bench {
    Bench::new(&and(&config(&scope("a", more)), spans))
}

/// Why a request is kept, if it is.
fn why(bench: &mut Bench, status: u16, millis: u64) -> Option<Reasons> {
    let (exchange, _) = bench.begin("a", millis);
    let kept = bench.end_kept(exchange, status, millis)?;
    Some(kept.span.reasons)
}

fn keep(bench: &mut Bench, status: u16, millis: u64) {
    let (exchange, _) = bench.begin("a", millis);
    if let Some(kept) = bench.end_kept(exchange, status, millis) {
        bench.plane.keep(&kept, HeaderMap::new(b""), b"");
    }
}

#[test]
fn what_broke_an_objective_is_kept_and_what_did_not_is_not() {
    let mut bench = exporting(
        MATTERS,
        r#""objectives": [{"id": {"slo": "up", "index": 0}}]"#,
    );
    assert_eq!(why(&mut bench, 200, 0), None);
    assert_eq!(why(&mut bench, 500, 0), Some(Reasons::OBJECTIVE));
}

#[test]
fn whom_a_breaker_refused_or_let_try_is_kept() {
    let mut bench = exporting(MATTERS, BREAKER);
    for _ in 0..4 {
        bench.request("a", 503, 0);
    }
    assert_eq!(why(&mut bench, 503, 10), Some(Reasons::BREAKER));
    assert_eq!(
        why(&mut bench, 200, 1_000),
        Some(Reasons::BREAKER),
        "a probe"
    );
    assert_eq!(why(&mut bench, 200, 1_000), None, "closed");
}

#[test]
fn whom_a_fault_met_is_kept() {
    let fault = format!(
        r#""faults": [{{"id": "e", "share": 10000, "abort_status": 503, "expires_at_ms": {}}}]"#,
        WALL + 10_000
    );
    let mut bench = exporting(MATTERS, &fault);
    assert_eq!(why(&mut bench, 503, 0), Some(Reasons::FAULT));
    assert_eq!(why(&mut bench, 200, 10_000), None, "it is over");
}

#[test]
fn who_was_shed_is_kept() {
    let shed = r#""shed": {"limits": {"share_min": 5000, "share_max": 9000, "floor": 10, "failed_max": 100}}"#;
    let mut bench = exporting(MATTERS, shed);
    let mut kept = 0;
    for millis in (0..4_000).step_by(10) {
        let (exchange, verdict) = bench.begin("a", millis);
        let reasons = bench.end_kept(exchange, 200, millis);
        let reasons = reasons.map(|kept| kept.span.reasons);
        assert_eq!(reasons, (verdict == Verdict::Shed).then_some(Reasons::SHED));
        kept += u32::from(reasons.is_some());
    }
    assert!(30 < kept && kept < 370, "{kept} of 400");
}

#[test]
fn who_was_marked_is_kept() {
    let mut bench = exporting(MATTERS, "");
    let headers: [(&str, &[u8]); 2] = [
        (
            "traceparent",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("tracestate", b"sloop=1.k"),
    ];
    let begun = bench.begin_with(Side::Server, "a", &headers, 0);
    let kept = bench.end_kept(begun.exchange, 200, 0).unwrap();
    assert_eq!(kept.span.reasons, Reasons::MARKED);
}

#[test]
fn a_span_is_what_was_sent_on() {
    for flag in ["always", "decided"] {
        let spans = ALL.replace("\"o\"", &format!(r#""o", "sampled_flag": "{flag}""#));
        let mut bench = exporting(&spans, "");
        let (exchange, _) = bench.begin("a", 0);
        let sent = bench.wrote("traceparent").unwrap().to_owned();
        let draft = bench.end_kept(exchange, 200, 0).unwrap().span.draft;
        let described = format!(
            "00-{:016x}{:016x}-{:016x}-{:02x}",
            draft.trace.high, draft.trace.low, draft.span, draft.flags
        );
        assert_eq!(described, sent, "{flag}");
        assert_eq!(draft.parent, 0);
        let state = bench.wrote("tracestate");
        assert_eq!(state, (flag == "decided").then_some("ot=th:0"), "{flag}");
    }
}

#[test]
fn a_trace_that_is_not_sampled_says_so() {
    let spans = MATTERS.replace("\"o\"", r#""o", "sampled_flag": "decided""#);
    let mut bench = exporting(&spans, "");
    bench.request("a", 200, 0);
    let sent = bench.wrote("traceparent").unwrap();
    let flags = u8::from_str_radix(&sent[53..], 16).unwrap();
    assert_eq!((flags & 1, bench.wrote("tracestate")), (0, None));
}

#[test]
fn a_caller_that_says_whether_a_trace_is_sampled_is_heeded() {
    for (flag, share) in [
        ("always", "0"),
        ("always", "10000"),
        ("decided", "0"),
        ("decided", "10000"),
    ] {
        let spans = format!(
            r#""spans": {{"cluster": "o", "sampled_flag": "{flag}", "sampling": {share}}}, "trace": {{"context": {{"b3": "single"}}}}"#
        );
        let mut bench = exporting(&spans, "");
        for (name, value, expected) in [
            ("b3", "0", "0"),
            ("b3", "1", "1"),
            ("b3", "d", "d"),
            ("x-b3-sampled", "0", "0"),
            ("x-b3-sampled", "true", "1"),
            ("x-b3-flags", "1", "d"),
        ] {
            let headers = [(name, value.as_bytes())];
            let begun = bench.begin_with(Side::Server, "a", &headers, 0);
            bench.end(begun.exchange, 200, 0);
            let sent = bench.wrote("traceparent").unwrap();
            let flags = u8::from_str_radix(&sent[53..], 16).unwrap() & 1;
            let words = format!("{flag}, {share}: {name}: {value}");
            assert_eq!(flags, u8::from(expected != "0"), "{words}");
            assert!(bench.wrote("b3").unwrap().ends_with(expected), "{words}");
            let state = bench.wrote("tracestate").unwrap_or_default();
            assert!(!state.contains("ot="), "{words}: nobody drew");
        }
    }
}

#[test]
fn a_push_keeps_what_waits_and_sends_it_where_it_says() {
    let mut bench = exporting(ALL, "");
    keep(&mut bench, 200, 0);
    let pushed = and(&config(&scope("a", "")), ALL).replace("\"o\"", "\"p\"");
    bench.configure(&pushed, 10);
    assert!(bench.plane.wake_at().unwrap() <= at(1_000));
    let batch = bench.plane.span_batch(Side::Server, (1, "n"), at(1_000));
    assert_eq!(batch.unwrap().cluster, "p");
}

#[test]
fn a_lost_batch_goes_once_more_and_then_is_counted() {
    let mut bench = exporting(ALL, "");
    keep(&mut bench, 200, 0);
    for millis in [1_000, 3_000] {
        let batch = bench.plane.span_batch(Side::Server, (1, "n"), at(millis));
        let number = batch.unwrap().number;
        bench.plane.spans_lost(Side::Server, number, 14, at(millis));
    }
    let late = bench.plane.span_batch(Side::Server, (1, "n"), at(90_000));
    assert_eq!(late, None);
    assert_eq!(bench.report(90_000).unwrap().trouble.spans_lost, 1);
}

#[test]
fn a_batch_whose_sender_is_gone_goes_out_again() {
    let mut bench = exporting(ALL, "");
    keep(&mut bench, 200, 0);
    let first = bench.plane.span_batch(Side::Server, (1, "n"), at(1_000));
    let first = first.unwrap().message;
    bench.plane.lose_span_sender(1, at(1_100));
    let again = bench.plane.span_batch(Side::Server, (2, "n"), at(2_100));
    assert_eq!(again.unwrap().message, first);
}

#[test]
fn what_finds_no_room_is_counted() {
    let spans = ALL.replace("\"o\"", r#""o", "queue_max": 4, "batch_max": 4"#);
    let mut bench = exporting(&spans, "");
    for _ in 0..10 {
        keep(&mut bench, 200, 0);
    }
    // A quarter is left to those that matter.
    assert_eq!(bench.report(1_000).unwrap().trouble.spans_dropped, 7);
}

#[test]
fn what_waits_when_spans_are_withdrawn_is_counted() {
    let spans = ALL.replace("\"o\"", r#""o", "queue_max": 4, "batch_max": 4"#);
    let mut bench = exporting(&spans, "");
    for _ in 0..5 {
        keep(&mut bench, 200, 0);
    }
    // Two found no room, three wait.
    bench.configure(&config(&scope("a", "")), 10);
    assert_eq!(
        bench.plane.span_batch(Side::Server, (1, "n"), at(1_000)),
        None
    );
    assert_eq!(bench.report(1_000).unwrap().trouble.spans_dropped, 5);
}
