//! Turns an SLO as it is written into what controllers work with.

use std::collections::BTreeMap;

use sloop_controllers::{
    BudgetingMethod, DeadlineChoice, Slicing, SloIntent, SloMode, SloObjective, SloSource,
    SloWindow, Weight,
};
use sloop_model::{SloName, Target, WallTime};

use super::indicator::{Meaning, meaning};
use super::openslo::{
    AlertCondition, AlertPolicy, Indicator, NotificationTarget, Objective, Sli, Slo,
};
use super::reader::{Finding, Sink, Spot};
use super::suggest;

/// Stands for a window that is not evaluated here; it is shown only.
const NOT_EVALUATED: SloWindow = SloWindow::Rolling(90 * 24 * 60 * 60 * 1_000);
/// Stands for a target so near to the whole that no budget is left; it is shown only.
const NEAREST: u32 = Target::WHOLE - 1;

/// What SLOs may refer to.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The types of data sources by name.
    pub(super) types: BTreeMap<&'a str, &'a str>,
    /// Indicators by name.
    pub(super) slis: BTreeMap<&'a str, &'a Sli>,
    /// Alert policies by name.
    pub(super) policies: BTreeMap<&'a str, &'a AlertPolicy>,
    /// Their conditions by name.
    pub(super) conditions: BTreeMap<&'a str, &'a AlertCondition>,
    /// Who can be told, by name.
    pub(super) targets: BTreeMap<&'a str, &'a NotificationTarget>,
    /// When this is.
    pub(super) now: WallTime,
}

/// Makes an intent of `slo`. `None` after a complaint.
pub(super) fn slo(slo: &Slo, context: &Context<'_>, sink: &Sink) -> Option<SloIntent> {
    let window = slo.window.at(context.now);
    let mut objectives = Vec::new();
    for objective in &slo.objectives {
        let source = source(slo, objective, context, sink)?;
        if let (Some(_), Err(why)) = (&source, &window) {
            sink.note(slo.window.spot.says(format!("not evaluated here: {why}")));
        }
        let slicing = slicing(slo, objective);
        if let (Some(_), Err(why)) = (&source, &slicing) {
            sink.note(why.clone());
        }
        let source = source.filter(|_| window.is_ok() && slicing.is_ok());
        objectives.push(SloObjective {
            display_name: objective.display_name.clone(),
            target: target(objective, source.is_some(), sink)?,
            slicing: slicing.unwrap_or_default(),
            weight: weight(objective, sink),
            source,
        });
    }
    refuse_to_act_on_a_part(slo, &objectives, sink);
    say_what_is_not_done(slo, &objectives, window.as_ref().ok(), sink);
    Some(SloIntent {
        name: SloName::try_from(slo.name.as_str())
            .map_err(|error| sink.refuse(slo.spot.says(error)))
            .ok()?,
        display_name: slo.display_name.clone(),
        labels: slo.labels.clone(),
        service: slo.service.clone(),
        mode: slo.mode,
        deadline: slo.deadline,
        window: window.unwrap_or(NOT_EVALUATED),
        budgeting: slo.budgeting,
        objectives,
    })
}

/// What an objective counts; `Some(None)` when it is not evaluated here, `None` after a complaint.
#[expect(clippy::option_option, reason = "not ours and wrong differ")]
fn source(
    slo: &Slo,
    objective: &Objective,
    context: &Context<'_>,
    sink: &Sink,
) -> Option<Option<SloSource>> {
    let indicator = objective.indicator.as_ref().or(slo.indicator.as_ref());
    let (sli, spot): (&Sli, &Spot) = match indicator {
        Some(Indicator::Inline(sli)) => (sli, &sli.spot),
        Some(Indicator::Reference { name, spot }) => match context.slis.get(name.as_str()) {
            Some(sli) => (sli, spot),
            None => {
                let known: Vec<&str> = context.slis.keys().copied().collect();
                let perhaps = suggest::perhaps(name, &known);
                let why = format!(
                    "not evaluated here: there is no SLI {name} in these documents{perhaps}"
                );
                sink.note(spot.says(why));
                return Some(None);
            }
        },
        None => {
            let why = "not evaluated here: the objective has no indicator";
            sink.note(objective.spot.says(why));
            return Some(None);
        }
    };
    // A standalone SLI's own mistakes are its file's.
    let own = Sink::default();
    let is_inline = matches!(indicator, Some(Indicator::Inline(_)));
    match meaning(sli, &context.types, if is_inline { sink } else { &own }) {
        Some(Meaning::Here(counted)) => counted.source(&slo.service, objective, sink).map(Some),
        Some(Meaning::Elsewhere(why)) => {
            sink.note(spot.says(format!("not evaluated here: {why}")));
            Some(None)
        }
        None => None,
    }
}

/// The slices that the budget of an objective counts; nothing when it counts requests.
/// When they cannot be, why.
fn slicing(slo: &Slo, objective: &Objective) -> Result<Option<Slicing>, Finding> {
    let Some((spot, duration)) = &objective.slice else {
        return Ok(None);
    };
    let length = duration.length();
    let slicing = match slo.budgeting {
        BudgetingMethod::Occurrences => return Ok(None),
        BudgetingMethod::Timeslices => {
            Slicing::whole(length, objective.slice_target.unwrap_or_default())
        }
        BudgetingMethod::RatioTimeslices => Slicing::ratio(length),
    };
    if slo.window.length() < length {
        let why = format!("not evaluated here: {duration} is longer than the SLO's window");
        return Err(spot.says(why));
    }
    slicing
        .map(Some)
        .map_err(|error| spot.says(format!("not evaluated here: {error}")))
}

/// What an objective weighs in a composite; nothing when there is none.
fn weight(objective: &Objective, sink: &Sink) -> Option<Weight> {
    objective.indicator.as_ref()?;
    let weight = Weight::nearest(objective.weight);
    let difference = (weight.factor() - objective.weight).abs();
    if 1e-3 * objective.weight < difference {
        let spot = objective.spot.field("compositeWeight");
        let why = format!("is {}; it is held at {}", objective.weight, weight.factor());
        sink.note(spot.says(why));
    }
    Some(weight)
}

fn target(objective: &Objective, is_counted: bool, sink: &Sink) -> Option<Target> {
    match Target::parse(objective.target) {
        Ok(target) => Some(target),
        Err(_) if !is_counted => Target::try_from(NEAREST).ok(),
        // Said where it was read.
        Err(_) if !(0.0..1.0).contains(&objective.target) => None,
        Err(error) => {
            sink.refuse(
                objective
                    .spot
                    .says(format!("{error}, by a billionth or more")),
            );
            None
        }
    }
}

/// What protects a route does so for all of its requests: an SLO on some of them can neither act nor say what acting would do.
fn refuse_to_act_on_a_part(slo: &Slo, objectives: &[SloObjective], sink: &Sink) {
    let mode = match slo.mode {
        SloMode::Monitored => return,
        SloMode::Shadow => "shadow",
        SloMode::Actionable => "actionable",
    };
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, objective) in objectives.iter().enumerate() {
        let source = objective.source.as_ref();
        let Some(only) = source.and_then(|source| source.indicator.only.as_ref()) else {
            continue;
        };
        let given = only.lists().into_iter();
        let given = given.filter(|(_, names)| !names.is_empty());
        let given: Vec<&str> = given.map(|(name, _)| name).collect();
        let indexes = alike.entry(given.join(" and ")).or_default();
        indexes.push(index.to_string());
    }
    for (given, indexes) in alike {
        let plural = if indexes.len() == 1 { "" } else { "s" };
        sink.refuse(slo.mode_spot.says(format!(
            "is {mode}, but the metricSource of objective{plural} {} has {given}: breakers, shedding and the like are for all \
             requests of a route; make it monitored, or give these requests a route of their own in a RouteSet",
            indexes.join(", "),
        )));
    }
}

fn say_what_is_not_done(
    slo: &Slo,
    objectives: &[SloObjective],
    window: Option<&SloWindow>,
    sink: &Sink,
) {
    if objectives
        .iter()
        .all(|objective| objective.source.is_none())
    {
        if slo.mode != SloMode::Monitored {
            sink.note(
                slo.spot
                    .says("sloop.dev/mode has no effect: nothing of it is evaluated here"),
            );
        }
        return;
    }
    if slo.mode == SloMode::Monitored && slo.deadline != DeadlineChoice::Derived {
        let why = "sloop.dev/deadline has no effect: the SLO is monitored, so nothing acts on it";
        sink.note(slo.spot.says(why));
    }
    if let Some(window) = window
        && let Some(days) = window.outlasts(slo.budgeting)
    {
        let why = match window {
            SloWindow::Rolling(_) => {
                format!("longer than {days} days; counts of the last {days} days are known")
            }
            SloWindow::Calendar { .. } | SloWindow::Fixed { .. } => format!(
                "may be longer than {days} days; counts of the last {days} days are known, so what was spent before drops out and more of the budget seems left"
            ),
        };
        sink.note(slo.window.spot.says(why));
    }
}
