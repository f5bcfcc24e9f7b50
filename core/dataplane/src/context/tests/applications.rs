//! Applications that forward little, and those that speak B3.

use super::*;
use sloop_model::Criticality;

const JOIN: &str = r#"{"join": {"expires_ms": 1000}, "deadlines": "enforce"}"#;
const ID: (&str, &str) = ("x-request-id", "3f1b7a52-0c0e-4bb0-8a2e-6f8f3f6f8a11");

fn inbound(sidecar: &mut Sidecar) -> Sent {
    let given = headers(&[
        PARENT,
        ID,
        ("tracestate", "sloop=1.c0"),
        ("grpc-timeout", "1S"),
    ]);
    sent(&sidecar.pass(Side::Server, &given, at(0), |_| {}))
}

#[test]
fn a_request_that_forwards_only_its_id_is_joined() {
    let mut sidecar = Sidecar::new(JOIN);
    inbound(&mut sidecar);
    let outbound = sidecar.pass(Side::Client, &headers(&[ID]), at(400), |said| {
        assert_eq!(said.criticality, Some(Criticality::Sheddable));
        assert_eq!(said.deadline.map(|deadline| deadline.left_ms), Some(600));
    });
    assert_eq!(sent(&outbound).trace, TRACE);
}

#[test]
fn nothing_is_joined_that_says_something_itself() {
    let mut sidecar = Sidecar::new(JOIN);
    inbound(&mut sidecar);
    let own = format!("00-{}-{SPAN}-01", TRACE.replace('4', "5"));
    let b3 = format!("{}-{SPAN}", TRACE.replace('4', "6"));
    for header in [
        ("traceparent", own.as_str()),
        ("traceparent", "rubbish"),
        ("b3", &b3),
    ] {
        let outbound = sidecar.pass(Side::Client, &headers(&[ID, header]), at(1), |_| {});
        assert_ne!(sent(&outbound).trace, TRACE, "{header:?}");
    }
}

#[test]
fn without_the_setting_or_too_late_nothing_is_joined() {
    for (settings, millis) in [("{}", 1), (JOIN, 1_000)] {
        let mut sidecar = Sidecar::new(settings);
        inbound(&mut sidecar);
        let outbound = sidecar.pass(Side::Client, &headers(&[ID]), at(millis), |_| {});
        assert_ne!(sent(&outbound).trace, TRACE, "{settings} {millis}");
    }
}

#[test]
fn an_application_that_speaks_b3_keeps_its_trace() {
    for (format, given) in [
        (
            "single",
            vec![("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")],
        ),
        (
            "multi",
            vec![
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-sampled", "1"),
            ],
        ),
    ] {
        let mut sidecar = Sidecar::new(&format!(r#"{{"b3": "{format}"}}"#));
        let mut inbound = sidecar.pass(Side::Server, &headers(&given), at(0), |_| {});
        // The application knows nothing but B3.
        inbound.retain(|(name, _)| name.contains("b3"));
        let outbound = sidecar.pass(Side::Client, &inbound, at(0), |_| {});
        assert_eq!(sent(&outbound).trace, TRACE, "{format}");
        let name = if format == "single" {
            "b3"
        } else {
            "x-b3-traceid"
        };
        assert!(
            lines(&outbound, name).concat().starts_with(TRACE),
            "{format}"
        );
    }
}

#[test]
fn with_a_parent_b3_is_neither_read_nor_touched() {
    let b3 = format!("{}-{SPAN}-0", TRACE.replace('4', "6"));
    let mut sidecar = Sidecar::new("{}");
    let outbound = sidecar.pass(
        Side::Server,
        &headers(&[PARENT, ("b3", &b3)]),
        at(0),
        |_| {},
    );
    assert_eq!(sent(&outbound).trace, TRACE);
    assert_eq!(lines(&outbound, "b3"), [b3]);
}
