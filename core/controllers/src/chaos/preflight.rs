//! Whether an experiment may begin, and what it would take.

use std::collections::BTreeSet;

use core::time::Duration;

use sloop_model::{ObjectiveId, Scope, ServiceName};

use super::able::unable;
use super::intent::{ChaosIntent, ChaosSpec, Hypothesis};
use super::stats::{ALPHA, Clustering, needed};
use super::status::ExperimentPlan;
use super::targets::chosen;
use crate::words::{Length, Percent};
use crate::{BreakerState, Counts, Signal, Speed, World};

/// What is known of the objective of a hypothesis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) id: ObjectiveId,
    /// The scope that it is counted on.
    pub(super) scope: Scope,
    /// How much the effect may be.
    pub(super) tolerance: f64,
    /// Requests that may still be bad.
    pub(super) left: f64,
    /// What was counted in the last hour.
    pub(super) before: Counts,
}

/// A run that may begin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ready {
    pub(super) plan: ExperimentPlan,
    pub(super) known: Vec<Known>,
}

/// How far back the share of bad requests before a run is taken from.
const BEFORE: Duration = Duration::from_secs(60 * 60);
/// How far back the rate of requests is taken from.
const RATE: Duration = Duration::from_secs(20);

/// What the run of `intent` would take, or why it may not begin.
pub(super) fn check(intent: &ChaosIntent, world: &World) -> Result<Ready, String> {
    let spec = intent.spec();
    let mut known = Vec::new();
    for hypothesis in &spec.hypothesis {
        known.push(objective(hypothesis, world)?);
    }
    if let Some(other) = world.experimenting(&spec.name) {
        return Err(format!(
            "the experiment {other} runs, and two would spoil each other"
        ));
    }
    if let Some(why) = trouble(spec, &known, Some(Speed::Fast), world) {
        return Err(why);
    }
    if let Some(why) = unable(spec, world) {
        return Err(why);
    }
    let Some(primary) = known.first() else {
        return Err("there is no hypothesis".to_owned());
    };
    let share = spec.budget.as_fraction();
    if let Some(poor) = known.iter().find(|one| one.left * share < 1.0) {
        return Err(format!(
            "it may spend {} of the {:.1} requests that may still be bad of SLO {}, which is not even one",
            Percent(share),
            poor.left,
            poor.id.slo
        ));
    }
    let plan = plan(spec, primary, world)?;
    Ok(Ready { plan, known })
}

/// What forbids faults now: an open breaker, an objective that burns at `burning` or faster, or a change on its way.
pub(super) fn trouble(
    spec: &ChaosSpec,
    known: &[Known],
    burning: Option<Speed>,
    world: &World,
) -> Option<String> {
    let mut services: BTreeSet<&ServiceName> = chosen(spec)
        .into_iter()
        .map(|target| &target.service)
        .collect();
    services.extend(known.iter().map(|one| &one.scope.service));
    if let Some(service) = services
        .iter()
        .find(|service| world.changing().contains(**service))
    {
        return Some(format!(
            "a change is on its way to the sidecars of {service}, and could not be told from what faults do"
        ));
    }
    for service in services {
        if let Some(scope) = world.scopes().map(|totals| &totals.scope).find(|scope| {
            let is_open = |(_, state)| state != BreakerState::Closed;
            scope.service == *service && world.breakers(scope).any(is_open)
        }) {
            return Some(format!(
                "a breaker on {scope} is open, and faults would fight it"
            ));
        }
        if let Some((objective, speed)) = world.burning(service)
            && burning.is_some_and(|least| least <= speed)
        {
            return Some(format!(
                "objective {} of SLO {} burns, and faults would add to it",
                objective.index, objective.slo
            ));
        }
    }
    None
}

/// Until when it is known how the primary objective does.
pub(super) fn objective(hypothesis: &Hypothesis, world: &World) -> Result<Known, String> {
    let id = ObjectiveId {
        slo: hypothesis.slo.clone(),
        index: hypothesis.objective,
    };
    let name = format!("objective {} of SLO {}", id.index, id.slo);
    let found = world.signals().iter().find_map(|signal| match signal {
        Signal::Objective {
            objective,
            scope,
            target,
            left,
        } if *objective == id => Some((scope.clone(), *target, *left)),
        Signal::Objective { .. }
        | Signal::Burning { .. }
        | Signal::Changed { .. }
        | Signal::Alert(_)
        | Signal::Watched { .. }
        | Signal::Experimenting { .. }
        | Signal::Ordered { .. }
        | Signal::BudgetLeft { .. } => None,
    });
    let (scope, target, left) =
        found.ok_or_else(|| format!("{name} is not there, or not evaluated here"))?;
    if world.is_sliced(&id) {
        return Err(format!(
            "the budget of {name} counts slices of time, and what faults may spend is counted in requests: take one of an SLO with \
             budgetingMethod Occurrences"
        ));
    }
    if World::fresh_until(world.series(&id)) <= world.now() {
        return Err(format!("nobody reported on {name} in the last seconds"));
    }
    let left =
        left.ok_or_else(|| format!("it is not known what is left of the budget of {name}"))?;
    if left <= 0.0 {
        return Err(format!(
            "{name} is not met: nothing of its error budget is left"
        ));
    }
    let tolerance = hypothesis
        .tolerance
        .map_or_else(|| target.budget_fraction(), sloop_model::Share::as_fraction);
    Ok(Known {
        before: world.counts(&id, BEFORE).unwrap_or_default(),
        id,
        scope,
        tolerance,
        left,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn plan(spec: &ChaosSpec, primary: &Known, world: &World) -> Result<ExperimentPlan, String> {
    let recent = world.counts(&primary.id, RATE).unwrap_or_default();
    let rate = recent.total as f64 / RATE.as_secs_f64();
    if rate <= 0.0 {
        return Err(format!(
            "objective {} of SLO {} had no request in the last {}",
            primary.id.index,
            primary.id.slo,
            Length(RATE)
        ));
    }
    let bad_before = primary.before.bad() as f64 / (primary.before.total as f64).max(1.0);
    let shares: Vec<f64> = spec
        .faults
        .iter()
        .map(|fault| fault.share().as_fraction())
        .collect();
    let smallest = shares.iter().copied().fold(1.0, f64::min);
    let ratio = spec.control.as_fraction() / smallest;
    let bound = primary.tolerance;
    let needed_to_hold = needed((bad_before, 0.0), bound, ratio, ALPHA);
    #[expect(clippy::cast_precision_loss, reason = "at most four faults")]
    let alpha = ALPHA / spec.faults.len().max(1) as f64;
    let needed_to_break = needed((bad_before, 2.0 * bound), bound, ratio, alpha);
    let expected_s = needed_to_hold
        .zip(needed_to_break)
        .map(|(hold, broken)| seconds_for(hold.max(broken), rate * smallest, ratio));
    let lasting_s = spec.lasting_ms as f64 / 1_000.0;
    if let Some(expected) = expected_s.filter(|expected| lasting_s < *expected) {
        return Err(format!(
            "to see an effect of {} takes {:.0} requests in the arm of the fault; at {rate:.1} a second of which {} are in \
             it that is {}, and it may last {}: give it more time, larger arms, or a larger tolerance",
            Percent(bound),
            expected * rate * smallest,
            Percent(smallest),
            Length(Duration::try_from_secs_f64(expected.ceil()).unwrap_or(Duration::MAX)),
            Length(Duration::from_millis(spec.lasting_ms)),
        ));
    }
    Ok(ExperimentPlan {
        rate,
        bad_before,
        needed_to_hold,
        needed_to_break,
        expected_s,
        spent_max: rate * lasting_s * shares.iter().sum::<f64>(),
    })
}

/// Seconds until `requests` independent ones are there at `rate` a second, with what is added while their independence is not known. For each
/// there are `ratio` in the control arm.
fn seconds_for(requests: f64, rate: f64, ratio: f64) -> f64 {
    let alone = requests / rate;
    // What is added falls with time, but weakly: this settles at once.
    (0..8).fold(alone, |seconds, _| {
        alone * Clustering::planned(seconds, (ratio * rate, rate))
    })
}
