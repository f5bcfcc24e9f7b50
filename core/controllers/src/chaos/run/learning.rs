//! What a run takes in of its arms.

use super::super::intent::ChaosSpec;
use super::super::status::ExperimentPhase;
use super::super::targets::{chosen, key};
use super::{Run, point_ms};
use crate::World;

impl Run {
    /// Takes in what was reported since the last step.
    pub(super) fn learn(&mut self, spec: &ChaosSpec, world: &World, is_last: bool) {
        let now = world.now();
        let started_at = self.started_at.unwrap_or(now);
        let width = point_ms(spec);
        let targets = chosen(spec);
        let mut is_heard = false;
        for (fault, (seen, met)) in self.seen.iter_mut().zip(&mut self.met).enumerate() {
            let newest = world.newest_arm_block(key(spec, fault));
            let mut missing = newest.saturating_sub(*seen);
            for block in world.arm_blocks(key(spec, fault), *seen) {
                missing = missing.saturating_sub(1);
                if targets.iter().any(|target| target.includes(&block.scope)) {
                    let faulted = block.fault.as_ref();
                    *met = met.saturating_add(faulted.map_or(0, |arm| arm.requests));
                }
                is_heard = true;
                let elapsed = block.at.since(started_at).as_millis();
                let point = u64::try_from(elapsed).unwrap_or(u64::MAX) / width;
                let here = self.comparisons.iter_mut().filter(|one| one.fault == fault);
                for comparison in here {
                    comparison.take(block, point);
                }
            }
            *seen = newest;
            self.lost = self.lost.saturating_add(missing);
        }
        if is_heard {
            self.hear(world);
        }
        for comparison in &mut self.comparisons {
            comparison.settle(is_last);
        }
        for budget in &mut self.budgets {
            let about = self
                .comparisons
                .iter()
                .filter(|one| one.objective == budget.objective);
            budget.spent = about
                .map(|one| standing_for(one.spent(), spec, one.fault))
                .sum();
        }
        if self.phase == ExperimentPhase::Running {
            self.because = self.progress(spec, now);
        }
    }
}

/// What `bad` requests in the arm of the fault at `index` stand for: those that another fault drew as well met one and are in no arm.
///
/// Faults draw independently of each other, so these are a known share. To take them as bad as the others of both faults is
/// more than any way in which the two add up.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts below 2^52, and at least as many"
)]
fn standing_for(bad: u64, spec: &ChaosSpec, index: usize) -> u64 {
    let faults = spec.faults.iter().enumerate();
    let others = faults.filter(|(other, _)| *other != index);
    let counted: f64 = others
        .map(|(_, fault)| 1.0 - fault.share().as_fraction())
        .product();
    // All faults together draw at most half, so at least half is counted.
    (bad as f64 / counted.max(0.5)).ceil() as u64
}
