//! What happened, as the HTTP API says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_controllers::{BreakerCause, BreakerState};
use sloop_model::{RouteName, ServiceName, Side};

/// `GET /v1/events?since=ID`: something that happened. At most the newest 10,000 are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Grows by one with each event of this process; ask with the last one that you have.
    pub id: u64,
    /// When it happened, by the clock of where it happened.
    pub at_ms: u64,
    /// When the control plane learned of it.
    pub seen_ms: u64,
    /// What.
    #[serde(flatten)]
    pub happened: Happened,
}

/// The kinds of event, told apart by `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happened {
    /// The breaker of one VM changed its state.
    Breaker {
        /// Envoy's node id.
        node: String,
        /// Which VM of the node.
        vm: String,
        /// The service that the requests are for.
        service: ServiceName,
        /// The route.
        route: RouteName,
        /// Who looks.
        side: Side,
        /// The new state: `closed`, `open`, `probing` or `ramping`.
        to: BreakerState,
        /// `failures`, `slowness`, `fleet`, `time` or `recovered`.
        cause: BreakerCause,
    },
    /// A configuration was handed to the sidecars of a group.
    Push {
        /// The group.
        group: String,
        /// Which filter.
        side: Side,
        /// The configuration's number.
        generation: u64,
    },
    /// The control plane's own check refused a configuration, so it was not pushed.
    Withheld {
        /// The group.
        group: String,
        /// Which filter.
        side: Side,
        /// Why.
        reason: String,
    },
    /// What is declared for the nodes of a group does not fit together, so it was not pushed.
    HeldBack {
        /// The group.
        group: String,
        /// Why.
        reason: String,
    },
    /// A configuration was made without something that was asked for.
    LeftOut {
        /// The group.
        group: String,
        /// Which filter.
        side: Side,
        /// What, and why.
        what: String,
    },
    /// A change of what is declared goes to some nodes of a group first.
    Trying {
        /// The group.
        group: String,
        /// How many nodes.
        nodes: usize,
    },
    /// All nodes of a group get a change that some tried.
    RolledOut {
        /// The group.
        group: String,
    },
    /// A change was taken back from the nodes that tried it.
    RolledBack {
        /// The group.
        group: String,
        /// Why.
        reason: String,
    },
    /// A node opened a stream.
    Connected {
        /// Envoy's node id.
        node: String,
        /// Its group.
        group: String,
    },
    /// A node's stream ended.
    Gone {
        /// Envoy's node id.
        node: String,
        /// Its group.
        group: String,
    },
    /// An Envoy accepted what it was sent.
    Acknowledged {
        /// Envoy's node id.
        node: String,
        /// Which filter.
        side: Side,
        /// The configuration's number.
        generation: u64,
    },
    /// An Envoy refused what it was sent, and keeps what it had.
    Refused {
        /// Envoy's node id.
        node: String,
        /// Which filter.
        side: Side,
        /// The configuration's number.
        generation: u64,
        /// What Envoy said.
        reason: String,
    },
    /// A filter said that a configuration is in force.
    InForce {
        /// Envoy's node id.
        node: String,
        /// Which VM of the node.
        vm: String,
        /// Which filter.
        side: Side,
        /// The configuration's number.
        generation: u64,
    },
    /// Documents were read.
    Documents {
        /// Intents that hold.
        intents: usize,
        /// Problems in files; these files keep what they had before.
        problems: usize,
    },
}
