//! What all connections of one identity share.
//!
//! A certificate is often that of a whole deployment, so an identity may have many connections; but
//! whoever holds one certificate cannot take the room of all others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use sloop_controllers::SpiffeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Identities without a connection that are kept until somebody clears them away.
const CLEARED_MIN: usize = 64;

/// What one identity takes of what it may.
#[derive(Debug)]
pub(super) struct Workload {
    connections: Arc<Semaphore>,
    /// Bytes of its reports that may be in memory; set by what reads the first.
    room: OnceLock<Arc<Semaphore>>,
}

/// All identities that have connections.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_identity: BTreeMap<SpiffeId, Weak<Workload>>,
    /// How many there were when those without connections were last cleared away.
    cleared: usize,
}

impl Workload {
    /// The room that its reports have in memory, which is `bytes`.
    pub(super) fn room(&self, bytes: usize) -> Arc<Semaphore> {
        let room = || Arc::new(Semaphore::new(bytes));
        Arc::clone(self.room.get_or_init(room))
    }
}

impl Workloads {
    /// Takes the place of one more connection of `identity`, of at most `connections_max`; `None` when there
    /// are as many. The place is given back when it is dropped.
    pub(super) fn take(
        &self,
        identity: &SpiffeId,
        connections_max: usize,
    ) -> Option<(Arc<Workload>, OwnedSemaphorePermit)> {
        // A holder that panicked left a whole map behind.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.by_identity.get(identity).and_then(Weak::upgrade);
        let workload = known.unwrap_or_else(|| {
            state.clear();
            let workload = Arc::new(Workload {
                connections: Arc::new(Semaphore::new(connections_max)),
                room: OnceLock::new(),
            });
            let weak = Arc::downgrade(&workload);
            state.by_identity.insert(identity.clone(), weak);
            workload
        });
        let place = Arc::clone(&workload.connections).try_acquire_owned().ok()?;
        Some((workload, place))
    }
}

impl State {
    /// Forgets who is gone, when there are twice as many as last time: each costs no more than it did to come.
    fn clear(&mut self) {
        if self.by_identity.len() < CLEARED_MIN.max(2 * self.cleared) {
            return;
        }
        self.by_identity
            .retain(|_, workload| 0 < workload.strong_count());
        self.cleared = self.by_identity.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(number: usize) -> SpiffeId {
        SpiffeId::try_from(format!("spiffe://example.org/ns/shop/sa/s{number}").as_str()).unwrap()
    }

    #[test]
    fn an_identity_has_so_many_connections_and_others_have_as_many() {
        let workloads = Workloads::default();
        let take = |number| workloads.take(&identity(number), 2);
        let (first, second) = (take(1).unwrap(), take(1).unwrap());
        assert!(
            Arc::ptr_eq(&first.0, &second.0),
            "they share what they have"
        );
        assert!(take(1).is_none());
        assert!(take(2).is_some());
        drop(first);
        assert!(take(1).is_some(), "a place was given back");
        assert!(Arc::ptr_eq(&second.0.room(5), &second.0.room(7)));
    }

    #[test]
    fn who_is_gone_is_not_kept() {
        let workloads = Workloads::default();
        let stays = workloads.take(&identity(0), 1).unwrap();
        for number in 1..10 * CLEARED_MIN {
            assert!(workloads.take(&identity(number), 1).is_some());
        }
        let state = workloads.state.lock().unwrap();
        assert!(state.by_identity.len() <= CLEARED_MIN);
        assert!(state.by_identity.contains_key(&identity(0)));
        drop(stays);
    }
}
