//! The kinds of `sloop.dev/v1`.

use serde_json::{Value, json};

use super::{list, object, optional, or_null, reference, text};

pub(super) fn route_set() -> Value {
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
pub(super) fn circuit_breaker() -> Value {
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

pub(super) fn fault_injection() -> Value {
    let fault = json!({"type": "object", "required": ["share"], "properties": {
        "share": reference("share"),
    }});
    targeted(&["fault"], &[("fault", fault)])
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
