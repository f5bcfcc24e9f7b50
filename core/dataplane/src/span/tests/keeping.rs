//! Which spans are kept, and what they stand for.

use super::*;
use proptest::prelude::*;

/// A batch is due at once, and a quarter of the traces is sampled.
const QUARTER: &str = r#", "sampling": 2500"#;

fn state(span: &EndedSpan, fields: &str, headers: Headers<'_>) -> String {
    let mut spans = spans(Side::Server, fields);
    keep(&mut spans, span, "items", headers);
    let request = decoded(&spans.batch(1, "", at(100_000)).unwrap());
    only_spans(request).remove(0).trace_state
}

fn that_matters(first: u8) -> EndedSpan {
    EndedSpan {
        draft: draft(first),
        reasons: Reasons::OBJECTIVE.and(Reasons::FAULT),
        ..ended()
    }
}

#[test]
fn of_ordinary_requests_the_share_is_kept() {
    let mut spans = spans(Side::Server, QUARTER);
    assert!(spans.wants(&draft(0xc0), Reasons::NONE));
    assert!(!spans.wants(&draft(0xbf), Reasons::NONE));
    assert_eq!(spans.take_counts(), SpanCounts::default());
}

#[test]
fn what_matters_is_kept_whatever_the_share() {
    for fields in [QUARTER, r#", "sampling": 0"#] {
        let mut spans = spans(Side::Server, fields);
        for reason in [
            Reasons::OBJECTIVE,
            Reasons::BREAKER,
            Reasons::SHED,
            Reasons::FAULT,
            Reasons::MARKED,
        ] {
            assert!(spans.wants(&draft(0), reason));
        }
        assert!(!spans.wants(&draft(0), Reasons::NONE));
    }
}

#[test]
fn a_span_says_why_it_was_kept() {
    for (span, expected) in [
        (that_matters(0), "objective fault"),
        (that_matters(0xff), "sampled objective fault"),
    ] {
        let mut spans = spans(Side::Server, QUARTER);
        keep(&mut spans, &span, "items", GET);
        let told = only_spans(decoded(&spans.batch(1, "", at(100_000)).unwrap()));
        let kept = get(told.first().unwrap(), "sloop.kept");
        assert_eq!(kept.as_deref(), Some(expected));
    }
}

/// What matters stands for itself, whatever its random number; the rest for the share.
#[test]
fn a_span_says_how_many_it_stands_for() {
    assert_eq!(state(&ended(), QUARTER, GET), "ot=th:c");
    assert_eq!(state(&ended(), "", GET), "ot=th:0");
    assert_eq!(state(&that_matters(0xff), QUARTER, GET), "ot=th:0");
    assert_eq!(state(&that_matters(0), QUARTER, GET), "ot=th:0");
}

#[test]
fn the_state_of_the_trace_is_told_with_our_threshold_in_it() {
    let headers: Headers<'_> = &[
        ("tracestate", b"sloop=1 , a=b,"),
        ("tracestate", b"ot=th:8;rv:6e6d1a75832a2f,c=d"),
    ];
    assert_eq!(
        state(&ended(), QUARTER, headers),
        "ot=th:c;rv:6e6d1a75832a2f,sloop=1,a=b,c=d"
    );
}

#[test]
fn a_state_too_long_loses_its_end() {
    let long = "x".repeat(249);
    let line = format!("a={long},b={long},c=d");
    let headers: Headers<'_> = &[("tracestate", line.as_bytes())];
    // 7 + 1 + 251 + 1 + 251 bytes: what follows does not fit.
    let expected = format!("ot=th:c,a={long},b={long}");
    assert_eq!(expected.len(), 511);
    assert_eq!(state(&ended(), QUARTER, headers), expected);
}

#[test]
fn a_trace_that_begins_here_switches_nobody_off() {
    let spans = spans(Side::Client, QUARTER);
    for first in [0, 0xff] {
        let origin = spans.origin(draft(first).randomness);
        assert!(origin.is_sampled);
        assert_eq!(origin.threshold, None);
    }
}

#[test]
fn a_trace_that_begins_here_can_tell_what_was_decided() {
    let spans = spans(
        Side::Client,
        r#", "sampling": 2500, "sampled_flag": "decided""#,
    );
    let kept = spans.origin(draft(0xc0).randomness);
    assert!(kept.is_sampled);
    let mut member = Vec::new();
    Ot::default().write(kept.threshold, &mut member);
    assert_eq!(member, b"ot=th:c");
    let dropped = spans.origin(draft(0xbf).randomness);
    assert!(!dropped.is_sampled);
    assert_eq!(dropped.threshold, None);
}

#[test]
fn ordinary_spans_leave_room_for_those_that_matter() {
    let mut spans = spans(Side::Server, r#", "queue_max": 8, "batch_max": 8"#);
    for _ in 0..6 {
        keep(&mut spans, &ended(), "items", GET);
    }
    assert!(!spans.wants(&draft(0xff), Reasons::NONE));
    for _ in 0..2 {
        keep(&mut spans, &that_matters(0), "items", GET);
    }
    assert!(!spans.wants(&draft(0), Reasons::FAULT));
    let counts = spans.take_counts();
    assert_eq!((counts.kept, counts.dropped), (8, 2));
    assert_eq!(spans.take_counts(), SpanCounts::default());
}

#[test]
fn even_a_queue_of_one_has_room_for_an_ordinary_span() {
    let mut spans = spans(Side::Server, r#", "queue_max": 1, "batch_max": 1"#);
    keep(&mut spans, &ended(), "items", GET);
    assert!(!spans.wants(&draft(0), Reasons::FAULT));
}

#[test]
fn what_waits_stays_small() {
    const { assert!(size_of::<Record>() <= 136) };
    const { assert!(size_of::<SpanDraft>() <= 48) };
}

/// Four megabytes are what gRPC servers take unless they are told otherwise.
#[test]
fn the_largest_batch_stays_below_what_servers_take() {
    let long = vec![b'x'; 10_000];
    let tracestate = format!("a={0},b={0},c={0}", "x".repeat(165));
    let headers: Headers<'_> = &[
        (":method", &long),
        (":scheme", &long),
        (":authority", &long[..259]),
        (":path", &long),
        ("user-agent", &long),
        ("tracestate", tracestate.as_bytes()),
    ];
    let name = "x".repeat(253);
    let mut largest = 0;
    for side in [Side::Server, Side::Client] {
        for is_grpc in [false, true] {
            let span = EndedSpan {
                outcome: Outcome::NoHealthyUpstream,
                reasons: Reasons(u8::MAX),
                is_grpc,
                grpc: is_grpc.then_some(12),
                ..ended()
            };
            let mut spans = spans(side, "");
            keep(&mut spans, &span, &name, headers);
            let batch = spans.batch(1, "", at(100_000)).unwrap();
            largest = largest.max(batch.message.len());
        }
    }
    let batch_max = usize::try_from(SpanSettings::BATCH_MAX).unwrap();
    assert!(
        (2_000..4 * 1024 * 1024 / batch_max).contains(&largest),
        "{largest}"
    );
}

proptest! {
    /// The Horvitz-Thompson estimate is unbiased when every span says the probability with which it was kept.
    #[test]
    fn adjusted_counts_always_say_with_which_share_a_span_was_kept(
        parts in 1u16..=10_000, first in any::<u8>(), matters in any::<bool>(),
    ) {
        let mut spans = spans(Side::Server, &format!(r#", "sampling": {parts}"#));
        let span = if matters {
            that_matters(first)
        } else {
            EndedSpan { draft: draft(first), ..ended() }
        };
        let threshold = Threshold::of(sloop_model::Share::try_from(parts).unwrap()).unwrap();
        let is_wanted = spans.wants(&span.draft, span.reasons);
        prop_assert_eq!(is_wanted, matters || threshold.keeps(span.draft.randomness));
        if is_wanted {
            keep(&mut spans, &span, "items", GET);
            let request = decoded(&spans.batch(1, "", at(100_000)).unwrap());
            let state = only_spans(request).remove(0).trace_state;
            let told = ot_of(state.as_bytes()).unwrap().threshold;
            let expected = if matters { Threshold::NONE_REJECTED } else { threshold };
            prop_assert_eq!(told, Some(expected));
            prop_assert!(expected.keeps(span.draft.randomness));
        }
    }
}
