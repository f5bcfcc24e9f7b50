//! Decides again what was decided before, from a record of all that went in.
//!
//! A [`Brain`] is the world and the controllers together, and every change of it
//! is an [`Input`]. So a list of inputs is all that is needed to have the same
//! decisions again, byte for byte: on another machine, a year later, or with
//! other documents to see what they would have done.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloop_model::{ServiceName, WallTime};

use crate::{Cell, Controllers, IntentId, InvalidIntent, Observation, RouteNames, Step, World};

/// The world and the controllers.
#[derive(Debug)]
pub struct Brain {
    /// What is known.
    pub world: World,
    /// What is wanted, and what is remembered of it.
    pub controllers: Controllers,
}

/// Something that changes what is known or wanted. In a record, one per line, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// Counts were read from the store, before anything else.
    Restore(Vec<Cell>),
    /// An intent was declared, or replaced.
    Put {
        /// Its name.
        id: IntentId,
        /// The kind that controllers know.
        kind: String,
        /// Its body, as JSON.
        body: String,
    },
    /// An intent was withdrawn.
    Remove(IntentId),
    /// The clock moved.
    Now(WallTime),
    /// Changes of what is declared are on their way to the sidecars of these services, and no others.
    Changing(BTreeSet<ServiceName>),
    /// These are the routes that sets name.
    Routes(RouteNames),
    /// How often sidecars report when all is well.
    ReportsEvery {
        /// In milliseconds.
        interval_ms: u32,
    },
    /// A sidecar reported.
    Observe(Box<Observation>),
    /// Everything was decided, at this moment.
    Step(WallTime),
}

impl Default for Brain {
    fn default() -> Self {
        Self {
            world: World::default(),
            controllers: Controllers::with_all(),
        }
    }
}

impl Brain {
    /// Lets `input` happen. Returns what was decided, if something was.
    ///
    /// # Errors
    ///
    /// When an intent is turned down; then nothing has changed.
    pub fn take(&mut self, input: Input) -> Result<Option<Step>, InvalidIntent> {
        match input {
            Input::Restore(cells) => self.world.restore(cells),
            Input::Put { id, kind, body } => self.controllers.put(&id, &kind, &body)?,
            Input::Remove(id) => self.controllers.remove(&id),
            Input::Now(now) => self.world.begin_step(now),
            Input::Changing(services) => self.world.set_changing(services),
            Input::Routes(names) => self.world.set_route_names(names),
            Input::ReportsEvery { interval_ms } => {
                let interval = Duration::from_millis(interval_ms.into());
                self.world.set_report_interval(interval);
            }
            Input::Observe(observation) => {
                self.controllers.tell_sources(&mut self.world);
                self.world.observe(*observation);
            }
            Input::Step(now) => {
                self.world.begin_step(now);
                let step = self.controllers.step(&mut self.world);
                // Nobody stores them here, and they would only grow.
                drop((self.world.take_gone(), self.world.take_changes()));
                return Ok(Some(step));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
