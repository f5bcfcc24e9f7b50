//! How nodes stand, and how changes to them do.

use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{Side, WallTime};
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{Seen, Stage};

use super::super::standing;
use super::super::{AcceptedBy, NodeStatus, StreamId};
use super::{Hub, lock};

impl Hub {
    /// The nodes that are connected, by stream. All that is known of them is copied while all streams wait: for people.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.lock_nodes().all().cloned().collect()
    }

    /// What the nodes that are connected are of.
    #[must_use]
    pub fn connected(&self) -> BTreeSet<Cohort> {
        self.lock_nodes().cohorts().cloned().collect()
    }

    /// The streams whose nodes are known, and since when.
    #[must_use]
    pub fn streams(&self) -> Vec<(StreamId, WallTime)> {
        let nodes = self.lock_nodes();
        let streams = nodes.all();
        let streams = streams.map(|node| (node.stream, node.connected_since));
        streams.collect()
    }

    /// How many nodes are connected, each of which may have several streams.
    #[must_use]
    pub fn count_nodes(&self) -> usize {
        let nodes = self.lock_nodes();
        let ids = nodes.all().map(|node| (&node.group, &node.id));
        ids.collect::<BTreeSet<_>>().len()
    }

    /// Of how many nodes `holds` says that a thing holds on any of their streams, by cohort and thing. A thing of which
    /// it says for a node that it does not hold is counted as of none.
    #[must_use]
    pub fn count_by<T: Ord, I: IntoIterator<Item = (T, bool)>>(
        &self,
        holds: impl Fn(&NodeStatus) -> I,
    ) -> Vec<(Cohort, BTreeMap<T, usize>)> {
        let nodes = self.lock_nodes();
        let mut ids: BTreeMap<&Cohort, BTreeMap<T, BTreeSet<&str>>> = BTreeMap::new();
        for node in nodes.all() {
            let of_cohort = ids.entry(&node.cohort).or_default();
            for (thing, it_holds) in holds(node) {
                let of_thing = of_cohort.entry(thing).or_default();
                if it_holds {
                    of_thing.insert(&node.id);
                }
            }
        }
        let counts = ids.into_iter().map(|(cohort, things)| {
            let counts = things.into_iter().map(|(thing, ids)| (thing, ids.len()));
            (cohort.clone(), counts.collect())
        });
        counts.collect()
    }

    /// How the nodes of `cohort` stand with what they should have, by id. A refusal that is over counts for some seconds more.
    #[must_use]
    pub fn seen(&self, cohort: &Cohort) -> Vec<Seen> {
        let now = self.now();
        let nodes = self.lock_nodes();
        standing::by_node(nodes.of(cohort), now)
    }

    /// Says how changes to the nodes of `cohort` stand, for who asks with [`Hub::stages`].
    pub fn set_stage(&self, cohort: &Cohort, stage: Stage) {
        self.shared.loads.set_stage(cohort, &stage);
        lock(&self.shared.stages).insert(cohort.clone(), stage);
    }

    /// Notes the numbers of the configurations that the nodes on these streams accepted.
    pub fn set_accepted(&self, accepted: impl IntoIterator<Item = (StreamId, Side, u64)>) {
        let mut nodes = self.lock_nodes();
        for (stream, side, generation) in accepted {
            nodes.change(stream, |node| {
                node.accepted.insert(side, generation);
            });
        }
    }

    /// Notes the numbers of the configurations that nodes accepted anew, as `number` knows them by the names and
    /// versions of resources. For who missed some of what nodes said.
    pub fn renew_accepted(&self, number: impl Fn(&str, &str) -> Option<(Side, u64)>) {
        self.lock_nodes().change_all(|node| {
            let taken_over = node.types.values().flat_map(|of_type| &of_type.resources);
            let numbers = taken_over.filter_map(|(name, version)| number(name, version.as_str()));
            node.accepted.extend(numbers.collect::<Vec<_>>());
        });
    }

    /// The numbers of the configurations that nodes accepted last.
    #[must_use]
    pub fn accepted(&self) -> AcceptedBy {
        let mut all = AcceptedBy::new();
        for node in self.lock_nodes().all().filter(|it| !it.accepted.is_empty()) {
            let of_group = all.entry(node.group.clone()).or_default();
            let of_node = of_group.entry(node.id.clone()).or_default();
            of_node.extend(&node.accepted);
        }
        all
    }

    /// How changes stand, by cohort.
    #[must_use]
    pub fn stages(&self) -> BTreeMap<Cohort, Stage> {
        lock(&self.shared.stages).clone()
    }
}
