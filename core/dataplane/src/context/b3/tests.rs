//! What is read of B3 headers, and what is written.

use super::*;
use crate::headers::{HeaderMap, serialised};

const LONG: &str = "80f198ee56343ba864fe8b2a57d3eff7";
const SHORT: &str = "e457b5a2e4d86bd1";
const SPAN: &str = "05e3ac9a4f6e3b90";

fn of(headers: &[(&str, &str)]) -> TraceContext {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    let bytes = serialised(&headers);
    let request = Request::read(HeaderMap::new(&bytes));
    TraceContext::of(&request, &mut Random::seeded([1, 2, 3, 4]))
}

fn single(value: &str) -> TraceContext {
    of(&[("b3", value)])
}

fn written(
    context: &TraceContext,
    format: B3Output,
    is_debug: bool,
    replaces: bool,
) -> Vec<String> {
    let writing = B3Writing {
        format,
        is_debug,
        replaces,
    };
    let mut all = Vec::new();
    write(context, writing, |name, value| {
        let value = value.map(|value| String::from_utf8(value.to_vec()).unwrap());
        all.push(format!(
            "{name}: {}",
            value.as_deref().unwrap_or("(removed)")
        ));
    });
    all
}

#[test]
fn a_single_header_is_continued() {
    for (value, sampled) in [
        (format!("{LONG}-{SPAN}"), true),
        (format!("{LONG}-{SPAN}-1"), true),
        (format!("{LONG}-{SPAN}-0"), false),
        (format!("{LONG}-{SPAN}-d"), true),
        (format!(" {LONG}-{SPAN}-1-{SPAN}"), true),
    ] {
        let context = single(&value);
        assert_eq!(context.parent(), Some(0x05e3_ac9a_4f6e_3b90), "{value}");
        assert_eq!(context.id().high, 0x80f1_98ee_5634_3ba8, "{value}");
        assert_eq!(context.is_sampled(), sampled, "{value}");
        assert!(!context.is_random(), "{value}: nobody said so");
    }
}

#[test]
fn an_id_of_64_bits_is_padded_on_the_left() {
    let context = single(&format!("{SHORT}-{SPAN}-1"));
    let id = context.id();
    assert_eq!((id.high, id.low), (0, 0xe457_b5a2_e4d8_6bd1));
    let header = String::from_utf8(context.header().to_vec()).unwrap();
    assert!(
        header.starts_with(&format!("00-0000000000000000{SHORT}-")),
        "{header}"
    );
}

#[test]
fn a_decision_without_ids_holds_for_the_trace_that_begins() {
    for (headers, sampled) in [
        (("b3", "0"), false),
        (("b3", "1"), true),
        (("b3", "d"), true),
        (("x-b3-sampled", "0"), false),
        (("x-b3-sampled", "false"), false),
        (("x-b3-sampled", "1"), true),
        (("x-b3-flags", "1"), true),
    ] {
        let context = of(&[headers]);
        assert!(context.is_origin() && context.is_random(), "{headers:?}");
        assert_eq!(context.is_sampled(), sampled, "{headers:?}");
    }
}

#[test]
fn several_headers_are_continued() {
    let ids = [("x-b3-traceid", LONG), ("x-b3-spanid", SPAN)];
    for (more, sampled) in [
        (&[][..], true),
        (&[("x-b3-sampled", "0")], false),
        (&[("x-b3-sampled", "0"), ("x-b3-flags", "1")], true),
    ] {
        let context = of(&[&ids, more].concat());
        assert!(!context.is_origin());
        assert_eq!(context.is_sampled(), sampled, "{more:?}");
    }
}

#[test]
fn a_single_header_comes_before_several_if_it_is_one() {
    let several = [("x-b3-traceid", SHORT), ("x-b3-spanid", SPAN)];
    let value = format!("{LONG}-{SPAN}");
    for (value, high) in [(value.as_str(), 0x80f1_98ee_5634_3ba8), ("x", 0)] {
        let context = of(&[&several[..], &[("b3", value)]].concat());
        assert_eq!(context.id().high, high, "{value}");
    }
}

#[test]
fn traceparent_comes_before_b3() {
    let valid = format!("00-{SHORT}{SHORT}-{SPAN}-01");
    let b3 = format!("{LONG}-{SPAN}");
    for traceparent in [valid.as_str(), "rubbish"] {
        let context = of(&[("b3", &b3), ("traceparent", traceparent)]);
        assert_ne!(context.id().high, 0x80f1_98ee_5634_3ba8, "{traceparent}");
    }
}

#[test]
fn what_is_no_b3_starts_a_trace() {
    let zeros = "0".repeat(16);
    for value in [
        String::new(),
        "2".into(),
        LONG.into(),
        format!("{LONG}-"),
        format!("{LONG}-{SPAN}-"),
        format!("{LONG}-{SPAN}-2"),
        format!("{LONG}-{SPAN}-1-"),
        format!("{LONG}-{SPAN}-1-{SPAN}-"),
        format!("{LONG}-{SPAN}0"),
        format!("{LONG}0-{SPAN}"),
        format!("{}-{SPAN}", LONG.to_uppercase()),
        format!("{zeros}-{SPAN}"),
        format!("{zeros}{zeros}-{SPAN}"),
        format!("{LONG}-{zeros}"),
    ] {
        assert!(single(&value).is_origin(), "{value:?}");
    }
}

#[test]
fn one_header_is_written_when_one_is_asked_for() {
    let context = single(&format!("{LONG}-{SPAN}-0"));
    let span = format!("{:016x}", context.span());
    let one = |is_debug| written(&context, B3Output::Single, is_debug, true);
    assert_eq!(one(false), [format!("b3: {LONG}-{span}-0")]);
    assert_eq!(one(true), [format!("b3: {LONG}-{span}-d")]);
    assert!(written(&context, B3Output::None, false, true).is_empty());
}

#[test]
fn several_headers_never_contradict_those_that_came() {
    let context = single(&format!("{LONG}-{SPAN}-1"));
    let span = format!("{:016x}", context.span());
    let ids = [
        format!("x-b3-traceid: {LONG}"),
        format!("x-b3-spanid: {span}"),
        format!("x-b3-parentspanid: {SPAN}"),
    ];
    let more = |is_debug, replaces| {
        let all = written(&context, B3Output::Multi, is_debug, replaces);
        assert_eq!(all[..3], ids);
        all[3..].join(", ")
    };
    assert_eq!(more(false, false), "x-b3-sampled: 1");
    assert_eq!(more(true, false), "x-b3-flags: 1");
    assert_eq!(
        more(false, true),
        "x-b3-sampled: 1, b3: (removed), x-b3-flags: (removed)"
    );
    assert_eq!(
        more(true, true),
        "x-b3-flags: 1, b3: (removed), x-b3-sampled: (removed)"
    );
    let origin = single("0");
    let all = written(&origin, B3Output::Multi, false, true);
    assert_eq!(
        all[2..],
        [
            "x-b3-parentspanid: (removed)",
            "x-b3-sampled: 0",
            "b3: (removed)",
            "x-b3-flags: (removed)"
        ]
    );
}
