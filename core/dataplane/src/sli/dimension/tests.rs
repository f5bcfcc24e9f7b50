//! Few values, all requests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sloop_model::{CallerSource, Yes};

use super::table::QUIET_MIN;
use super::*;
use crate::headers::{HeaderMap, serialised};

fn settings(values_max: u8) -> DimensionSettings {
    DimensionSettings {
        caller: Some(CallerSource::Header("x-caller".to_owned())),
        values_max,
        ..DimensionSettings::default()
    }
}

/// The rows of a scope, and how often a value found none.
#[derive(Default)]
struct Bench {
    dimensions: Dimensions,
    over_cap: u64,
}

impl Bench {
    fn begin(&mut self, values_max: u8, caller: &str) -> Slots {
        let seen = Seen {
            caller: Some(caller.as_bytes()),
            ..Seen::default()
        };
        let settings = settings(values_max);
        self.dimensions.slots(&settings, &seen, &mut self.over_cap)
    }

    fn end(&mut self, slots: &Slots) -> usize {
        let cells = self.dimensions.count(slots, OutcomeClass::Served);
        cells.iter().next().unwrap()
    }

    fn request(&mut self, values_max: u8, caller: &str) -> usize {
        let slots = self.begin(values_max, caller);
        self.end(&slots)
    }

    /// Values and requests since the last report.
    fn report(&mut self) -> BTreeMap<String, u64> {
        let counted = self.dimensions.counted();
        let sums = counted.map(|row| (row.value.into(), row.classes.iter().sum()));
        let sums = sums.collect();
        self.dimensions.clear();
        sums
    }
}

fn sums(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter()
        .map(|(value, sum)| ((*value).to_owned(), *sum))
        .collect()
}

#[test]
fn values_are_told_apart_up_to_the_cap() {
    let mut bench = Bench::default();
    for caller in ["a", "b", "a", "c", "d", "b", "", "other", "unknown", "a\n"] {
        bench.request(2, caller);
    }
    assert_eq!(
        bench.report(),
        sums(&[("a", 2), ("b", 2), ("other", 4), ("unknown", 2)])
    );
    assert_eq!(bench.over_cap, 3, "c, d and what is no value");
    assert_eq!(bench.report(), sums(&[]));
}

#[test]
fn values_that_look_alike_are_still_apart() {
    let mut bench = Bench::default();
    let alike = [
        "spiffe://a/1/same-end",
        "spiffe://a/2/same-end",
        "x",
        "xx",
        "xxxxxxx",
    ];
    for caller in alike {
        bench.request(16, caller);
        bench.request(16, caller);
    }
    assert_eq!(bench.report(), sums(&alike.map(|caller| (caller, 2))));
}

#[test]
fn a_quiet_value_gives_way_and_a_slow_request_of_it_still_counts() {
    let mut bench = Bench::default();
    let slow = bench.begin(1, "a");
    bench.request(1, "a");
    for _ in 0..QUIET_MIN {
        bench.request(1, "b");
        bench.report();
    }
    assert_eq!(
        bench.over_cap,
        u64::from(QUIET_MIN),
        "a was there until now"
    );
    // Of its row, quiet reports count from the one after the last request.
    bench.report();
    bench.request(1, "b");
    bench.end(&slow);
    assert_eq!(bench.report(), sums(&[("b", 1), ("other", 1)]));
}

#[test]
fn a_value_that_is_used_is_never_put_out() {
    let mut bench = Bench::default();
    for round in 0..3 * u32::from(QUIET_MIN) {
        bench.request(1, "a");
        bench.request(1, &format!("b{round}"));
        assert_eq!(bench.report(), sums(&[("a", 1), ("other", 1)]));
    }
}

#[test]
fn dimensions_do_not_share_rows() {
    let all = DimensionSettings {
        origin: Some(sloop_model::BaggageSource {
            baggage: "o".to_owned(),
        }),
        journey: Some(sloop_model::BaggageSource {
            baggage: "j".to_owned(),
        }),
        ..settings(2)
    };
    let mut dimensions = Dimensions::default();
    let seen = Seen {
        caller: Some(b"x"),
        origin: Some(b"x"),
        ..Seen::default()
    };
    let slots = dimensions.slots(&all, &seen, &mut 0);
    let cells: Vec<_> = dimensions
        .count(&slots, OutcomeClass::Failed)
        .iter()
        .collect();
    let counted: Vec<_> = dimensions
        .counted()
        .map(|row| (row.dimension, row.value.as_str().to_owned(), row.cell))
        .collect();
    let expected = [
        (Dimension::Caller, "x".to_owned(), cells[0]),
        (Dimension::Origin, "x".to_owned(), cells[1]),
        (Dimension::Journey, "unknown".to_owned(), cells[2]),
    ];
    assert_eq!(counted, expected);
    assert!(
        dimensions
            .counted()
            .all(|row| row.classes == [0, 0, 1, 0, 0])
    );
}

#[test]
fn nothing_configured_counts_nowhere() {
    let mut dimensions = Dimensions::default();
    let none = DimensionSettings::default();
    let slots = dimensions.slots(&none, &Seen::default(), &mut 0);
    assert_eq!(
        dimensions
            .count(&slots, OutcomeClass::Served)
            .iter()
            .count(),
        0
    );
    assert_eq!(dimensions.counted().count(), 0);
}

fn read(settings: &DimensionSettings, headers: &[(&str, &[u8])]) -> (Option<Vec<u8>>, Option<u32>) {
    let bytes = serialised(headers);
    let seen = Seen::read(settings, HeaderMap::new(&bytes));
    (seen.caller.map(<[u8]>::to_vec), seen.attempt)
}

#[test]
fn only_what_is_asked_for_is_read() {
    let headers: &[(&str, &[u8])] = &[
        ("x-caller", b"shop"),
        ("x-envoy-attempt-count", b"2"),
        ("x-forwarded-client-cert", b"Hash=0;URI=spiffe://a/b"),
    ];
    assert_eq!(read(&DimensionSettings::default(), headers), (None, None));
    assert_eq!(read(&settings(1), headers), (Some(b"shop".to_vec()), None));
    let by_certificate = DimensionSettings {
        caller: Some(CallerSource::Xfcc(Yes)),
        attempts: true,
        ..DimensionSettings::default()
    };
    assert_eq!(
        read(&by_certificate, headers),
        (Some(b"spiffe://a/b".to_vec()), Some(2))
    );
    for (text, expected) in [
        ("", None),
        ("1", Some(1)),
        ("x", None),
        ("1234567890", None),
    ] {
        let attempt = read(
            &by_certificate,
            &[("x-envoy-attempt-count", text.as_bytes())],
        )
        .1;
        assert_eq!(attempt, expected, "{text}");
    }
}

#[test]
fn the_last_element_speaks_of_the_caller() {
    let uri = |xfcc: &str| {
        caller_uri(xfcc.as_bytes()).map(|uri| String::from_utf8(uri.to_vec()).unwrap())
    };
    for (xfcc, expected) in [
        (
            "By=spiffe://c/me;Hash=00aa;Subject=\"\";URI=spiffe://c/ns/a/sa/b",
            Some("spiffe://c/ns/a/sa/b"),
        ),
        (
            "URI=spiffe://first,By=x;URI=spiffe://last",
            Some("spiffe://last"),
        ),
        ("URI=spiffe://first,Hash=0", None),
        (
            "Hash=0;Subject=\"CN=a,O=b;URI=spiffe://forged\";URI=spiffe://true",
            Some("spiffe://true"),
        ),
        (
            "Subject=\"a\\\";URI=spiffe://forged\";uri=spiffe://true",
            Some("spiffe://true"),
        ),
        (
            "URI=http://x;URI=spiffe://y;URI=spiffe://z",
            Some("spiffe://y"),
        ),
        ("URI=http://x;URI=http://y", Some("http://x")),
        (
            "URI=\"spiffe://with,comma\"; DNS=a",
            Some("spiffe://with,comma"),
        ),
        ("Hash=0; URI=spiffe://spaced", Some("spiffe://spaced")),
        ("By=spiffe://me", None),
        ("URI=", None),
        ("", None),
        ("Subject=\"open;URI=spiffe://forged", None),
    ] {
        assert_eq!(uri(xfcc).as_deref(), expected, "{xfcc}");
    }
}

/// The rules of the format, one byte at a time.
fn slowly(xfcc: &[u8]) -> Option<Vec<u8>> {
    let (mut elements, mut pair, mut is_quoted, mut at) = (vec![vec![]], vec![], false, 0);
    while let Some(&byte) = xfcc.get(at) {
        match (byte, is_quoted) {
            (b'\\', true) => {
                pair.push(byte);
                at += 1;
                pair.push(*xfcc.get(at)?);
            }
            (b'"', _) => {
                is_quoted = !is_quoted;
                pair.push(byte);
            }
            (b',' | b';', false) => {
                elements.last_mut()?.push(core::mem::take(&mut pair));
                if byte == b',' {
                    elements.push(vec![]);
                }
            }
            _ => pair.push(byte),
        }
        at += 1;
    }
    if is_quoted {
        return None;
    }
    elements.last_mut()?.push(pair);
    let uris = elements.pop()?.into_iter().filter_map(|pair| {
        let pair = pair.trim_ascii_start().to_vec();
        let key = pair.get(..4)?.to_ascii_lowercase();
        let value = pair.get(4..)?;
        let value = match value {
            [b'"', inside @ .., b'"'] => inside,
            plain => plain,
        };
        (key == b"uri=" && !value.is_empty()).then(|| value.to_vec())
    });
    let uris: Vec<_> = uris.collect();
    let spiffe = uris.iter().find(|uri| uri.starts_with(b"spiffe://"));
    spiffe.or(uris.first()).cloned()
}

proptest! {
    #[test]
    fn every_text_is_read_by_the_rules(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "URI=", "uri=spiffe://", "By=", "Hash=0123456789abcdef", "\"", "\\", ",", ";", "=", " ", "a", "spiffe://x",
            ]),
            0..20,
        ),
    ) {
        let xfcc = parts.concat();
        prop_assert_eq!(caller_uri(xfcc.as_bytes()).map(<[u8]>::to_vec), slowly(xfcc.as_bytes()), "{}", xfcc);
    }

    #[test]
    fn bytes_of_any_kind_never_fail(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(caller_uri(&bytes).map(<[u8]>::to_vec), slowly(&bytes));
    }

    /// Whatever comes, the values of a report add up to the requests, and are at most the cap and two words.
    #[test]
    fn values_always_add_up_to_the_requests(
        events in prop::collection::vec((any::<bool>(), 0u8..40, 0usize..50), 0..300),
        values_max in 1u8..8,
    ) {
        let mut bench = Bench::default();
        let mut under_way = Vec::new();
        let (mut ended, mut told) = (0, 0);
        for (is_new, caller, which) in events {
            if is_new || under_way.is_empty() {
                under_way.push(bench.begin(values_max, &format!("c{caller}")));
            } else {
                let slots = under_way.swap_remove(which % under_way.len());
                bench.end(&slots);
                ended += 1;
            }
            if which == 0 {
                let report = bench.report();
                prop_assert!(report.len() <= usize::from(values_max) + 2);
                told += report.values().sum::<u64>();
            }
        }
        told += bench.report().values().sum::<u64>();
        prop_assert_eq!(told, ended);
    }
}
