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
