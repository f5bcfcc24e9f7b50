//! The kind SLO.

use std::collections::BTreeMap;

use sloop_controllers::{BudgetingMethod, DeadlineChoice, SloMode};
use sloop_model::ServiceName;

use super::super::metadata::{self, Metadata};
use super::super::reader::{At, Fields, Spot};
use super::alert::{self, AlertPolicy, Named};
use super::deadline;
use super::objective::{self, Objective};
use super::sli::{self, Sli};
use super::window::{self, Window};
use super::{DESCRIPTION, check_description};

/// An SLO as it is written, each part checked by itself.
#[derive(Clone, Debug)]
pub(in crate::documents) struct Slo {
    pub(in crate::documents) spot: Spot,
    pub(in crate::documents) name: String,
    pub(in crate::documents) display_name: Option<String>,
    pub(in crate::documents) labels: BTreeMap<String, String>,
    /// Those that are not ours; they come with alerts.
    pub(in crate::documents) annotations: BTreeMap<String, String>,
    pub(in crate::documents) mode: SloMode,
    /// Where `mode` is given; the name's where it is not.
    pub(in crate::documents) mode_spot: Spot,
    pub(in crate::documents) deadline: DeadlineChoice,
    pub(in crate::documents) service: ServiceName,
    pub(in crate::documents) window: Window,
    pub(in crate::documents) budgeting: BudgetingMethod,
    /// For all objectives; nothing when each has its own (a composite).
    pub(in crate::documents) indicator: Option<Indicator>,
    pub(in crate::documents) objectives: Vec<Objective>,
    pub(in crate::documents) alert_policies: Vec<Named<AlertPolicy>>,
}

/// An indicator, or the name of one.
#[derive(Clone, Debug)]
pub(in crate::documents) enum Indicator {
    /// In its place.
    Inline(Sli),
    /// In a document of kind SLI.
    Reference { name: String, spot: Spot },
}

/// Reads an SLO.
pub(super) fn read(document: &Fields<'_>, metadata: Metadata<'_>) -> Option<Slo> {
    let mode = metadata.mode.as_ref().map(|mode| {
        mode.word(&[
            ("monitored", SloMode::Monitored),
            ("shadow", SloMode::Shadow),
            ("actionable", SloMode::Actionable),
        ])
    });
    let deadline = metadata.deadline.as_ref().map(deadline::read);
    let spec = document.required("spec")?;
    let fields = spec.fields(&[
        DESCRIPTION,
        "service",
        "indicator",
        "indicatorRef",
        "budgetingMethod",
        "timeWindow",
        "objectives",
        "alertPolicies",
    ])?;
    check_description(&fields);
    let service = fields.required("service").and_then(|at| at.parse());
    let method = fields.required("budgetingMethod");
    let budgeting = method.as_ref().and_then(read_method);
    let window = window::read(&fields);
    let indicator = read_indicator(&fields);
    let alert_policies = alert::read_policies(&fields);
    let objectives = objective::read_all(&fields, budgeting, inline(indicator.as_ref()));
    check_indicators(&fields);
    let mode_spot = metadata.mode.as_ref().map(|mode| mode.spot().clone());
    Some(Slo {
        mode_spot: mode_spot.unwrap_or_else(|| metadata.name_spot.clone()),
        spot: metadata.name_spot,
        name: metadata.name,
        display_name: metadata.display_name,
        labels: metadata::kept_labels(metadata.labels),
        annotations: metadata::kept_annotations(metadata.annotations),
        mode: mode.unwrap_or(Some(SloMode::Monitored))?,
        deadline: deadline.unwrap_or(Some(DeadlineChoice::Derived))?,
        service: service?,
        window: window?,
        budgeting: budgeting?,
        indicator,
        objectives,
        alert_policies,
    })
}

/// Reads `indicator` or `indicatorRef`, of which at most one may be given.
pub(super) fn read_indicator(parent: &Fields<'_>) -> Option<Indicator> {
    let reference = parent.get("indicatorRef").and_then(|at| {
        let name = metadata::read_name(&at)?;
        let spot = at.spot().clone();
        Some(Indicator::Reference { name, spot })
    });
    let Some(inline) = parent.get("indicator") else {
        return reference;
    };
    if parent.get("indicatorRef").is_some() {
        parent
            .at()
            .refuse("has indicator and indicatorRef; give one of them");
    }
    sli::read_inline(&inline).map(Indicator::Inline)
}

fn inline(indicator: Option<&Indicator>) -> Option<&Sli> {
    match indicator {
        Some(Indicator::Inline(sli)) => Some(sli),
        Some(Indicator::Reference { .. }) | None => None,
    }
}

fn read_method(at: &At<'_>) -> Option<BudgetingMethod> {
    at.word(&[
        ("Occurrences", BudgetingMethod::Occurrences),
        ("Timeslices", BudgetingMethod::Timeslices),
        ("RatioTimeslices", BudgetingMethod::RatioTimeslices),
    ])
}

/// The indicator is the SLO's, or each objective has one: never both, never none.
fn check_indicators(spec: &Fields<'_>) {
    let has_own = has_indicator(spec);
    let objectives = spec.get("objectives").and_then(|at| at.items(usize::MAX));
    let objectives: Vec<Fields<'_>> = objectives
        .into_iter()
        .flatten()
        .filter_map(|at| at.any_fields())
        .collect();
    let is_composite = objectives.iter().any(has_indicator);
    match (has_own, is_composite) {
        (true, true) => spec.at().refuse(
            "has an indicator, and so have its objectives; give it here, or in every objective of a composite",
        ),
        (false, false) => spec.at().refuse(
            "needs indicator or indicatorRef, here or in every objective of a composite",
        ),
        (true, false) | (false, true) => {}
    }
}

/// Whether an indicator is given here.
pub(super) fn has_indicator(parent: &Fields<'_>) -> bool {
    parent.get("indicator").is_some() || parent.get("indicatorRef").is_some()
}
