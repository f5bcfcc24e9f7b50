//! The JSON Schema of documents, for editors: they complete fields and mark what is wrong while one writes.
//!
//! It never refuses what [`read_all`](super::read_all) takes, which tests hold over all cases that
//! there are; what documents say together, and what depends on another field, is left to
//! `sloop validate`. Words and bounds come from where they are read.

mod experiment;
mod filter_parts;
mod openslo_kinds;
mod own_kinds;

use serde_json::{Map, Value, json};

use super::document::VERSIONS;
use super::metadata::{ACTING, DEADLINE, MODE};
use super::openslo::{self, DESCRIPTION_CHARS_MAX};
use super::sloop;
use experiment::experiment;
use filter_parts::Parts;
use openslo_kinds::{
    alert_condition, alert_policy, alert_target, indicator, metric_source, objective, requests,
    sli, slo,
};
use own_kinds::{
    access_rule, circuit_breaker, deny_rule, envoy_resource, fault_injection, filter_settings,
    load_shedding, route_set,
};

/// Where it says it is from; nothing has to be there.
const ID: &str = "https://sloop.dev/documents.schema.json";

/// The JSON Schema (draft 2020-12) of a document, or of a list of them, as text that ends with a line break.
#[must_use]
pub fn json_schema() -> String {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Documents of Sloop",
        "description": "OpenSLO v1 and the kinds of sloop.dev/v1.",
        "if": {"type": "array"},
        "then": {"items": {"$ref": "#/$defs/document"}},
        "else": {"$ref": "#/$defs/document"},
        "$defs": definitions(),
    });
    format!("{schema:#}\n")
}

fn definitions() -> Value {
    let parts = Parts::all();
    let mut definitions = json!({
        "document": document(&parts),
        "metadata": metadata(),
        "name": name(),
        "duration": {
            "type": "string", "pattern": "^[0-9]+[mhdwMQY]$",
            "description": "A whole number and one of m (minutes), h, d, w, M (months), Q, Y.",
        },
        "metric": object(&["metricSource"], &[("metricSource", metric_source())]),
        "requests": requests(),
        "indicator": indicator(),
        "objective": objective(),
        "alertPolicy": alert_policy(),
        "alertCondition": alert_condition(),
        "alertNotificationTarget": alert_target(),
        "share": {
            "anyOf": [
                {"type": "string", "pattern": "%$"},
                {"type": "integer", "minimum": 0, "maximum": 10_000},
            ],
            "description": "A text as \"12.5%\", or ten-thousandths.",
        },
    });
    for (name, part) in parts.needed([&definitions].into_iter()) {
        insert(&mut definitions, &name, part);
    }
    definitions
}

/// Any document; what its `spec` is depends on the kind.
fn document(parts: &Parts) -> Value {
    let kinds = || openslo::KINDS.iter().chain(sloop::KINDS);
    let mut rules: Vec<Value> = kinds()
        .filter_map(|kind| {
            let spec = spec(kind, parts)?;
            let needs = if *kind == "Service" {
                json!([])
            } else {
                json!(["spec"])
            };
            Some(json!({
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"properties": {"spec": spec}, "required": needs},
            }))
        })
        .collect();
    for (version, kinds) in [
        ("openslo/v1", openslo::KINDS),
        ("sloop.dev/v1", sloop::KINDS),
    ] {
        rules.push(json!({
            "if": {"properties": {"apiVersion": {"const": version}}, "required": ["apiVersion"]},
            "then": {"properties": {"kind": {"enum": kinds}}},
        }));
    }
    let kinds: Vec<&str> = kinds().copied().collect();
    let mut document = object(
        &["apiVersion", "kind", "metadata"],
        &[
            ("apiVersion", json!({"enum": VERSIONS})),
            ("kind", json!({"enum": kinds})),
            ("metadata", reference("metadata")),
            ("spec", json!({})),
        ],
    );
    // A document with nothing but comments is none.
    insert(&mut document, "type", json!(["object", "null"]));
    insert(&mut document, "allOf", rules.into());
    document
}

/// The `spec` of a kind; nothing of a kind that nobody described, which a test finds.
fn spec(kind: &str, parts: &Parts) -> Option<Value> {
    Some(match kind {
        "SLO" => slo(),
        "SLI" => sli(),
        "DataSource" => object(
            &["type", "connectionDetails"],
            &[
                ("description", description()),
                ("type", json!({"type": "string", "minLength": 1})),
                ("connectionDetails", json!({})),
            ],
        ),
        "Service" => or_null(object(&[], &[("description", description())])),
        "AlertPolicy" => reference("alertPolicy"),
        "AlertCondition" => reference("alertCondition"),
        "AlertNotificationTarget" => reference("alertNotificationTarget"),
        "RouteSet" => route_set(),
        "CircuitBreaker" => circuit_breaker(parts),
        "FaultInjection" => fault_injection(parts),
        "LoadShedding" => load_shedding(),
        "DenyRule" => deny_rule(parts),
        "FilterSettings" => filter_settings(),
        "EnvoyResource" => envoy_resource(),
        "ChaosExperiment" => experiment(parts),
        "AccessRule" => access_rule(),
        _ => return None,
    })
}

fn metadata() -> Value {
    let modes = json!({
        "enum": ["monitored", "shadow", "actionable"],
        "description": "Whether Sloop acts on the SLO: monitored counts, shadow also decides, actionable acts.",
    });
    let deadline = json!({
        "type": "string", "pattern": "^(off|[0-9]+(ms|s|m))$",
        "description": "How long the requests of the SLO have: off, or 1ms to 10m. As its objectives imply when absent.",
    });
    let acting = json!({
        "enum": ["true", "false"],
        "description": "Whether the AlertPolicy tells that breakers are ordered to open to protect the SLO, too.",
    });
    let annotations = json!({
        "type": ["object", "null"],
        "properties": {MODE: modes, DEADLINE: deadline, ACTING: acting},
        "additionalProperties": {"type": ["string", "null"]},
    });
    let labels = json!({
        "type": ["object", "null"],
        "additionalProperties": {
            "type": ["string", "array", "null"], "items": {"type": ["string", "null"]},
        },
    });
    object(
        &["name"],
        &[
            ("name", reference("name")),
            (
                "displayName",
                optional(json!({"type": "string", "maxLength": 63})),
            ),
            ("labels", labels),
            ("annotations", annotations),
        ],
    )
}

fn name() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 63,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    })
}

fn description() -> Value {
    optional(json!({"type": "string", "maxLength": DESCRIPTION_CHARS_MAX}))
}

/// A mapping of exactly these fields.
fn object(required: &[&str], fields: &[(&str, Value)]) -> Value {
    let fields = fields
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()));
    let fields: Map<String, Value> = fields.collect();
    json!({
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    })
}

fn text() -> Value {
    json!({"type": "string"})
}

/// A list of these, which may be left out.
fn list(items: Value) -> Value {
    json!({"type": ["array", "null"], "items": items})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// `schema` or nothing: `null` is the same as leaving a field out.
fn optional(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    if let Some(Value::String(kind)) = schema.get("type") {
        let kinds = json!([kind, "null"]);
        insert(&mut schema, "type", kinds);
    }
    schema
}

/// The same for what has parts of its own.
fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn insert(schema: &mut Value, name: &str, value: Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_read_is_described() {
        let parts = Parts::all();
        for kind in openslo::KINDS.iter().chain(sloop::KINDS) {
            assert!(spec(kind, &parts).is_some(), "{kind}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let definitions = definitions();
        let mut waiting = vec![&definitions];
        let mut found = 0;
        while let Some(schema) = waiting.pop() {
            if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
                found += 1;
                let name = place.strip_prefix("#/$defs/").unwrap();
                assert!(definitions.get(name).is_some(), "{place}");
            }
            match schema {
                Value::Object(fields) => waiting.extend(fields.values()),
                Value::Array(items) => waiting.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        assert!(100 < found, "{found}");
    }
}
