//! The streams that there are, and who is on them.

use std::collections::BTreeMap;

use sloop_controllers::SpiffeId;

use super::limits::AdsLimits;
use super::status::{NodeStatus, StreamId};
use crate::door::{Limit, Peer};

/// Streams, and the nodes that said who they are.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    last: StreamId,
    /// Streams that have not said yet who they are count, too.
    streams: usize,
    /// Of those of workloads that proved who they are.
    by_identity: BTreeMap<SpiffeId, usize>,
    pub(super) by_stream: BTreeMap<StreamId, NodeStatus>,
}

impl Nodes {
    /// Makes room for a stream of `peer`, if there is some within `limits`.
    pub(super) fn begin(
        &mut self,
        limits: &AdsLimits,
        peer: Option<&Peer>,
    ) -> Result<StreamId, Limit> {
        if limits.streams_max <= self.streams {
            return Err(Limit::Streams);
        }
        if let Some(identity) = peer.and_then(Peer::identity) {
            let own = self.by_identity.get(identity).copied().unwrap_or_default();
            if limits.streams_per_identity_max <= own {
                return Err(Limit::StreamsPerIdentity);
            }
            self.by_identity.insert(identity.clone(), own + 1);
        }
        self.streams += 1;
        self.last += 1;
        Ok(self.last)
    }

    /// Gives the room of a stream of `peer` back.
    pub(super) fn end(&mut self, stream: StreamId, peer: Option<&Peer>) {
        self.by_stream.remove(&stream);
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
