//! Alerts as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_controllers::AlertStatus;

use crate::alerts::Told;

/// `GET /v1/alerts`: an alert, and who knows of it. Of the addresses of targets there are scheme and host alone: the rest
/// is a secret of many services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertShown {
    /// The alert.
    #[serde(flatten)]
    pub alert: AlertStatus,
    /// Who knows of it, in the order of its targets. What was told before this process began is told once more.
    #[serde(default)]
    pub told: Vec<TargetTold>,
}

/// Whether a target knows of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetTold {
    /// The name of the target.
    pub target: String,
    /// Whether it knows how the alert stands: `waiting`, `told`, `refused` or `dropped`.
    pub state: Told,
}
