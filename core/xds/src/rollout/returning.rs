//! Nodes on their way back from a change that was taken back, or that another one replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sloop_model::Time;

use super::Seen;
use crate::Version;

/// How long after a node said that it has what all have it is taken to run it: the workers of an Envoy follow its main
/// thread, and begin their Wasm VMs then. Two looks of the control plane.
const SETTLES: Duration = Duration::from_millis(500);

/// For how long nodes are looked after that do not come back: an Envoy that lost its control plane asks again within half
/// of that.
const AWAITED: Duration = Duration::from_secs(60);

/// The nodes that do not run yet what all do.
#[derive(Debug, Default)]
pub(super) struct Returning {
    nodes: BTreeMap<String, Way>,
}

#[derive(Debug)]
struct Way {
    /// When it was offered what all have.
    began: Time,
    /// Since when it says that it has it.
    has_since: Option<Time>,
}

impl Returning {
    /// From `now` on these nodes are offered what all have.
    pub(super) fn add(&mut self, nodes: &BTreeSet<String>, now: Time) {
        for node in nodes {
            let way = Way {
                began: now,
                has_since: None,
            };
            self.nodes.insert(node.clone(), way);
        }
    }

    /// Looks at the nodes that are connected: who has `stable`, what all have, for a while is back. Who is gone for long is not
    /// looked for any more.
    pub(super) fn look(&mut self, seen: &[Seen], stable: &Version, now: Time) {
        if self.nodes.is_empty() {
            return;
        }
        let seen: BTreeMap<&str, &Seen> = seen.iter().map(|it| (it.node.as_str(), it)).collect();
        self.nodes.retain(|node, way| {
            let Some(seen) = seen.get(node.as_str()) else {
                return now.since(way.began) < AWAITED;
            };
            // What all have goes on changing: who had it once has left the change behind.
            if way.has_since.is_none() && seen.has.as_ref() == Some(stable) {
                way.has_since = Some(now);
            }
            way.has_since.is_none_or(|since| now.since(since) < SETTLES)
        });
    }

    pub(super) fn includes(&self, node: &str) -> bool {
        self.nodes.contains_key(node)
    }

    /// Whether a node that it includes is not looked after any more: it does not come back, and may be well with another change.
    pub(super) fn has_given_up(&self, node: &str, now: Time) -> bool {
        let way = self.nodes.get(node);
        way.is_some_and(|way| AWAITED <= now.since(way.began))
    }

    /// Whether it makes sense to look again soon.
    pub(super) fn is_awaited(&self, now: Time) -> bool {
        let mut ways = self.nodes.values();
        ways.any(|way| now.since(way.began) < AWAITED)
    }
}
