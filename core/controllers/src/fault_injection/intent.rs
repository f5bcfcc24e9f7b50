//! What an operator declares with a `FaultInjection`.

use serde::{Deserialize, Serialize};
use sloop_model::{FaultRule, ServiceName, Side};

use crate::RouteSelector;

/// A fault on purpose, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultInjectionIntent {
    /// The document's name.
    pub name: String,
    /// The service that is asked.
    pub service: ServiceName,
    /// Which of its routes.
    pub route: RouteSelector,
    /// Whose sidecars inject it.
    pub side: Side,
    /// What to do, and until when.
    pub fault: FaultRule,
}
