//! The rules of `tracestate`, each by its name: <https://www.w3.org/TR/trace-context-2/#tracestate-header>.

use super::*;
use proptest::prelude::*;

/// What is sent on of these lines, which come with a valid parent; empty if there is no header.
#[track_caller]
fn of(lines: &[&str]) -> String {
    let mut given = vec![PARENT];
    given.extend(lines.iter().map(|line| ("tracestate", *line)));
    let sent = through(&given);
    assert_eq!(
        sent.trace, TRACE,
        "{lines:?}: an invalid list does not touch the parent"
    );
    sent.tracestate.unwrap_or_default()
}

/// Members `m01=01` to this one.
fn members(range: core::ops::RangeInclusive<u32>) -> String {
    let all: Vec<String> = range
        .map(|number| format!("m{number:02}={number:02}"))
        .collect();
    all.join(",")
}

#[test]
fn without_a_parent_it_is_dropped() {
    for line in ["foo=1", "foo=1,bar=2"] {
        assert_eq!(through(&[("tracestate", line)]).tracestate, None);
    }
}

#[test]
fn with_a_parent_it_passes_as_it_is() {
    assert_eq!(of(&["foo=1,bar=2"]), "foo=1,bar=2");
    let mut sidecar = Sidecar::new("{}");
    sidecar.through(&[PARENT, ("tracestate", " foo=1 , bar=2")]);
    assert_eq!(
        sidecar.rewrite,
        Rewrite::Keep,
        "nothing to write, so nothing is paid"
    );
}

#[test]
fn only_the_right_name_is_the_header() {
    for name in ["trace-state", "trace.state", "tracestates"] {
        assert_eq!(
            through(&[PARENT, (name, "foo=1")]).tracestate,
            None,
            "{name}"
        );
    }
}

#[test]
fn the_name_has_no_case() {
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        let sent = through(&[PARENT, (name, "foo=1")]);
        assert_eq!(sent.tracestate.as_deref(), Some("foo=1"), "{name}");
    }
}

#[test]
fn an_empty_header_is_not_sent_on() {
    for lines in [&[""][..], &[" "], &[","], &[" ,\t, "], &["", ""]] {
        assert_eq!(of(lines), "", "{lines:?}");
    }
}

#[test]
fn empty_members_and_lines_are_allowed() {
    for lines in [&["foo=1", ""][..], &["", "foo=1"], &["foo=1,", " ", ","]] {
        assert_eq!(of(lines), "foo=1", "{lines:?}");
    }
    assert_eq!(of(&["foo=1,,bar=2"]), "foo=1,,bar=2", "no reason to write");
}

#[test]
fn several_lines_are_one_list_in_their_order() {
    let joined = of(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]);
    assert_eq!(joined, "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

#[test]
fn a_key_twice_passes_twice() {
    for lines in [
        &["foo=1,foo=1"][..],
        &["foo=1,foo=2"],
        &["foo=1", "foo=1"],
        &["foo=1", "foo=2"],
        &["a=1,foo=1,b=1,foo=3"],
    ] {
        assert_eq!(of(lines), lines.join(","), "{lines:?}");
    }
}

#[test]
fn of_ours_twice_the_first_counts_and_one_is_sent_on() {
    let lines = [b"a=1,sloop=1.c3,b=1".to_vec(), b"sloop=1.c0.zz".to_vec()];
    let (rewrite, sent) = state(&lines);
    assert_eq!(rewrite, Rewrite::Replace);
    assert_eq!(String::from_utf8(sent).unwrap(), "sloop=1.c3.k,a=1,b=1");
}

#[test]
fn all_characters_that_are_allowed_pass() {
    let inner = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
    let value: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    for key in [
        inner.to_owned(),
        format!("{inner}@a-z0-9_-*/"),
        format!("0{inner}"),
    ] {
        let list = format!("{key}={value}");
        assert_eq!(of(&["x=y", &list]), format!("x=y,{list}"));
    }
}

#[test]
fn spaces_and_tabs_around_members_are_none_of_them() {
    for line in [
        "foo=1 \t , \t bar=2, \t baz=3",
        "foo=1\t \t,\t \tbar=2,\t \tbaz=3",
        " foo=1,bar=2,baz=3\t",
    ] {
        assert_eq!(of(&[line, ""]), "foo=1,bar=2,baz=3", "{line:?}");
    }
}

#[test]
fn spaces_before_a_value_are_part_of_it() {
    assert_eq!(of(&["foo=  1  ", ""]), "foo=  1");
}

#[test]
fn a_key_with_other_characters_makes_the_list_invalid() {
    for key in [
        "foo ", "FOO", "foo.bar", "", "_foo", "-foo", "*foo", "/foo", "f\u{e9}", "foo\t",
    ] {
        assert_eq!(of(&[&format!("a=1,{key}=1,b=2")]), "", "{key:?}");
    }
}

#[test]
fn an_at_sign_is_a_character_like_others_but_the_first() {
    for key in ["foo@", "foo@@bar", "foo@bar@baz", "foo@_bar", "0@"] {
        let line = format!("{key}=1,bar=2");
        assert_eq!(of(&[&line]), line);
    }
    for key in ["@foo", "@"] {
        assert_eq!(of(&[&format!("{key}=1,bar=2")]), "", "{key:?}");
    }
}

#[test]
fn a_list_has_at_most_32_members() {
    let thirty_two = members(1..=32);
    assert_eq!(
        of(&[
            &members(1..=10),
            &members(11..=20),
            &members(21..=30),
            &members(31..=32)
        ]),
        thirty_two
    );
    assert_eq!(of(&[&thirty_two]), thirty_two);
    assert_eq!(of(&[&members(1..=33)]), "");
    assert_eq!(of(&[&members(1..=10), &members(11..=33)]), "");
    let with_empty = format!("{thirty_two},,, ");
    assert_eq!(
        of(&[&with_empty, ""]),
        thirty_two,
        "empty ones do not count"
    );
}

#[test]
fn a_key_has_at_most_256_characters() {
    for (key, is_valid) in [
        ("z".repeat(256), true),
        ("z".repeat(257), false),
        (format!("{}@{}", "t".repeat(241), "v".repeat(14)), true),
        (format!("{}@v", "t".repeat(242)), true),
        (format!("t@{}", "v".repeat(15)), true),
        (format!("t@{}", "v".repeat(255)), false),
    ] {
        let line = format!("{key}=1");
        let expected = if is_valid {
            format!("foo=1,{line}")
        } else {
            String::new()
        };
        assert_eq!(of(&["foo=1", &line]), expected);
    }
}

#[test]
fn a_value_has_1_to_256_characters_of_those_that_are_allowed() {
    for (value, is_valid) in [
        ("v".repeat(256), true),
        ("v".repeat(257), false),
        (String::new(), false),
        (" ".into(), false),
        ("bar=baz".into(), false),
        ("=".into(), false),
        ("a\tb".into(), false),
        ("a\u{7f}".into(), false),
        ("\u{e9}".into(), false),
    ] {
        let line = format!("foo={value},bar=3");
        let expected = if is_valid {
            line.clone()
        } else {
            String::new()
        };
        assert_eq!(of(&[&line]), expected, "{value:?}");
    }
    assert_eq!(of(&["foo,bar=3"]), "", "no value at all");
}

#[test]
fn a_list_longer_than_any_valid_one_is_dropped() {
    let longest: Vec<String> = (0..32).map(|n| format!("{n:0256}={n:0256}")).collect();
    let longest = longest.join(", ");
    assert_eq!(of(&[&longest]), longest);
    let padded = format!("{longest}{}", ",".repeat(1_000));
    assert_eq!(of(&[&padded]), "");
    let short_of_it = format!("a=1{}", ",".repeat(TraceState::BYTES_MAX - 4));
    assert_eq!(of(&[&short_of_it, ""]), "");
    assert_eq!(of(&[&short_of_it]), short_of_it);
}

#[test]
fn more_than_512_characters_pass() {
    let long: Vec<String> = (0..10)
        .map(|n| format!("k{n}={}", "v".repeat(200)))
        .collect();
    let long = long.join(",");
    assert_eq!(of(&[&long]), long);
}

fn state(lines: &[Vec<u8>]) -> (Rewrite, Vec<u8>) {
    let mut given: Vec<(&str, &[u8])> = vec![("traceparent", PARENT.1.as_bytes())];
    given.extend(lines.iter().map(|line| ("tracestate", line.as_slice())));
    let bytes = serialised(&given);
    let request = Request::read(HeaderMap::new(&bytes));
    let settings = ContextSettings::default();
    let reading = Reading {
        settings: &settings,
        side: Side::Server,
        wall: at(0),
    };
    let mut context = Context::read(&request, reading, None, &mut Random::seeded([1; 4]));
    context.said.keep = true;
    let mut into = b"left over".to_vec();
    (context.tracestate(&[], &mut into), into)
}

fn list() -> impl Strategy<Value = Vec<u8>> {
    let member = prop_oneof![
        "[a-d]{1,2}=[ -+--<>-~]{1,8}",
        "[a-d ,=@A\t]{0,6}",
        "sloop=1(\\.[a-z0-9]{1,3}){0,3}"
    ];
    prop::collection::vec(member, 0..40).prop_map(|members| members.join(",").into_bytes())
}

proptest! {
    #[test]
    fn what_is_sent_is_always_valid_and_begins_with_ours(lines in prop::collection::vec(list(), 0..3)) {
        let (rewrite, sent) = state(&lines);
        if rewrite == Rewrite::Replace {
            let (again, same) = state(std::slice::from_ref(&sent));
            prop_assert_eq!(again, Rewrite::Keep, "what was said is said");
            prop_assert!(same.is_empty());
            let bytes = serialised(&[("tracestate", &sent)]);
            let request = Request::read(HeaderMap::new(&bytes));
            let (list, ours) = TraceState::read(request.tracestate, KEY).expect("valid");
            prop_assert!((1..=32).contains(&list.members().count()));
            prop_assert!(ours.is_some());
            prop_assert_eq!(list.find(KEY), ours);
        }
    }

    #[test]
    fn others_are_never_reordered_or_changed(count in 0_u32..32) {
        let list = members(1..=count);
        let (_, sent) = state(&[list.clone().into_bytes()]);
        let kept = members(1..=count.min(31));
        let expected = if count == 0 { "sloop=1.k".to_owned() } else { format!("sloop=1.k,{kept}") };
        prop_assert_eq!(String::from_utf8(sent).unwrap(), expected);
    }

    #[test]
    fn never_fails_whatever_comes(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4)) {
        state(&lines);
    }
}
