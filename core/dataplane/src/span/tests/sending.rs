//! Batches: when they go, and what becomes of them.

use super::*;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use proptest::prelude::*;

const UNAVAILABLE: u32 = 14;
const INVALID_ARGUMENT: u32 = 3;

/// Four spans in a batch, eight in the queue.
const SMALL: &str = r#", "queue_max": 8, "batch_max": 4"#;

fn push(spans: &mut Spans, count: u64, millis: u64) {
    for _ in 0..count {
        let span = EndedSpan {
            ended: at(millis),
            reasons: Reasons::MARKED,
            ..ended()
        };
        keep(spans, &span, "items", GET);
    }
}

/// Number of the batch and how many spans are in it.
fn sent(spans: &mut Spans, millis: u64) -> Option<(u32, usize)> {
    let batch = spans.batch(7, "", at(millis))?;
    Some((batch.number, only_spans(decoded(&batch)).len()))
}

#[test]
fn nothing_wakes_anybody_while_nothing_waits() {
    let mut spans = spans(Side::Server, SMALL);
    assert_eq!(spans.wake_at(), None);
    assert_eq!(sent(&mut spans, 100_000), None);
}

#[test]
fn a_batch_goes_where_the_settings_say() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 4, 0);
    let batch = spans.batch(7, "", at(0)).unwrap();
    assert_eq!(batch.cluster, "otel");
    assert_eq!(
        Batch::SERVICE,
        "opentelemetry.proto.collector.trace.v1.TraceService"
    );
}

#[test]
fn a_span_waits_for_others_for_the_interval() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 1, 100);
    push(&mut spans, 1, 900);
    assert_eq!(spans.wake_at(), Some(at(1_100)));
    assert_eq!(sent(&mut spans, 1_099), None);
    assert_eq!(sent(&mut spans, 1_100), Some((1, 2)));
}

#[test]
fn a_full_batch_goes_at_once_and_the_rest_behind_it() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 6, 100);
    assert_eq!(sent(&mut spans, 100), Some((1, 4)));
    // One at a time.
    assert_eq!(sent(&mut spans, 5_000), None);
    spans.acknowledge(1, b"");
    assert_eq!(sent(&mut spans, 5_000), Some((2, 2)));
    spans.acknowledge(2, b"");
    assert_eq!(spans.wake_at(), None);
    assert_eq!(
        spans.take_counts(),
        SpanCounts {
            kept: 6,
            ..SpanCounts::default()
        }
    );
}

#[test]
fn spans_that_come_while_a_batch_is_under_way_wait_from_then_on() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 4, 0);
    assert_eq!(sent(&mut spans, 0), Some((1, 4)));
    push(&mut spans, 1, 300);
    spans.acknowledge(1, b"");
    assert_eq!(spans.wake_at(), Some(at(1_300)));
}

#[test]
fn a_batch_that_was_refused_for_now_goes_once_more() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 3, 0);
    assert_eq!(sent(&mut spans, 1_000), Some((1, 3)));
    // The repeated batch is the same one, whatever came meanwhile.
    push(&mut spans, 2, 1_000);
    spans.lose(1, UNAVAILABLE, at(1_000));
    assert_eq!(spans.wake_at(), Some(at(2_000)));
    assert_eq!(sent(&mut spans, 1_999), None);
    assert_eq!(sent(&mut spans, 2_000), Some((2, 3)));
    spans.lose(2, UNAVAILABLE, at(2_000));
    assert_eq!(sent(&mut spans, 3_999), None);
    assert_eq!(sent(&mut spans, 4_000), Some((3, 2)));
    let counts = spans.take_counts();
    assert_eq!((counts.kept, counts.repeated, counts.lost), (5, 3, 3));
}

#[test]
fn a_batch_that_was_refused_for_good_is_lost() {
    for (status, lost) in [
        (1, 0),
        (2, 4),
        (3, 4),
        (4, 0),
        (5, 4),
        (7, 4),
        (8, 4),
        (10, 0),
        (11, 0),
        (12, 4),
        (13, 4),
        (14, 0),
        (15, 0),
        (16, 4),
        (99, 4),
    ] {
        let mut spans = spans(Side::Server, SMALL);
        push(&mut spans, 4, 0);
        assert_eq!(sent(&mut spans, 0), Some((1, 4)));
        spans.lose(1, status, at(0));
        assert_eq!(spans.take_counts().lost, lost, "{status}");
        assert_eq!(spans.wake_at().is_some(), lost == 0, "{status}");
    }
}

#[test]
fn pauses_double_up_to_half_a_minute_and_end_with_the_first_success() {
    let mut spans = spans(Side::Server, SMALL);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        if spans.wake_at().is_none() {
            push(&mut spans, 4, now);
        }
        let wake = spans.wake_at().unwrap().max(at(now));
        pauses.push(wake.since(at(now)).as_secs());
        now = u64::try_from(wake.since(at(0)).as_millis()).unwrap();
        let (number, _) = sent(&mut spans, now).unwrap();
        spans.lose(number, UNAVAILABLE, at(now));
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 32]);
    push(&mut spans, 4, now);
    let (number, _) = sent(&mut spans, now + 32_000).unwrap();
    spans.acknowledge(number, b"");
    push(&mut spans, 4, now + 32_000);
    assert!(sent(&mut spans, now + 32_000).is_some());
}

#[test]
fn a_batch_that_nobody_answers_goes_once_more() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 4, 0);
    assert_eq!(sent(&mut spans, 0), Some((1, 4)));
    assert_eq!(spans.wake_at(), Some(at(6_000)));
    assert_eq!(sent(&mut spans, 6_000), None);
    assert_eq!(spans.wake_at(), Some(at(7_000)));
    assert_eq!(sent(&mut spans, 7_000), Some((2, 4)));
    // The answer to the first comes late, and means nothing any more.
    spans.acknowledge(1, b"");
    spans.lose(1, INVALID_ARGUMENT, at(7_000));
    assert_eq!(sent(&mut spans, 7_000), None);
    spans.acknowledge(2, b"");
    spans.acknowledge(2, b"");
    assert_eq!(spans.wake_at(), None);
    let counts = spans.take_counts();
    assert_eq!((counts.repeated, counts.lost), (4, 0));
}

#[test]
fn a_batch_whose_sender_is_gone_goes_once_more() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 4, 0);
    assert_eq!(sent(&mut spans, 0), Some((1, 4)));
    spans.lose_sender(8, at(10));
    assert_eq!(spans.wake_at(), Some(at(6_000)));
    spans.lose_sender(7, at(10));
    assert_eq!(spans.wake_at(), Some(at(1_010)));
    assert_eq!(sent(&mut spans, 1_010), Some((2, 4)));
}

#[test]
fn what_a_collector_rejects_is_counted() {
    let response = |rejected_spans, message: &str| {
        let partial_success = ExportTracePartialSuccess {
            rejected_spans,
            error_message: message.to_owned(),
        };
        let response = ExportTraceServiceResponse {
            partial_success: Some(partial_success),
        };
        response.encode_to_vec()
    };
    for (response, rejected) in [
        (Vec::new(), 0),
        (response(0, ""), 0),
        (response(0, "careful"), 0),
        (response(3, "too old"), 3),
        (response(500, "more than there were"), 4),
        (response(i64::MAX, ""), 4),
        (response(-1, ""), 0),
        (b"what is this".to_vec(), 0),
    ] {
        let mut spans = spans(Side::Server, SMALL);
        push(&mut spans, 4, 0);
        assert_eq!(sent(&mut spans, 0), Some((1, 4)));
        spans.acknowledge(1, &response);
        assert_eq!(spans.take_counts().rejected, rejected);
        assert_eq!(spans.wake_at(), None, "it must not be sent again");
    }
}

#[test]
fn a_push_keeps_what_waits_and_obeys_the_new_settings() {
    let mut spans = spans(Side::Server, SMALL);
    push(&mut spans, 8, 0);
    assert_eq!(sent(&mut spans, 0), Some((1, 4)));
    let mut other = settings(r#", "queue_max": 2, "batch_max": 2, "sampling": 0"#);
    other.cluster = "elsewhere".to_owned();
    spans.configure(&ServiceName::try_from("shop").unwrap(), &other);
    spans.acknowledge(1, b"");
    // More wait than may.
    assert!(!spans.wants(&draft(0xff), Reasons::MARKED));
    let batch = spans.batch(7, "", at(0)).unwrap();
    assert_eq!(batch.cluster, "elsewhere");
    assert_eq!(only_spans(decoded(&batch)).len(), 2);
    let counts = spans.take_counts();
    assert_eq!((counts.kept, counts.dropped), (8, 1));
}

#[derive(Clone, Copy, Debug)]
enum Event {
    End,
    Tick,
    Acknowledge,
    Lose(u32),
    LoseSender,
}

proptest! {
    /// Every span that was kept waits, was taken, or is counted as lost.
    #[test]
    fn no_span_is_ever_unaccounted_for(
        events in prop::collection::vec(
            (
                prop_oneof![
                    4 => Just(Event::End),
                    4 => Just(Event::Tick),
                    1 => Just(Event::Acknowledge),
                    1 => (0u32..17).prop_map(Event::Lose),
                    1 => Just(Event::LoseSender),
                ],
                0u64..3_000,
            ),
            0..120,
        ),
    ) {
        let mut spans = spans(Side::Server, SMALL);
        let (mut now, mut taken, mut under_way) = (0, 0, None);
        let (mut kept, mut lost) = (0, 0);
        for (event, after) in events {
            now += after;
            match event {
                Event::End => {
                    if spans.wants(&draft(0), Reasons::FAULT) {
                        push(&mut spans, 1, now);
                    }
                }
                Event::Tick => {
                    let wake = spans.wake_at();
                    let batch = sent(&mut spans, now);
                    prop_assert!(batch.is_none() || wake.is_some_and(|wake| wake <= at(now)));
                    if let Some((_, size)) = batch {
                        prop_assert!((1..=4).contains(&size));
                    }
                    under_way = batch.or(under_way);
                }
                Event::Acknowledge => {
                    if let Some((number, size)) = under_way.take() {
                        let waiting = spans.queue.len();
                        spans.acknowledge(number, b"");
                        let gone = waiting - spans.queue.len();
                        prop_assert!(gone == 0 || gone == size);
                        taken += gone as u64;
                    }
                }
                Event::Lose(status) => {
                    if let Some((number, _)) = under_way {
                        spans.lose(number, status, at(now));
                    }
                }
                Event::LoseSender => spans.lose_sender(7, at(now)),
            }
            let counts = spans.take_counts();
            kept += counts.kept;
            lost += counts.lost;
            prop_assert!(spans.queue.len() <= 8);
            prop_assert_eq!(kept, taken + lost + spans.queue.len() as u64);
        }
    }

    #[test]
    fn no_answer_ever_fails(response in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut spans = spans(Side::Server, SMALL);
        push(&mut spans, 4, 0);
        prop_assert_eq!(sent(&mut spans, 0), Some((1, 4)));
        spans.acknowledge(1, &response);
    }
}
