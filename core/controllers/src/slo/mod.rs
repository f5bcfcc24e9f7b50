//! Measures SLOs: what is counted, how fast the budget burns, what is left.
//!
//! It lets the filters count, and derives from the counts a signal for every
//! objective that burns ([`crate::Signal::Burning`]) and for what is left of its budget.
//! An objective of which nobody reported anything neither burns nor has a budget: not
//! known is neither good nor bad. Until when it is known says [`crate::Signal::Watched`].
//!
//! Beside the windows a detector ([`crate::detect`]) sees within tens of requests
//! that the rate of failures changed ([`crate::Signal::Changed`]); then the objective burns, too. Not so where slices are
//! counted: one failure may make a slice bad, so of the share of bad slices the rate of failures says too little.

mod acted;
mod composite;
mod describe;
mod forecast;
mod intent;
mod measure;
mod memory;
mod status;
mod tally;
mod window;
mod windows;

pub use acted::{Acted, Means, Refusals};
pub(crate) use composite::{Composite, Rate, cuts};
pub(crate) use describe::describe;
pub use intent::{
    BudgetingMethod, DeadlineChoice, Indicator, SloIntent, SloMode, SloObjective, SloSource,
    Weight, objective_name,
};
pub use memory::SloMemory;
pub use status::{
    BudgetStatus, BudgetUnit, BurnStatus, ChangeStatus, CompositeBurn, CompositeStatus,
    DeadlineStatus, DetectionStatus, ObjectiveStatus, PairStatus, RetryStatus, ShedStatus,
    SloStatus, TripStatus,
};
pub(crate) use tally::{Tally, share};
pub use window::SloWindow;
pub(crate) use windows::bad_share;
#[cfg(test)]
pub(crate) use windows::pairs;

use core::fmt::Write as _;
use core::time::Duration;

use measure::Measured;
use sloop_model::{Objective, Policy, Rule, WallTime};

use crate::circuit_break::guards;
use crate::detect::Change;
use crate::words::{Length, Percent, joined};
use crate::{Controller, Decision, Signal, Speed, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct Slo;

impl Controller for Slo {
    type Intent = SloIntent;
    type Memory = SloMemory;
    const KIND: &'static str = "slo";
    const STAGE: Stage = Stage::Measure;

    fn step(&self, intent: &SloIntent, memory: &mut SloMemory, world: &World) -> Decision {
        let objectives = intent.objectives.len();
        let mut decision = Decision {
            policies: Vec::with_capacity(objectives),
            signals: Vec::with_capacity(3 * objectives),
            ..Decision::default()
        };
        let mut because = Vec::with_capacity(objectives);
        for (index, objective, source) in intent.counted() {
            let measured = Measured::new(intent, index, objective, world);
            decision.policies.push(Policy {
                scope: source.scope(),
                rule: Rule::Count(Box::new(Objective {
                    guards: guards(intent.protection(), objective.target, &source.indicator),
                    ..source.indicator.objective(measured.id.clone())
                })),
            });
            // A slice may be bad by one failure: of their share the rate of failures says too little.
            let change = match intent.budgeting {
                BudgetingMethod::Occurrences => {
                    memory.look(index, objective.target, measured.ever(), world.now())
                }
                BudgetingMethod::Timeslices | BudgetingMethod::RatioTimeslices => None,
            };
            let sudden = change.map(|change| memory::speed(change, objective.target));
            let speed = measured.speed().max(sudden);
            let burned = memory.burned(index, speed, &measured);
            if let Some(change) = change {
                decision.signals.push(Signal::Changed {
                    objective: measured.id.clone(),
                    service: source.service.clone(),
                    change: memory::status(change, objective.target),
                });
            }
            if let Some(speed) = speed {
                decision.signals.push(Signal::Burning {
                    objective: measured.id.clone(),
                    service: source.service.clone(),
                    speed,
                });
            }
            decision.signals.push(Signal::Watched {
                objective: measured.id.clone(),
                service: source.service.clone(),
                until: measured.fresh_until(),
                burned,
            });
            let budget = measured.budget();
            decision.signals.push(Signal::Objective {
                objective: measured.id.clone(),
                scope: source.scope(),
                target: objective.target,
                left: budget.map(|budget| budget.left),
            });
            if let Some(budget) = budget {
                decision.signals.push(Signal::BudgetLeft {
                    objective: measured.id.clone(),
                    share: budget.left_share,
                });
            }
            because.push(explain(&measured, budget.as_ref(), (speed, change)));
        }
        if because.is_empty() {
            because.push("not evaluated here: no objective has a source of ours".to_owned());
        }
        decision.because = joined(because);
        decision
    }
}

/// Why an objective burns or not, with the numbers.
fn explain(
    measured: &Measured<'_>,
    budget: Option<&BudgetStatus>,
    (speed, change): (Option<Speed>, Option<Change>),
) -> String {
    let target = Percent(measured.target.as_fraction());
    let Some((reading, budget)) = measured.reading().zip(budget) else {
        return format!("target {target}: not known, nobody has reported on it");
    };
    let counts = reading.counts;
    let good = Percent(share(counts.good, counts.total));
    let left = Percent(budget.left_share);
    let window = measured.window;
    // Said of every objective in every step.
    let mut text = String::with_capacity(192);
    match budget.unit {
        _ if counts.total == 0 => write!(text, "target {target}: no request in {window}"),
        BudgetUnit::Requests => write!(
            text,
            "target {target}: {good} of {} requests were good in {window}, {left} of the budget is left",
            counts.total
        ),
        BudgetUnit::Slices => write!(
            text,
            "target {target}: {} slices were good in {window}, {left} of the budget is left",
            measured.slices_in_words(),
        ),
    }
    .ok();
    match (speed, change) {
        (None, _) => text.push_str("; no window surely burns too fast"),
        (Some(_), Some(change)) => add_change(&mut text, change, measured.now()),
        (Some(speed), None) => add_burn(&mut text, speed, measured),
    }
    text
}

fn add_change(text: &mut String, change: Change, now: WallTime) {
    let Change { at, counts } = change;
    write!(
        text,
        "; the rate of failures changed: {} of {} requests ({}) were bad in the last {}",
        counts.bad(),
        counts.total,
        Percent(share(counts.bad(), counts.total)),
        Length(now.since(at)),
    )
    .ok();
}

fn add_burn(text: &mut String, speed: Speed, measured: &Measured<'_>) {
    let window = match speed {
        Speed::Now => measured.burns_now(),
        Speed::Page | Speed::Fast | Speed::Slow => measured
            .pairs()
            .iter()
            .find(|pair| measured.fires(pair) == Some(true))
            .map(|pair| pair.short),
    };
    let window = window.unwrap_or(Duration::from_secs(5));
    let burn = measured.burn(window);
    let bad = burn.counts.unwrap_or_default();
    write!(
        text,
        "; it burns {:.1} times as fast as it may (surely {:.1} to {:.1}): {} of {} requests were bad in the last {}",
        burn.burn.unwrap_or_default(),
        burn.low.unwrap_or_default(),
        burn.high.unwrap_or_default(),
        bad.bad(),
        bad.total,
        Length(window),
    )
    .ok();
}

#[cfg(test)]
mod tests;
