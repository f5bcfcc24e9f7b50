//! The context goes on with as few writes as can be.

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn carrying(context: &str) -> Bench {
    let trace = format!(r#""trace": {{"context": {{{context}}}}}"#);
    let mut bench = Bench::new(&and(&config(&scope("a", "")), &trace));
    let client = config(&scope("a", "")).replace("server", "client");
    bench.configure(&and(&client, &trace), 0);
    bench
}

/// A request with this `tracestate`, if any, and these headers; what was decided about it.
fn ask(bench: &mut Bench, side: Side, state: &str, more: &[(&str, &[u8])], millis: u64) -> Verdict {
    let mut headers = vec![("traceparent", PARENT.as_bytes())];
    if !state.is_empty() {
        headers.push(("tracestate", state.as_bytes()));
    }
    headers.extend(more);
    let begun = bench.begin_with(side, "a", &headers, millis);
    bench.end(begun.exchange, 200, millis);
    begun.verdict
}

#[test]
fn what_did_not_change_is_not_written() {
    let mut bench = carrying("");
    for state in [
        "",
        "congo=1",
        "sloop=1.c3.k.d5dc-8c3f2a10.e0badcafef,congo=1",
    ] {
        ask(&mut bench, Side::Server, state, &[], 0);
        assert_eq!(bench.written(), ["traceparent"], "{state:?}");
    }
    assert!(
        bench
            .wrote("traceparent")
            .unwrap()
            .starts_with(&PARENT[..36])
    );
}

#[test]
fn each_hop_passes_on_what_is_left() {
    let mut bench = carrying(r#""deadlines": "enforce""#);
    let timeout: [(&str, &[u8]); 1] = [("grpc-timeout", b"100m")];
    ask(&mut bench, Side::Server, "sloop=1.c3,congo=1", &timeout, 0);
    assert_eq!(bench.written(), ["traceparent", "tracestate"]);
    let state = bench.wrote("tracestate").unwrap().to_owned();
    assert_eq!(state, format!("sloop=1.c3.d64-{WALL:x},congo=1"));

    // The application copies it, and takes its time.
    let verdict = ask(&mut bench, Side::Client, &state, &[], 60);
    assert_eq!(verdict, Verdict::Pass);
    let left = format!("sloop=1.c3.d28-{:x},congo=1", WALL + 60);
    assert_eq!(bench.wrote("tracestate"), Some(left.as_str()));
    assert_eq!(
        ask(&mut bench, Side::Client, &state, &[], 100),
        Verdict::Late
    );
    assert_eq!(bench.written(), [""; 0], "nobody will see it");
}

#[test]
fn a_late_request_is_refused_and_counted_apart() {
    let mut bench = carrying(r#""deadlines": "enforce""#);
    let verdict = ask(&mut bench, Side::Server, "sloop=1.d0-0", &[], 0);
    assert_eq!(verdict, Verdict::Late);
    let report = bench.report(1_000).unwrap();
    assert_eq!(outcome(&report.scopes[0], Outcome::DeadlinePassed), 1);
    assert_eq!(report.trouble.late_passed, 0);
}

#[test]
fn where_deadlines_are_only_carried_a_late_request_passes_and_is_counted() {
    let mut bench = carrying(r#""deadlines": "carry""#);
    let verdict = ask(&mut bench, Side::Server, "sloop=1.d0-0", &[], 0);
    assert_eq!(verdict, Verdict::Pass);
    assert!(
        bench
            .wrote("tracestate")
            .unwrap()
            .starts_with("sloop=1.d0-")
    );
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.trouble.late_passed, 1);
    assert_eq!(outcome(&report.scopes[0], Outcome::Success), 1);
}

#[test]
fn where_deadlines_are_ignored_nothing_is_late() {
    let mut bench = carrying("");
    let timeout: [(&str, &[u8]); 1] = [("grpc-timeout", b"1m")];
    let verdict = ask(&mut bench, Side::Client, "sloop=1.d0-0", &timeout, 500);
    assert_eq!(
        (verdict, bench.written()),
        (Verdict::Pass, vec!["traceparent"])
    );
}

#[test]
fn where_envoy_owns_the_trace_its_header_is_left_alone() {
    let mut bench = carrying(r#""owner": "envoy", "deadlines": "carry""#);
    let timeout: [(&str, &[u8]); 1] = [("grpc-timeout", b"1S")];
    ask(&mut bench, Side::Server, "", &timeout, 0);
    assert_eq!(bench.written(), ["tracestate"]);
}

#[test]
fn where_envoy_owns_the_trace_nobody_is_told_other_ids() {
    let trace = |respond: &str| {
        format!(
            r#""trace": {{"respond": "{respond}", "context": {{"owner": "envoy", "b3": "multi"}}}}"#
        )
    };
    for respond in ["origin", "always"] {
        let mut bench = Bench::new(&and(&config(&scope("a", "")), &trace(respond)));
        for headers in [&[("traceparent", PARENT.as_bytes())][..], &[]] {
            let begun = bench.begin_with(Side::Server, "a", headers, 0);
            assert!(!bench.plane.responds(Side::Server, &begun.trace));
            assert_eq!(bench.written(), [""; 0]);
            bench.end(begun.exchange, 200, 0);
        }
    }
}

/// Envoy's tracer puts back the `tracestate` that came in, so what goes out has the stamp of another machine.
#[test]
fn where_envoy_owns_the_trace_no_clock_of_another_machine_is_subtracted() {
    for (owner, verdict) in [("sloop", Verdict::Late), ("envoy", Verdict::Pass)] {
        let context = format!(r#""owner": "{owner}", "deadlines": "enforce""#);
        let mut bench = carrying(&context);
        let state = format!("sloop=1.d64-{:x}", WALL - 200);
        assert_eq!(ask(&mut bench, Side::Client, &state, &[], 0), verdict);
        let limited = config(&scope("a", r#""deadline": {"limit_ms": 1000}"#));
        let limited = limited.replace("server", "client");
        let trace = format!(r#""trace": {{"context": {{"owner": "{owner}"}}}}"#);
        bench.configure(&and(&limited, &trace), 0);
        assert_eq!(ask(&mut bench, Side::Client, &state, &[], 0), verdict);
    }
}

#[test]
fn the_first_that_says_how_much_it_matters_is_believed_behind() {
    let mut bench = Bench::new(&config(&scope("a", r#""criticality": "sheddable""#)));
    ask(&mut bench, Side::Server, "congo=1", &[], 0);
    assert_eq!(bench.wrote("tracestate"), Some("sloop=1.c0,congo=1"));
    ask(&mut bench, Side::Server, "sloop=1.c3", &[], 0);
    assert_eq!(bench.written(), ["traceparent"]);
    bench.request("a", 200, 0);
    assert_eq!(bench.wrote("tracestate"), Some("sloop=1.c0"));
}

#[test]
fn b3_goes_out_as_it_is_wanted() {
    let mut bench = carrying(r#""b3": "single""#);
    ask(&mut bench, Side::Server, "", &[], 0);
    let span = &bench.wrote("traceparent").unwrap()[36..52];
    let expected = format!("{TRACE}-{span}-1");
    assert_eq!(bench.wrote("b3"), Some(expected.as_str()));

    let mut bench = carrying(r#""b3": "multi""#);
    ask(&mut bench, Side::Server, "", &[], 0);
    let span = bench.wrote("traceparent").unwrap()[36..52].to_owned();
    assert_eq!(bench.wrote("x-b3-traceid"), Some(TRACE));
    assert_eq!(bench.wrote("x-b3-spanid"), Some(span.as_str()));
    assert_eq!(bench.wrote("x-b3-sampled"), Some("1"));
}

#[test]
fn at_the_edge_nobody_is_believed() {
    let mut bench = carrying(r#""member": "discard", "deadlines": "enforce""#);
    let verdict = ask(&mut bench, Side::Server, "sloop=1.d0-0", &[], 0);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(bench.sent.get("tracestate"), Some(&None), "removed");
    ask(&mut bench, Side::Server, "sloop=1.c3,congo=1", &[], 0);
    assert_eq!(bench.wrote("tracestate"), Some("congo=1"));
}
