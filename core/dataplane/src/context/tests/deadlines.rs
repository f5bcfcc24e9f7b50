//! Deadlines along a chain of sidecars.

use super::*;

const ENFORCE: &str = r#"{"deadlines": "enforce"}"#;

/// What is left, in milliseconds, according to the headers.
fn left(sent: &Headers) -> Option<u32> {
    let list = lines(sent, "tracestate").concat();
    let value = list.strip_prefix("sloop=")?;
    Some(Said::parse(value.as_bytes())?.deadline?.left_ms)
}

#[test]
fn each_hop_passes_on_what_is_left() {
    let mut first = Sidecar::new(ENFORCE);
    let given = headers(&[PARENT, ("grpc-timeout", "1S")]);
    let mut inbound = first.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(left(&inbound), Some(1_000));
    // The application takes 300 ms, and does not forward the header.
    inbound.retain(|(name, _)| name != "grpc-timeout");
    let outbound = first.pass(Side::Client, &inbound, at(300), |_| {});
    assert_eq!(left(&outbound), Some(700));
    // The next machine's clock is a minute ahead, which takes nothing.
    let mut second = Sidecar::new(ENFORCE);
    let inbound = second.pass(Side::Server, &outbound, at(60_300), |_| {});
    assert_eq!(left(&inbound), Some(700));
    let outbound = second.pass(Side::Client, &inbound, at(60_999), |_| {});
    assert_eq!(
        (left(&outbound), second.timeliness),
        (Some(1), Timeliness::InTime)
    );
    let outbound = second.pass(Side::Client, &inbound, at(61_000), |_| {});
    assert_eq!(
        (left(&outbound), second.timeliness),
        (Some(0), Timeliness::Late)
    );
    // Whoever gets it nevertheless refuses it, too.
    second.pass(Side::Server, &outbound, at(0), |_| {});
    assert_eq!(second.timeliness, Timeliness::Late);
}

#[test]
fn a_shorter_timeout_on_the_way_counts_from_there() {
    let mut sidecar = Sidecar::new(ENFORCE);
    let given = headers(&[PARENT, ("x-envoy-expected-rq-timeout-ms", "15000")]);
    let mut inbound = sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(left(&inbound), Some(15_000));
    inbound.push(("grpc-timeout".into(), b"50m".to_vec()));
    assert_eq!(
        left(&sidecar.pass(Side::Client, &inbound, at(10), |_| {})),
        Some(50)
    );
}

#[test]
fn carried_deadlines_refuse_nothing() {
    let mut sidecar = Sidecar::new(r#"{"deadlines": "carry"}"#);
    let given = headers(&[PARENT, ("tracestate", "sloop=1.d0-0")]);
    sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(sidecar.timeliness, Timeliness::LateButPasses);
}

#[test]
fn ignored_deadlines_cost_nothing_and_are_passed_on() {
    let mut sidecar = Sidecar::new("{}");
    let given = headers(&[
        PARENT,
        ("tracestate", "sloop=1.d0-0"),
        ("grpc-timeout", "1S"),
    ]);
    let sent = sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(
        (sidecar.timeliness, sidecar.rewrite),
        (Timeliness::InTime, Rewrite::Keep)
    );
    assert_eq!(left(&sent), Some(0));
}

#[test]
fn without_a_deadline_nobody_is_late() {
    let mut sidecar = Sidecar::new(ENFORCE);
    sidecar.pass(Side::Server, &headers(&[PARENT]), at(0), |_| {});
    assert_eq!(
        (sidecar.timeliness, sidecar.rewrite),
        (Timeliness::InTime, Rewrite::Keep)
    );
}

#[test]
fn at_the_edge_only_the_callers_own_timeout_counts() {
    let mut sidecar = Sidecar::new(r#"{"deadlines": "enforce", "member": "discard"}"#);
    let given = headers(&[
        PARENT,
        ("tracestate", "sloop=1.d0-0"),
        ("grpc-timeout", "1S"),
    ]);
    let sent = sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(
        (left(&sent), sidecar.timeliness),
        (Some(1_000), Timeliness::InTime)
    );
}
