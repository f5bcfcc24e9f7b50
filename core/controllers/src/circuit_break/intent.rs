//! What an operator declares with a `CircuitBreaker`.

use serde::{Deserialize, Serialize};
use sloop_model::{BreakerMode, BreakerRule, ServiceName, Side, WallTime};

use crate::RouteSelector;

/// An explicit breaker. On its scopes it replaces the one that SLOs imply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreakerIntent {
    /// The document's name.
    pub name: String,
    /// The service that is asked.
    pub service: ServiceName,
    /// Which of its routes.
    pub route: RouteSelector,
    /// Whose sidecars refuse.
    pub side: Side,
    /// What it may do. Orders to open are given in the first two modes only.
    #[serde(default)]
    pub mode: BreakerMode,
    /// When it opens and closes.
    pub limits: BreakerRule,
    /// When it ends by itself, and what SLOs imply holds again; never when absent. Documents with a mode that
    /// overrules the breaker ([`BreakerMode::is_forced`]) have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<WallTime>,
}
