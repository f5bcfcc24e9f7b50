//! What was done to requests on purpose, as the HTTP API says it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_model::{Arm, Share, Side};

use super::{Latency, ObjectiveTotals};

/// Requests that faults met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultTotals {
    /// Held back.
    pub delayed: u64,
    /// Ended by an answer, a reset or a cut.
    pub aborted: u64,
}

/// What shedding did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShedTotals {
    /// Requests shed, by criticality; classes of which none was are left out.
    pub by_class: BTreeMap<String, u64>,
    /// Requests that shadow mode would have shed.
    pub shadow: u64,
    /// Among `shadow`: those that met every objective all the same.
    pub shadow_good: u64,
    /// Times that shedding was given up because it did not help.
    pub given_up: u64,
}

/// What retry budgets did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryTotals {
    /// Retries refused; where requests go out, requests that were not tried again.
    pub refused: u64,
    /// Retries that shadow mode would have refused.
    pub shadow: u64,
    /// Among `shadow`: those that met every objective all the same.
    pub shadow_good: u64,
}

/// What one Wasm VM is shedding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShedLevel {
    /// Envoy's node id.
    pub node: String,
    /// Which VM of the node: its incarnation, 16 hexadecimal digits.
    pub vm: String,
    /// The share of all requests, in ten-thousandths; positive.
    pub share: Share,
}

/// How one arm of an experiment went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmStatus {
    /// The fault's id; of one that this process never knew its key, 8 hexadecimal digits.
    pub experiment: String,
    /// `fault` or `control`.
    pub arm: Arm,
    /// Requests that ended.
    pub requests: u64,
    /// The same by the name of the outcome; outcomes that never happened are left out.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests per objective, sorted by SLO and objective.
    pub objectives: Vec<ObjectiveTotals>,
    /// Latency of all of them; absent when none had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// `GET /v1/denials`: what one deny rule did in the sidecars of one service, since this process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DenialStatus {
    /// Envoy's node cluster: the service whose sidecars have the rule.
    pub group: String,
    /// Which filter has it.
    pub side: Side,
    /// The rule.
    pub id: String,
    /// Requests refused.
    pub refused: u64,
    /// Requests that it would have refused without its shadow mode.
    pub shadow_refused: u64,
    /// Requests that fitted and passed, because too large a share of their route had been refused already.
    pub over_share: u64,
}
