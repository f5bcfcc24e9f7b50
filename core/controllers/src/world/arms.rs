//! What ended in the arms of experiments lately, by report.
//!
//! A block is what one VM saw in one interval on one scope, both arms side by
//! side: whatever else happened there and then happened to both. Blocks are kept until
//! every controller has stepped over them, and numbered, so that each is taken once.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use sloop_model::{Arm, ExperimentKey, Scope, WallTime};

use crate::budget::SeenBy;
use crate::observation::ScopeCounts;
use crate::{ArmCounts, World};

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

/// The newest blocks of all experiments.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    experiments: BTreeMap<ExperimentKey, Series>,
}

#[derive(Clone, Debug, Default)]
struct Series {
    blocks: VecDeque<ArmBlock>,
    count: u64,
}

/// Experiments that are remembered: many more than may run. A filter that reports others is not believed.
const EXPERIMENTS_MAX: usize = 32;
/// Blocks of one experiment: a thousand sidecars report eight scopes between two steps. Older ones
/// make room, and whoever counts numbers sees that they are missing.
const BLOCKS_MAX: usize = 8_192;
/// Steps are at most a second apart; what is older than a minute was seen by all.
const KEPT: Duration = Duration::from_secs(60);

impl Blocks {
    /// Adds what a VM saw. Of an arm that is there twice the first counts.
    pub(super) fn add(&mut self, seen_by: SeenBy<'_>, counts: &ScopeCounts) {
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
            let is_known = self.experiments.contains_key(&experiment);
            if !is_known && EXPERIMENTS_MAX <= self.experiments.len() {
                continue;
            }
            let series = self.experiments.entry(experiment).or_default();
            series.count += 1;
            if BLOCKS_MAX <= series.blocks.len() {
                series.blocks.pop_front();
            }
            series.blocks.push_back(ArmBlock {
                number: series.count,
                at: seen_by.to,
                node: seen_by.node.to_owned(),
                service: seen_by.service.to_owned(),
                scope: counts.scope.clone(),
                fault: fault.cloned(),
                control: control.cloned(),
            });
        }
    }

    /// The blocks of an experiment after the one with the number `seen`, as far as they are kept.
    pub(super) fn after(
        &self,
        experiment: ExperimentKey,
        seen: u64,
    ) -> impl Iterator<Item = &ArmBlock> {
        self.experiments
            .get(&experiment)
            .into_iter()
            .flat_map(|series| &series.blocks)
            .filter(move |block| seen < block.number)
    }

    /// Forgets what all have seen, and experiments of which nothing is left.
    pub(super) fn forget(&mut self, now: WallTime) {
        let is_kept = |block: &ArmBlock| block.at <= now && now.since(block.at) <= KEPT;
        self.experiments.retain(|_, series| {
            series.blocks.retain(is_kept);
            !series.blocks.is_empty()
        });
    }
}

impl World {
    /// What ended in the arms of an experiment after the block with the number `seen`, oldest first.
    pub fn arm_blocks(
        &self,
        experiment: ExperimentKey,
        seen: u64,
    ) -> impl Iterator<Item = &ArmBlock> {
        self.arms.after(experiment, seen)
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::{Outcome, RouteName, ServiceName, Side};

    use super::*;

    fn arm(experiment: &str, arm: Arm, requests: u64) -> ArmCounts {
        ArmCounts {
            experiment: ExperimentKey::of(experiment),
            arm,
            requests,
            outcomes: [0; Outcome::ALL.len()],
            objectives: Vec::new(),
            latency: Vec::new(),
            retries: 0,
            callers: Vec::new(),
        }
    }

    fn counts(arms: Vec<ArmCounts>) -> ScopeCounts {
        ScopeCounts {
            arms,
            ..ScopeCounts::nothing(Scope {
                service: ServiceName::try_from("a").unwrap(),
                route: RouteName::any(),
                side: Side::Server,
            })
        }
    }

    fn add(blocks: &mut Blocks, second: u64, arms: Vec<ArmCounts>) {
        let to = WallTime::from_millis(second * 1_000);
        let seen_by = SeenBy {
            node: "n",
            service: "a",
            from: to.before(Duration::from_secs(1)),
            to,
            heard: to,
            others_by: to,
        };
        blocks.add(seen_by, &counts(arms));
    }

    #[test]
    fn both_arms_of_a_report_are_one_block_and_each_is_taken_once() {
        let mut blocks = Blocks::default();
        let both = vec![
            arm("a", Arm::Control, 2),
            arm("a", Arm::Fault, 1),
            arm("b", Arm::Control, 3),
        ];
        add(&mut blocks, 1, both);
        add(&mut blocks, 2, vec![arm("a", Arm::Fault, 4)]);
        let key = ExperimentKey::of("a");
        let seen: Vec<_> = blocks.after(key, 0).collect();
        let requests = |arm: &Option<ArmCounts>| arm.as_ref().map(|arm| arm.requests);
        assert_eq!(requests(&seen[0].fault), Some(1));
        assert_eq!(requests(&seen[0].control), Some(2));
        assert_eq!((seen[1].number, requests(&seen[1].control)), (2, None));
        assert_eq!(blocks.after(key, 1).count(), 1);
        assert_eq!(blocks.after(key, 2).count(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut blocks = Blocks::default();
        for _ in 0..=BLOCKS_MAX {
            add(&mut blocks, 1, vec![arm("a", Arm::Fault, 1)]);
        }
        let numbers: Vec<u64> = blocks
            .after(ExperimentKey::of("a"), 0)
            .map(|block| block.number)
            .collect();
        assert_eq!((numbers.len(), numbers[0]), (BLOCKS_MAX, 2));
        for name in 0..EXPERIMENTS_MAX + 5 {
            add(&mut blocks, 1, vec![arm(&name.to_string(), Arm::Fault, 1)]);
        }
        assert_eq!(blocks.experiments.len(), EXPERIMENTS_MAX);
        blocks.forget(WallTime::from_millis(62_000));
        assert!(blocks.experiments.is_empty());
    }
}
