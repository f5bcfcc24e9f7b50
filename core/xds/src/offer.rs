//! What the nodes of a cohort are offered, when not all of them are offered the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Snapshot;

/// What each node of a cohort should have. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    all: Arc<Snapshot>,
    trial: Option<Trial>,
}

/// What some nodes try first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trial {
    snapshot: Arc<Snapshot>,
    nodes: Arc<BTreeSet<String>>,
}

impl Offer {
    /// The same for all nodes.
    #[must_use]
    pub const fn to_all(snapshot: Arc<Snapshot>) -> Self {
        Self {
            all: snapshot,
            trial: None,
        }
    }

    /// `snapshot` for the nodes with these ids, and `all` for the others.
    #[must_use]
    pub const fn on_trial(
        all: Arc<Snapshot>,
        snapshot: Arc<Snapshot>,
        nodes: Arc<BTreeSet<String>>,
    ) -> Self {
        Self {
            all,
            trial: Some(Trial { snapshot, nodes }),
        }
    }

    /// What the node with this id should have.
    #[must_use]
    pub fn for_node(&self, id: &str) -> &Arc<Snapshot> {
        match &self.trial {
            Some(trial) if trial.nodes.contains(id) => &trial.snapshot,
            _ => &self.all,
        }
    }
}
