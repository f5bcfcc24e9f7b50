//! Runs experiments: faults for some requests, none for others that are counted beside them.
//!
//! # A run
//!
//! ```text
//! due -> preflight -> running -> draining -> over (held, broken, inconclusive)
//!            \____________________________________^ (it did not begin)
//! ```
//!
//! - **Preflight**: all objectives of the hypothesis are known, fresh and met, nothing burns, no breaker is open, no change is on its way to
//!   the sidecars, no other experiment runs, every sidecar can do what it asks, and there is traffic enough to decide within the time. It waits a minute for that.
//! - **Running**: each fault has an arm and a control arm of requests, drawn from trace id and seed, so that both live through the
//!   same seconds. The same arms are counted where the hypothesis is judged, also where nothing is injected: there the rule has
//!   no effect. All requests of an arm count, whether or not they came to meet the fault ("intention to treat"): also those
//!   that a cap kept it from. What two faults drew counts in no arm, or control arms alone would lack it.
//! - It ends within one step of: an order to stop, a change of its document, an open breaker, an objective that burns, a change on its way, its budget spent, too much
//!   bad in an arm, readings that cease, a verdict, or its time.
//! - **Draining**: faults are withdrawn, the last reports come in.
//!
//! A trial is over after preflight, with what a run would take or why it would not begin.
//!
//! It is not held where a fault met no request, and where the control arm is surely worse than requests were before, and by
//! half of what is tolerated or more: then both arms share what is wrong, and that they are alike proves nothing.
//!
//! # What it promises
//!
//! Without the control plane, faults end in every filter after one to two renewals of [`EXPERIMENTS`]: at most 4 s.
//! A run that was interrupted is not taken up again: what its arms had seen is lost, so it says nothing. Protection
//! always wins: faults never begin or go on while a breaker is open.
//!
//! How two arms are compared is in [`stats`].

mod able;
mod comparison;
mod intent;
mod preflight;
mod run;
mod stats;
mod status;
mod suggest;
mod targets;

pub use intent::{
    AbortConditions, ChaosIntent, ChaosSchedule, ChaosSpec, ChaosTarget, Ends, Hypothesis,
    InvalidExperiment,
};
pub use stats::{Interval, LatencyGap, QuantileBand, QuantileShift};
pub use status::{
    ArmRetries, ArmsPoint, BudgetSpent, ComparisonStatus, ExperimentEvent, ExperimentPhase,
    ExperimentPlan, ExperimentStatus, ExperimentVerdict, FaultStatus, RouteEffect,
};

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use crate::lease::EXPERIMENTS;
use crate::world::WantedArms;
use crate::{Controller, Decision, Signal, Stage, World};
use run::Run;

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct Chaos;

/// The newest run of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChaosMemory {
    run: Option<Run>,
}

/// A run that could not be looked at for so long after it was due is left out: somebody planned that moment.
const LATE_MAX: Duration = Duration::from_secs(60);
/// Runs of one experiment are told apart by the millisecond.
const TICK: Duration = Duration::from_millis(1);
/// How often a run is looked at even if nothing is reported.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Controller for Chaos {
    type Intent = ChaosIntent;
    type Memory = ChaosMemory;
    const KIND: &'static str = "chaos";
    const STAGE: Stage = Stage::Change;

    fn step(&self, intent: &ChaosIntent, memory: &mut ChaosMemory, world: &World) -> Decision {
        let now = world.now();
        if let Some(due_at) = memory.due(intent.spec(), now) {
            memory.run = Some(Run::new(due_at, now));
        }
        let before = memory.before(intent.spec());
        let Some(run) = &mut memory.run else {
            return idle(intent.spec(), before, now);
        };
        run.step(intent, world);
        decide(run.spec(intent), run, now)
    }

    /// Two that are due at once would spoil each other.
    fn waits_since(
        &self,
        intent: &ChaosIntent,
        memory: &ChaosMemory,
        now: WallTime,
    ) -> Option<WallTime> {
        let waiting = |run: &&Run| run.phase == ExperimentPhase::Preflight;
        let waiting = memory.run.as_ref().filter(waiting);
        let due_at = waiting.map(|run| run.due_at);
        due_at.or_else(|| memory.due(intent.spec(), now))
    }
}

impl ChaosMemory {
    /// When the newest run was due that there ever was.
    fn before(&self, spec: &ChaosSpec) -> Option<WallTime> {
        let due_at = self.run.as_ref().map(|run| run.due_at);
        due_at.max(spec.ran_at)
    }

    /// When a run was due that is to begin at `now`, if none goes on.
    fn due(&self, spec: &ChaosSpec, now: WallTime) -> Option<WallTime> {
        let goes_on = |run: &Run| run.phase != ExperimentPhase::Over;
        if self.run.as_ref().is_some_and(goes_on) {
            return None;
        }
        due(spec, self.before(spec), now)
    }

    /// When the newest run was due, and where it is, if there was one.
    pub(crate) fn newest(&self) -> Option<(WallTime, ExperimentPhase)> {
        self.run.as_ref().map(|run| (run.due_at, run.phase))
    }

    /// What the newest run wants to know of its arms, if it goes on.
    pub(crate) fn wanted_arms(&self) -> Option<WantedArms> {
        self.run.as_ref()?.wanted_arms()
    }

    /// What people see of the newest run, if there was one.
    pub(crate) fn status(&self, intent: &ChaosIntent, world: &World) -> Option<ExperimentStatus> {
        let run = self.run.as_ref()?;
        Some(run.status(run.spec(intent), world))
    }
}

fn decide(spec: &ChaosSpec, run: &Run, now: WallTime) -> Decision {
    let because = run.because.clone();
    match run.phase {
        ExperimentPhase::Preflight | ExperimentPhase::Draining => Decision {
            wake_at: Some(now.after(LOOK_EVERY)),
            because,
            ..Decision::default()
        },
        ExperimentPhase::Running => Decision {
            signals: vec![Signal::Experimenting {
                name: spec.name.clone(),
                since: run.started_at.unwrap_or(now),
                objectives: run.objectives().cloned().collect(),
            }],
            policies: targets::policies(spec, &run.watched(), EXPERIMENTS.ends_at(now)),
            wake_at: Some(now.after(LOOK_EVERY).min(EXPERIMENTS.renewed_at(now))),
            because,
        },
        ExperimentPhase::Over => Decision {
            wake_at: next(spec, Some(run.due_at), now),
            because,
            ..Decision::default()
        },
    }
}

fn idle(spec: &ChaosSpec, before: Option<WallTime>, now: WallTime) -> Decision {
    let wake_at = next(spec, before, now);
    let because = match (&spec.schedule, before) {
        (ChaosSchedule::Asked, _) => "it runs when somebody asks for it",
        (ChaosSchedule::Once, _) | (ChaosSchedule::At(_), Some(_)) if wake_at.is_none() => {
            "it has run"
        }
        (ChaosSchedule::Once | ChaosSchedule::At(_), _) => "it is not due",
    };
    Decision {
        wake_at,
        because: because.to_owned(),
        ..Decision::default()
    }
}

/// The newest moment at which a run was due, if none has begun for it or a later one (`before`).
fn due(spec: &ChaosSpec, before: Option<WallTime>, now: WallTime) -> Option<WallTime> {
    let is_new = |at: &WallTime| before.is_none_or(|before| before < *at);
    let is_timely = |at: &WallTime| now.since(*at) <= LATE_MAX;
    let asked = spec.asked_at.filter(is_timely);
    let scheduled = match &spec.schedule {
        ChaosSchedule::Asked => None,
        // Any run that there ever was is that one.
        ChaosSchedule::Once => before.is_none().then_some(asked.unwrap_or(now)),
        ChaosSchedule::At(moments) => {
            let mut moments = moments.iter().copied().filter(is_timely);
            moments.rfind(|at| *at <= now && is_new(at))
        }
    };
    // What follows the newest run at once was asked for, too, although that lies ahead since the clock stepped back.
    let latest = before.map_or(now, |before| now.max(before.after(TICK)));
    let asked = asked.filter(|at| *at <= latest && is_new(at));
    asked.max(scheduled)
}

/// When a run will be due next.
fn next(spec: &ChaosSpec, before: Option<WallTime>, now: WallTime) -> Option<WallTime> {
    let ChaosSchedule::At(moments) = &spec.schedule else {
        return None;
    };
    let is_ahead = |at: &&WallTime| now < **at && before.is_none_or(|before| before < **at);
    moments.iter().find(is_ahead).copied()
}

#[cfg(test)]
mod tests;
