//! What was counted of nodes, for who judges changes to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was counted of a node, by one who counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeLoad {
    /// Who.
    pub by: CountedBy,
    /// Since when: the first report to this process.
    pub since_ms: u64,
    /// While it had what all of its group do, in reports that are about nothing else.
    pub usual: LoadCount,
    /// Since nodes of its group try what they do, this one or others; absent while none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageLoad>,
}

/// Who counts requests of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountedBy {
    /// Its filters.
    Filters,
    /// Its Envoy, by load reports.
    Envoy,
}

/// What was counted while nodes try a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageLoad {
    /// When they began to.
    pub since_ms: u64,
    /// What was counted since, in reports that began later.
    pub count: LoadCount,
}

/// Requests that ended and say something about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadCount {
    /// All of them.
    pub requests: u64,
    /// Those that it did not serve.
    pub failed: u64,
}
