//! Injects faults on purpose, and never while an SLO of the service burns.
//!
//! A fault holds while its document exists and has not expired. It pauses when
//! an objective about the service burns faster than slowly, and goes on when none
//! did for [`QUIET`]: an experiment must not fight what protects the service, and
//! must not come back with every breath that it takes. That holds over a restart, too, as far as what is stored tells, and for a fault that is
//! declared after it burned.
//!
//! Not known is not well: where objectives are about the service, one of them must
//! have been reported on in the last seconds. Where none is, nothing pauses it, and it says so.
//!
//! What is pushed ends with a lease of one to two minutes, so that a fault ends by
//! itself when nobody is there to pause it.

mod intent;

pub use intent::FaultInjectionIntent;

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::{Policy, Rule, Scope, WallTime};

use crate::lease::FAULTS;
use crate::words::Length;
use crate::{Controller, Decision, SloMemory, Speed, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct FaultInjection;

/// How long no objective may have burned.
const QUIET: Duration = SloMemory::LATELY;

/// When an objective about the service last burned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBurned {
    at: Option<WallTime>,
}

impl Controller for FaultInjection {
    type Intent = FaultInjectionIntent;
    type Memory = LastBurned;
    const KIND: &'static str = "fault_injection";
    const STAGE: Stage = Stage::Change;

    fn step(
        &self,
        intent: &FaultInjectionIntent,
        memory: &mut LastBurned,
        world: &World,
    ) -> Decision {
        let now = world.now();
        let expires_at = intent.fault.expires_at();
        if expires_at <= now {
            return idle("the fault has expired".to_owned(), None);
        }
        let burning = world
            .burning(&intent.service)
            .filter(|(_, speed)| Speed::Slow < *speed);
        if let Some((objective, _)) = burning {
            memory.at = Some(now);
            let because = format!(
                "paused: objective {} of SLO {} burns, and faults would add to it",
                objective.index, objective.slo
            );
            return idle(because, Some(now.after(QUIET)));
        }
        // Before this was declared, or the process began, nobody paused it.
        memory.at = memory.at.max(world.burned(&intent.service));
        // A moment that lies ahead was before the clock stepped back.
        memory.at = memory.at.filter(|at| *at <= now && now.since(*at) < QUIET);
        if let Some(at) = memory.at {
            let because = format!(
                "paused: an objective about {} burned less than {} ago",
                intent.service,
                Length(QUIET)
            );
            return idle(because, Some(at.after(QUIET)));
        }
        let watched_until = world.watched_until(&intent.service);
        if watched_until.is_some_and(|until| until <= now) {
            let because = format!(
                "waiting: nobody reported on an objective about {} in the last seconds; \
                 that is not the same as well, and without traffic a fault does nothing",
                intent.service
            );
            return idle(because, Some(expires_at));
        }
        inject(intent, now, watched_until)
    }
}

/// Until the lease ends, and no longer than `watched_until` without another look.
fn inject(
    intent: &FaultInjectionIntent,
    now: WallTime,
    watched_until: Option<WallTime>,
) -> Decision {
    let expires_at = intent.fault.expires_at();
    let why = match watched_until {
        Some(_) => format!("as no objective about {} burns", intent.service),
        None => format!(
            "and no SLO watches {}, so nothing pauses it",
            intent.service
        ),
    };
    let ends = [Some(expires_at), watched_until];
    Decision {
        policies: vec![Policy {
            scope: Scope {
                service: intent.service.clone(),
                route: intent.route.route_name(),
                side: intent.side,
            },
            rule: Rule::Fault(intent.fault.clone().ending_by(FAULTS.ends_at(now))),
        }],
        wake_at: ends
            .into_iter()
            .flatten()
            .chain([FAULTS.renewed_at(now)])
            .min(),
        because: format!(
            "injected for {} more, {why}",
            Length(Duration::from_secs(expires_at.since(now).as_secs())),
        ),
        ..Decision::default()
    }
}

fn idle(because: String, wake_at: Option<WallTime>) -> Decision {
    Decision {
        because,
        wake_at,
        ..Decision::default()
    }
}

#[cfg(test)]
mod tests;
