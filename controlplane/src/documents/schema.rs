//! The JSON Schema of documents, for editors: they complete fields and mark what is wrong while one writes.
//!
//! It never refuses what [`read_all`](super::read_all) takes, which tests hold over all cases that
//! there are; what documents say together, and what depends on another field, is left to
//! `sloop validate`. Words and bounds come from where they are read.

use serde_json::{Map, Value, json};
use sloop_model::{Flags, Outcome};

use super::document::VERSIONS;
use super::metadata::MODE;
use super::openslo::{self, DESCRIPTION_CHARS_MAX};
use super::source;

/// The kinds of `sloop.dev/v1` whose fields are described.
const OWN: [&str; 3] = ["RouteSet", "CircuitBreaker", "FaultInjection"];

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
    json!({
        "document": document(),
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
    })
}

/// Any document; what its `spec` is depends on the kind.
fn document() -> Value {
    let kinds = openslo::KINDS.iter().chain(&OWN);
    let specs: Vec<Value> = kinds
        .filter_map(|kind| {
            let spec = spec(kind)?;
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
    let mut rules = specs;
    rules.push(json!({
        "if": {"properties": {"apiVersion": {"const": "openslo/v1"}}, "required": ["apiVersion"]},
        "then": {"properties": {"kind": {"enum": openslo::KINDS}}},
    }));
    let kinds: Vec<&str> = openslo::KINDS.iter().chain(&OWN).copied().collect();
    let mut document = object(
        &["apiVersion", "kind", "metadata"],
        &[
            ("apiVersion", json!({"enum": VERSIONS})),
            // Kinds of ours that this schema does not know are for `sloop validate` to judge.
            (
                "kind",
                json!({"anyOf": [{"enum": kinds}, {"type": "string"}]}),
            ),
            ("metadata", reference("metadata")),
            ("spec", json!({})),
        ],
    );
    // A document with nothing but comments is none.
    insert(&mut document, "type", json!(["object", "null"]));
    insert(&mut document, "allOf", rules.into());
    document
}

/// The `spec` of a kind; nothing of kinds that this schema knows by name only.
fn spec(kind: &str) -> Option<Value> {
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
        "CircuitBreaker" => circuit_breaker(),
        "FaultInjection" => fault_injection(),
        _ => return None,
    })
}

fn metadata() -> Value {
    let modes = json!({
        "enum": ["monitored", "shadow", "actionable"],
        "description": "Whether Sloop acts on the SLO: monitored counts, shadow also decides, actionable acts.",
    });
    let annotations = json!({
        "type": ["object", "null"],
        "properties": {MODE: modes},
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

fn slo() -> Value {
    let methods = ["Occurrences", "Timeslices", "RatioTimeslices"];
    let calendar = object(
        &["startTime", "timeZone"],
        &[
            (
                "startTime",
                json!({
                    "type": "string",
                    "description": "A date and time as \"2026-01-31 12:30:00\".",
                }),
            ),
            (
                "timeZone",
                json!({
                    "type": "string",
                    "description": "A name of the IANA time zone database, as Europe/Paris.",
                }),
            ),
        ],
    );
    let window = object(
        &["duration"],
        &[
            ("duration", reference("duration")),
            ("isRolling", optional(json!({"type": "boolean"}))),
            ("calendar", or_null(calendar)),
        ],
    );
    object(
        &["service", "budgetingMethod", "timeWindow"],
        &[
            ("description", description()),
            ("service", text()),
            ("indicator", or_null(reference("indicator"))),
            ("indicatorRef", or_null(reference("name"))),
            ("budgetingMethod", json!({"enum": methods})),
            (
                "timeWindow",
                json!({"type": "array", "minItems": 1, "maxItems": 1, "items": window}),
            ),
            ("objectives", list(reference("objective"))),
            (
                "alertPolicies",
                list(inline("alertPolicyRef", "AlertPolicy", "alertPolicy")),
            ),
        ],
    )
}

fn objective() -> Value {
    let number = || json!({"type": ["number", "null"]});
    object(
        &[],
        &[
            ("displayName", optional(text())),
            (
                "op",
                json!({"anyOf": [{"enum": ["lte", "lt", "gte", "gt"]}, {"type": ["string", "null"]}]}),
            ),
            ("value", number()),
            (
                "target",
                json!({"type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 1}),
            ),
            (
                "targetPercent",
                json!({"type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 100}),
            ),
            ("timeSliceTarget", number()),
            ("timeSliceWindow", or_null(reference("duration"))),
            ("indicator", or_null(reference("indicator"))),
            ("indicatorRef", or_null(reference("name"))),
            ("compositeWeight", number()),
        ],
    )
}

fn indicator() -> Value {
    object(
        &["metadata", "spec"],
        &[("metadata", reference("metadata")), ("spec", sli())],
    )
}

fn sli() -> Value {
    let metric = || or_null(reference("metric"));
    let ratio = object(
        &[],
        &[
            ("counter", optional(json!({"type": "boolean"}))),
            ("good", metric()),
            ("bad", metric()),
            ("total", metric()),
            (
                "rawType",
                json!({"anyOf": [{"enum": ["success", "failure"]}, {"type": ["string", "null"]}]}),
            ),
            ("raw", metric()),
        ],
    );
    object(
        &[],
        &[
            ("description", description()),
            ("thresholdMetric", metric()),
            ("ratioMetric", or_null(ratio)),
        ],
    )
}

fn metric_source() -> Value {
    let mut schema = object(
        &["spec"],
        &[
            ("metricSourceRef", optional(text())),
            (
                "type",
                json!({"anyOf": [{"enum": [source::TYPE]}, {"type": ["string", "null"]}]}),
            ),
            ("spec", json!({"type": "object"})),
        ],
    );
    insert(
        &mut schema,
        "if",
        json!({"properties": {"type": {"const": source::TYPE}}, "required": ["type"]}),
    );
    insert(
        &mut schema,
        "then",
        json!({"properties": {"spec": reference("requests")}}),
    );
    schema
}

/// `metricSource.spec` of type `sloop`.
fn requests() -> Value {
    let outcomes: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
    let flags: Vec<&str> = Flags::NAMES.iter().map(|(name, _)| *name).collect();
    object(
        &[],
        &[
            ("service", optional(text())),
            (
                "route",
                optional(json!({
                    "type": "string", "description": "The name of a route, or * for all.",
                })),
            ),
            ("side", optional(json!({"enum": ["server", "client"]}))),
            ("unit", optional(json!({"enum": ["s", "ms", "us"]}))),
            (
                "status",
                list(json!({
                    "anyOf": [
                        {"type": "integer"},
                        {"type": "string", "pattern": "^([0-9]+xx|[0-9+ ]+(-[0-9+ ]+)?)$"},
                    ],
                    "description": "An HTTP status as 404, a class as 5xx or a range as 500-504.",
                })),
            ),
            (
                "grpcStatus",
                list(json!({
                    "anyOf": [{"enum": source::GRPC}, {"type": "integer", "minimum": 0, "maximum": 16}],
                })),
            ),
            ("flags", list(json!({"enum": flags}))),
            ("outcome", list(json!({"enum": outcomes}))),
            (
                "slowerThan",
                optional(json!({"type": "string", "pattern": "^[0-9]+(us|ms|s)$"})),
            ),
        ],
    )
}

fn alert_policy() -> Value {
    let flag = || optional(json!({"type": "boolean"}));
    object(
        &["conditions", "notificationTargets"],
        &[
            ("description", description()),
            ("alertWhenNoData", flag()),
            ("alertWhenBreaching", flag()),
            ("alertWhenResolved", flag()),
            (
                "conditions",
                json!({
                    "type": "array", "minItems": 1, "maxItems": 1,
                    "items": inline("conditionRef", "AlertCondition", "alertCondition"),
                }),
            ),
            (
                "notificationTargets",
                json!({
                    "type": "array", "minItems": 1,
                    "items": inline("targetRef", "AlertNotificationTarget", "alertNotificationTarget"),
                }),
            ),
        ],
    )
}

fn alert_condition() -> Value {
    let condition = object(
        &["kind", "op", "threshold", "lookbackWindow"],
        &[
            ("kind", json!({"enum": ["burnrate"]})),
            ("op", json!({"enum": ["lte", "gte", "lt", "gt"]})),
            ("threshold", json!({"type": "number"})),
            ("lookbackWindow", reference("duration")),
            ("alertAfter", or_null(reference("duration"))),
        ],
    );
    object(
        &["severity", "condition"],
        &[
            ("description", description()),
            ("severity", json!({"type": "string", "minLength": 1})),
            ("condition", condition),
        ],
    )
}

fn alert_target() -> Value {
    object(
        &["target"],
        &[
            ("description", description()),
            ("target", json!({"type": "string", "minLength": 1})),
        ],
    )
}

/// The name of a document of `kind`, or one in its place.
fn inline(name: &str, kind: &str, spec: &str) -> Value {
    object(
        &[],
        &[
            (name, optional(text())),
            ("kind", optional(json!({"enum": [kind]}))),
            ("metadata", or_null(reference("metadata"))),
            ("spec", or_null(reference(spec))),
        ],
    )
}

fn route_set() -> Value {
    let texts = || list(json!({"type": ["string", "null"]}));
    let path = object(
        &[],
        &[
            ("exact", optional(text())),
            ("prefix", optional(text())),
            (
                "template",
                optional(json!({
                    "type": "string", "description": "As /orders/{id}: what is in braces fits one segment.",
                })),
            ),
        ],
    );
    let header = object(&["name"], &[("name", text()), ("exact", optional(text()))]);
    let matches = object(
        &[],
        &[
            ("authority", texts()),
            ("method", texts()),
            ("path", or_null(path)),
            ("headers", list(header)),
        ],
    );
    let route = object(
        &["name", "match"],
        &[
            ("name", text()),
            (
                "match",
                json!({"type": "array", "minItems": 1, "items": matches}),
            ),
            (
                "criticality",
                optional(
                    json!({"enum": ["critical_plus", "critical", "sheddable_plus", "sheddable"]}),
                ),
            ),
        ],
    );
    object(
        &["service", "routes"],
        &[
            ("service", text()),
            ("authorities", texts()),
            ("routes", json!({"type": "array", "items": route})),
        ],
    )
}

/// What is inside `limits` and `fault` is a part of the filter's configuration, which has a schema of its own; here is
/// what nearly all write.
fn circuit_breaker() -> Value {
    let whole = |min: u32, max: u32| json!({"type": "integer", "minimum": min, "maximum": max});
    let limits = json!({"type": "object", "properties": {
        "window_ms": whole(100, 600_000),
        "calls_min": whole(1, 1_000_000),
        "open_ms": whole(10, 600_000),
        "open_max_ms": whole(10, 600_000),
        "probes": whole(1, 1_000),
    }});
    let modes =
        optional(json!({"enum": ["enforce", "shadow", "metrics_only", "disabled", "forced_open"]}));
    targeted(&["limits"], &[("mode", modes), ("limits", limits)])
}

fn fault_injection() -> Value {
    let fault = json!({"type": "object", "required": ["share"], "properties": {
        "share": reference("share"),
    }});
    targeted(&["fault"], &[("fault", fault)])
}

/// What is about a service, its routes, and whose sidecars act.
fn targeted(required: &[&str], fields: &[(&str, Value)]) -> Value {
    let mut all = vec![
        ("service", text()),
        (
            "route",
            optional(
                json!({"type": "string", "description": "The name of a route, or * for all."}),
            ),
        ),
        ("side", optional(json!({"enum": ["server", "client"]}))),
    ];
    all.extend(fields.iter().cloned());
    let mut needed = vec!["service"];
    needed.extend(required);
    object(&needed, &all)
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
