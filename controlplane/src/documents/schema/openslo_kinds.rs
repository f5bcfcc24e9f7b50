//! The kinds of OpenSLO.

use serde_json::{Value, json};
use sloop_model::{DimensionValue, Flags, Outcome, Selector};

use super::super::source;
use super::{description, insert, list, object, optional, or_null, reference, text};

pub(super) fn slo() -> Value {
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

pub(super) fn objective() -> Value {
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

pub(super) fn indicator() -> Value {
    object(
        &["metadata", "spec"],
        &[("metadata", reference("metadata")), ("spec", sli())],
    )
}

pub(super) fn sli() -> Value {
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

pub(super) fn metric_source() -> Value {
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
pub(super) fn requests() -> Value {
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
            ("method", names("HTTP methods, as GET. With case.")),
            (
                "caller",
                names(
                    "Who sends the requests, as dimensions.caller of FilterSettings says; with side client, the services whose sidecars count.",
                ),
            ),
            (
                "origin",
                names("Where traces began, as dimensions.origin of FilterSettings says."),
            ),
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

/// A name, or a list of names of which any fits.
fn names(about: &str) -> Value {
    let name = || json!({"type": "string", "minLength": 1, "maxLength": DimensionValue::BYTES_MAX});
    let all = json!({"type": "array", "items": name(), "minItems": 1, "maxItems": Selector::CONDITIONS_MAX});
    json!({"anyOf": [name(), all, {"type": "null"}], "description": about})
}

pub(super) fn alert_policy() -> Value {
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

pub(super) fn alert_condition() -> Value {
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

pub(super) fn alert_target() -> Value {
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
