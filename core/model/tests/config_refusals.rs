//! Refusals depend on the bytes alone, and say where to look.
//!
//! Envoy remembers a refusal: a reader that changed its mind about the same bytes
//! would have every later push refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use sloop_model::FilterConfig;

const WHOLE: &[u8] = include_bytes!("../src/config/tests/whole.json");

fn refusal(bytes: &[u8]) -> Option<String> {
    let error = FilterConfig::parse(bytes).err()?;
    Some(error.to_string())
}

/// Whether a person who reads `error` knows where to look.
fn names_its_place(error: &str) -> bool {
    let is_syntax = error.contains(" at line ") && error.contains(" column ");
    let path = error.split_once(": ").map_or("", |(path, _)| path);
    let is_of_path =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.[]".contains(&byte);
    let has_path = !path.is_empty() && path.bytes().all(is_of_path);
    // Of the outermost object: which field it lacks, has twice or should not have; or that it is none.
    let is_of_whole = error.starts_with("has ") || error.ends_with("; it must be an object");
    is_syntax || has_path || is_of_whole
}

/// Bytes that are nearly a configuration: some of a whole one are replaced by others.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let other = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            "",
            "0",
            "-1",
            "1.5",
            "99999999999999999999",
            "null",
            "true",
            "\"\"",
            "[]",
            "{}",
            "[[[",
            "x",
            ",",
            "\"a\":1,",
            "\u{e9}",
            "\\ud800",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let change = (0..WHOLE.len(), 0..12_usize, other);
    prop::collection::vec(change, 1..4).prop_map(|changes| {
        let mut bytes = WHOLE.to_vec();
        for (at, length, other) in changes {
            let from = at.min(bytes.len());
            let to = (from + length).min(bytes.len());
            bytes.splice(from..to, other);
        }
        bytes
    })
}

/// A whole configuration in which one value is another: nearly always well-formed.
fn misfit() -> impl Strategy<Value = Vec<u8>> {
    let instead = prop::sample::select(vec![
        "null",
        "-1",
        "0",
        "1.5",
        "70000",
        "18446744073709551616",
        "\"\"",
        "\"a b\"",
        "\"client\"",
        "[]",
        "[1, 2]",
        "{}",
        "{\"a\": 1}",
    ]);
    let text = std::str::from_utf8(WHOLE).unwrap();
    let values: Vec<usize> = text.match_indices("\": ").map(|(at, _)| at + 3).collect();
    (prop::sample::select(values), instead).prop_map(|(at, instead)| {
        let mut values =
            serde_json::Deserializer::from_slice(&WHOLE[at..]).into_iter::<serde_json::Value>();
        values.next().unwrap().unwrap();
        let end = at + values.byte_offset();
        [&WHOLE[..at], instead.as_bytes(), &WHOLE[end..]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_same_bytes_are_always_refused_in_the_same_words_that_name_the_place(
        bytes in prop_oneof![nearly(), misfit(), prop::collection::vec(any::<u8>(), 0..64)],
    ) {
        let first = refusal(&bytes);
        prop_assert_eq!(&first, &refusal(&bytes));
        if let Some(error) = first {
            prop_assert!(names_its_place(&error), "{}", error);
        }
    }
}

/// (what stands in the whole configuration, what stands there instead, how the refusal begins)
const BAD: [(&str, &str, &str); 16] = [
    (
        r#""generation": 7"#,
        r#""generation": "7""#,
        "generation: is a string",
    ),
    (
        r#""interval_ms": 500"#,
        r#""interval_ms": 5"#,
        "report.interval_ms: is 5",
    ),
    (
        r#""queue_max": 60"#,
        r#""queue_max": 0"#,
        "spans.queue_max: is 0",
    ),
    (
        r#""header": "x-caller""#,
        r#""header": "X""#,
        "dimensions.caller.header: is \"X\"",
    ),
    (
        r#""metrics_max": 100"#,
        r#""metrics_max": 1"#,
        "stats.metrics_max: is 1",
    ),
    (
        r#""status": 404"#,
        r#""status": 200"#,
        "deny[0]: status is 200",
    ),
    (
        r#""b3": "multi""#,
        r#""b3": "two""#,
        "trace.context.b3: is \"two\"",
    ),
    (
        r#""entries": 4"#,
        r#""entries": 3"#,
        "trace.context.join: entries is 3",
    ),
    (
        r#""prefix": "/charge""#,
        r#""prefix": "charge""#,
        "scopes[0].match[0]: path \"charge\"",
    ),
    (
        r#""flags": 4"#,
        r#""flags": -4"#,
        "scopes[0].objectives[0].bad.flags: is",
    ),
    (
        r#""floor": 200"#,
        r#""floor": 1"#,
        "scopes[0].shed.limits: floor is 1",
    ),
    (
        r#""least": 4"#,
        r#""least": 0"#,
        "scopes[0].retries.limits: least is 0; it must be from 1 to 1000",
    ),
    (
        r#""wake": "on_request""#,
        r#""wake": 1"#,
        "scopes[0].breaker.limits.manner.wake: is a number",
    ),
    (
        r#""cut_after_bytes": 10"#,
        r#""cut_after_bytes": []"#,
        "scopes[0].faults[2].body.cut_after_bytes: is a list",
    ),
    (
        r#""shape": 1.5"#,
        r#""shape": 0.1"#,
        "scopes[0].faults[1].delay.pareto.shape: shape is 0.100",
    ),
    (
        r#"[[10, 5], [20, 1]]"#,
        r#"[[10, 5], [20]]"#,
        "scopes[0].faults[2].delay.histogram[1]: is a list",
    ),
];

#[test]
fn every_kind_of_bad_value_is_refused_by_its_path() {
    let whole = std::str::from_utf8(WHOLE).unwrap();
    for (from, to, expected) in BAD {
        assert!(whole.contains(from), "{from}");
        let error = refusal(whole.replacen(from, to, 1).as_bytes()).unwrap();
        assert!(error.starts_with(expected), "{error}, not {expected}");
    }
}
