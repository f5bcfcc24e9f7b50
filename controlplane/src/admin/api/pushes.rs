//! How changes to groups of nodes stand, as the HTTP API says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/pushes`: one group of nodes that get the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushStatus {
    /// The group, as `edge` or `edge{zone=a}`.
    pub group: String,
    /// Envoy's node cluster.
    pub service: String,
    /// How the last change of what is declared stands.
    #[serde(flatten)]
    pub stage: PushStage,
    /// Nodes that are connected.
    pub nodes: usize,
    /// Those that run with all that they should have.
    pub in_force: usize,
    /// Those that refuse something.
    pub refusing: usize,
    /// Up to 100 nodes that do not run with all that they should have, by id.
    pub behind: Vec<String>,
    /// The longest that a connected node took until what it should have was in force; absent when none has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest_ms: Option<u64>,
}

/// How a change stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum PushStage {
    /// All nodes get the same.
    Settled,
    /// Some nodes try a change.
    Trying {
        /// Up to 100 of them, by id.
        trying: Vec<String>,
        /// How many they are.
        count: usize,
        /// Since when.
        since_ms: u64,
        /// Names the change.
        revision: String,
    },
    /// The last change was taken back. What is declared is not what nodes have.
    RolledBack {
        /// Why.
        reason: String,
        /// When.
        at_ms: u64,
        /// Names the change.
        revision: String,
    },
}

impl PushStage {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Trying { .. } => "trying",
            Self::RolledBack { .. } => "rolled_back",
        }
    }
}
