//! The kind `CircuitBreaker`: a breaker with limits of one's own choice.

use sloop_controllers::CircuitBreakerIntent;
use sloop_model::{BreakerMode, BreakerRule};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};
use super::part::{self, Part};
use super::target;

/// What a breaker may do, as documents and the filter call it.
const MODES: &[(&str, BreakerMode)] = &[
    ("enforce", BreakerMode::Enforce),
    ("shadow", BreakerMode::Shadow),
    ("metrics_only", BreakerMode::MetricsOnly),
    ("disabled", BreakerMode::Disabled),
    ("forced_open", BreakerMode::ForcedOpen),
];

/// Reads a circuit breaker.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<CircuitBreakerIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["service", "route", "side", "mode", "limits"])?;
    let target = target::read(&fields);
    let mode = fields.get("mode").map(|at| at.word(MODES));
    let limits = fields.required("limits").and_then(|at| read_limits(&at));
    let target = target?;
    Some(CircuitBreakerIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        mode: mode.unwrap_or(Some(BreakerMode::Enforce))?,
        limits: limits?,
    })
}

fn read_limits(at: &At<'_>) -> Option<BreakerRule> {
    let config = part::read(at, Part::Breaker, part::given(at)?)?;
    let mut scopes = config.scopes.into_iter();
    Some(scopes.next()?.breaker?.limits)
}
