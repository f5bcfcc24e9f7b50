//! The kinds of `openslo/v1` (<https://github.com/OpenSLO/OpenSLO>).
//!
//! What the specification's Go SDK accepts is accepted here, and what it
//! refuses is refused; the README of this crate lists the few differences. What
//! this version does not evaluate is checked all the same.

mod alert;
mod deadline;
mod duration;
mod objective;
mod sli;
mod slo;
mod window;

pub(super) use alert::{AlertCondition, AlertPolicy, Named, NotificationTarget};
pub(super) use objective::Objective;
pub(super) use sli::{Metric, Sli, Source};
pub(super) use slo::{Indicator, Slo};

use super::document::Body;
use super::metadata::{self, Metadata};
use super::reader::Fields;

/// The field that every kind may have.
const DESCRIPTION: &str = "description";
/// The longest description in characters, by OpenSLO's specification.
pub(super) const DESCRIPTION_CHARS_MAX: usize = 1_050;

/// The kinds, as documents name them.
pub(super) const KINDS: &[&str] = &[
    "SLO",
    "SLI",
    "DataSource",
    "Service",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
];

/// Where measurements come from.
#[derive(Clone, Debug)]
pub(super) struct DataSource {
    /// Free text; `sloop` is this system.
    pub(super) kind: String,
}

/// Reads what follows the metadata of a document of `kind`.
pub(super) fn read(kind: &str, document: &Fields<'_>, metadata: Metadata<'_>) -> Option<Body> {
    match kind {
        "SLO" => metadata::refuse_of_policies(&metadata),
        "AlertPolicy" => metadata::refuse_of_slos(&metadata),
        _ => metadata::refuse_ours(&metadata),
    }
    match kind {
        "SLO" => slo::read(document, metadata).map(|slo| Body::Slo(Box::new(slo))),
        "SLI" => sli::read(document).map(|sli| Body::Sli(Box::new(sli))),
        "DataSource" => read_data_source(document).map(Body::DataSource),
        "Service" => {
            let spec = document
                .get("spec")
                .and_then(|at| at.fields(&[DESCRIPTION]));
            spec.iter().for_each(check_description);
            Some(Body::Checked)
        }
        "AlertPolicy" => alert::read_policy(document, Some(&metadata))
            .map(|policy| Body::AlertPolicy(Box::new(policy))),
        "AlertCondition" => alert::read_condition(document).map(Body::AlertCondition),
        _ => alert::read_target(document).map(Body::NotificationTarget),
    }
}

fn read_data_source(document: &Fields<'_>) -> Option<DataSource> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&[DESCRIPTION, "type", "connectionDetails"])?;
    check_description(&fields);
    if !fields.has("connectionDetails") {
        fields.required("connectionDetails");
    }
    let kind = fields.required_text("type")?.to_owned();
    Some(DataSource { kind })
}

fn check_description(fields: &Fields<'_>) {
    let given = fields.text(DESCRIPTION).chars().count();
    if let Some(at) = fields
        .get(DESCRIPTION)
        .filter(|_| DESCRIPTION_CHARS_MAX < given)
    {
        at.refuse(format!(
            "has {given} characters; it may have at most {DESCRIPTION_CHARS_MAX}"
        ));
    }
}
