//! The JSON Schema of a filter's configuration, for editors and for checks outside of the filter.
//!
//! Derived from the types that a configuration is read into, so that fields,
//! words, defaults and descriptions cannot differ from them; bounds stand beside
//! each field. It never refuses what a filter takes. What it cannot say is left to
//! the filter: fields that exclude or need each other, names that are there twice, order
//! within a list, and texts whose length is bounded in bytes.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use crate::{FilterConfig, HeaderChanges};

/// Where it says it is from; nothing has to be there.
const ID: &str = "https://sloop.dev/filter/config.schema.json";

/// How schemas of our types are made: draft 2020-12, bounds in numbers, descriptions in plain text.
#[must_use]
pub fn schema_settings() -> SchemaSettings {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(whole_numbers))
        .with_transform(RecursiveTransform(plain_description))
}

/// The JSON Schema (draft 2020-12) of [`FilterConfig`], as text that ends with a line break.
#[must_use]
pub fn filter_config_schema() -> String {
    let mut schema = schema_settings()
        .into_generator()
        .into_root_schema_for::<FilterConfig>();
    schema.insert("$id".to_owned(), ID.into());
    schema.insert("title".to_owned(), "Configuration of a Sloop filter".into());
    format!("{:#}\n", schema.to_value())
}

/// Bounds what stands in a pair, or in each pair of a list: both ends of a range may be.
pub(crate) fn pairs(first: (u32, u32), second: (u32, u32)) -> impl FnMut(&mut Schema) {
    let within = |(min, max)| json!({"minimum": min, "maximum": max});
    let bounds = [within(first), within(second)];
    move |schema| bound_pairs(schema, &bounds)
}

/// Bounds a list of pairs of a header's name and its value.
pub(crate) fn header_pairs(schema: &mut Schema) {
    let max = HeaderChanges::TEXT_BYTES_MAX;
    let name = json!({"minLength": 1, "maxLength": max, "pattern": HeaderChanges::NAME_PATTERN});
    let value = json!({"maxLength": max, "pattern": "^[ -~]*$"});
    bound_pairs(schema, &[name, value]);
}

fn bound_pairs(schema: &mut Schema, bounds: &[Value; 2]) {
    let pair = if schema.get("items").is_some() {
        schema.pointer_mut("/items/prefixItems")
    } else {
        schema.pointer_mut("/prefixItems")
    };
    let items = pair.and_then(Value::as_array_mut).into_iter().flatten();
    for (item, bounds) in items.zip(bounds) {
        if let (Some(item), Some(bounds)) = (item.as_object_mut(), bounds.as_object()) {
            item.extend(bounds.clone());
        }
    }
}

/// Says the bound of an integer's type in numbers: formats like `uint32` mean nothing to most readers.
fn whole_numbers(schema: &mut Schema) {
    let max = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => u64::from(u8::MAX),
        Some("uint16") => u64::from(u16::MAX),
        Some("uint32") => u64::from(u32::MAX),
        Some("uint64") => u64::MAX,
        Some("double") => {
            schema.remove("format");
            return;
        }
        _ => return,
    };
    schema.remove("format");
    if schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), max.into());
    }
}

/// Makes a comment of the code plain text: one line for each paragraph, and no references to code in parentheses.
fn plain_description(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|lines| lines.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
        while let Some((before, rest)) = text.split_once(" ([`")
            && let Some((_, after)) = rest.split_once("`])")
        {
            *text = format!("{before}{after}");
        }
    }
}
