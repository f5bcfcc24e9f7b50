//! What is known, and since when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, Outcome, Scope, ServiceName, WallTime};

use crate::{BreakerState, Cell, Observation};

/// Everything that a controller may look at.
#[derive(Clone, Debug, Default)]
pub struct World {
    now: WallTime,
    signals: Vec<Signal>,
    totals: BTreeMap<Scope, ScopeTotals>,
}

/// A fact that one stage derived for the later ones and for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The objective's error budget is spent faster than it may.
    Burning {
        /// Which objective.
        objective: ObjectiveId,
        /// The service that is asked.
        service: ServiceName,
        /// How fast it will be gone.
        speed: Speed,
    },
    /// How much of the objective's error budget is left.
    BudgetLeft {
        /// Which objective.
        objective: ObjectiveId,
        /// The share that is left, at most 1; negative when overspent.
        share: f64,
    },
}

/// How fast a budget burns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// A person should look within days.
    Slow,
    /// A person should look today.
    Fast,
    /// A person should look within the hour.
    Page,
    /// It happens within seconds: no person could react.
    Now,
}

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

impl World {
    /// Moves the clock and forgets the signals of the last step.
    pub fn begin_step(&mut self, now: WallTime) {
        self.now = now;
        self.signals.clear();
    }

    /// The moment to decide for.
    #[must_use]
    pub const fn now(&self) -> WallTime {
        self.now
    }

    /// Takes in a report.
    pub fn observe(&mut self, _observation: Observation) {}

    /// Takes what changed since the last call, to be stored.
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<Cell> {
        Vec::new()
    }

    /// Takes back what was stored, in any order, before the first observation.
    pub fn restore(&mut self, _cells: Vec<Cell>) {}

    /// What happened per scope since counting began, in the order of scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeTotals> {
        self.totals.values()
    }

    /// The states of a scope's breakers, by node, as last reported.
    pub fn breakers(&self, _scope: &Scope) -> impl Iterator<Item = (&str, BreakerState)> {
        core::iter::empty()
    }

    /// Adds what an earlier stage of this step derived.
    pub(crate) fn add_signals(&mut self, signals: impl IntoIterator<Item = Signal>) {
        self.signals.extend(signals);
    }
}
