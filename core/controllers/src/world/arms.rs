//! What ended in the arms of experiments lately, by report.
//!
//! A block is what one VM saw in one interval on one scope, both arms side by
//! side: whatever else happened there and then happened to both. Blocks are kept until
//! every controller has stepped over them, and numbered, so that each is taken once, and who takes them sees when some are missing.
//!
//! Only what a run asks for is kept ([`World::want_arms`]): its experiments, on its targets and where its hypotheses are judged,
//! and of objectives only what may count ([`super::sources`]). A sidecar that may report on one service says nothing by it
//! about experiments on others.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sloop_model::{Arm, ExperimentKey, RouteName, Scope, WallTime};

use super::Counted;
use super::sources::Sources;
use crate::budget::SeenBy;
use crate::observation::ScopeCounts;
use crate::{ArmCaller, ArmCounts, ObjectiveCounts, World};

/// What one VM saw in one interval on one scope of both arms of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmBlock {
    /// Grows by one with each block of the experiment, from 1.
    pub number: u64,
    /// The end of the interval.
    pub at: WallTime,
    /// The sidecar.
    pub node: String,
    /// The service that the sidecar belongs to; empty when it does not say.
    pub service: String,
    /// Which requests.
    pub scope: Scope,
    /// Those that met the fault, if any ended.
    pub fault: Option<ArmCounts>,
    /// Those that the fault is compared with, if any ended.
    pub control: Option<ArmCounts>,
}

/// What a run wants to know of its arms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedArms {
    /// One for each of its faults.
    pub(crate) experiments: Vec<ExperimentKey>,
    /// Where its faults are, and where its hypotheses are judged. One for any route stands for all.
    pub(crate) scopes: BTreeSet<Scope>,
}

/// The newest blocks of all experiments that are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    experiments: BTreeMap<ExperimentKey, Series>,
    /// What all blocks take, about.
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Series {
    scopes: BTreeSet<Scope>,
    blocks: VecDeque<ArmBlock>,
    count: u64,
}

/// Experiments that are wanted at a time: of eight runs, where one goes on and others drain. More have no arms.
const EXPERIMENTS_MAX: usize = 32;
/// What the blocks between two steps may take: a thousand sidecars that report on sixteen scopes take half. Older ones
/// make room, and whoever takes them sees that they are missing.
const BYTES_MAX: usize = 64 << 20;
/// Steps are at most a second apart; what is older than a minute is for nobody: somebody else steps.
const KEPT: Duration = Duration::from_secs(60);

impl Blocks {
    /// Adds what a VM saw, as far as it is wanted. Of an arm that is there twice the first counts.
    fn add(&mut self, seen_by: SeenBy<'_>, counts: &ScopeCounts, sources: &Sources) {
        let mut pairs: BTreeMap<ExperimentKey, [Option<&ArmCounts>; 2]> = BTreeMap::new();
        for arm in counts.arms.iter().take(ScopeCounts::ARMS_MAX) {
            let [fault, control] = pairs.entry(arm.experiment).or_default();
            match arm.arm {
                Arm::Fault => fault.get_or_insert(arm),
                Arm::Control => control.get_or_insert(arm),
                Arm::Untouched => continue,
            };
        }
        for (experiment, [fault, control]) in pairs {
            let series = self.experiments.get_mut(&experiment);
            let Some(series) = series.filter(|series| series.wants(&counts.scope)) else {
                continue;
            };
            let may_count = |objective: &ObjectiveCounts| {
                sources.may_count(Counted {
                    objective: &objective.id,
                    scope: &counts.scope,
                    service: seen_by.service,
                })
            };
            let taken = |arm: Option<&ArmCounts>| arm.map(|arm| countable(arm, may_count));
            series.count = series.count.saturating_add(1);
            let block = ArmBlock {
                number: series.count,
                at: seen_by.to,
                node: seen_by.node.to_owned(),
                service: seen_by.service.to_owned(),
                scope: counts.scope.clone(),
                fault: taken(fault),
                control: taken(control),
            };
            self.bytes += block.bytes();
            series.blocks.push_back(block);
            while BYTES_MAX < self.bytes
                && let Some(oldest) = series.blocks.pop_front()
            {
                self.bytes = self.bytes.saturating_sub(oldest.bytes());
            }
        }
    }

    /// Takes in exactly these from here on, and forgets what was seen.
    fn want(&mut self, wanted: impl Iterator<Item = WantedArms>) {
        let mut before = core::mem::take(&mut self.experiments);
        self.bytes = 0;
        for run in wanted {
            for experiment in run.experiments {
                if self.experiments.len() < EXPERIMENTS_MAX {
                    let known = before.remove(&experiment);
                    let series = Series {
                        scopes: run.scopes.clone(),
                        blocks: VecDeque::new(),
                        count: known.map_or(0, |series| series.count),
                    };
                    self.experiments.insert(experiment, series);
                }
            }
        }
    }

    /// Forgets what nobody took.
    pub(super) fn forget(&mut self, now: WallTime) {
        let is_kept = |block: &ArmBlock| block.at <= now && now.since(block.at) <= KEPT;
        for series in self.experiments.values_mut() {
            series.blocks.retain(is_kept);
        }
        let blocks = self.experiments.values().flat_map(|one| &one.blocks);
        self.bytes = blocks.map(ArmBlock::bytes).sum();
    }
}

impl Series {
    fn wants(&self, scope: &Scope) -> bool {
        self.scopes.contains(scope)
            || self.scopes.contains(&Scope {
                route: RouteName::any(),
                ..scope.clone()
            })
    }
}

impl ArmBlock {
    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let arms = self.fault.iter().chain(&self.control);
        let of_arm = |arm: &ArmCounts| {
            let callers = arm.callers.iter().map(|one| {
                size_of::<ArmCaller>()
                    + one.caller.as_str().len()
                    + size_of_val(one.objectives.as_slice())
            });
            size_of_val(arm.latency.as_slice())
                + arm.objectives.len() * (size_of::<ObjectiveCounts>() + NAME_BYTES)
                + callers.sum::<usize>()
        };
        size_of::<Self>()
            + self.node.len()
            + self.service.len()
            + 2 * NAME_BYTES
            + arms.map(of_arm).sum::<usize>()
    }
}

/// A name of a service, route or SLO has seldom more, with what its memory takes besides.
const NAME_BYTES: usize = 64;

/// An arm in which nothing is counted for the objectives that do not count there: each has its place, by which callers are counted.
fn countable(arm: &ArmCounts, may_count: impl Fn(&ObjectiveCounts) -> bool) -> ArmCounts {
    let mut arm = arm.clone();
    for objective in &mut arm.objectives {
        if !may_count(objective) {
            (objective.total, objective.good) = (0, 0);
        }
    }
    arm
}

impl World {
    /// Takes in the arms of exactly these experiments from here on, and forgets the blocks that are there: call it when every
    /// controller has stepped over them.
    pub(crate) fn want_arms(&mut self, wanted: impl Iterator<Item = WantedArms>) {
        self.arms.want(wanted);
    }

    /// Adds what a VM saw of arms on a scope.
    pub(super) fn observe_arms(&mut self, seen_by: SeenBy<'_>, counts: &ScopeCounts) {
        self.arms.add(seen_by, counts, &self.sources);
    }

    /// What ended in the arms of an experiment after the block with the number `seen` and since the last step, oldest first.
    pub fn arm_blocks(
        &self,
        experiment: ExperimentKey,
        seen: u64,
    ) -> impl Iterator<Item = &ArmBlock> {
        let series = self.arms.experiments.get(&experiment);
        let blocks = series.into_iter().flat_map(|series| &series.blocks);
        blocks.filter(move |block| seen < block.number)
    }

    /// The number of the newest block of an experiment, whether or not it could be kept; 0 when there was none.
    #[must_use]
    pub fn newest_arm_block(&self, experiment: ExperimentKey) -> u64 {
        let series = self.arms.experiments.get(&experiment);
        series.map_or(0, |series| series.count)
    }
}

#[cfg(test)]
mod tests;
