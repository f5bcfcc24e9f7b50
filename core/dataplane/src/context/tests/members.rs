//! What becomes of `sloop=`.

use super::*;
use sloop_model::Criticality;

/// What is sent on of this list by an inbound filter that says `more`.
fn of(list: &str, settings: &str, more: impl FnOnce(&mut Said)) -> (Rewrite, String) {
    let mut sidecar = Sidecar::new(settings);
    let given = if list.is_empty() {
        vec![PARENT]
    } else {
        vec![PARENT, ("tracestate", list)]
    };
    let sent = sidecar.pass(Side::Server, &headers(&given), at(0), more);
    (sidecar.rewrite, lines(&sent, "tracestate").concat())
}

fn critical(said: &mut Said) {
    said.criticality = Some(Criticality::CriticalPlus);
}

#[test]
fn with_nothing_to_say_nothing_is_written() {
    for list in ["", "a=1", "a=1,sloop=1.c3,b=2"] {
        assert_eq!(of(list, "{}", |_| {}), (Rewrite::Keep, list.to_owned()));
    }
}

#[test]
fn what_is_said_goes_to_the_front() {
    for (list, sent) in [
        ("", "sloop=1.c3"),
        ("a=1,b=2", "sloop=1.c3,a=1,b=2"),
        ("a=1,sloop=1.c0,b=2", "sloop=1.c3,a=1,b=2"),
        ("a=1,sloop=1.k,b=2", "sloop=1.c3.k,a=1,b=2"),
    ] {
        assert_eq!(
            of(list, "{}", critical),
            (Rewrite::Replace, sent.to_owned()),
            "{list}"
        );
    }
}

#[test]
fn what_was_said_before_stays_where_it_is() {
    let (rewrite, _) = of("a=1,sloop=1.c3,b=2", "{}", critical);
    assert_eq!(rewrite, Rewrite::Keep);
}

#[test]
fn only_the_last_gives_way_to_ours() {
    let others: Vec<String> = (1..=32).map(|number| format!("m{number}=x")).collect();
    let (_, sent) = of(&others.join(","), "{}", critical);
    assert_eq!(sent, format!("sloop=1.c3,{}", others[..31].join(",")));
    let with_ours = format!("{},sloop=1.k", others[..31].join(","));
    let (_, sent) = of(&with_ours, "{}", critical);
    assert_eq!(sent, format!("sloop=1.c3.k,{}", others[..31].join(",")));
}

#[test]
fn another_version_is_carried_on_untouched() {
    assert_eq!(
        of("sloop=2;x,a=1", "{}", critical),
        (Rewrite::Keep, "sloop=2;x,a=1".to_owned())
    );
}

#[test]
fn fields_of_a_later_writer_are_carried_on() {
    assert_eq!(of("sloop=1.z9", "{}", critical).1, "sloop=1.c3.z9");
    assert_eq!(of("sloop=1.z9", "{}", |_| {}).0, Rewrite::Keep);
}

#[test]
fn a_member_that_says_nothing_is_left_out() {
    assert_eq!(
        of("sloop=1", "{}", |_| {}),
        (Rewrite::Remove, String::new())
    );
    assert_eq!(
        of("a=1,sloop=1", "{}", |_| {}),
        (Rewrite::Replace, "a=1".to_owned())
    );
}

#[test]
fn at_the_edge_nothing_is_believed() {
    const EDGE: &str = r#"{"member": "discard"}"#;
    for (list, sent) in [
        ("a=1,sloop=1.c3.k", (Rewrite::Replace, "a=1")),
        ("sloop=1.c3", (Rewrite::Remove, "")),
        ("sloop=2", (Rewrite::Remove, "")),
        ("a=1", (Rewrite::Keep, "a=1")),
    ] {
        let believed = of(list, EDGE, |said| assert_eq!(*said, Said::default()));
        assert_eq!(believed, (sent.0, sent.1.to_owned()), "{list}");
    }
    assert_eq!(of("sloop=1.k", EDGE, critical).1, "sloop=1.c3");
}

#[test]
fn at_the_edge_debug_in_b3_is_not_believed_either() {
    for (settings, sent) in [
        (r#"{"b3": "single"}"#, ["sloop=1.k", "d"]),
        (r#"{"b3": "single", "member": "discard"}"#, ["", "1"]),
    ] {
        for debug in [
            &[("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d")][..],
            &[("b3", "d")],
            &[("x-b3-flags", "1")],
        ] {
            let mut sidecar = Sidecar::new(settings);
            let passed = sidecar.pass(Side::Server, &headers(debug), at(0), |_| {});
            assert_eq!(lines(&passed, "tracestate").concat(), sent[0], "{debug:?}");
            let b3 = lines(&passed, "b3").concat();
            assert_eq!(b3.split('-').nth(2), Some(sent[1]), "{debug:?}: {b3}");
        }
    }
}

#[test]
fn an_invalid_list_is_replaced_by_what_we_say() {
    assert_eq!(
        of("A=1", "{}", critical),
        (Rewrite::Replace, "sloop=1.c3".to_owned())
    );
    assert_eq!(of("A=1", "{}", |_| {}), (Rewrite::Remove, String::new()));
    assert_eq!(of("sloop=1.k,A=1", "{}", |said| assert!(!said.keep)).1, "");
}

#[test]
fn what_is_said_travels_with_a_trace_that_begins_here() {
    let mut sidecar = Sidecar::new("{}");
    let inbound = sidecar.pass(
        Side::Server,
        &headers(&[("tracestate", "a=1")]),
        at(0),
        critical,
    );
    let outbound = sidecar.pass(Side::Client, &inbound, at(0), |said| {
        assert_eq!(said.criticality, Some(Criticality::CriticalPlus));
    });
    assert_eq!(sent(&outbound).tracestate.as_deref(), Some("sloop=1.c3"));
}

/// `more` of other keys, written to a list with ours in it.
fn with_more(list: &str, more: &[(&str, &str)]) -> (Rewrite, String) {
    let bytes = serialised(&[
        ("traceparent", PARENT.1.as_bytes()),
        ("tracestate", list.as_bytes()),
    ]);
    let request = Request::read(HeaderMap::new(&bytes));
    let settings = ContextSettings::default();
    let reading = Reading {
        settings: &settings,
        side: Side::Server,
        wall: at(0),
    };
    let context = Context::read(&request, reading, None, &mut Random::seeded([1; 4]));
    let more: Vec<StateMember<'_>> = more
        .iter()
        .map(|(key, value)| StateMember {
            key: key.as_bytes(),
            value: value.as_bytes(),
        })
        .collect();
    let mut into = Vec::new();
    (
        context.tracestate(&more, &mut into),
        String::from_utf8(into).unwrap(),
    )
}

#[test]
fn other_members_can_be_changed_as_well() {
    for (list, more, expected) in [
        (
            "sloop=1.k,a=1",
            ("ot", "th:8"),
            (Rewrite::Replace, "ot=th:8,sloop=1.k,a=1"),
        ),
        (
            "a=1,ot=th:0",
            ("ot", "th:8"),
            (Rewrite::Replace, "ot=th:8,a=1"),
        ),
        ("a=1,ot=th:8", ("ot", "th:8"), (Rewrite::Keep, "")),
        ("a=1,ot=th:8", ("ot", ""), (Rewrite::Replace, "a=1")),
        ("ot=th:8", ("ot", ""), (Rewrite::Remove, "")),
        ("a=1", ("ot", ""), (Rewrite::Keep, "")),
    ] {
        assert_eq!(
            with_more(list, &[more]),
            (expected.0, expected.1.to_owned()),
            "{list} {more:?}"
        );
    }
}

#[test]
fn a_debugged_b3_trace_is_kept() {
    let mut sidecar = Sidecar::new("{}");
    let b3 = format!("{TRACE}-{SPAN}-d");
    sidecar.pass(Side::Server, &headers(&[("b3", &b3)]), at(0), |said| {
        assert!(said.keep);
    });
}
