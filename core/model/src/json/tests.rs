use super::*;

fn read<T: FromJson>(json: &str) -> Result<T, String> {
    let json = Json::parse(json.as_bytes()).map_err(|error| error.to_string())?;
    super::read(&json).map_err(|problem| problem.to_string())
}

/// Two numbers, one of them optional.
#[derive(Debug, PartialEq)]
struct Pair(u8, Option<u8>);

impl FromJson for Pair {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let pair = Self(fields.required("one"), fields.optional("other"));
        fields.end();
        pair
    }
}

#[test]
fn numbers_have_bounds() {
    assert_eq!(read::<u8>("255"), Ok(255));
    assert_eq!(
        read::<u8>("256").unwrap_err(),
        "is 256; it must be at most 255"
    );
    let wanted = "it must be a whole number that is not negative";
    assert_eq!(
        read::<u64>("-1").unwrap_err(),
        format!("is a number with a fraction or below zero; {wanted}")
    );
    assert_eq!(
        read::<u64>("1.5").unwrap_err(),
        format!("is a number with a fraction or below zero; {wanted}")
    );
    assert_eq!(
        read::<u64>("\"1\"").unwrap_err(),
        format!("is a string; {wanted}")
    );
}

#[test]
fn fields_are_asked_for_by_name() {
    assert_eq!(read(r#"{"other": null, "one": 1}"#), Ok(Pair(1, None)));
    assert_eq!(read(r#"{"one": 1, "other": 2}"#), Ok(Pair(1, Some(2))));
    for (json, expected) in [
        (r#"{"other": 2}"#, "has no one, which it must have"),
        (
            r#"{"one": 1, "on": 2}"#,
            "has an unknown field \"on\"; known are one, other",
        ),
        (r#"{"one": 1, "one": 1}"#, "has one twice"),
        (
            r#"{"one": null}"#,
            "one: is null; it must be a whole number that is not negative",
        ),
        ("3", "is a number; it must be an object"),
    ] {
        assert_eq!(read::<Pair>(json).unwrap_err(), expected, "{json}");
    }
}

#[test]
fn the_path_leads_to_the_field() {
    let error = read::<Vec<Vec<Pair>>>(r#"[[], [{"one": 1}, {"one": 1, "other": 300}]]"#);
    assert_eq!(
        error.unwrap_err(),
        "[1][1].other: is 300; it must be at most 255"
    );
}

#[test]
fn what_is_no_json_is_an_error_with_its_place() {
    for json in ["", "{", "[1,]", "nul", "1 2", "\u{0}", "{1: 2}"] {
        assert!(read::<u64>(json).unwrap_err().contains("line"), "{json:?}");
    }
    let deep = "[".repeat(10_000);
    assert!(
        Json::parse(deep.as_bytes()).is_err(),
        "and no stack is spent on it"
    );
}

/// The same by `serde_json`, whose objects here are lists of pairs.
fn theirs(json: &serde_json::Value) -> Json<'_> {
    match json {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(value) => Json::Bool(*value),
        serde_json::Value::Number(number) => number
            .as_u64()
            .map_or_else(|| Json::OtherNumber(number.as_f64().unwrap()), Json::Number),
        serde_json::Value::String(text) => Json::Text(text.into()),
        serde_json::Value::Array(items) => Json::List(items.iter().map(theirs).collect()),
        serde_json::Value::Object(members) => {
            let members = members.iter();
            Json::Object(
                members
                    .map(|(name, json)| (name.into(), theirs(json)))
                    .collect(),
            )
        }
    }
}

fn both_take_the_same(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    match (Json::parse(text), serde_json::from_slice(text)) {
        (Ok(ours), Ok(json)) => assert_eq!(sorted(ours), theirs(&json), "{shown}"),
        (Err(_), Err(_)) => {}
        (ours, serdes) => panic!("{shown}: {ours:?}, {serdes:?}"),
    }
}

/// `serde_json` sorts members, and keeps the last of a name.
fn sorted(json: Json<'_>) -> Json<'_> {
    match json {
        Json::List(items) => Json::List(items.into_iter().map(sorted).collect()),
        Json::Object(members) => {
            let members = members.into_iter();
            let members: std::collections::BTreeMap<_, _> =
                members.map(|(name, json)| (name, sorted(json))).collect();
            Json::Object(members.into_iter().collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::OtherNumber(_) | Json::Text(_) => json,
    }
}

const CASES: &[&str] = &[
    "0",
    "-0",
    "-1",
    "00",
    "01",
    "-",
    "1.",
    ".5",
    "1.5",
    "-1.25e2",
    "1e2",
    "1E+2",
    "1e-2",
    "1e",
    "1e+",
    "+1",
    "1e400",
    "1e-400",
    "0e999999999999",
    "-0.0",
    "0.30000000000000004",
    "18446744073709551615",
    "18446744073709551616",
    "184467440737095516160",
    "1e22",
    "123e20",
    "null",
    "true",
    "false",
    "nul",
    "True",
    "truex",
    "\"\"",
    "\"a",
    "\"\\\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83dx\"",
    "\"\\ud83d\\u0041\"",
    "\"\\u12\"",
    "\"\\x\"",
    "\"\\b\\f\\n\\r\\t\\/\\\\\"",
    "\"\t\"",
    "\"\u{7f}é😀\"",
    "[",
    "[]",
    "[,]",
    "[1,]",
    "[1 2]",
    "[ 1 , 2 ]",
    "[1}",
    "{",
    "{}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1 \"b\":2}",
    "{\"b\":1,\"a\":[{}]}",
    "{\"a\":1,\"a\":2}",
    "{1:2}",
    "1 2",
    " 1\n",
    "\u{feff}1",
    "\u{a0}1",
    "",
];

#[test]
fn what_is_json_is_what_serde_says_it_is() {
    for text in CASES {
        both_take_the_same(text.as_bytes());
    }
    both_take_the_same(b"\"\xff\"");
    for depth in [127, 128] {
        both_take_the_same(("[".repeat(depth) + &"]".repeat(depth)).as_bytes());
    }
}

#[test]
fn an_error_has_its_line_and_column() {
    let error = |text: &str| Json::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("{\n  \"a\" 1}"), "no `:` at line 2 column 7");
    assert_eq!(error(""), "no value at line 1 column 1");
    assert_eq!(error("[1] x"), "something after the end at line 1 column 5");
}

proptest::proptest! {
    #[test]
    fn what_looks_like_json_is_what_serde_says_it_is(
        text in r#"[\[\]{}:, "\\u0-9a-f.eE+\-tn]{0,24}"#,
        number in r"-?[0-9]{1,21}(\.[0-9]{1,4})?(e-?[0-9])?",
    ) {
        both_take_the_same(text.as_bytes());
        // Digits beyond the fifteenth are rounded once more here, which may move the last bit.
        if number.bytes().filter(u8::is_ascii_digit).count() <= 15 {
            both_take_the_same(number.as_bytes());
        }
    }
}
