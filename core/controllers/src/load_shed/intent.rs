//! What an operator declares with a `LoadShedding`.

use serde::{Deserialize, Serialize};
use sloop_model::{Mode, RetryRule, ServiceName, ShedRule, Side};

use crate::RouteSelector;

/// Shedding, or a retry budget, on purpose. On its scopes it replaces what SLOs imply of what it says: with `retries`
/// alone, of retries alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSheddingIntent {
    /// The document's name.
    pub name: String,
    /// The service that is asked.
    pub service: ServiceName,
    /// Which of its routes.
    pub route: RouteSelector,
    /// Whose sidecars shed.
    pub side: Side,
    /// Whether it sheds or only counts.
    #[serde(default)]
    pub mode: Mode,
    /// How much, and when; as the SLOs of the scope imply when absent, and then only a document without `retries` says
    /// whether they act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ShedRule>,
    /// The retry budget; as the SLOs of the scope imply when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetryRule>,
}
