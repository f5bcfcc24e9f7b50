//! Thresholds, random numbers and the member `ot`.

use super::*;
use proptest::prelude::*;

fn share(parts: u16) -> Share {
    Share::try_from(parts).unwrap()
}

fn written(threshold: Threshold) -> String {
    let mut out = Vec::new();
    threshold.write(&mut out);
    String::from_utf8(out).unwrap()
}

fn rewritten(value: &str, threshold: Option<Threshold>) -> String {
    let mut out = Vec::new();
    Ot::parse(value.as_bytes()).write(threshold, &mut out);
    String::from_utf8(out).unwrap()
}

fn threshold(digits: &str) -> Option<Threshold> {
    Threshold::parse(digits.as_bytes())
}

const TRACE: TraceId = TraceId {
    high: 1,
    low: 0xff_6e_6d_1a_75_83_2a_2f,
};

/// The column of precision 4 of the table in "Converting floating-point probability to threshold value",
/// for the probabilities that are whole ten-thousandths.
#[test]
fn thresholds_are_those_of_the_specification() {
    for (one_in, expected) in [
        (1, "0"),
        (2, "8"),
        (4, "c"),
        (5, "cccd"),
        (8, "e"),
        (10, "e666"),
        (16, "f"),
        (100, "fd70a"),
        (1_000, "ffbe77"),
        (10_000, "fff9724"),
    ] {
        let threshold = Threshold::of(share(10_000 / one_in)).unwrap();
        assert_eq!(written(threshold), expected, "1 in {one_in}");
    }
}

#[test]
fn no_share_is_no_probability() {
    assert_eq!(Threshold::of(Share::NONE), None);
}

/// The digits leave out at most half of the 16^-4th part, which is the error that the precision allows.
#[test]
fn thresholds_are_as_close_as_their_digits_allow() {
    for parts in 1..=10_000 {
        let Threshold(value) = Threshold::of(share(parts)).unwrap();
        let exact = (1.0 - f64::from(parts) / 10_000.0) * NUMBERS as f64;
        let kept = f64::from(parts) / 10_000.0 * NUMBERS as f64;
        assert!((value as f64 - exact).abs() <= kept / 4_000.0, "{parts}");
        assert!(value < NUMBERS, "{parts}");
    }
}

#[test]
fn the_random_number_is_the_low_seven_bytes_of_the_trace_id() {
    assert_eq!(
        Randomness::of(TRACE, None),
        Randomness(0x6e_6d_1a_75_83_2a_2f)
    );
}

/// "a consistent positive sampling decision at probabilities ranging from 56.9% through 100%".
#[test]
fn an_explicit_random_number_takes_its_place() {
    let ot = ot_of(b"a=b , ot=th:8;rv:6e6d1a75832a2f").unwrap();
    let other = TraceId { high: 7, low: 7 };
    let randomness = Randomness::of(other, Some(ot));
    assert_eq!(randomness, Randomness(0x6e_6d_1a_75_83_2a_2f));
    for (parts, expected) in [(5_680, false), (5_690, true), (10_000, true)] {
        let threshold = Threshold::of(share(parts)).unwrap();
        assert_eq!(threshold.keeps(randomness), expected, "{parts}");
    }
}

#[test]
fn the_threshold_itself_is_kept_and_the_number_below_is_not() {
    let eighth = Threshold::of(share(1_250)).unwrap();
    assert!(eighth.keeps(Randomness(0xe0_00_00_00_00_00_00)));
    assert!(!eighth.keeps(Randomness(0xdf_ff_ff_ff_ff_ff_ff)));
    assert!(Threshold::NONE_REJECTED.keeps(Randomness(0)));
}

#[test]
fn a_threshold_has_1_to_14_lower_case_digits() {
    for (digits, expected) in [
        ("0", Some(0)),
        ("c", Some(0xc0_00_00_00_00_00_00)),
        ("fd70a4", Some(0xfd_70_a4_00_00_00_00)),
        ("00000000000001", Some(1)),
        ("000000000000010", None),
        ("", None),
        ("C", None),
        ("g", None),
    ] {
        assert_eq!(threshold(digits), expected.map(Threshold), "{digits}");
    }
}

#[test]
fn a_random_number_has_14_lower_case_digits() {
    for (digits, expected) in [
        ("6e6d1a75832a2f", Some(0x6e_6d_1a_75_83_2a_2f)),
        ("6e6d1a75832a2", None),
        ("6e6d1a75832a2f0", None),
        ("6E6D1A75832A2F", None),
        ("", None),
    ] {
        let read = Randomness::parse(digits.as_bytes());
        assert_eq!(read, expected.map(Randomness), "{digits}");
    }
}

#[test]
fn what_cannot_be_read_is_absent() {
    let ot = Ot::parse(b"th:xyz;rv:1;p:8;;no pair");
    assert_eq!((ot.threshold, ot.randomness), (None, None));
}

#[test]
fn everything_but_the_threshold_stays() {
    let quarter = Threshold::of(share(2_500));
    for (value, with, without) in [
        ("", "ot=th:c", ""),
        ("th:8", "ot=th:c", ""),
        (
            "rv:6e6d1a75832a2f",
            "ot=th:c;rv:6e6d1a75832a2f",
            "ot=rv:6e6d1a75832a2f",
        ),
        ("p:8;th:0;r:62", "ot=th:c;p:8;r:62", "ot=p:8;r:62"),
        (
            "foo:bar;;k1:13;",
            "ot=th:c;foo:bar;k1:13",
            "ot=foo:bar;k1:13",
        ),
    ] {
        assert_eq!(rewritten(value, quarter), with, "{value}");
        assert_eq!(rewritten(value, None), without, "{value}");
    }
}

/// 256 characters, of which `th:c;` takes five.
#[test]
fn a_value_too_long_keeps_what_sampling_needs() {
    let quarter = Threshold::of(share(2_500));
    let fits = format!("k:{}", "x".repeat(249));
    assert_eq!(rewritten(&fits, quarter), format!("ot=th:c;{fits}"));
    let longer = format!("rv:6e6d1a75832a2f;k:{}", "x".repeat(240));
    assert_eq!(rewritten(&longer, quarter), "ot=th:c;rv:6e6d1a75832a2f");
    let random = format!("rv:{}", "6".repeat(300));
    assert_eq!(rewritten(&random, quarter), "ot=th:c");
    // The last number is the one that counts, and has room whatever is before it.
    let two = format!("rv:{};rv:6e6d1a75832a2f", "6".repeat(240));
    assert_eq!(rewritten(&two, quarter), "ot=th:c;rv:6e6d1a75832a2f");
}

/// What goes on is measured, not what came in: the threshold that is replaced and semicolons too many take no room.
#[test]
fn a_value_that_fits_stays_as_it_is_however_often_it_is_written() {
    let quarter = Threshold::of(share(2_500));
    let pair = format!("k:{}", "x".repeat(249));
    let fits = format!(";th:fd70a;;{pair};");
    let written = rewritten(&fits, quarter);
    assert_eq!(written, format!("ot=th:c;{pair}"));
    let value = written.strip_prefix("ot=").unwrap();
    assert_eq!(rewritten(value, quarter), written);
}

#[test]
fn the_first_member_counts() {
    assert_eq!(ot_of(b""), None);
    assert_eq!(ot_of(b"not=th:8,xot=th:8"), None);
    let ot = ot_of(b"a=1,\tot=th:8 ,ot=th:c").unwrap();
    assert_eq!(ot.threshold, threshold("8"));
}

proptest! {
    /// "a positive sampling decision with probability p1 implies one with probability p2 >= p1".
    #[test]
    fn a_smaller_share_never_keeps_what_a_larger_does_not(
        low in any::<u64>(), one in 1u16..=10_000, other in 1u16..=10_000,
    ) {
        let randomness = Randomness::of(TraceId { high: 1, low }, None);
        let (small, large) = (one.min(other), one.max(other));
        let keeps = |parts| Threshold::of(share(parts)).unwrap().keeps(randomness);
        prop_assert!(!keeps(small) || keeps(large));
    }

    #[test]
    fn what_is_written_is_always_read_again(value in 0u64..NUMBERS) {
        let digits = written(Threshold(value));
        prop_assert!(!digits.is_empty() && (digits == "0" || !digits.ends_with('0')));
        prop_assert_eq!(threshold(&digits), Some(Threshold(value)));
    }

    #[test]
    fn any_value_is_read_and_never_becomes_too_long(
        value in prop::collection::vec(any::<u8>(), 0..400), parts in 0u16..=10_000,
    ) {
        let threshold = Threshold::of(share(parts));
        let mut out = b"a=b,".to_vec();
        Ot::parse(&value).write(threshold, &mut out);
        let written = out.strip_prefix(b"a=b,").unwrap();
        prop_assert!(written.len() <= 3 + OT_BYTES_MAX);
        if let Some(ot) = written.strip_prefix(b"ot=") {
            let again = Ot::parse(ot);
            prop_assert_eq!(again.threshold, threshold);
        } else {
            prop_assert!(written.is_empty() && threshold.is_none());
        }
    }
}

/// Shares come true over random traces, within four standard deviations.
#[test]
fn a_share_of_random_traces_is_kept() {
    let mut random = crate::Random::seeded([1, 2, 3, 4]);
    for parts in [100, 2_500, 9_000] {
        let threshold = Threshold::of(share(parts)).unwrap();
        let kept = (0..100_000).filter(|_| {
            let trace = TraceId {
                high: random.word(),
                low: random.word(),
            };
            threshold.keeps(Randomness::of(trace, None))
        });
        let (kept, p) = (kept.count() as f64, f64::from(parts) / 10_000.0);
        let deviation = (100_000.0 * p * (1.0 - p)).sqrt();
        assert!((kept - 100_000.0 * p).abs() < 4.0 * deviation, "{parts}");
    }
}
