//! W3C Trace Context, levels 1 and 2, through the real Envoy: a request goes through the inbound filter, an application
//! that copies its headers, and the outbound filter.
//!
//! Cases are named by the rules of <https://www.w3.org/TR/trace-context-2/>; what is written here is what a service behind
//! may rely on. The bytes of each request are written by hand, so that case, space and repetition arrive as they are.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use http::HeaderMap;
use serde_json::json;
use support::copier::Copying;
use support::fixed::Fixed;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// A `traceparent` of version 00 with these flags.
fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

/// What arrived as `traceparent`: trace id, span id and flags, if it is one and valid.
#[track_caller]
fn traceparent(arrived: &HeaderMap) -> (String, String, u8) {
    let lines: Vec<_> = arrived.get_all("traceparent").iter().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let parts: Vec<&str> = lines[0].to_str().unwrap().split('-').collect();
    let [version, trace, span, flags] = parts.try_into().expect("four parts");
    let is_hex = |text: &str, digits| {
        text.len() == digits
            && text
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    assert!(
        version == "00" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2),
        "{lines:?}"
    );
    assert!(trace.bytes().any(|it| it != b'0') && span.bytes().any(|it| it != b'0'));
    (
        trace.into(),
        span.into(),
        u8::from_str_radix(flags, 16).unwrap(),
    )
}

/// The whole list that arrived as `tracestate`; empty if there is no header.
fn tracestate(arrived: &HeaderMap) -> String {
    let lines = arrived.get_all("tracestate").iter();
    let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap()).collect();
    lines.join(",")
}

#[tokio::test]
async fn a_parent_that_is_valid_is_continued() {
    let copying = Copying::start(|it| it).await;
    let spaced = format!(" \t{} \t", parent("01"));
    let later = format!("cc-{TRACE}-{SPAN}-01");
    let longer = format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like");
    for (name, value, flags) in [
        ("traceparent", parent("01"), 1),
        ("traceparent", parent("00"), 0),
        // Level 2: the random flag goes on, and others are unknown and are not.
        ("traceparent", parent("03"), 3),
        ("traceparent", parent("02"), 2),
        ("traceparent", parent("ff"), 3),
        ("traceparent", parent("fc"), 0),
        ("TraceParent", parent("01"), 1),
        ("tRaCePaReNt", parent("01"), 1),
        ("traceparent", spaced, 1),
        ("traceparent", later, 1),
        ("traceparent", longer, 1),
    ] {
        let arrived = copying.ask("/", &[(name, &value)]).await;
        let (trace, span, sent) = traceparent(&arrived);
        assert_eq!((trace.as_str(), sent), (TRACE, flags), "{value:?}");
        assert_ne!(span, SPAN, "{value:?}");
        assert_eq!(tracestate(&arrived), "", "{value:?}");
    }
    copying.running.is_whole().await;
}

#[tokio::test]
async fn a_parent_that_is_not_starts_a_trace_and_loses_its_state() {
    let copying = Copying::start(|it| it).await;
    let zeros = "0".repeat(32);
    let mut values = vec![
        String::new(),
        "not a parent".into(),
        // Versions: too long, too short, forbidden, and no version.
        format!("000-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("ff-{TRACE}-{SPAN}-01"),
        // Version 00 ends with its flags; a later one may go on, but only with a dash.
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}-01."),
        format!("cc-{TRACE}-{SPAN}-01.more"),
        format!("cc-{TRACE}-{SPAN}-011"),
        // Ids: zero, too short, too long.
        format!("00-{zeros}-{SPAN}-01"),
        format!("00-{TRACE}-{}-01", &zeros[..16]),
        format!("00-{}-{SPAN}-01", &TRACE[..31]),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{TRACE}-{}-01", &SPAN[..15]),
        format!("00-{TRACE}-{SPAN}0-01"),
        // Flags: too short, too long.
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-001"),
        format!("00-{TRACE}-{SPAN}-"),
        format!("00-{TRACE}-{SPAN}"),
        format!("00_{TRACE}_{SPAN}_01"),
        format!("{},{}", parent("01"), parent("01")),
    ];
    // Characters that are none of lower-case hexadecimal, in each of the four parts.
    for odd in ['.', 'A', 'g', ' '] {
        for at in [0, 3, 34, 36, 51, 53] {
            let mut value: Vec<char> = parent("01").chars().collect();
            value[at] = odd;
            values.push(value.into_iter().collect());
        }
    }
    for value in values {
        // A space before the rest is none of the value.
        if value.starts_with(' ') {
            continue;
        }
        let lines = [("traceparent", value.as_str()), ("tracestate", "foo=1")];
        let arrived = copying.ask("/", &lines).await;
        let (trace, _, flags) = traceparent(&arrived);
        assert!(!value.contains(&trace), "{value:?}");
        assert_eq!(flags & 2, 2, "{value:?}: what begins here is random");
        assert_eq!(tracestate(&arrived), "", "{value:?}");
    }
    copying.running.is_whole().await;
}

#[tokio::test]
async fn several_parents_or_none_start_a_trace() {
    let copying = Copying::start(|it| it).await;
    let (one, other) = (parent("01"), parent("01").replace("b7ad", "c8be"));
    for lines in [
        &[
            ("traceparent", one.as_str()),
            ("traceparent", other.as_str()),
        ][..],
        &[("traceparent", &one), ("TraceParent", &one)],
        &[("trace-parent", &one)],
        &[("trace.parent", &one)],
        &[],
        &[("tracestate", "foo=1")],
        &[("tracestate", "foo=1"), ("tracestate", "bar=2")],
    ] {
        let arrived = copying.ask("/", lines).await;
        let (trace, ..) = traceparent(&arrived);
        assert_ne!(trace, TRACE, "{lines:?}");
        assert_eq!(tracestate(&arrived), "", "{lines:?}");
    }
    let mut traces = Vec::new();
    for _ in 0..20 {
        traces.push(traceparent(&copying.ask("/", &[]).await).0);
    }
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 20, "no two begin alike");
    copying.running.is_whole().await;
}

/// Members `m01=1` to this one.
fn members(range: std::ops::RangeInclusive<u32>) -> String {
    let all: Vec<String> = range.map(|number| format!("m{number:02}=1")).collect();
    all.join(",")
}

#[tokio::test]
async fn a_state_that_is_valid_passes_in_its_order() {
    let copying = Copying::start(|it| it).await;
    let all: String = (' '..='~').filter(|it| !matches!(it, ',' | '=')).collect();
    let allowed = format!("abcdefghijklmnopqrstuvwxyz0123456789_-*/@={all}");
    let long_key = format!("{}=1", "z".repeat(256));
    let long_value = format!("z={}", "v".repeat(256));
    let (thirty, two) = (members(1..=30), members(31..=32));
    for (lines, expected) in [
        (&["foo=1,bar=2"][..], "foo=1,bar=2"),
        (&["foo=1"], "foo=1"),
        (
            &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        (&["foo=1", ""], "foo=1"),
        (&["", "foo=1"], "foo=1"),
        (&["foo=1", "", "bar=2"], "foo=1,bar=2"),
        (&["foo=1 \t , \t bar=2, \t baz=3", ""], "foo=1,bar=2,baz=3"),
        (&["foo=1\t \t,\t \tbar=2", "baz=3 \t "], "foo=1,bar=2,baz=3"),
        (&["0foo@bar=1"], "0foo@bar=1"),
        (&["foo@=1,bar@baz@qux=2"], "foo@=1,bar@baz@qux=2"),
        // Senders shall not do it; who receives it need not judge.
        (&["foo=1,foo=2"], "foo=1,foo=2"),
        (&[allowed.as_str()], allowed.as_str()),
        (&["foo=1", &long_key], &format!("foo=1,{long_key}")),
        (&["foo=1", &long_value], &format!("foo=1,{long_value}")),
        (&[thirty.as_str(), two.as_str()], &members(1..=32)),
        (&[""], ""),
        (&["", " ,\t, "], ""),
    ] {
        let parent = parent("00");
        let mut given = vec![("traceparent", parent.as_str())];
        given.extend(lines.iter().map(|line| ("TraceState", *line)));
        let arrived = copying.ask("/", &given).await;
        assert_eq!(traceparent(&arrived).0, TRACE);
        assert_eq!(tracestate(&arrived), expected, "{lines:?}");
    }
    copying.running.is_whole().await;
}

#[tokio::test]
async fn a_state_that_is_not_is_dropped_and_the_trace_goes_on() {
    let copying = Copying::start(|it| it).await;
    let long_key = format!("{}=1", "z".repeat(257));
    let long_value = format!("z={}", "v".repeat(257));
    for lines in [
        &["foo =1"][..],
        &["FOO=1"],
        &["foo.bar=1"],
        &["@foo=1,bar=2"],
        &["_foo=1"],
        &["=1"],
        &["foo=bar=baz"],
        &["foo=,bar=3"],
        &["foo"],
        &["foo=1", "bar"],
        &["a=1", &long_key],
        &["a=1", &long_value],
        &[&members(1..=33)],
        &[&members(1..=20), &members(21..=33)],
    ] {
        let parent = parent("00");
        let mut given = vec![("traceparent", parent.as_str())];
        given.extend(lines.iter().map(|line| ("tracestate", *line)));
        let arrived = copying.ask("/", &given).await;
        assert_eq!(traceparent(&arrived).0, TRACE, "{lines:?}");
        assert_eq!(tracestate(&arrived), "", "{lines:?}");
    }
    copying.running.is_whole().await;
}

/// What this hop says goes to the left; others keep their order, and the last makes room.
#[tokio::test]
async fn our_member_is_left_most_and_others_survive() {
    let deadlines = json!({"trace": {"context": {"deadlines": "carry"}}});
    let more = |fixed: Fixed| Fixed {
        server: deadlines.clone(),
        client: deadlines.clone(),
        ..fixed
    };
    let copying = Copying::start(more).await;
    let (one, full) = ("foo=1,sloop=1.c3,bar=2".to_owned(), members(1..=32));
    for (given, rest) in [(one, "foo=1,bar=2"), (full, &members(1..=31))] {
        let parent = parent("01");
        let lines = [
            ("traceparent", parent.as_str()),
            ("tracestate", given.as_str()),
            ("grpc-timeout", "5S"),
        ];
        let arrived = copying.ask("/", &lines).await;
        let sent = tracestate(&arrived);
        let (ours, others) = sent.split_once(',').unwrap();
        assert_eq!(others, rest);
        let ours = ours.strip_prefix("sloop=1").unwrap();
        assert_eq!(ours.contains(".c3"), given.contains("c3"), "{ours}");
        assert!(ours.contains(".d"), "the deadline goes on: {ours}");
    }
    copying.running.is_whole().await;
}

/// An application that asks three times for one request: one trace, and each call a span of its own.
#[tokio::test]
async fn three_calls_of_one_request_are_three_spans_of_one_trace() {
    let copying = Copying::start(|it| it).await;
    let (valid, zero) = (parent("01"), format!("00-{}-{SPAN}-01", "0".repeat(32)));
    for lines in [
        &[("traceparent", valid.as_str()), ("tracestate", "foo=1")][..],
        &[],
        &[("traceparent", zero.as_str()), ("tracestate", "foo=1")],
    ] {
        let arrived: [HeaderMap; 3] = copying.ask_for("/thrice", lines).await;
        let parents = arrived.each_ref().map(traceparent);
        let [(trace, ..), ..] = &parents;
        let is_valid = lines.first().is_some_and(|(_, given)| *given == valid);
        assert_eq!(trace == TRACE, is_valid, "{lines:?}");
        let mut spans = vec![SPAN];
        for ((other, span, _), headers) in parents.iter().zip(&arrived) {
            assert_eq!(other, trace, "{lines:?}");
            assert!(!spans.contains(&span.as_str()), "{lines:?}: {span} again");
            spans.push(span);
            assert_eq!(tracestate(headers), if is_valid { "foo=1" } else { "" });
        }
    }
    copying.running.is_whole().await;
}

/// Only the name of the specification is its header.
#[tokio::test]
async fn a_state_by_another_name_is_none() {
    let copying = Copying::start(|it| it).await;
    for name in ["trace-state", "trace.state"] {
        let parent = parent("00");
        let lines = [("traceparent", parent.as_str()), (name, "foo=1")];
        let arrived = copying.ask("/", &lines).await;
        assert_eq!(traceparent(&arrived).0, TRACE);
        assert_eq!(tracestate(&arrived), "", "{name}");
    }
    copying.running.is_whole().await;
}

/// Envoy's own tracer writes after the filters: its ids go on, and the `tracestate` that came in, whatever a filter wrote.
#[tokio::test]
async fn where_envoy_owns_the_trace_its_ids_go_on_and_the_state_that_came_in() {
    let tracing = json!({"tracing": {
        "random_sampling": {"value": 100},
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "service_name": "shop",
            "grpc_service": {"envoy_grpc": {"cluster_name": "otel"}, "timeout": "1s"},
        }},
    }});
    for member in ["trust", "discard"] {
        let context =
            json!({"owner": "envoy", "b3": "single", "deadlines": "enforce", "member": member});
        let own = json!({"trace": {"context": context}});
        let copying = Copying::start(|fixed| Fixed {
            server: own.clone(),
            client: own.clone(),
            manager: tracing.clone(),
            // Nobody takes its spans.
            collector: Some(sloop_integration::ports::free_address().unwrap()),
            ..fixed
        })
        .await;
        // A second was left half a minute ago, by the clock of whoever wrote it.
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let stamp = (now.as_millis() - 30_000) % (1 << 32);
        let state = format!("sloop=1.c3.d3e8-{stamp:x},foo=1");
        let parent = parent("01");
        let lines = [
            ("traceparent", parent.as_str()),
            ("tracestate", state.as_str()),
        ];
        let arrived = copying.ask("/", &lines).await;
        assert_eq!(traceparent(&arrived).0, TRACE);
        assert_eq!(tracestate(&arrived), state, "{member}");
        assert!(!arrived.contains_key("b3"));
        let arrived = copying.ask("/", &[("grpc-timeout", "5S")]).await;
        assert_ne!(traceparent(&arrived).0, TRACE);
        assert_eq!(
            tracestate(&arrived),
            "",
            "{member}: nothing that a filter said"
        );
        assert!(!arrived.contains_key("b3"));
        copying.running.is_whole().await;
    }
}
