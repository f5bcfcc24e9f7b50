//! `filter/config.schema.json` is what the types say, and takes and refuses what the filter does.
//!
//! Needs the feature `schema`; `cargo xtask test` sets it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod agreement;
mod documents;
mod yaml;

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

const CHECKED_IN: &str = include_str!("../../../../filter/config.schema.json");

/// A configuration with every field, which the unit tests read, too.
const WHOLE: &str = include_str!("../../src/config/tests/whole.json");

static SCHEMA: LazyLock<Value> = LazyLock::new(|| parsed(CHECKED_IN));
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// What the schema says against `config`, with the place; nothing when it takes it.
fn refusal(config: &Value) -> Option<String> {
    let error = VALIDATOR.validate(config).err()?;
    Some(format!("{}: {error}", error.instance_path()))
}

#[test]
fn the_file_is_what_the_types_say() {
    let said = parsed(&sloop_model::filter_config_schema());
    assert!(
        *SCHEMA == said,
        "filter/config.schema.json is out of date; run `cargo xtask schema`"
    );
    assert!(CHECKED_IN.ends_with("}\n"));
}

#[test]
fn it_is_a_schema_that_says_what_it_is() {
    assert!(jsonschema::draft202012::meta::is_valid(&SCHEMA));
    assert_eq!(
        SCHEMA["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    for field in ["$id", "title", "description"] {
        assert!(SCHEMA[field].is_string(), "{field}");
    }
}

#[test]
fn every_field_is_described_in_words_for_people_who_do_not_read_the_code() {
    let mut described = 0;
    let mut left = vec![&*SCHEMA];
    while let Some(schema) = left.pop() {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            // The field of a variant has its description around it.
            let text = field["description"]
                .as_str()
                .or(schema["description"].as_str());
            let text = text.unwrap_or_else(|| panic!("{name} is not described: {field}"));
            assert!(
                !text.contains("::") && !text.contains("[`"),
                "{name}: {text}"
            );
            described += 1;
        }
        match schema {
            Value::Object(members) => left.extend(members.values()),
            Value::Array(items) => left.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(100 < described, "{described}");
}
