//! How long a run waits: for its turn, and for reports.

use core::time::Duration;

use sloop_model::{FaultRule, WallTime};

use super::super::comparison::Comparison;
use super::super::intent::ChaosSpec;
use super::super::status::ExperimentPhase;
use super::super::targets::meets_all;
use super::Run;
use crate::World;
use crate::words::Length;

/// What requests under way have to end in, beside two intervals of reports.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// How long nothing may be heard of the arms while faults are in force, where reports come each second: a push, and several intervals.
const SILENCE_MIN: Duration = Duration::from_secs(10);
/// Of all requests in the silence so many are expected in arms: by chance there are none once in 20,000 times (Poisson).
const ARM_REQUESTS: f64 = 10.0;
/// Where a fault is for some requests, and none of them was ever in an arm: the share of all that is taken to be meant.
const MEANT: f64 = 0.1;

/// How long the last reports are waited for: requests under way, and two intervals.
pub(super) fn drain(world: &World) -> Duration {
    UNDER_WAY + world.report_interval() * 2
}

impl Run {
    /// Puts right what lies ahead after the clock stepped back to `now`, or times would be as much longer.
    pub(super) fn rewind(&mut self, now: WallTime) {
        if self.phase == ExperimentPhase::Over {
            return;
        }
        let always = [&mut self.begun_at, &mut self.heard_at].into_iter();
        let moments = always.chain(&mut self.started_at).chain(&mut self.ended_at);
        for moment in moments {
            *moment = now.min(*moment);
        }
    }

    /// The patience of a run that somebody asked for begins when no other goes on: who asked for it did not choose the moment.
    pub(super) fn wait_for_others(&mut self, spec: &ChaosSpec, world: &World) {
        let is_asked = spec.asked_at == Some(self.due_at) && spec.trial_at != Some(self.due_at);
        if self.phase == ExperimentPhase::Preflight
            && is_asked
            && world.experimenting(&spec.name).is_some()
        {
            self.begun_at = world.now();
        }
    }

    /// Why too little is heard of its arms, if that is so. Where there is little traffic nothing may be in them for long; whether sidecars
    /// report at all is asked of each hypothesis.
    pub(super) fn silence(&self, spec: &ChaosSpec, world: &World) -> Option<String> {
        let length = world.now().since(self.heard_at);
        let max = SILENCE_MIN.max(world.report_interval() * 2);
        if length <= max || self.expected_in_arms(spec, world) < ARM_REQUESTS {
            return None;
        }
        Some(format!(
            "not enough is known: no sidecar reported on its arms in the last {}, in which there was traffic for more than {ARM_REQUESTS:.0} requests in them",
            Length(Duration::from_secs(length.as_secs())),
        ))
    }

    /// Notes that its arms are heard of.
    pub(super) fn hear(&mut self, world: &World) {
        self.heard_at = world.now();
        self.heard_of = self.counted(world);
    }

    /// How many requests are expected in the arms of a fault since they were heard of, by what the primary objective counted. Of faults
    /// that are for some requests it is not known of how many: as many as there were before, or [`MEANT`].
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
    fn expected_in_arms(&self, spec: &ChaosSpec, world: &World) -> f64 {
        let requests = self.counted(world).saturating_sub(self.heard_of) as f64;
        let share = |fault: &FaultRule| fault.share().as_fraction() + spec.control.as_fraction();
        let smallest = |of: &dyn Fn(&&FaultRule) -> bool| {
            spec.faults.iter().filter(of).map(share).reduce(f64::min)
        };
        if let Some(share) = smallest(&|fault| meets_all(fault)) {
            return requests * share;
        }
        let before = self.heard_of.saturating_sub(self.begun_of) as f64;
        let in_arms = self.comparisons.first().map_or(0, Comparison::in_arms) as f64;
        let share = if 0.0 < in_arms && 0.0 < before {
            in_arms / before
        } else {
            MEANT * smallest(&|_| true).unwrap_or(0.0)
        };
        requests * share
    }

    /// Requests that the primary objective counted since the process began.
    fn counted(&self, world: &World) -> u64 {
        let primary = self.objectives().next();
        primary.map_or(0, |primary| world.entered(primary).total)
    }
}
