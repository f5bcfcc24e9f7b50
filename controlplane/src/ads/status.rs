//! What is known about connected nodes, for people and for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sloop_model::{Side, WallTime};
use sloop_xds::fleet::Cohort;
use sloop_xds::{Sent, Verdict, Version};

use super::Standing;

/// Numbers the streams of a process, from 1.
pub type StreamId = u64;

/// One connected node. A node that reconnects may be here twice for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Names the stream within this process.
    pub stream: StreamId,
    /// Envoy's node id.
    pub id: String,
    /// Envoy's node cluster.
    pub group: String,
    /// The nodes that it gets the same as.
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
    pub accepted: BTreeMap<Side, u64>,
    /// How it stands with what it should have.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeStatus {
    /// The version of the last response; `None` before the first.
    pub sent: Option<Version>,
    /// When that was handed to the connection.
    pub sent_at: Option<WallTime>,
    /// The last version that the node took over; `None` before the first.
    pub acknowledged: Option<Version>,
    /// When it did; a later version that it has not answered, or refused, changes nothing about that.
    pub acknowledged_at: Option<WallTime>,
    /// How long it took the node to take over what was sent last; `None` while it has not.
    pub took: Option<Duration>,
    /// Names and versions of the resources that the node took over since it connected.
    pub resources: BTreeMap<String, Version>,
    /// The last refusal. It stays after a later version was taken over.
    pub refused: Option<Refusal>,
    /// Whether the node refused something that it still should have: it runs on what it had before.
    pub is_refusing: bool,
}

/// A node did not take something over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it refused.
    pub version: Version,
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
        /// What the response carried.
        sent: Arc<Sent>,
        /// How long it took since the node should have it until all that it should have was in force: `None`
        /// while that is not so, and when it was so before.
        took: Option<Duration>,
    },
    /// The node refused a response and keeps what it had.
    Refused {
        /// What the response carried.
        sent: Arc<Sent>,
        /// Why, in the node's words.
        message: String,
    },
    /// All that the node should have is in force on it, without that it took something over: it came with it.
    InForce {
        /// How long that took since it should have it.
        took: Duration,
    },
}

impl NodeStatus {
    /// Notes what was handed to the connection.
    pub(super) fn was_sent(&mut self, sent: &Sent, now: WallTime) {
        self.change(sent, |it| it.was_sent(sent, now));
    }

    /// Notes what the node said about a response.
    pub(super) fn has_settled(&mut self, verdict: &Verdict, now: WallTime) {
        match verdict {
            Verdict::Acknowledged(sent) => self.change(sent, |it| it.take_over(sent, now)),
            Verdict::Refused { sent, message } => {
                self.change(sent, |it| it.refuse(sent, message, now));
            }
        }
    }

    /// Notes that nothing that the node refused of a type is for it any more.
    pub(super) fn has_let_go(&mut self, type_url: &str) {
        if let Some(known) = self.types.get_mut(type_url) {
            known.is_refusing = false;
        }
    }

    fn change(&mut self, sent: &Sent, change: impl FnOnce(&mut TypeStatus)) {
        match self.types.get_mut(&sent.type_url) {
            Some(known) => change(known),
            None => change(self.types.entry(sent.type_url.clone()).or_default()),
        }
    }
}

impl TypeStatus {
    fn was_sent(&mut self, sent: &Sent, now: WallTime) {
        self.sent = Some(sent.version.clone());
        self.sent_at = Some(now);
        self.took = None;
    }

    fn refuse(&mut self, sent: &Sent, message: &str, now: WallTime) {
        self.is_refusing = true;
        self.refused = Some(Refusal {
            version: sent.version.clone(),
            message: message.to_owned(),
            at: now,
        });
    }

    fn take_over(&mut self, sent: &Sent, now: WallTime) {
        self.acknowledged = Some(sent.version.clone());
        self.acknowledged_at = Some(now);
        self.took = self.sent_at.map(|sent_at| now.since(sent_at));
        for (name, version) in &sent.resources {
            match self.resources.get_mut(name) {
                Some(known) => known.clone_from(version),
                None => drop(self.resources.insert(name.clone(), version.clone())),
            }
        }
        for name in &sent.removed {
            self.resources.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds::Kind;

    use super::*;

    fn at(seconds: u64) -> WallTime {
        WallTime::from_millis(seconds * 1_000)
    }

    fn sent(version: &str) -> Arc<Sent> {
        Arc::new(Sent {
            type_url: Kind::EXTENSION.to_owned(),
            version: Version::claimed(version),
            nonce: version.to_owned(),
            resources: Vec::new(),
            removed: Vec::new(),
            is_heartbeat: false,
        })
    }

    #[test]
    fn when_a_version_was_taken_over_is_known_whatever_becomes_of_the_next() {
        let mut node = TypeStatus::default();
        let seen = |node: &TypeStatus| (node.acknowledged_at, node.took);
        assert_eq!(seen(&node), (None, None));
        node.was_sent(&sent("1"), at(1));
        node.take_over(&sent("1"), at(3));
        let took = Some(Duration::from_secs(2));
        assert_eq!(seen(&node), (Some(at(3)), took));
        node.was_sent(&sent("2"), at(7));
        assert_eq!(seen(&node), (Some(at(3)), None));
        node.refuse(&sent("2"), "no", at(8));
        assert_eq!(seen(&node), (Some(at(3)), None));
        assert_eq!(node.acknowledged, Some(Version::claimed("1")));
        assert!(node.is_refusing);
        // A clock that was set back meanwhile.
        node.was_sent(&sent("3"), at(9));
        node.take_over(&sent("3"), at(5));
        assert_eq!(seen(&node), (Some(at(5)), Some(Duration::ZERO)));
    }
}
