//! The rules of `traceparent`, each by its name: <https://www.w3.org/TR/trace-context-2/#traceparent-header>.

use super::*;
use proptest::prelude::*;

/// A trace of its own was begun, whatever was sent.
#[track_caller]
fn restarts(value: &str) {
    let sent = through(&[("traceparent", value), ("tracestate", "a=1")]);
    for known in [TRACE, &"0".repeat(32)] {
        assert_ne!(sent.trace, known, "{value}");
    }
    assert!(!value.to_lowercase().contains(&sent.trace), "{value}");
    assert_eq!(
        sent.tracestate, None,
        "{value}: belongs to the trace that could not be continued"
    );
    assert_eq!(sent.flags, "03", "{value}");
}

/// The trace is continued by a span of our own.
#[track_caller]
fn continues(value: &str) {
    let sent = through(&[("traceparent", value), ("tracestate", "a=1")]);
    assert_eq!(sent.trace, TRACE, "{value}");
    assert_ne!(sent.span, SPAN, "{value}");
    assert_eq!(sent.tracestate.as_deref(), Some("a=1"), "{value}");
}

#[test]
fn without_any_header_a_trace_begins() {
    let sent = through(&[]);
    assert_ne!(sent.trace, "0".repeat(32));
    assert_ne!(sent.span, "0".repeat(16));
    assert_eq!(sent.tracestate, None);
}

#[test]
fn a_parent_without_state_is_continued() {
    let sent = through(&[PARENT]);
    assert_eq!((sent.trace.as_str(), sent.tracestate), (TRACE, None));
    assert_ne!(sent.span, SPAN);
}

#[test]
fn two_parents_are_none() {
    let other = format!("00-{}-{SPAN}-01", TRACE.replace('4', "5"));
    for second in [other.as_str(), PARENT.1] {
        let sent = through(&[PARENT, ("traceparent", second)]);
        assert!(!second.contains(&sent.trace) && sent.trace != TRACE);
    }
}

#[test]
fn only_the_right_name_is_the_header() {
    for name in [
        "trace-parent",
        "trace.parent",
        "traceparents",
        "xraceparent",
    ] {
        assert_ne!(through(&[(name, PARENT.1)]).trace, TRACE, "{name}");
    }
}

#[test]
fn the_name_has_no_case() {
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert_eq!(through(&[(name, PARENT.1)]).trace, TRACE, "{name}");
    }
}

#[test]
fn version_00_has_nothing_behind_its_flags() {
    for behind in [".", "-", "-what-comes-then", "0"] {
        restarts(&format!("{}{behind}", PARENT.1));
    }
}

#[test]
fn a_higher_version_is_read_as_far_as_it_is_known() {
    continues(&format!("cc-{TRACE}-{SPAN}-01"));
    continues(&format!("cc-{TRACE}-{SPAN}-01-what-comes-then"));
    continues(&format!("01-{TRACE}-{SPAN}-01-"));
    restarts(&format!("cc-{TRACE}-{SPAN}-01.what-comes-then"));
    restarts(&format!("cc-{TRACE}-{SPAN}-011"));
}

#[test]
fn version_ff_is_forbidden() {
    restarts(&format!("ff-{TRACE}-{SPAN}-01"));
}

#[test]
fn the_version_is_two_hexadecimal_digits() {
    for version in [".0", "0.", "000", "0000", "0", "", "FE", "0A", " 0"] {
        restarts(&format!("{version}-{TRACE}-{SPAN}-01"));
    }
}

#[test]
fn the_trace_id_is_not_zero() {
    restarts(&format!("00-{}-{SPAN}-01", "0".repeat(32)));
    restarts(&format!("cc-{}-{SPAN}-01", "0".repeat(32)));
}

#[test]
fn half_of_the_trace_id_may_be_zero() {
    for id in [
        format!("{}{SPAN}", "0".repeat(16)),
        format!("{SPAN}{}", "0".repeat(16)),
    ] {
        let value = format!("00-{id}-{SPAN}-01");
        assert_eq!(through(&[("traceparent", &value)]).trace, id);
    }
}

#[test]
fn the_trace_id_is_32_lower_case_digits() {
    for id in [
        format!(".{}", &TRACE[1..]),
        format!("{}.", &TRACE[1..]),
        TRACE.to_uppercase(),
        format!("{TRACE}3"),
        TRACE[1..].to_owned(),
        format!("{}-", &TRACE[1..]),
    ] {
        restarts(&format!("00-{id}-{SPAN}-01"));
    }
}

#[test]
fn the_parent_id_is_not_zero() {
    restarts(&format!("00-{TRACE}-{}-01", "0".repeat(16)));
}

#[test]
fn the_parent_id_is_16_lower_case_digits() {
    for id in [
        ".0f067aa0ba902b7",
        "00f067aa0ba902b.",
        "00F067AA0BA902B7",
        "00f067aa0ba902b77",
        "00f067aa0ba902b",
    ] {
        restarts(&format!("00-{TRACE}-{id}-01"));
    }
}

#[test]
fn the_flags_are_two_lower_case_digits() {
    for flags in [".0", "0.", "001", "1", "", "0A", "FF"] {
        restarts(&format!("00-{TRACE}-{SPAN}-{flags}"));
    }
}

#[test]
fn flags_that_level_2_knows_pass_and_others_are_zero() {
    for (given, expected) in [
        ("00", "00"),
        ("01", "01"),
        ("02", "02"),
        ("03", "03"),
        ("04", "00"),
        ("ff", "03"),
    ] {
        let value = format!("00-{TRACE}-{SPAN}-{given}");
        assert_eq!(
            through(&[("traceparent", &value)]).flags,
            expected,
            "{given}"
        );
    }
}

#[test]
fn a_trace_that_begins_here_says_that_its_id_is_random() {
    assert_eq!(through(&[]).flags, "03");
}

#[test]
fn spaces_and_tabs_around_the_value_are_none_of_it() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        continues(&format!("{before}{}{after}", PARENT.1));
    }
    restarts(&PARENT.1.replacen('-', " -", 1));
}

#[test]
fn each_request_that_one_causes_is_a_span_of_its_own() {
    for given in [&[PARENT][..], &[], &[("traceparent", "rubbish")]] {
        let mut sidecar = Sidecar::new("{}");
        let inbound = sidecar.pass(Side::Server, &headers(given), at(0), |_| {});
        let mut all: Vec<Sent> = (0..3)
            .map(|_| sent(&sidecar.pass(Side::Client, &inbound, at(0), |_| {})))
            .collect();
        assert!(all.iter().all(|one| one.trace == all[0].trace), "{given:?}");
        all.dedup_by(|one, other| one.span == other.span);
        assert_eq!(all.len(), 3, "{given:?}");
    }
}

#[test]
fn requests_that_say_nothing_begin_traces_of_their_own() {
    let mut sidecar = Sidecar::new("{}");
    let traces: std::collections::BTreeSet<String> =
        (0..3).map(|_| sidecar.through(&[]).trace).collect();
    assert_eq!(traces.len(), 3);
}

#[test]
fn the_span_knows_its_parent() {
    let context = TraceContext::continue_or_start(
        Incoming::Once(PARENT.1.as_bytes()),
        &mut Random::seeded([1; 4]),
    );
    assert_eq!(context.parent(), Some(0x00f0_67aa_0ba9_02b7));
    assert!(context.is_sampled() && !context.is_random());
    assert_eq!(context.as_parent().span, context.span());
}

proptest! {
    #[test]
    fn never_fails_and_always_writes_what_it_can_read(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?".prop_map(String::into_bytes),
        ],
        seed in any::<[u64; 4]>(),
    ) {
        let mut random = Random::seeded(seed);
        let context = TraceContext::continue_or_start(Incoming::Once(&value), &mut random);
        prop_assert_eq!(Parent::parse(&context.header()), Some(context.as_parent()));
    }
}
