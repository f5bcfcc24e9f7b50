//! JSON as YAML, for people: a field or an item a line.
//!
//! JSON is YAML already, so only lists and mappings need another form. A text stands as it is where
//! no reader can take it for anything else, and in JSON's quotes otherwise.

use serde_json::Value;

use super::table::printable_json;

/// `value` as a YAML document that ends with a line break.
pub(super) fn text(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.trim_start_matches('\n').to_owned() + "\n"
}

/// Writes `value` after a key or a dash that is `indent` columns from the left.
fn write(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                line(indent, out);
                out.push_str(&scalar(name));
                out.push(':');
                below(value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                line(indent, out);
                out.push('-');
                below(item, indent, out);
            }
        }
        Value::String(text) => out.push_str(&scalar(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&value.to_string());
        }
    }
}

fn line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

fn below(value: &Value, indent: usize, out: &mut String) {
    let is_block = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if !is_block {
        out.push(' ');
    }
    write(value, indent + 2, out);
}

/// A text as it is where it begins with a letter, goes on with nothing that means anything in YAML, and is no word that
/// some reader takes for a truth value, nothing or a number; quoted otherwise.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
    ];
    let mut letters = text.chars();
    let is_plain = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        printable_json(&Value::from(text).to_string()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::documents::tree;

    #[test]
    fn lists_and_mappings_are_blocks() {
        let value = json!({"at_ms": 1, "items": [{"name": "pay", "bad": [], "of": {"a": null}}, "no", "a b"]});
        let expected = "at_ms: 1\nitems:\n  -\n    bad: []\n    name: pay\n    of:\n      a: null\n  - \"no\"\n  - \"a b\"\n";
        assert_eq!(text(&value), expected);
        assert_eq!(text(&json!([])), "[]\n");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~é\n\t\u{1b}\u{7f}\u{9b}]{0,12}".prop_map(Value::from),
            "(yes|No|null|~|1e3|0x1F|.inf|- a|a: b|# c|\\*a|&a|!t)".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ -~]{1,8}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn read(node: &tree::Node) -> Value {
        match &node.value {
            tree::Value::Null => Value::Null,
            tree::Value::Bool(value) => (*value).into(),
            tree::Value::Integer(value) => (*value).into(),
            tree::Value::Float(value) => (*value).into(),
            tree::Value::Text(text) => text.as_str().into(),
            tree::Value::List(items) => items.iter().map(read).collect(),
            tree::Value::Map(entries) => {
                let fields = entries.iter().map(|it| (it.key.clone(), read(&it.node)));
                Value::Object(fields.collect())
            }
        }
    }

    proptest! {
        #[test]
        fn a_reader_of_yaml_gets_back_the_same(value in any_value()) {
            prop_assume!(!value.is_null());
            let text = text(&value);
            let documents = tree::parse(&text).unwrap();
            prop_assert_eq!(documents.len(), 1, "{}", text);
            prop_assert_eq!(read(&documents[0].1), value, "{}", text);
        }
    }
}
