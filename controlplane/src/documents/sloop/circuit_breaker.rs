//! The kind `CircuitBreaker`: a breaker with limits of one's own choice.

use sloop_controllers::CircuitBreakerIntent;
use sloop_model::{BreakerMode, BreakerRule, WallTime};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};
use super::part::{self, Part};
use super::{expiry, target};

/// What a breaker may do, as documents and the filter call it.
const MODES: &[(&str, BreakerMode)] = &[
    ("enforce", BreakerMode::Enforce),
    ("shadow", BreakerMode::Shadow),
    ("metrics_only", BreakerMode::MetricsOnly),
    ("disabled", BreakerMode::Disabled),
    ("forced_open", BreakerMode::ForcedOpen),
];

/// When it ends, in either way to say it. Modes that overrule a breaker need one.
const EXPIRY: [&str; 2] = ["expires_at", "expires_at_ms"];

const FIELDS: &[&str] = &[
    "service",
    "route",
    "side",
    "mode",
    "limits",
    "expires_at",
    "expires_at_ms",
];

/// Reads a circuit breaker, seen at `now`.
pub(super) fn read(
    document: &Fields<'_>,
    metadata: &Metadata<'_>,
    now: WallTime,
) -> Option<CircuitBreakerIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(FIELDS)?;
    let target = target::read(&fields);
    let mode = fields.get("mode").map(|at| at.word(MODES));
    let is_forced = mode.flatten().is_some_and(BreakerMode::is_forced);
    let ends = is_forced || EXPIRY.iter().any(|name| fields.get(name).is_some());
    let expires_at = ends.then(|| expiry::read(&fields, now, "what SLOs imply holds"));
    let limits = fields.required("limits").and_then(|at| read_limits(&at));
    let target = target?;
    Some(CircuitBreakerIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        mode: mode.unwrap_or(Some(BreakerMode::Enforce))?,
        limits: limits?,
        // None after a complaint; no word about it is none.
        expires_at: expires_at.map_or(Some(None), |read| read.map(Some))?,
    })
}

fn read_limits(at: &At<'_>) -> Option<BreakerRule> {
    let config = part::read(at, Part::Breaker, part::given(at)?)?;
    let mut scopes = config.scopes.into_iter();
    Some(scopes.next()?.breaker?.limits)
}
