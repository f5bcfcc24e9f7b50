use super::*;

fn one(text: &str) -> Value {
    let documents = parse(text).unwrap();
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.into_iter().next().unwrap().1.value
}

fn reason(text: &str) -> Reason {
    parse(text).unwrap_err().reason
}

/// The tree as JSON without places, to compare whole trees at a glance.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| shown(&item.value)).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| format!("{}={}", entry.key, shown(&entry.node.value)))
                .collect();
            format!("{{{}}}", entries.join(" "))
        }
    }
}

#[test]
fn scalars_are_those_of_the_core_schema() {
    for (text, value) in [
        ("[~, null, '']", r#"[null null ""]"#),
        ("[true, False, yes, 'true']", r#"[true false "yes" "true"]"#),
        ("[1, -1, +1, 0x1f, 0o17, 007]", "[1 -1 1 31 15 7]"),
        ("[1.5, 1e3, .5, -.inf, 1e400]", "[1.5 1000.0 0.5 -inf inf]"),
        ("[9223372036854775808]", "[9.223372036854776e18]"),
        (
            "[inf, nan, 1_000, 0x-1, 1.2.3, e]",
            r#"["inf" "nan" "1_000" "0x-1" "1.2.3" "e"]"#,
        ),
        ("[!!str 1, !!int 1, ! 1]", r#"["1" 1 "1"]"#),
        ("2026-01-31 12:30:00", r#""2026-01-31 12:30:00""#),
    ] {
        assert_eq!(shown(&one(text)), value, "{text}");
    }
}

#[test]
fn json_is_read_too() {
    let text =
        "{\n\t\"a\": [1, 2.5, \"\\u00e9\\/\\ud83d\\ude00\\\\ud83d\"],\n\t\"b\": {\"c\": null}\n}";
    assert_eq!(
        shown(&one(text)),
        "{a=[1 2.5 \"\u{e9}/\u{1f600}\\\\ud83d\"] b={c=null}}"
    );
    assert_eq!(shown(&one("\u{feff}{\"a\": 1}")), "{a=1}");
}

#[test]
fn every_value_knows_its_place() {
    let documents = parse("a: 1\nb:\n  - x\n  - {c: 2}\n---\nd: 3\r\ne: 4\r\n").unwrap();
    let Value::Map(first) = &documents[0].1.value else {
        panic!("{documents:?}");
    };
    let Value::List(items) = &first[1].node.value else {
        panic!("{first:?}");
    };
    assert_eq!(items[1].place, Place { line: 4, column: 5 });
    let Value::Map(second) = &documents[1].1.value else {
        panic!("{documents:?}");
    };
    assert_eq!(second[1].place, Place { line: 7, column: 1 });
    assert_eq!(second[1].node.place, Place { line: 7, column: 4 });
}

#[test]
fn empty_documents_are_left_out_and_counted() {
    let documents = parse("# only words\n---\n---\na: 1\n---\n# more\n---\nb: 2\n").unwrap();
    let numbers: Vec<usize> = documents.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 4]);
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn anchors_are_copied_and_merged() {
    let text = "base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\nlist: [*base, *base]\n";
    assert_eq!(
        shown(&one(text)),
        "{base={a=1 b=2} other={b=3 a=1} list=[{a=1 b=2} {a=1 b=2}]}"
    );
    assert_eq!(reason("a: {<<: 1}"), Reason::Merge);
    assert_eq!(reason("&a [*a]"), Reason::Circle);
    // An anchor ends with its document.
    assert!(parse("&a 1\n---\n*a\n").is_err());
}

#[test]
fn laughing_a_billion_times_ends_soon() {
    let mut text = "l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for level in 1..10 {
        let below = format!("*l{}", level - 1);
        let copies = vec![below; 10].join(", ");
        text.push_str(&format!("l{level}: &l{level} [{copies}]\n"));
    }
    assert_eq!(
        reason(&text),
        Reason::TooMany {
            what: "values that aliases copy",
            max: COPIES_MAX
        }
    );
}

#[test]
fn every_bound_has_two_sides() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(reason(&nested(DEPTH_MAX + 1)), Reason::TooDeep);
    let blocks = |depth: usize| "- ".repeat(depth) + "a";
    assert!(parse(&blocks(DEPTH_MAX)).is_ok());
    assert_eq!(reason(&blocks(DEPTH_MAX + 1)), Reason::TooDeep);
    assert!(parse(&"--- a\n".repeat(DOCUMENTS_MAX)).is_ok());
    assert!(matches!(
        reason(&"--- a\n".repeat(DOCUMENTS_MAX + 1)),
        Reason::TooMany {
            max: DOCUMENTS_MAX,
            ..
        }
    ));
    assert!(matches!(
        reason(&" ".repeat(FILE_BYTES_MAX + 1)),
        Reason::TooLong { .. }
    ));
}

#[test]
fn a_million_values_are_the_most() {
    let list = |items: usize| "-\n".repeat(items);
    assert!(parse(&list(VALUES_MAX - 1)).is_ok());
    assert!(matches!(
        reason(&list(VALUES_MAX)),
        Reason::TooMany {
            max: VALUES_MAX,
            ..
        }
    ));
}

#[test]
fn what_yaml_does_not_allow_is_refused_with_its_place() {
    let error = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!(error.place, Place { line: 3, column: 1 });
    assert_eq!(
        error.to_string(),
        "the key \"a\" is there already, at line 1"
    );
    assert_eq!(
        parse("a: 1\nb\0").unwrap_err().place,
        Place { line: 2, column: 2 }
    );
    assert_eq!(reason("? [a]\n: 1"), Reason::KeyShape);
    assert_eq!(reason("a: !custom 1"), Reason::Tag("!custom".to_owned()));
    let syntax = parse("a: 1\nb: [1\nc: 2\n").unwrap_err();
    assert!(matches!(syntax.reason, Reason::Syntax(_)), "{syntax:?}");
    assert_eq!(syntax.place.line, 3);
}
