//! Outbound requests of applications that forward only `x-request-id`.

use super::*;

const ID: (&str, &[u8]) = ("x-request-id", b"3f3c2a1e-0000-4000-8000-000000000001");
const JOIN: &str = r#""join": {"expires_ms": 1000}"#;

fn joining(context: &str, server: &str) -> Bench {
    let trace = format!(r#""trace": {{"context": {{{context}}}}}"#);
    let mut bench = Bench::new(&and(&config(server), &trace));
    let client = config("").replace("server", "client");
    bench.configure(&and(&client, &trace), 0);
    bench
}

/// The trace and the span of the last request, as it was sent on.
fn ids(bench: &Bench) -> (String, String) {
    let header = bench.wrote("traceparent").unwrap();
    (header[3..35].to_owned(), header[36..52].to_owned())
}

fn inbound(bench: &mut Bench, millis: u64) -> (String, String) {
    inbound_unnamed(bench, millis);
    ids(bench)
}

/// As [`inbound`], where the filter writes no trace.
fn inbound_unnamed(bench: &mut Bench, millis: u64) {
    let begun = bench.begin_with(Side::Server, "a", &[ID], millis);
    bench.end(begun.exchange, 200, millis);
}

/// The trace that an outbound request is in, and its parent.
fn outbound(bench: &mut Bench, millis: u64) -> (String, Option<u64>) {
    let begun = bench.begin_with(Side::Client, "b", &[ID], millis);
    bench.end(begun.exchange, 200, millis);
    (ids(bench).0, begun.trace.parent())
}

#[test]
fn they_are_below_the_inbound_one() {
    let mut bench = joining(JOIN, "");
    let (trace, span) = inbound(&mut bench, 0);
    let span = u64::from_str_radix(&span, 16).unwrap();
    assert_eq!(outbound(&mut bench, 999), (trace, Some(span)));
}

/// Where Envoy's tracer begins a trace, the filter does not know which.
#[test]
fn where_envoy_owns_the_trace_they_are_below_what_came_in_only() {
    let reach = r#""owner": "envoy", "join": {"expires_ms": 1000, "reach": "sidecar"}"#;
    let mut bench = joining(reach, "");
    let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (headers, is_joined) in [(&[ID][..], false), (&[ID, ("traceparent", parent)], true)] {
        let begun = bench.begin_with(Side::Server, "a", headers, 0);
        assert_eq!(bench.plane.to_share().is_some(), is_joined);
        bench.end(begun.exchange, 200, 0);
        let begun = bench.begin_with(Side::Client, "b", &[ID], 1);
        assert_eq!(begun.trace.parent().is_some(), is_joined);
        bench.end(begun.exchange, 200, 1);
    }
}

/// What the inbound filter stamped is of this machine's clock, whatever Envoy's tracer does with `tracestate`.
#[test]
fn where_envoy_owns_the_trace_the_time_in_the_application_is_taken_off_what_is_joined() {
    let limited = scope("b", r#""deadline": {"limit_ms": 90}"#);
    for (deadlines, scopes) in [
        ("enforce", ""),
        ("carry", limited.as_str()),
        ("ignore", limited.as_str()),
    ] {
        let context = format!(r#""owner": "envoy", "deadlines": "{deadlines}", {JOIN}"#);
        let mut bench = joining(&context, &scope("a", r#""deadline": {"limit_ms": 100}"#));
        let client = and(
            &config(scopes).replace("server", "client"),
            &format!(r#""trace": {{"context": {{{context}}}}}"#),
        );
        bench.configure(&client, 0);
        let mut after = |millis: u64| {
            inbound_unnamed(&mut bench, 0);
            let begun = bench.begin_with(Side::Client, "b", &[ID], millis);
            bench.end(begun.exchange, 200, millis);
            (begun.verdict, bench.wrote("tracestate").map(str::to_owned))
        };
        let left = |left: u64, millis: u64| Some(format!("sloop=1.d{left:x}-{:x}", WALL + millis));
        assert_eq!(after(60), (Verdict::Pass, left(40, 60)), "{deadlines}");
        assert_eq!(after(100).0, Verdict::Late, "{deadlines}");
    }
}

#[test]
fn where_envoy_begins_the_trace_what_is_said_is_joined_all_the_same() {
    let context = r#""owner": "envoy", "deadlines": "enforce", "join": {"expires_ms": 1000, "reach": "sidecar"}"#;
    let mut bench = joining(context, &scope("a", r#""criticality": "sheddable""#));
    let timeout: [(&str, &[u8]); 2] = [ID, ("grpc-timeout", b"100m")];
    let begun = bench.begin_with(Side::Server, "a", &timeout, 0);
    assert!(bench.plane.to_share().is_some());
    bench.end(begun.exchange, 200, 0);
    let begun = bench.begin_with(Side::Client, "b", &[ID], 60);
    assert_eq!(begun.verdict, Verdict::Pass);
    let expected = format!("sloop=1.c0.d28-{:x}", WALL + 60);
    assert_eq!(bench.wrote("tracestate"), Some(expected.as_str()));
    assert_eq!(begun.trace.parent(), None, "nobody knows it");
    bench.end(begun.exchange, 200, 60);
    let late = bench.begin_with(Side::Client, "b", &[ID], 100);
    assert_eq!(late.verdict, Verdict::Late);
    bench.end(late.exchange, 504, 100);
}

#[test]
fn but_not_for_ever() {
    let mut bench = joining(JOIN, "");
    let (trace, _) = inbound(&mut bench, 0);
    let (other, parent) = outbound(&mut bench, 1_000);
    assert_ne!(trace, other);
    assert_eq!(parent, None);
}

#[test]
fn nor_unless_it_is_wanted() {
    let mut bench = joining("", "");
    let (trace, _) = inbound(&mut bench, 0);
    assert_ne!(outbound(&mut bench, 0).0, trace);
    let bytes = serialised(&[ID]);
    let request = Request::read(HeaderMap::new(&bytes));
    assert_eq!(bench.plane.joins(Side::Client, &request, at(0)), Joins::No);
    assert_eq!(bench.plane.to_share(), None);
}

#[test]
fn what_was_refused_causes_nothing() {
    let deny = format!(
        r#""deny": [{{"id": "d", "match": {{"path": {{"prefix": "/"}}}}, "share_max": 10000,
            "expires_at_ms": {}}}]"#,
        WALL + 60_000
    );
    let sidecar = r#""join": {"expires_ms": 1000, "reach": "sidecar"}"#;
    let mut bench = joining(sidecar, &scope("a", &deny));
    let headers: [(&str, &[u8]); 2] = [ID, (":path", b"/a")];
    let begun = bench.begin_with(Side::Server, "a", &headers, 0);
    assert!(matches!(begun.verdict, Verdict::Block { .. }));
    assert_eq!(bench.plane.to_share(), None);
    bench.end(begun.exchange, 403, 0);
    assert_eq!(outbound(&mut bench, 0).1, None);
}

#[test]
fn another_worker_finds_it_where_the_sidecar_shares() {
    let sidecar = r#""join": {"expires_ms": 1000, "reach": "sidecar"}"#;
    let (mut here, there) = (joining(sidecar, ""), joining(sidecar, ""));
    inbound(&mut here, 0);
    let (key, value) = here.plane.to_share().unwrap();
    let (key, value) = (key, value.to_vec());
    assert_eq!(here.plane.to_share(), None, "once");

    let bytes = serialised(&[ID]);
    let request = Request::read(HeaderMap::new(&bytes));
    assert_eq!(
        there.plane.joins(Side::Client, &request, at(10)),
        Joins::Ask(key)
    );
    let joined = |millis| there.plane.joined_by(&value, &request, at(millis));
    let ours = |bench: &Bench| bench.plane.joins(Side::Client, &request, at(10));
    assert_eq!(ours(&here), Joins::To(joined(10).unwrap()));
    assert_eq!(joined(1_000), None, "expired");
}
