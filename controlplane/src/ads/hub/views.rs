//! How nodes stand, and how changes to them do.

use std::collections::BTreeMap;

use sloop_model::Side;
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{Seen, Stage};

use super::super::standing;
use super::super::{NodeStatus, StreamId};
use super::{Hub, lock};

impl Hub {
    /// How many nodes are connected.
    #[must_use]
    pub fn count_nodes(&self) -> usize {
        self.lock_nodes().by_stream.len()
    }

    /// How many connected nodes are so.
    #[must_use]
    pub fn count_nodes_that(&self, is_so: fn(&NodeStatus) -> bool) -> usize {
        let nodes = self.lock_nodes();
        nodes.by_stream.values().filter(|it| is_so(it)).count()
    }

    /// How the nodes of `cohort` stand with what they should have, by id.
    #[must_use]
    pub fn seen(&self, cohort: &Cohort) -> Vec<Seen> {
        let nodes = self.lock_nodes();
        let streams = nodes.by_stream.values();
        standing::by_node(streams.filter(|node| node.cohort == *cohort))
    }

    /// Says how changes to the nodes of `cohort` stand, for who asks with [`Hub::stages`].
    pub fn set_stage(&self, cohort: &Cohort, stage: Stage) {
        lock(&self.shared.stages).insert(cohort.clone(), stage);
    }

    /// Notes the number of the configuration that the node on `stream` accepted.
    pub fn set_accepted(&self, stream: StreamId, side: Side, generation: u64) {
        if let Some(node) = self.lock_nodes().by_stream.get_mut(&stream) {
            node.accepted.insert(side, generation);
        }
    }

    /// How changes stand, by cohort.
    #[must_use]
    pub fn stages(&self) -> BTreeMap<Cohort, Stage> {
        lock(&self.shared.stages).clone()
    }
}
