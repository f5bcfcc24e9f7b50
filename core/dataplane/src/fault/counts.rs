//! What happened in the arms of experiments, counted apart.
//!
//! A request that one fault drew, whether it is injected here, elsewhere, or not at all since a cap was reached, counts
//! in that experiment alone, in the arm of the fault; one that no fault drew counts in the control arm of each
//! experiment that drew it so; one that faults of several experiments drew counts in no arm. Both arms of an experiment are then
//! free of what other experiments do, lack the same requests, and can be compared. The untouched are the rest of the scope.

use sloop_model::{Arm, DimensionValue, ExperimentKey, LatencyCounts, Outcome};

use crate::report::ObjectiveDelta;
use crate::sli::{CallerCell, Counts, Request};
use crate::sorted::sort_few;

/// What ended in one arm of one experiment on one scope, since the last report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmDelta {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// [`Arm::Fault`] or [`Arm::Control`].
    pub arm: Arm,
    /// Requests that ended.
    pub requests: u64,
    /// Of these, by [`Outcome::index`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Sorted by id; those without counts are left out.
    pub objectives: Vec<ObjectiveDelta>,
    /// Latencies of requests that have one.
    pub latency: LatencyCounts,
    /// Attempts beyond the first, where they are counted.
    pub retries: u64,
    /// Callers that have names and had requests in this arm, of the first [`ArmDelta::CALLERS_MAX`] that had any in either arm. None where callers
    /// are not told apart.
    pub callers: Vec<CallerDelta>,
}

/// What one caller sent of an arm's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerDelta {
    /// Who.
    pub caller: DimensionValue,
    /// Total and good of each of the arm's objectives, as many and in their order.
    pub objectives: Vec<(u64, u64)>,
}

impl ArmDelta {
    /// Callers of an arm that are told apart: enough to see whether they come as wholes, and a scope with all its arms
    /// stays a small part of a report.
    pub const CALLERS_MAX: usize = 16;
}

/// Counts of the experiments of one scope, at most [`ArmCounts::EXPERIMENTS_MAX`] between two reports.
#[derive(Debug, Default)]
pub struct ArmCounts {
    experiments: Vec<Experiment>,
}

#[derive(Debug)]
struct Experiment {
    key: ExperimentKey,
    fault: Counts,
    control: Counts,
}

impl ArmCounts {
    /// Experiments of one scope at a time: each has two histograms.
    pub const EXPERIMENTS_MAX: usize = 4;

    /// Counts a request in an arm of the experiment `key`; beside it are its attempts beyond the first.
    /// False when there are too many experiments already: it is not counted.
    pub(crate) fn add(
        &mut self,
        (key, arm): (ExperimentKey, Arm),
        request: Request<'_>,
        retries: u32,
    ) -> bool {
        let Some(experiment) = self.experiment(key) else {
            return false;
        };
        let counts = match arm {
            Arm::Fault => &mut experiment.fault,
            Arm::Control => &mut experiment.control,
            Arm::Untouched => return true,
        };
        counts.add(request);
        counts.retries += u64::from(retries);
        true
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let is_empty = |one: &Experiment| one.fault.is_empty() && one.control.is_empty();
        self.experiments.iter().all(is_empty)
    }

    /// Takes what is to be reported, with what was counted of those of these callers that had a part in it, and forgets experiments that had
    /// no request since the last time.
    pub(crate) fn take(&mut self, callers: &[CallerCell]) -> Vec<ArmDelta> {
        let is_live = |one: &Experiment| !one.fault.is_empty() || !one.control.is_empty();
        self.experiments.retain(is_live);
        let mut taken = Vec::new();
        for one in &mut self.experiments {
            let own = |cell: &&CallerCell| one.fault.has(cell.at) || one.control.has(cell.at);
            // The same callers in both arms, so that they can be compared.
            let callers = callers.iter().filter(own).take(ArmDelta::CALLERS_MAX);
            let callers: Vec<&CallerCell> = callers.collect();
            for (arm, counts) in [
                (Arm::Fault, &mut one.fault),
                (Arm::Control, &mut one.control),
            ] {
                if !counts.is_empty() {
                    taken.push(delta((one.key, arm), counts, &callers));
                }
            }
        }
        sort_few(&mut taken, |one, other| {
            (one.experiment, one.arm).cmp(&(other.experiment, other.arm))
        });
        taken
    }

    fn experiment(&mut self, key: ExperimentKey) -> Option<&mut Experiment> {
        let found = self.experiments.iter().position(|one| one.key == key);
        let at = found.unwrap_or(self.experiments.len());
        if found.is_none() {
            if Self::EXPERIMENTS_MAX <= at {
                return None;
            }
            self.experiments.push(Experiment {
                key,
                fault: Counts::default(),
                control: Counts::default(),
            });
        }
        self.experiments.get_mut(at)
    }
}

fn delta(
    (experiment, arm): (ExperimentKey, Arm),
    counts: &mut Counts,
    callers: &[&CallerCell],
) -> ArmDelta {
    let counted = counts.counted();
    let here = callers.iter().filter(|cell| counts.has(cell.at));
    let callers = here.map(|cell| CallerDelta {
        caller: cell.caller.clone(),
        objectives: counted.iter().map(|tally| tally.cell(cell.at)).collect(),
    });
    let callers = callers.collect();
    let taken = counts.take(counts.objectives.len());
    ArmDelta {
        experiment,
        arm,
        requests: taken.requests,
        outcomes: taken.outcomes,
        objectives: taken.objectives,
        latency: taken.latency,
        retries: taken.retries,
        callers,
    }
}
