//! The streams that there are, and who is on them.

use std::collections::{BTreeMap, BTreeSet};

use sloop_controllers::SpiffeId;
use sloop_model::WallTime;
use sloop_xds::fleet::Cohort;

use super::beginnings::{Beginnings, Whose};
use super::limits::AdsLimits;
use super::names::NamesRoom;
use super::status::{NodeStatus, StreamId};
use crate::door::{Limit, Peer};

/// Streams, and the nodes that said who they are.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    last: StreamId,
    /// How many streams may begin.
    beginnings: Beginnings,
    /// Streams that have not said yet who they are count, too.
    streams: usize,
    /// Of those of workloads that proved who they are.
    by_identity: BTreeMap<SpiffeId, usize>,
    names: NamesRoom,
    by_stream: BTreeMap<StreamId, NodeStatus>,
    /// The same streams by what their nodes get: a look at one cohort costs no more than its nodes.
    by_cohort: BTreeMap<Cohort, BTreeSet<StreamId>>,
}

impl Nodes {
    /// Makes room for a stream of `peer` at `now`, if there is some within `limits`. What is refused for want of room
    /// is no beginning.
    pub(super) fn begin(
        &mut self,
        limits: &AdsLimits,
        peer: Option<&Peer>,
        now: WallTime,
    ) -> Result<StreamId, Limit> {
        if limits.streams_max <= self.streams {
            return Err(Limit::Streams);
        }
        if let Some(identity) = peer.and_then(Peer::identity) {
            let own = self.by_identity.get(identity).copied().unwrap_or_default();
            if limits.streams_per_identity_max <= own {
                return Err(Limit::StreamsPerIdentity);
            }
        }
        self.beginnings.take(limits, peer.map(Whose::of), now)?;
        if let Some(identity) = peer.and_then(Peer::identity) {
            *self.by_identity.entry(identity.clone()).or_default() += 1;
        }
        self.streams += 1;
        self.last += 1;
        Ok(self.last)
    }

    /// Makes room for names of a stream of `peer`, `beyond` what each may keep, if there is some within `limits`.
    pub(super) fn keep_names(
        &mut self,
        limits: &AdsLimits,
        (stream, peer): (StreamId, Option<&Peer>),
        beyond: usize,
    ) -> Result<(), Limit> {
        let identity = peer.and_then(Peer::identity);
        self.names.keep(limits, (stream, identity), beyond)
    }

    /// Notes who is on a stream.
    pub(super) fn introduce(&mut self, node: NodeStatus) {
        self.leave(node.stream);
        let of_cohort = self.by_cohort.entry(node.cohort.clone()).or_default();
        of_cohort.insert(node.stream);
        self.by_stream.insert(node.stream, node);
    }

    /// Notes that the node on `stream` is one of `cohort` from now on.
    pub(super) fn move_over(&mut self, stream: StreamId, cohort: &Cohort) {
        if self.get(stream).is_none_or(|node| node.cohort == *cohort) {
            return;
        }
        if let Some(mut node) = self.leave(stream) {
            node.cohort.clone_from(cohort);
            self.introduce(node);
        }
    }

    /// The node on a stream, if it said who it is.
    pub(super) fn get(&self, stream: StreamId) -> Option<&NodeStatus> {
        self.by_stream.get(&stream)
    }

    /// Changes what is known about the node on a stream, but for its cohort.
    pub(super) fn change(&mut self, stream: StreamId, change: impl FnOnce(&mut NodeStatus)) {
        if let Some(node) = self.by_stream.get_mut(&stream) {
            change(node);
        }
    }

    /// Changes what is known about all nodes, but for their cohorts.
    pub(super) fn change_all(&mut self, change: impl FnMut(&mut NodeStatus)) {
        self.by_stream.values_mut().for_each(change);
    }

    /// All, by stream.
    pub(super) fn all(&self) -> impl Iterator<Item = &NodeStatus> {
        self.by_stream.values()
    }

    /// Those that any of them is of.
    pub(super) fn cohorts(&self) -> impl Iterator<Item = &Cohort> {
        self.by_cohort.keys()
    }

    /// Those of one cohort, by stream.
    pub(super) fn of(&self, cohort: &Cohort) -> impl Iterator<Item = &NodeStatus> {
        let streams = self.by_cohort.get(cohort).into_iter().flatten();
        streams.filter_map(|stream| self.by_stream.get(stream))
    }

    fn leave(&mut self, stream: StreamId) -> Option<NodeStatus> {
        let node = self.by_stream.remove(&stream)?;
        if let Some(of_cohort) = self.by_cohort.get_mut(&node.cohort) {
            of_cohort.remove(&stream);
            if of_cohort.is_empty() {
                self.by_cohort.remove(&node.cohort);
            }
        }
        Some(node)
    }

    /// Gives the room of a stream of `peer` back.
    pub(super) fn end(&mut self, stream: StreamId, peer: Option<&Peer>) {
        self.leave(stream);
        self.names.leave(stream, peer.and_then(Peer::identity));
        self.streams = self.streams.saturating_sub(1);
        if let Some(identity) = peer.and_then(Peer::identity)
            && let Some(own) = self.by_identity.get_mut(identity)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.by_identity.remove(identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Standing, Variant};
    use super::*;

    fn node(stream: StreamId, cohort: &str) -> NodeStatus {
        NodeStatus {
            stream,
            id: format!("node-{stream}"),
            group: cohort.to_owned(),
            cohort: Cohort::of_service(cohort),
            zone: String::new(),
            connected_since: WallTime::default(),
            variant: Variant::Delta,
            types: BTreeMap::new(),
            accepted: BTreeMap::new(),
            standing: Standing::default(),
        }
    }

    fn streams(nodes: &Nodes, cohort: &str) -> Vec<StreamId> {
        let cohort = Cohort::of_service(cohort);
        nodes.of(&cohort).map(|node| node.stream).collect()
    }

    #[test]
    fn so_many_streams_begin_at_once_and_so_many_a_second_however_few_there_are() {
        let limits = AdsLimits {
            new_streams_burst: 3,
            new_streams_per_second: 2,
            ..AdsLimits::default()
        };
        let mut nodes = Nodes::default();
        let mut begun = |at_ms: u64| {
            let now = WallTime::default().after(Duration::from_millis(at_ms));
            let stream = nodes.begin(&limits, None, now)?;
            // It is gone at once.
            nodes.end(stream, None);
            Ok(())
        };
        let refused = Err(Limit::NewStreams);
        let seen: Vec<_> = (0..5).map(|_| begun(0)).collect();
        assert_eq!(seen, [Ok(()), Ok(()), Ok(()), refused, refused]);
        assert_eq!([begun(499), begun(500)], [refused, Ok(())]);
        assert_eq!(begun(400), refused, "time that goes backwards brings none");
        let seen: Vec<_> = (0..4).map(|_| begun(60_000)).collect();
        assert_eq!(seen, [Ok(()), Ok(()), Ok(()), refused]);
    }

    #[test]
    fn as_many_as_may_be_connected_come_back_at_once() {
        let (limits, mut nodes) = (AdsLimits::default(), Nodes::default());
        for _ in 0..limits.streams_max {
            nodes.begin(&limits, None, WallTime::default()).unwrap();
        }
        let more = nodes.begin(&limits, None, WallTime::default());
        assert_eq!(
            more,
            Err(Limit::Streams),
            "beginnings are not what is lacking"
        );
    }

    #[test]
    fn nodes_are_found_by_their_cohort_wherever_they_move() {
        let mut nodes = Nodes::default();
        for (stream, cohort) in [(1, "a"), (2, "b"), (3, "a")] {
            nodes.introduce(node(stream, cohort));
        }
        assert_eq!(streams(&nodes, "a"), [1, 3]);
        nodes.move_over(3, &Cohort::of_service("b"));
        nodes.move_over(9, &Cohort::of_service("b"));
        assert_eq!(streams(&nodes, "a"), [1]);
        assert_eq!(streams(&nodes, "b"), [2, 3]);
        nodes.end(1, None);
        assert!(streams(&nodes, "a").is_empty());
        nodes.introduce(node(2, "a"));
        assert_eq!(
            (streams(&nodes, "a"), streams(&nodes, "b")),
            (vec![2], vec![3])
        );
        assert_eq!(nodes.by_cohort.len(), 2, "nothing is kept of who is gone");
    }

    #[test]
    fn names_of_a_stream_that_is_gone_leave_their_room_to_others() {
        let limits = AdsLimits {
            names_room: 100,
            ..AdsLimits::default()
        };
        let mut nodes = Nodes::default();
        let [first, second] =
            [(), ()].map(|()| nodes.begin(&limits, None, WallTime::default()).unwrap());
        assert_eq!(nodes.keep_names(&limits, (first, None), 60), Ok(()));
        let kept = nodes.keep_names(&limits, (second, None), 60);
        assert_eq!(kept, Err(Limit::NamesRoom));
        nodes.end(first, None);
        assert_eq!(nodes.keep_names(&limits, (second, None), 60), Ok(()));
    }
}
