//! What came of a run.

use core::time::Duration;

use sloop_controllers::{ExperimentStatus, Step, World};

use super::{Change, Sim, Tally};

impl Sim {
    /// What happened to the requests of one sidecar since the beginning.
    ///
    /// # Panics
    ///
    /// When there is no such sidecar.
    #[must_use]
    pub fn tally(&self, sidecar: usize) -> Tally {
        self.sidecars
            .get(sidecar)
            .expect("the scenario names a sidecar that there is")
            .tally
    }

    /// What happened to all requests since the beginning.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.sidecars
            .iter()
            .map(|sidecar| sidecar.tally)
            .fold(Tally::default(), |sum, tally| sum + tally)
    }

    /// All changes of breakers that were reported, by the time of the change since the beginning.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.control.changes
    }

    /// What the control plane knows.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.control.world
    }

    /// The control plane's last step.
    #[must_use]
    pub const fn last_step(&self) -> &Step {
        &self.control.step
    }

    /// The newest run of the experiment `name`, if there was one. It is worked out when asked for.
    #[must_use]
    pub fn experiment(&self, name: &str) -> Option<ExperimentStatus> {
        self.control.experiment(name)
    }

    /// How many configurations were pushed to the first sidecar.
    #[must_use]
    pub const fn pushes(&self) -> u64 {
        self.control.pushes
    }

    /// The time since the beginning.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }
}
