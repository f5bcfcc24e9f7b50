//! As much quiet as this machine gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_bench::cpus::Shares;
use sloop_bench::priority::{Policy, PriorityError, Spinners};

use super::stage::Stage;

/// Which priority is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before everything else on the machine, where that is allowed.
    RealTime,
    /// As everything else.
    Ordinary,
}

/// Processors and priorities, for as long as it lives.
#[derive(Debug)]
pub(super) struct Quiet {
    /// Which processors do what; `None` where there is only one.
    pub(super) shares: Option<Shares>,
    /// `Err` says why priorities are as always.
    spinners: Result<Spinners, String>,
}

impl Quiet {
    /// Prepares this process, before it starts anything.
    pub(super) fn new(priority: Priority) -> Self {
        let shares = Shares::of_this_machine();
        let shares = shares.filter(|shares| shares.pin(std::process::id(), None).is_ok());
        let spinners = match (priority, &shares) {
            (Priority::Ordinary, _) => Err("as asked".to_owned()),
            // Whoever has the only processor would never let go of it.
            (Priority::RealTime, None) => Err("there is only one processor".to_owned()),
            (Priority::RealTime, Some(shares)) => hurry(shares).map_err(|error| error.to_string()),
        };
        Self { shares, spinners }
    }

    /// Gives the worker its processor and its priority. Envoy's other threads are ordinary ones, on the other processors.
    pub(super) fn give_way(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let (id, worker) = stage.worker()?;
        self.give_way_to(id, worker.id())
    }

    /// The same for the Envoy with the process `id`.
    pub(super) fn give_way_to(&self, id: u32, worker: u32) -> anyhow::Result<()> {
        if let Some(shares) = &self.shares {
            shares.pin(id, Some(worker))?;
        }
        if self.is_real_time() {
            Policy::Ordinary.set_all(id)?;
            Policy::RealTime.set(worker)?;
        }
        Ok(())
    }

    pub(super) const fn is_real_time(&self) -> bool {
        self.spinners.is_ok()
    }

    /// What there is, for the person who waits.
    pub(super) fn describe(&self) -> String {
        match &self.spinners {
            Ok(_) => {
                "before everything else on this machine (--polite leaves it its turn)".to_owned()
            }
            Err(why) => format!("with ordinary priority: {why}"),
        }
    }
}

/// All threads of this process first, and those that they start; the spinners last.
fn hurry(shares: &Shares) -> Result<Spinners, PriorityError> {
    Policy::RealTime.set_all(std::process::id())?;
    Spinners::start(shares.all())
}
