//! What an operator declares with a `DenyRule`.

use serde::{Deserialize, Serialize};
use sloop_model::{DenyRule, ServiceName, Side};

use crate::RouteSelector;

/// Requests that are refused because of what they are, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyIntent {
    /// The document's name.
    pub name: String,
    /// The service that is asked.
    pub service: ServiceName,
    /// Which of its routes.
    pub route: RouteSelector,
    /// Whose sidecars refuse.
    pub side: Side,
    /// Which requests, and until when.
    pub rule: DenyRule,
}
