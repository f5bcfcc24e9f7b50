//! What is kept of each scope, whatever SLOs there are.

use serde::{Deserialize, Serialize};
use sloop_model::{Outcome, Scope};

use crate::Counts;
use crate::budget::{Fleet, SeenBy};
use crate::observation::ScopeCounts;

/// What happened on a scope since counting began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeTotals {
    /// Which requests.
    pub scope: Scope,
    /// Requests that ended.
    pub requests: u64,
    /// Requests by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Requests that a breaker refused.
    pub refused: u64,
    /// Requests that a breaker in shadow mode would have refused.
    pub shadow_refused: u64,
    /// Among `shadow_refused`: those that met every objective all the same.
    pub shadow_refused_good: u64,
}

/// What is kept of a scope.
#[derive(Clone, Debug)]
pub(super) struct ScopeState {
    pub(super) totals: ScopeTotals,
    /// Whether `totals` differ from what was last taken to be stored.
    pub(super) is_changed: bool,
    /// Requests that are evidence, and those that were served.
    pub(super) fleet: Fleet,
}

impl ScopeState {
    /// Nothing happened yet.
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            totals: ScopeTotals {
                scope,
                requests: 0,
                outcomes: [0; Outcome::ALL.len()],
                refused: 0,
                shadow_refused: 0,
                shadow_refused_good: 0,
            },
            is_changed: false,
            fleet: Fleet::default(),
        }
    }

    /// Adds what a VM saw.
    pub(super) fn add(&mut self, seen_by: SeenBy<'_>, counts: &ScopeCounts) {
        let totals = &mut self.totals;
        for (sum, more) in [
            (&mut totals.requests, counts.requests),
            (&mut totals.refused, counts.refused),
            (&mut totals.shadow_refused, counts.shadow_refused),
            (&mut totals.shadow_refused_good, counts.shadow_refused_good),
        ] {
            *sum = sum.saturating_add(more);
        }
        let mut evidence = Counts::default();
        for ((outcome, sum), more) in Outcome::ALL
            .iter()
            .zip(&mut totals.outcomes)
            .zip(counts.outcomes)
        {
            *sum = sum.saturating_add(more);
            evidence = evidence.plus(Counts {
                total: if outcome.is_evidence() { more } else { 0 },
                good: if outcome.is_served() { more } else { 0 },
            });
        }
        self.is_changed = true;
        self.fleet.add(seen_by, evidence.held());
    }
}
