//! The room that a stream takes, of whatever it carries.

use std::sync::Arc;

use tonic::Status;

use super::Hub;
use crate::ads::StreamId;
use crate::door::{Limit, Peer};

/// Room for one stream, until it is dropped.
#[derive(Debug)]
pub(in crate::ads) struct Room {
    pub(super) hub: Hub,
    pub(super) stream: StreamId,
    /// Who is on the other side, where that is known.
    peer: Option<Peer>,
}

impl Hub {
    /// Makes room for a stream; it ends when the answer is dropped.
    pub(in crate::ads) fn begin(&self, peer: Option<Peer>) -> Result<Room, Status> {
        let begun = {
            let mut nodes = self.lock_nodes();
            // Of two that come at once, who is second is not the earlier one.
            let now = self.now();
            nodes.begin(&self.shared.limits, peer.as_ref(), now)
        };
        let stream = begun.map_err(|limit| {
            let full = self.hit(limit, "too many streams");
            if matches!(limit, Limit::NewStreams | Limit::NewStreamsPerIdentity) {
                Status::unavailable("too many streams begin; come again")
            } else {
                full
            }
        })?;
        Ok(Room {
            hub: self.clone(),
            stream,
            peer,
        })
    }
}

impl Room {
    /// Ends the connection that it is on, if that is known. Says whether nobody did so before, as far as that is known.
    pub(in crate::ads) fn end(&self) -> bool {
        self.peer.as_ref().is_none_or(Peer::end)
    }

    /// Makes room for names of the stream, `beyond` what each may keep.
    pub(super) fn keep_names(&self, beyond: usize) -> Result<(), Status> {
        let limits = self.hub.limits();
        let of = (self.stream, self.peer.as_ref());
        let kept = self.hub.lock_nodes().keep_names(limits, of, beyond);
        kept.map_err(|limit| self.hub.hit(limit, "there is no room for so many names"))
    }

    /// Whether who is on the stream may be a sidecar of `service`, as things stand.
    pub(in crate::ads) fn check(&self, service: &str) -> Result<(), Status> {
        let Some(peer) = &self.peer else {
            return Ok(());
        };
        let access = Arc::clone(&self.hub.shared.access.borrow());
        peer.sidecar(&access, service)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.hub.lock_nodes().end(self.stream, self.peer.as_ref());
    }
}
