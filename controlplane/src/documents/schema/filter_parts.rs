//! Parts of the filter's configuration as documents have them.
//!
//! They come from the filter's own schema, so nothing is said twice. Documents differ from it in
//! three things: a share may be written as `12.5%`, `null` is the same as leaving a field out, and what
//! the document or the control plane says instead is not required.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{insert, or_null, reference};

/// Before the name of what is the filter's, among all definitions.
const PREFIX: &str = "filter.";

/// The filter's definition of a share; documents have one of their own.
const SHARE: &str = "Share";

/// The definitions of the filter, each with those that it needs.
#[derive(Debug)]
pub(super) struct Parts(Map<String, Value>);

impl Parts {
    /// All there are.
    pub(super) fn all() -> Self {
        let schema: Value =
            serde_json::from_str(&sloop_model::filter_config_schema()).unwrap_or_default();
        let definitions = schema.get("$defs").and_then(Value::as_object);
        let mut definitions = definitions.cloned().unwrap_or_default();
        definitions.values_mut().for_each(adapt);
        Self(definitions)
    }

    /// The part `name`, to be used once: its own fields without those in `without`, none of
    /// `not_required` required.
    pub(super) fn own(&self, name: &str, without: &[&str], not_required: &[&str]) -> Value {
        let mut part = self.0.get(name).cloned().unwrap_or(Value::Null);
        if let Some(fields) = part.get_mut("properties").and_then(Value::as_object_mut) {
            without.iter().for_each(|name| drop(fields.remove(*name)));
            for name in not_required {
                if let Some(field) = fields.get_mut(*name).filter(|field| !takes_null(field)) {
                    *field = or_null(field.take());
                }
            }
        }
        if let Some(required) = part.get_mut("required").and_then(Value::as_array_mut) {
            let is_left = |name: &str| [without, not_required].concat().contains(&name);
            required.retain(|name| !name.as_str().is_some_and(is_left));
        }
        part
    }

    /// The same, which ends by itself: `expires_at` for people or `expires_at_ms`, one of them required.
    pub(super) fn expiring(&self, name: &str) -> Value {
        let mut part = self.own(name, &[], &["id", "expires_at_ms"]);
        if let Some(fields) = part.get_mut("properties").and_then(Value::as_object_mut) {
            fields.insert("expires_at".to_owned(), moment());
        }
        let either = ["expires_at", "expires_at_ms"].map(|name| json!({"required": [name]}));
        insert(&mut part, "anyOf", json!(either));
        part
    }

    /// Those definitions that `schemas` and each other refer to.
    pub(super) fn needed<'a>(
        &self,
        schemas: impl Iterator<Item = &'a Value>,
    ) -> Map<String, Value> {
        let mut needed = BTreeSet::new();
        let mut waiting: Vec<&Value> = schemas.collect();
        while let Some(schema) = waiting.pop() {
            for name in references(schema) {
                if let Some(part) = self.0.get(&name)
                    && needed.insert(name)
                {
                    waiting.push(part);
                }
            }
        }
        let parts = needed.into_iter();
        parts
            .filter_map(|name| Some((format!("{PREFIX}{name}"), self.0.get(&name)?.clone())))
            .collect()
    }
}

/// Where the filter's part `name` is defined.
pub(super) fn part(name: &str) -> Value {
    reference(&format!("{PREFIX}{name}"))
}

/// Makes a schema of the filter one of documents.
fn adapt(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(place)) = fields.get_mut("$ref")
                && let Some(name) = place.strip_prefix("#/$defs/")
            {
                *place = match name {
                    SHARE => "#/$defs/share".to_owned(),
                    other => format!("#/$defs/{PREFIX}{other}"),
                };
            }
            fields.values_mut().for_each(adapt);
            let required = fields.get("required").cloned().unwrap_or_default();
            let required = required.as_array().cloned().unwrap_or_default();
            if let Some(Value::Object(fields)) = fields.get_mut("properties") {
                for (name, field) in fields.iter_mut() {
                    if !required.iter().any(|it| it == name) && !takes_null(field) {
                        *field = or_null(field.take());
                    }
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(adapt),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn takes_null(schema: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    let own = schema.get("type").and_then(Value::as_array);
    let any = schema.get("anyOf").and_then(Value::as_array);
    own.is_some_and(|kinds| kinds.iter().any(is_null))
        || any.is_some_and(|all| all.iter().any(|it| it.get("type").is_some_and(is_null)))
}

/// The filter's definitions that `schema` names.
fn references(schema: &Value) -> Vec<String> {
    let start = format!("#/$defs/{PREFIX}");
    match schema {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            let own = own.and_then(|place| place.strip_prefix(&start));
            let inside = fields.values().flat_map(references);
            own.map(str::to_owned).into_iter().chain(inside).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// When something ends by itself, for people.
pub(super) fn moment() -> Value {
    or_null(json!({
        "type": "string", "description": "When it ends by itself, as 2026-01-31T12:30:00Z.",
    }))
}
