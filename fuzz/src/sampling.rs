//! The member `ot` of `tracestate`, which says how traces are sampled.
//!
//! An input is a letter that chooses the share, and then the member's value, or a whole `tracestate`.

use sloop_dataplane::TraceId;
use sloop_dataplane::span::{Ot, Randomness, Threshold, ot_of};
use sloop_model::Share;

use crate::input::Input;

/// Reads the value, and writes it again with and without a threshold.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let share = u16::from(input.choice(101)) * 100;
    let threshold = Threshold::of(Share::try_from(share).unwrap());
    let value = input.rest();
    let list = ot_of(value).unwrap_or_default();
    let ot = Ot::parse(value);
    for threshold in [threshold, None, ot.threshold, list.threshold] {
        check_written(&ot, value, threshold);
        list.write(threshold, &mut Vec::new());
    }
}

fn check_written(ot: &Ot<'_>, value: &[u8], threshold: Option<Threshold>) {
    let mut written = b"before".to_vec();
    ot.write(threshold, &mut written);
    let written = written.strip_prefix(b"before").unwrap();
    if written.is_empty() {
        assert!(threshold.is_none() && ot.randomness.is_none());
        return;
    }
    let content = written.strip_prefix(b"ot=").unwrap();
    assert!((1..=256).contains(&content.len()));
    let again = Ot::parse(content);
    assert_eq!(again.threshold, threshold);
    assert_eq!(again.randomness, ot.randomness);
    let trace = TraceId { high: 1, low: 2 };
    assert_eq!(
        Randomness::of(trace, Some(again)),
        Randomness::of(trace, Some(*ot))
    );
    check_others(value, content);
    // What is written once is not changed by writing it again.
    let mut twice = Vec::new();
    again.write(threshold, &mut twice);
    assert_eq!(twice.strip_prefix(b"ot="), Some(content));
}

/// The pairs of others keep their order; when they do not fit, all are left out.
fn check_others(value: &[u8], content: &[u8]) {
    let of = |text: &[u8]| -> Vec<Vec<u8>> {
        let pairs = text.split(|byte| *byte == b';').filter(|pair| {
            !(pair.is_empty() || pair.starts_with(b"th:") || pair.starts_with(b"rv:"))
        });
        pairs.map(<[u8]>::to_vec).collect()
    };
    let (before, after) = (of(value), of(content));
    let is_long = 256 < value.len() + "th:;".len() + 14;
    assert!(
        after == before || (is_long && after.is_empty()),
        "{before:?} became {after:?}"
    );
}
