//! Which experiments run.

use std::collections::BTreeMap;

use sloop_model::WallTime;

use super::Signal;
use crate::World;

/// What is known of experiments.
#[derive(Clone, Debug, Default)]
pub(super) struct Experiments {
    /// Those that injected faults at the last step, and since when.
    running: BTreeMap<String, WallTime>,
}

impl Experiments {
    /// Keeps what the `signals` of the step that ends say.
    fn end_step<'a>(&mut self, signals: impl Iterator<Item = &'a Signal>) {
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
                | Signal::Ordered { .. }
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
}

impl World {
    /// Keeps what the next step is to know of this one.
    pub(crate) fn end_step(&mut self) {
        let places = self.lasting.iter();
        let lasting = places.filter_map(|place| self.signals.get(*place));
        self.experiments.end_step(lasting.clone());
        self.alerts.end_step(lasting, self.now);
    }

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
}
