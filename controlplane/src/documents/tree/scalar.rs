//! What an unquoted scalar means, by YAML 1.2's core schema
//! (<https://yaml.org/spec/1.2.2/#103-core-schema>).

use std::borrow::Cow;

use saphyr_parser::{ScalarStyle, Tag};

use super::{Reason, Value};

/// The value of a scalar.
pub(super) fn value(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Value, Reason> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        None => Ok(Value::Text(text.into_owned())),
        // `!` alone: a text, whatever it looks like.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => {
            Ok(Value::Text(text.into_owned()))
        }
        Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => Ok(Value::Text(text.into_owned())),
            "int" | "float" | "bool" | "null" => Ok(plain(text)),
            _ => Err(Reason::Tag(tag.to_string())),
        },
        Some(tag) => Err(Reason::Tag(tag.to_string())),
    }
}

fn plain(text: Cow<'_, str>) -> Value {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        written => match number(written) {
            Some(value) => value,
            None => Value::Text(text.into_owned()),
        },
    }
}

fn number(written: &str) -> Option<Value> {
    let radix = [("0x", 16), ("0o", 8)]
        .iter()
        .find_map(|(prefix, radix)| Some((written.strip_prefix(prefix)?, *radix)));
    if let Some((digits, radix)) = radix {
        let unsigned = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| unsigned)
            .map(Value::Integer);
    }
    // Rust also reads `inf` and `nan`, which are words in YAML.
    let is_numeric = written.bytes().any(|byte| byte.is_ascii_digit())
        && written
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !is_numeric {
        return None;
    }
    let integer = written.parse().map(Value::Integer);
    integer.or_else(|_| written.parse().map(Value::Float)).ok()
}
