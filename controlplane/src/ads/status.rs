//! What is known about connected nodes, for people and for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sloop_model::{Side, WallTime};
use sloop_xds::Sent;
use sloop_xds::fleet::Cohort;

use super::Standing;

/// Numbers the streams of a process, from 1.
pub type StreamId = u64;

/// One connected node. A node that reconnects may be here twice for a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Names the stream within this process.
    pub stream: StreamId,
    /// Envoy's node id.
    pub id: String,
    /// Envoy's node cluster.
    pub group: String,
    /// The nodes that it gets the same as.
    #[serde(skip)]
    pub cohort: Cohort,
    /// Where it runs: `region/zone`, or empty.
    pub zone: String,
    /// When its stream began.
    pub connected_since: WallTime,
    /// How it speaks.
    pub variant: Variant,
    /// What it asked for and was sent, by type URL. Boxed: a map makes room for eleven at once.
    pub types: BTreeMap<String, Box<TypeStatus>>,
    /// The numbers of the configurations that it accepted last, by filter.
    #[serde(skip)]
    pub accepted: BTreeMap<Side, u64>,
    /// How it stands with what it should have.
    #[serde(skip)]
    pub standing: Standing,
}

/// The variant of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// State of the world.
    Sotw,
    /// Incremental.
    Delta,
}

/// The numbers of the configurations that Envoys accepted last: by group, id and filter. An id is only what a node
/// says, and another group may have a node that says the same.
pub type AcceptedBy = BTreeMap<String, BTreeMap<String, BTreeMap<Side, u64>>>;

/// How a node stands with one type of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TypeStatus {
    /// The version of the last response; `None` before the first.
    pub sent: Option<String>,
    /// When that was handed to the connection.
    pub sent_at: Option<WallTime>,
    /// When the node took over what was sent to it last; `None` before, and while it has not answered.
    pub acknowledged_at: Option<WallTime>,
    /// The last version that the node took over; `None` before the first.
    pub acknowledged: Option<String>,
    /// Names and versions of the resources that the node took over since it connected.
    pub resources: BTreeMap<String, String>,
    /// The last refusal. It stays after a later version was taken over.
    pub refused: Option<Refusal>,
    /// Whether the last answer of the node was a refusal: it runs on what it had before.
    pub is_refusing: bool,
}

/// A node did not take something over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What it refused.
    pub version: String,
    /// Why, in its own words.
    pub message: String,
    /// When that was heard.
    pub at: WallTime,
}

/// Something happened on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by this process.
    pub at: WallTime,
    /// Which stream.
    pub stream: StreamId,
    /// The node's id.
    pub node: Arc<str>,
    /// The node's group.
    pub group: Arc<str>,
    /// What happened.
    pub what: What,
}

/// What happened on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A node connected.
    Connected,
    /// It is gone.
    Gone,
    /// The node took a response over: what was sent is in force.
    Acknowledged {
        /// The type.
        type_url: String,
        /// Its version in the snapshot.
        version: String,
        /// Names and versions of the resources that were in the response.
        resources: Vec<(String, String)>,
    },
    /// The node refused a response and keeps what it had.
    Refused {
        /// The type.
        type_url: String,
        /// Its version in the snapshot.
        version: String,
        /// Names and versions of the resources that were in the response.
        resources: Vec<(String, String)>,
        /// Why, in the node's words.
        message: String,
    },
    /// All that the node should have is in force on it.
    InForce {
        /// How long that took since it should have it.
        took: Duration,
    },
}

/// The names and versions of what was sent.
pub(super) fn names_and_versions(sent: &Sent) -> Vec<(String, String)> {
    let resources = sent.resources.iter();
    resources
        .map(|(name, version)| (name.clone(), version.to_string()))
        .collect()
}
