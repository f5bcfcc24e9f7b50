//! What metrics show of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloop_controllers::{Counts, SloStatus};
use sloop_model::ObjectiveId;

use super::Engine;
use super::breakers::BreakerCounts;
use crate::ads::AcceptedBy;

/// Scopes of which metrics show breakers: with a series for each of four states they stay below what one metric may have.
const SCOPES_MAX: usize = 20_000;

/// How things stand at one moment.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The SLOs, in the order of intents.
    pub slos: Arc<[SloStatus]>,
    /// What entered the budget of each objective of `slos` since the process began, in their order.
    pub entered: Arc<[Counts]>,
    /// Breakers, in the order of scopes; of scopes with none nothing, and at most twenty thousand.
    pub breakers: Arc<[BreakerCounts]>,
    /// How many nodes of each group that reports run with another configuration than they accepted last.
    pub drifting: BTreeMap<String, usize>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            slos: Arc::from([]),
            entered: Arc::from([]),
            breakers: Arc::from([]),
            drifting: BTreeMap::new(),
        }
    }
}

impl Engine {
    /// What metrics show, where nodes accepted what `accepted` says.
    #[must_use]
    pub fn shown(&self, accepted: &AcceptedBy) -> Shown {
        let slos = Arc::clone(self.slos());
        let objectives = slos.iter().flat_map(|slo| {
            let objectives = slo.objectives.iter();
            objectives.map(move |objective| ObjectiveId {
                slo: slo.name.clone(),
                index: objective.index,
            })
        });
        let entered = objectives.map(|id| self.world.entered(&id)).collect();
        let breakers = self.fleet.counted().all().map(|(scope, states)| {
            let totals = self.world.totals(scope);
            BreakerCounts {
                scope: scope.clone(),
                states,
                refused: totals.map_or(0, |totals| totals.refused),
                shadow_refused: totals.map_or(0, |totals| totals.shadow_refused),
            }
        });
        let breakers = breakers.take(SCOPES_MAX).collect();
        Shown {
            slos,
            entered,
            breakers,
            drifting: self.fleet.drifting(accepted, self.world.now()),
        }
    }
}
