//! One fault compared with its control arm, for one hypothesis, as reports come in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{ExperimentKey, ObjectiveId, Scope, Side, WallTime};

use super::stats::{
    self, ALPHA, Block, Clustering, Differing, Evidence, Latencies, needed, shifts,
};
use super::status::{ArmRetries, ArmsPoint, ComparisonStatus, ExperimentVerdict};
use crate::budget::surely_above;
use crate::world::ArmBlock;
use crate::{ArmCounts, Counts};

/// What is known of one comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// Position of the fault.
    pub(super) fault: usize,
    /// The objective.
    pub(super) objective: ObjectiveId,
    tolerance: f64,
    /// Counts of the objective before the run.
    before: Counts,
    all: Gathering,
    clustering: Clustering,
    /// By scope, in words: whether there is an effect at all.
    routes: BTreeMap<String, Gathering>,
    faulted: Counts,
    control: Counts,
    /// Attempts beyond the first in the arm of the fault, in the control arm.
    retries: (u64, u64),
    faulted_latency: Latencies,
    control_latency: Latencies,
    differing: Differing,
    points: BTreeMap<u64, (Counts, Counts)>,
}

/// Evidence, and what has gathered for the next bet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Gathering {
    pub(super) evidence: Evidence,
    next: Block,
}

/// A bet on fewer requests than this of an arm is hardly one. How many gather depends on how many come, not
/// on how they end, as the proof asks.
const GATHERED_MIN: f64 = 8.0;
/// Routes compared for one hypothesis.
const ROUTES_MAX: usize = 64;
/// The part of the tolerance that nothing is held from on, where the control arm surely became worse than requests were
/// before, and as it looks by so much: a half, so that what a fault does to both arms and what it does to its
/// own must each be well below what is tolerated. Hours differ by themselves; less than this is shown, and no reason.
const CONTAMINATED_MIN: f64 = 0.5;
/// Points of a chart: one is at least a second, and a run has at most so many.
pub(super) const POINTS_MAX: u64 = 240;

impl Gathering {
    const fn new(evidence: Evidence) -> Self {
        Self {
            evidence,
            next: Block {
                control: stats::Arm {
                    total: 0.0,
                    bad: 0.0,
                },
                fault: stats::Arm {
                    total: 0.0,
                    bad: 0.0,
                },
            },
        }
    }

    fn take(&mut self, block: Block) {
        self.next = self.next.plus(block);
    }

    /// Bets on what has gathered, if it is enough.
    fn settle(&mut self, clustering: f64, at_least: f64) {
        if at_least <= self.next.control.total.min(self.next.fault.total) {
            self.evidence.take(self.next, clustering);
            self.next = Block::default();
        }
    }
}

impl Comparison {
    /// Nothing is known yet. `before` was counted before the run.
    pub(super) fn new(
        fault: usize,
        objective: ObjectiveId,
        tolerance: f64,
        before: Counts,
    ) -> Self {
        Self {
            fault,
            objective,
            tolerance,
            before,
            all: Gathering::new(Evidence::with_interval(tolerance)),
            clustering: Clustering::default(),
            routes: BTreeMap::new(),
            faulted: Counts::default(),
            control: Counts::default(),
            retries: (0, 0),
            faulted_latency: Latencies::default(),
            control_latency: Latencies::default(),
            differing: Differing::default(),
            points: BTreeMap::new(),
        }
    }

    /// Takes a block in, which lies in the part of the run with the number `point`.
    pub(super) fn take(&mut self, block: &ArmBlock, point: u64) {
        let of = |arm: Option<&ArmCounts>| {
            let mut objectives = arm.into_iter().flat_map(|arm| &arm.objectives);
            let counts = objectives.find(|one| one.id == self.objective);
            counts.map_or_else(Counts::default, |one| {
                Counts {
                    total: one.total,
                    good: one.good,
                }
                .held()
            })
        };
        let (faulted, control) = (of(block.fault.as_ref()), of(block.control.as_ref()));
        // The scope counts nothing for this objective, or nothing of it ended.
        if faulted.total == 0 && control.total == 0 {
            return;
        }
        self.faulted = self.faulted.plus(faulted);
        self.control = self.control.plus(control);
        let (one, other) = self.points.entry(point).or_default();
        (*one, *other) = (one.plus(faulted), other.plus(control));
        for (arm, latencies, retries) in [
            (&block.fault, &mut self.faulted_latency, &mut self.retries.0),
            (
                &block.control,
                &mut self.control_latency,
                &mut self.retries.1,
            ),
        ] {
            *retries = retries.saturating_add(arm.as_ref().map_or(0, |arm| arm.retries));
            latencies.take(latency(arm.as_ref()), block.at);
        }
        let [of_control, of_fault] =
            [&block.control, &block.fault].map(|arm| latency(arm.as_ref()));
        self.differing.take(of_control, of_fault, block.at);
        let pair = |counts: Counts| (counts.total, counts.bad());
        let counted = Block::of(pair(control), pair(faulted));
        let callers = callers(block, &self.objective, counted);
        self.clustering
            .take(counted, block.at, &block.node, &callers);
        self.all.take(counted);
        self.take_route(&block.scope, counted);
    }

    fn take_route(&mut self, scope: &Scope, counted: Block) {
        let name = scope.to_string();
        if self.routes.len() < ROUTES_MAX || self.routes.contains_key(&name) {
            self.routes
                .entry(name)
                .or_insert_with(|| Gathering::new(Evidence::against(0.0)))
                .take(counted);
        }
    }

    /// Bets on what has gathered. `is_last` bets on the rest, too.
    pub(super) fn settle(&mut self, is_last: bool) {
        let clustering = self.clustering.effect();
        let at_least = if is_last { 1.0 } else { GATHERED_MIN };
        self.all.settle(clustering, at_least);
        self.differing.settle(self.clustering.by_caller(), at_least);
        for route in self.routes.values_mut() {
            route.settle(clustering, at_least);
        }
    }

    /// The e-value against "the effect is at most the tolerance", its highest, as a logarithm.
    pub(super) const fn broken(&self) -> f64 {
        self.all.evidence.above.best()
    }

    /// The same as it stands: of many at once only that is an e-value.
    pub(super) fn broken_now(&self) -> f64 {
        self.all.evidence.above.now(self.clustering.effect())
    }

    /// The e-value against "no more of it is bad under the fault" of each route that was compared, as it stands, as a logarithm.
    pub(super) fn harmed_now(&self) -> impl Iterator<Item = (&str, &Evidence, f64)> {
        let clustering = self.clustering.effect();
        self.routes.iter().map(move |(scope, route)| {
            let log = route.evidence.above.now(clustering);
            (scope.as_str(), &route.evidence, log)
        })
    }

    /// Whether the effect is surely below the tolerance. Where the control arm is much worse than requests were before, the
    /// arms share what is wrong, and that they are alike proves nothing.
    pub(super) fn is_held(&self) -> bool {
        self.all.evidence.below.is_sure(ALPHA) && !self.is_contaminated()
    }

    /// Requests in both arms.
    pub(super) const fn in_arms(&self) -> u64 {
        self.faulted.total.saturating_add(self.control.total)
    }

    /// Bad requests in the arm of the fault.
    pub(super) const fn spent(&self) -> u64 {
        self.faulted.bad()
    }

    /// Whether surely more than `share` of the fault's arm is bad.
    pub(super) fn is_worse_than(&self, share: f64) -> bool {
        surely_above(self.faulted.bad(), self.faulted.total, share)
    }

    /// What people see of it. `verdict` is what all comparisons together say of it.
    pub(super) fn status(
        &self,
        verdict: Option<ExperimentVerdict>,
        point_at: impl Fn(u64) -> WallTime,
    ) -> ComparisonStatus {
        let seen = self.all.evidence.seen();
        let effect = share(self.faulted).zip(share(self.control));
        let effect = effect.map(|(faulted, control)| faulted - control);
        let control_bad = share(self.control).unwrap_or(0.0);
        let clustering = self.clustering.effect();
        let (slower, faster) = (&self.faulted_latency, &self.control_latency);
        // Reports do not say how long the requests of a caller took: all of them may have taken as long.
        let by_caller = self.clustering.by_caller();
        let [slow, fast] = [slower, faster].map(|arm| arm.quantiles(by_caller));
        let (slower, faster) = (slower.all(), faster.all());
        ComparisonStatus {
            fault: self.fault,
            objective: self.objective.clone(),
            tolerance: self.tolerance,
            faulted: self.faulted,
            control: self.control,
            effect,
            interval: self.all.evidence.interval(),
            evidence_broken: self.broken().min(700.0).exp(),
            evidence_held: self.all.evidence.below.best().min(700.0).exp(),
            verdict,
            design_effect: clustering,
            callers: self.clustering.callers(),
            absorbed: effect
                .filter(|_| control_bad < 1.0)
                .map(|effect| 1.0 - effect / (1.0 - control_bad)),
            contamination: self.contamination(),
            needed: effect.filter(|_| verdict.is_none()).and_then(|effect| {
                let ratio = seen.control.total / seen.fault.total.max(1.0);
                let all = needed(
                    (control_bad, effect),
                    self.tolerance,
                    ratio.max(0.01),
                    ALPHA,
                )?;
                Some((all * clustering - seen.fault.total).max(0.0))
            }),
            retries: (self.retries != (0, 0)).then_some(ArmRetries {
                faulted: self.retries.0,
                control: self.retries.1,
            }),
            faulted_latency: slow.bands(),
            control_latency: fast.bands(),
            latency_shifts: shifts(&slow, &fast),
            latency_gap: self.differing.gap(
                (slower, slow.design_effect()),
                (faster, fast.design_effect()),
            ),
            points: self
                .points
                .iter()
                .map(|(point, (faulted, control))| ArmsPoint {
                    at: point_at(*point),
                    faulted: *faulted,
                    control: *control,
                })
                .collect(),
            latencies: both(slower, faster),
        }
    }

    /// How much worse the control arm is than requests were before, if it surely is: a result, however small.
    pub(super) fn contamination(&self) -> Option<f64> {
        let before = share(self.before)?;
        let high = crate::budget::bounds(self.before.bad(), self.before.total)?.high;
        surely_above(self.control.bad(), self.control.total, high)
            .then(|| share(self.control).unwrap_or(0.0) - before)
    }

    /// Whether it is worse by so much that nothing can be held ([`CONTAMINATED_MIN`]).
    pub(super) fn is_contaminated(&self) -> bool {
        let more = self.contamination();
        more.is_some_and(|more| CONTAMINATED_MIN * self.tolerance <= more)
    }
}

/// What each caller sent of a block in which `all` was counted for an objective: where reports name callers, those with
/// names; on the client's side, where a sidecar is one caller's, all.
fn callers(block: &ArmBlock, objective: &ObjectiveId, all: Block) -> Vec<(ExperimentKey, Block)> {
    let mut named: BTreeMap<&str, [(u64, u64); 2]> = BTreeMap::new();
    for (arm, which) in [(&block.control, 0), (&block.fault, 1)] {
        let arm = arm.iter();
        let at = arm.flat_map(|arm| {
            let mut objectives = arm.objectives.iter();
            let at = objectives.position(|one| one.id == *objective);
            at.map(|at| (arm, at))
        });
        for (arm, at) in at {
            for one in arm.callers.iter().take(ArmCounts::CALLERS_MAX) {
                let (total, good) = one.objectives.get(at).copied().unwrap_or_default();
                let counts = named.entry(one.caller.as_str()).or_default();
                if let Some(sum) = counts.get_mut(which) {
                    *sum = (total, total.saturating_sub(good));
                }
            }
        }
    }
    if named.is_empty() && block.scope.side == Side::Client && !block.service.is_empty() {
        return vec![(ExperimentKey::of(&block.service), all)];
    }
    let of = |(name, [control, fault]): (&str, [(u64, u64); 2])| {
        (ExperimentKey::of(name), Block::of(control, fault))
    };
    named.into_iter().map(of).collect()
}

/// The latencies of an arm, if any of it ended.
fn latency(arm: Option<&ArmCounts>) -> &[(u64, u64)] {
    arm.map_or(&[], |arm| &arm.latency)
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn share(counts: Counts) -> Option<f64> {
    (0 < counts.total).then(|| counts.bad() as f64 / counts.total as f64)
}

fn both(faulted: &BTreeMap<u64, u64>, control: &BTreeMap<u64, u64>) -> Vec<(u64, u64, u64)> {
    let mut all: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (us, count) in faulted {
        all.entry(*us).or_default().0 = *count;
    }
    for (us, count) in control {
        all.entry(*us).or_default().1 = *count;
    }
    all.into_iter()
        .map(|(us, (faulted, control))| (us, faulted, control))
        .collect()
}
