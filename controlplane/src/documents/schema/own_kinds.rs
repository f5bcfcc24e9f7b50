//! The kinds of `sloop.dev/v1`.

use serde_json::{Value, json};

use super::super::sloop::envoy_resource;
use super::filter_parts::{Parts, moment, part};
use super::{list, object, optional, or_null, text};

/// Texts, which may be left out.
fn texts() -> Value {
    list(json!({"type": ["string", "null"]}))
}

/// Conditions on requests.
fn request_match() -> Value {
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
    let header = object(
        &["name"],
        &[
            ("name", text()),
            ("exact", optional(text())),
            ("prefix", optional(text())),
        ],
    );
    object(
        &[],
        &[
            ("authority", texts()),
            ("method", texts()),
            ("path", or_null(path)),
            ("headers", list(header)),
        ],
    )
}

pub(super) fn route_set() -> Value {
    let route = object(
        &["name", "match"],
        &[
            ("name", text()),
            (
                "match",
                json!({"type": "array", "minItems": 1, "items": request_match()}),
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

/// What is inside `limits`, `fault` and the like is a part of the filter's configuration.
pub(super) fn circuit_breaker(parts: &Parts) -> Value {
    // What is left out, SLOs imply.
    let implied = [
        "calls_min",
        "failed_max",
        "open_ms",
        "open_max_ms",
        "probes",
    ];
    targeted(
        &[],
        &[
            ("mode", or_null(part("BreakerMode"))),
            ("limits", or_null(parts.own("BreakerRule", &[], &implied))),
            ("expires_at", moment()),
            ("expires_at_ms", or_null(part("WallTime"))),
        ],
    )
}

pub(super) fn fault_injection(parts: &Parts) -> Value {
    targeted(&["fault"], &[("fault", parts.expiring("FaultRule"))])
}

pub(super) fn load_shedding() -> Value {
    targeted(
        &[],
        &[
            ("mode", or_null(part("Mode"))),
            ("limits", or_null(part("ShedRule"))),
            ("retries", or_null(part("RetryRule"))),
        ],
    )
}

pub(super) fn deny_rule(parts: &Parts) -> Value {
    targeted(&["rule"], &[("rule", parts.expiring("DenyRule"))])
}

pub(super) fn filter_settings() -> Value {
    object(
        &[],
        &[
            ("service", optional(text())),
            ("side", optional(side())),
            ("respond", or_null(part("TraceResponse"))),
            ("context", or_null(part("ContextSettings"))),
            ("spans", or_null(part("SpanSettings"))),
            ("dimensions", or_null(part("DimensionSettings"))),
            ("stats", or_null(part("StatsSettings"))),
            ("health_checks", list(request_match())),
        ],
    )
}

pub(super) fn envoy_resource() -> Value {
    let texts = || or_null(json!({"type": "array", "minItems": 1, "items": {"type": "string"}}));
    let of_any = json!({
        "type": ["object", "null"],
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    });
    let place = ["region", "zone", "sub_zone"].map(|name| (name, optional(text())));
    let selector = object(
        &[],
        &[
            ("clusters", texts()),
            ("ids", texts()),
            ("metadata", of_any),
            ("locality", or_null(object(&[], &place))),
        ],
    );
    let types = envoy_resource::TYPES.map(|(type_url, _)| type_url);
    let resource = json!({
        "type": "object",
        "properties": {"@type": {"enum": types}},
        "required": ["@type"],
        "description": "A resource in Envoy's own YAML.",
    });
    object(
        &["resource"],
        &[("selector", or_null(selector)), ("resource", resource)],
    )
}

pub(super) fn access_rule() -> Value {
    let patterns = |about: &str| {
        let about = format!("{about} A final * stands for anything.");
        json!({"type": "array", "minItems": 1, "items": text(), "description": about})
    };
    let calls = "Services that they may report about as callers; any when left out.";
    object(
        &["identities", "services"],
        &[
            (
                "identities",
                patterns("Names in certificates, as spiffe://example.org/shop."),
            ),
            ("services", patterns("Services whose sidecars these are.")),
            (
                "calls",
                json!({"type": ["array", "null"], "items": text(), "description": calls}),
            ),
        ],
    )
}

/// What is about a service, its routes, and whose sidecars act.
pub(super) fn targeted(required: &[&str], fields: &[(&str, Value)]) -> Value {
    let mut all = vec![
        ("service", text()),
        (
            "route",
            optional(
                json!({"type": "string", "description": "The name of a route, or * for all."}),
            ),
        ),
        ("side", optional(side())),
    ];
    all.extend(fields.iter().cloned());
    let mut needed = vec!["service"];
    needed.extend(required);
    object(&needed, &all)
}

fn side() -> Value {
    json!({"enum": ["server", "client"], "description": "Whose sidecars: the service's, or its callers'."})
}
