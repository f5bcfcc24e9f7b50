//! Which experiments run, and which ever did.

use std::collections::BTreeMap;

use sloop_model::WallTime;

use super::Signal;
use crate::World;

/// What is known of experiments.
#[derive(Clone, Debug, Default)]
pub(super) struct Experiments {
    /// Those that injected faults at the last step, and since when.
    running: BTreeMap<String, WallTime>,
    /// When the newest run was due that an earlier process began.
    past: BTreeMap<String, WallTime>,
}

impl Experiments {
    /// Keeps what the `signals` of the step before say.
    pub(super) fn begin_step(&mut self, signals: &[Signal]) {
        self.running.clear();
        for signal in signals {
            match signal {
                Signal::Experimenting { name, since, .. } => {
                    self.running.insert(name.clone(), *since);
                }
                Signal::Burning { .. }
                | Signal::Changed { .. }
                | Signal::Alert(_)
                | Signal::Watched { .. }
                | Signal::Objective { .. }
                | Signal::BudgetLeft { .. } => {}
            }
        }
    }

    /// One that is not called `name`; with `since` only one that comes before it, by its beginning and then its name.
    pub(super) fn other_than(&self, name: &str, since: Option<WallTime>) -> Option<&str> {
        let comes_before =
            |other: &str, began: WallTime| since.is_none_or(|since| (began, other) < (since, name));
        self.running
            .iter()
            .find(|(other, began)| *other != name && comes_before(other, **began))
            .map(|(other, _)| other.as_str())
    }

    pub(super) fn last(&self, name: &str) -> Option<WallTime> {
        self.past.get(name).copied()
    }

    pub(super) fn recall(&mut self, name: &str, due_at: WallTime) {
        let known = self.past.entry(name.to_owned()).or_default();
        *known = (*known).max(due_at);
    }
}

impl World {
    /// An experiment other than `name` that injected faults at the last step.
    #[must_use]
    pub fn experimenting(&self, name: &str) -> Option<&str> {
        self.experiments.other_than(name, None)
    }

    /// The same, if it began before one that is called `name` and began at `since`.
    #[must_use]
    pub fn experimenting_before(&self, name: &str, since: WallTime) -> Option<&str> {
        self.experiments.other_than(name, Some(since))
    }

    /// When the newest run of the experiment `name` was due that an earlier process began.
    #[must_use]
    pub fn last_experiment(&self, name: &str) -> Option<WallTime> {
        self.experiments.last(name)
    }

    /// Notes that an earlier process began a run of the experiment `name` that was due at `due_at`.
    pub fn recall_experiment(&mut self, name: &str, due_at: WallTime) {
        self.experiments.recall(name, due_at);
    }
}
