//! Requests that are held back as a fault.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sloop_model::{FaultEnding, Side, Time};

use super::entry::Policy;
use crate::fault::Hit;
use crate::scope::ScopeId;

/// Requests that wait, by the moment at which they go on.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_due: BTreeMap<(Time, u32), Hold>,
}

/// One request that waits.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) side: Side,
    pub(super) scope: ScopeId,
    pub(super) policy: Rc<Policy>,
    /// The fault, in the policy.
    pub(super) fault: Hit,
    /// How the exchange ends when the wait is over, instead of going on.
    pub(super) ending: Option<FaultEnding>,
    pub(super) is_grpc: bool,
    pub(super) state: Rc<Cell<HoldState>>,
}

/// What became of a wait. The request's [`super::Exchange`] shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldState {
    Waiting,
    Continued { at: Time },
    Ended,
}

/// What to do with a request whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Let it go on.
    Continue,
    /// End it.
    End(FaultEnding),
}

/// A request whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// Which one, by its number at the host.
    pub context: u32,
    /// What to do with it.
    pub release: Release,
    /// Whether it is a gRPC request.
    pub is_grpc: bool,
}

impl Held {
    /// Held requests keep their memory in Envoy: a thousand are an experiment, more are an outage.
    pub(super) const MAX: usize = 1_024;

    /// Whether no more may be held.
    pub(super) fn is_full(&self) -> bool {
        Self::MAX <= self.by_due.len()
    }

    /// Holds a request until the moment in its key. Only while this is not full.
    pub(super) fn hold(&mut self, key: (Time, u32), hold: Hold) {
        self.by_due.insert(key, hold);
    }

    /// Forgets a request that ended while it waited.
    pub(super) fn forget(&mut self, key: (Time, u32)) {
        self.by_due.remove(&key);
    }

    /// When the next one goes on.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes those whose wait is over at `now`.
    pub(super) fn release(&mut self, now: Time) -> Vec<Released> {
        let mut released = Vec::new();
        while let Some(first) = self.by_due.first_entry() {
            let (due, context) = *first.key();
            if now < due {
                break;
            }
            let hold = first.remove();
            let (state, release) = match hold.ending {
                None => (HoldState::Continued { at: now }, Release::Continue),
                Some(ending) => (HoldState::Ended, Release::End(ending)),
            };
            hold.state.set(state);
            released.push(Released {
                context,
                release,
                is_grpc: hold.is_grpc,
            });
        }
        released
    }

    /// Lets go, at `now` and without an answer, what waits for a fault that is no longer wanted.
    pub(super) fn withdraw(&mut self, now: Time, is_wanted: impl Fn(&Hold) -> bool) {
        let unwanted: Vec<(Time, u32)> = self
            .by_due
            .iter()
            .filter(|(_, hold)| !is_wanted(hold))
            .map(|(key, _)| *key)
            .collect();
        for key in unwanted {
            if let Some(mut hold) = self.by_due.remove(&key) {
                hold.ending = None;
                self.by_due.insert((now.min(key.0), key.1), hold);
            }
        }
    }
}
