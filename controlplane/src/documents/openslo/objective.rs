//! The objectives of an SLO.

use sloop_controllers::BudgetingMethod;

use super::super::reader::{At, Fields, Spot};
use super::duration::{self, Shorthand};
use super::sli::{Metric, Sli};
use super::slo::{Indicator, has_indicator, read_indicator};

/// Objectives of one SLO; a filter judges at most 32 on every request.
const OBJECTIVES_MAX: usize = 1_000;

/// One objective as it is written.
#[derive(Clone, Debug)]
pub(in crate::documents) struct Objective {
    pub(in crate::documents) spot: Spot,
    pub(in crate::documents) display_name: Option<String>,
    /// The share that must be good, `0.0..1.0`.
    pub(in crate::documents) target: f64,
    /// As written, perhaps empty or wrong: it matters for threshold metrics only.
    pub(in crate::documents) op: String,
    pub(in crate::documents) value: Option<f64>,
    /// Its own, in a composite.
    pub(in crate::documents) indicator: Option<Indicator>,
    /// Its weight in a composite, above 0 there; 1 when none is given.
    pub(in crate::documents) weight: f64,
    /// Where `timeSliceWindow` is, and what it says.
    pub(in crate::documents) slice: Option<(Spot, Shorthand)>,
    /// The share of a slice's requests that makes it good, `0.0..=1.0` without zero for `Timeslices`.
    pub(in crate::documents) slice_target: Option<f64>,
}

/// Reads `objectives`. `sli` is the SLO's inline indicator, if it has one.
pub(super) fn read_all(
    spec: &Fields<'_>,
    budgeting: Option<BudgetingMethod>,
    sli: Option<&Sli>,
) -> Vec<Objective> {
    let items = spec
        .get("objectives")
        .and_then(|at| at.items(OBJECTIVES_MAX));
    let objectives: Vec<Fields<'_>> = items
        .into_iter()
        .flatten()
        .filter_map(|at| at.fields(FIELDS))
        .collect();
    let is_composite = objectives.iter().any(has_indicator);
    objectives
        .iter()
        .filter_map(|fields| {
            let weight = read_weight(fields, is_composite);
            let (slice, slice_target) = read_slices(fields, budgeting);
            check_comparison(fields, sli);
            let indicator = read_indicator(fields);
            let display_name = fields.text("displayName");
            Some(Objective {
                spot: fields.at().spot().clone(),
                display_name: (!display_name.is_empty()).then(|| display_name.to_owned()),
                target: read_target(fields)?,
                op: fields.text("op").to_owned(),
                value: fields.get("value").and_then(|at| at.number()),
                indicator,
                weight,
                slice,
                slice_target,
            })
        })
        .collect()
}

const FIELDS: &[&str] = &[
    "displayName",
    "op",
    "value",
    "target",
    "targetPercent",
    "timeSliceTarget",
    "timeSliceWindow",
    "indicator",
    "indicatorRef",
    "compositeWeight",
];

fn read_target(fields: &Fields<'_>) -> Option<f64> {
    match (fields.get("target"), fields.get("targetPercent")) {
        (Some(share), None) => below(&share, 1.0),
        (None, Some(percent)) => below(&percent, 100.0).map(|percent| percent / 100.0),
        (Some(_), Some(_)) => {
            fields
                .at()
                .refuse("has target and targetPercent; give one of them");
            None
        }
        (None, None) => {
            fields.at().refuse("needs target or targetPercent");
            None
        }
    }
}

fn below(at: &At<'_>, whole: f64) -> Option<f64> {
    let number = at.number()?;
    if !(0.0..whole).contains(&number) {
        at.refuse(format!(
            "is {number}; it must be at least 0 and below {whole}: all of it would leave no error budget"
        ));
    }
    Some(number)
}

/// The weight matters in a composite only; elsewhere any number will do.
fn read_weight(fields: &Fields<'_>, is_composite: bool) -> f64 {
    const USUAL: f64 = 1.0;
    let weight = fields.get("compositeWeight");
    let Some((at, number)) = weight.and_then(|at| Some((at.clone(), at.number()?))) else {
        return USUAL;
    };
    if is_composite && number <= 0.0 {
        at.refuse(format!("is {number}; it must be above 0"));
    }
    number
}

/// What each budgeting method needs: the slices' length with its place, and their target.
fn read_slices(
    fields: &Fields<'_>,
    budgeting: Option<BudgetingMethod>,
) -> (Option<(Spot, Shorthand)>, Option<f64>) {
    let (needs_window, needs_target) = match budgeting {
        Some(BudgetingMethod::Timeslices) => (true, true),
        Some(BudgetingMethod::RatioTimeslices) => (true, false),
        Some(BudgetingMethod::Occurrences) | None => (false, false),
    };
    let window = if needs_window {
        fields.required("timeSliceWindow")
    } else {
        fields.get("timeSliceWindow")
    };
    let window = window.and_then(|at| Some((at.spot().clone(), duration::read(&at)?)));
    let target = if needs_target {
        fields.required("timeSliceTarget")
    } else {
        fields.get("timeSliceTarget")
    };
    let Some((at, share)) = target.and_then(|at| Some((at.clone(), at.number()?))) else {
        return (window, None);
    };
    if needs_target && !(0.0 < share && share <= 1.0) {
        at.refuse(format!("is {share}; it must be above 0 and at most 1"));
    }
    (window, Some(share))
}

/// A threshold metric needs something to compare with, a ratio has no use for it.
///
/// Of a metric in another document nothing is known here.
fn check_comparison(fields: &Fields<'_>, sli: Option<&Sli>) {
    match sli.map(|sli| &sli.metric) {
        Some(Metric::Threshold(_)) => {
            fields.required("value");
            if let Some(op) = fields.required("op") {
                op.word(&["lte", "gte", "lt", "gt"].map(|word| (word, ())));
            }
        }
        Some(Metric::Ratio { .. } | Metric::Raw(_)) => {
            let op = fields.get("op").filter(|at| at.text() != Some(""));
            for at in op.iter().chain(&fields.get("value")) {
                at.refuse("a ratioMetric has no threshold; leave it out");
            }
        }
        None => {}
    }
}
