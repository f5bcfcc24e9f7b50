//! Which experiments run.

use std::collections::{BTreeMap, BTreeSet};

use sloop_model::WallTime;

use super::Signal;
use crate::World;

/// What is known of experiments.
#[derive(Clone, Debug, Default)]
pub(super) struct Experiments {
    /// Those that injected faults at the last step, and since when.
    running: BTreeMap<String, WallTime>,
    /// Those that began in this step.
    begun: BTreeSet<String>,
}

impl Experiments {
    /// Keeps what the `signals` of the step that ends say.
    fn end_step<'a>(&mut self, signals: impl Iterator<Item = &'a Signal>) {
        self.running.clear();
        self.begun.clear();
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

    /// One that is not called `name`.
    fn other_than(&self, name: &str) -> Option<&str> {
        let mut all = self.running.keys().chain(&self.begun);
        all.find(|other| *other != name).map(String::as_str)
    }

    /// One that comes before what is called `name` and began at `since`, by its beginning and then its name.
    fn before(&self, name: &str, since: WallTime) -> Option<&str> {
        let comes_before = |(other, began): &(&String, &WallTime)| {
            other.as_str() != name && (**began, other.as_str()) < (since, name)
        };
        let found = self.running.iter().find(comes_before);
        found.map(|(other, _)| other.as_str())
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

    /// Lets those that come later in this step know which experiments began in it.
    pub(crate) fn note_beginnings_of_experiments(&mut self, signals: &[Signal]) {
        let named = signals.iter().filter_map(|signal| match signal {
            Signal::Experimenting { name, .. } => Some(name.clone()),
            Signal::Burning { .. }
            | Signal::Changed { .. }
            | Signal::Alert(_)
            | Signal::Watched { .. }
            | Signal::Objective { .. }
            | Signal::Ordered { .. }
            | Signal::BudgetLeft { .. } => None,
        });
        self.experiments.begun.extend(named);
    }

    /// An experiment other than `name` that injected faults at the last step, or began before it in this one.
    #[must_use]
    pub fn experimenting(&self, name: &str) -> Option<&str> {
        self.experiments.other_than(name)
    }

    /// An experiment that injected faults at the last step and began before one that is called `name` and began at `since`.
    #[must_use]
    pub fn experimenting_before(&self, name: &str, since: WallTime) -> Option<&str> {
        self.experiments.before(name, since)
    }
}
