//! Puts together all that people see of an SLO.

use sloop_model::{DimensionValue, FilterConfig, ObjectiveId, Only, Rule};

use super::acted::Acted;
use super::composite::composite;
use super::intent::{BudgetingMethod, SloIntent, SloObjective, SloSource};
use super::measure::Measured;
use super::status::{ChangeStatus, ObjectiveStatus, SloStatus};
use super::window::SloWindow;
use crate::budget::Slicing;
use crate::circuit_break::{deadline_status, retry_status, shed_status, trip_status};
use crate::detect::detection_status;
use crate::words::{Length, Percent};
use crate::{Decided, Signal, World};

/// The status of `intent` after `decisions`, which are those about it.
pub(crate) fn describe(intent: &SloIntent, world: &World, decisions: &[&Decided]) -> SloStatus {
    let own = || decisions.iter();
    SloStatus {
        name: intent.name.clone(),
        display_name: intent.display_name.clone(),
        labels: intent.labels.clone(),
        service: intent.service.clone(),
        mode: intent.mode,
        window: intent.window.to_string(),
        budgeting: intent.budgeting,
        at: world.now(),
        objectives: (0..)
            .zip(&intent.objectives)
            .map(|(index, objective)| {
                let change = changed(decisions, &intent.objective_id(index));
                objective_status((intent, index), objective, change, world)
            })
            .collect(),
        composite: composite(intent, world),
        policies: own()
            .flat_map(|decided| &decided.decision.policies)
            .filter(|policy| !matches!(policy.rule, Rule::Count(_)))
            .cloned()
            .collect(),
        because: own()
            .map(|decided| decided.decision.because.clone())
            .collect(),
        notes: notes(intent, world),
    }
}

/// The change that the decisions say an objective had.
fn changed(decisions: &[&Decided], id: &ObjectiveId) -> Option<ChangeStatus> {
    let signals = decisions
        .iter()
        .flat_map(|decided| &decided.decision.signals);
    let mut changes = signals.filter_map(|signal| match signal {
        Signal::Changed {
            objective, change, ..
        } if objective == id => Some(*change),
        Signal::Changed { .. }
        | Signal::Alert(_)
        | Signal::Burning { .. }
        | Signal::Watched { .. }
        | Signal::Objective { .. }
        | Signal::Experimenting { .. }
        | Signal::Ordered { .. }
        | Signal::BudgetLeft { .. } => None,
    });
    changes.next()
}

fn objective_status(
    (intent, index): (&SloIntent, u32),
    objective: &SloObjective,
    change: Option<ChangeStatus>,
    world: &World,
) -> ObjectiveStatus {
    let measured = Measured::new(intent, index, objective, world);
    let reading = measured.reading();
    let source = objective.source.as_ref();
    let detection = source.and_then(|_| detection_status(objective.target, objective.slicing));
    let protected = source.zip(intent.protection());
    let trip = protected.and_then(|(source, _)| trip_status(objective.target, &source.indicator));
    let shed =
        protected.and_then(|(source, mode)| shed_status(mode, objective.target, &source.indicator));
    let deadline = protected.and_then(|(source, _)| {
        deadline_status(intent.deadline, objective.target, &source.indicator)
    });
    let retries = protected.and_then(|_| retry_status(objective.target));
    ObjectiveStatus {
        index,
        display_name: objective.display_name.clone(),
        target: objective.target.as_fraction(),
        slices: objective.slicing.map(slices_in_words),
        source: source.map(in_words),
        counts: reading.map(|reading| reading.counts),
        covered: reading.map_or(0.0, |reading| reading.covered),
        budget: measured.budget(),
        change,
        burn: measured.burns(),
        pairs: measured
            .pairs()
            .iter()
            .map(|pair| measured.pair_status(pair))
            .collect(),
        detection,
        trip,
        shed,
        deadline,
        retries,
        acted: source.map_or_else(Acted::default, |source| acted(source, world)),
    }
}

fn in_words(source: &SloSource) -> String {
    let mut text = format!("requests of {}", source.scope());
    if let Some(only) = &source.indicator.only {
        add_only(&mut text, only);
    }
    if let Some(within) = source.indicator.within_us {
        let within = Length(core::time::Duration::from_micros(within));
        text.push_str(&format!(" answered within {within}"));
    }
    text
}

/// Which of them, as `, only method GET or HEAD, caller shop`.
fn add_only(text: &mut String, only: &Only) {
    let mut before = ", only";
    for (what, names) in only.lists() {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(DimensionValue::as_str).collect();
            text.push_str(&format!("{before} {what} {}", names.join(" or ")));
            before = ",";
        }
    }
}

fn slices_in_words(slicing: Slicing) -> String {
    let length = Length(slicing.length());
    match slicing.target() {
        Some(target) => format!(
            "slices of {length}, good with {} of their requests",
            Percent(target)
        ),
        None => format!("slices of {length}, each with its share of good requests"),
    }
}

fn acted(source: &SloSource, world: &World) -> Acted {
    let scopes = world.scopes_of(&source.service);
    scopes
        .filter(|totals| source.covers(&totals.scope))
        .map(Acted::of)
        .fold(Acted::default(), Acted::plus)
}

/// What a reader must know to not misread the numbers.
fn notes(intent: &SloIntent, world: &World) -> Vec<String> {
    let mut notes = Vec::new();
    if intent.budgeting == BudgetingMethod::Timeslices
        && intent.weighed().next().is_some()
        && composite(intent, world).is_none()
    {
        notes.push(
            "the composite is not evaluated: its objectives have slices of different lengths"
                .to_owned(),
        );
    }
    if intent.window.start(world.now()).is_none() {
        notes.push("the first window has not begun: there is no budget yet".to_owned());
    }
    if let Some(days) = intent.window.outlasts(intent.budgeting) {
        let so = match intent.window {
            SloWindow::Rolling(_) => "so only those are known",
            SloWindow::Calendar { .. } | SloWindow::Fixed { .. } => {
                "and the window may be longer: then what was spent before them is not in the budget, which may look better than it is"
            }
        };
        notes.push(format!("counts are kept for {days} days, {so}"));
    }
    for index in (0..).take(intent.objectives.len()) {
        if let Some(elsewhere) = world.elsewhere(&intent.objective_id(index)) {
            notes.push(format!(
                "objective {index}: sidecars counted {} requests for it where it does not count, the last on {}, {} ago: look for sidecars with another configuration",
                elsewhere.requests,
                elsewhere.scope,
                Length(world.now().since(elsewhere.at)),
            ));
        }
    }
    for (index, objective, source) in intent.counted() {
        if world.is_surplus(&intent.objective_id(index)) {
            notes.push(format!(
                "objective {index}: not every sidecar counts it that should: a filter counts {} objectives on a scope, and on {} there are more",
                FilterConfig::OBJECTIVES_MAX,
                source.scope(),
            ));
        }
        if let Some(unnamed) = world.unnamed(source) {
            let (route, service) = (source.route.route_name(), &source.service);
            notes.push(format!(
                "objective {index}: nobody counts it: no RouteSet names the route {route} of {service}, and {unnamed}",
            ));
        }
        let measured = Measured::new(intent, index, objective, world);
        if let Some(reading) = measured.reading().filter(|reading| reading.covered < 0.99) {
            notes.push(format!(
                "objective {index}: somebody reported on {} of the window; the rest is not known",
                Percent(reading.covered)
            ));
        }
    }
    notes
}
