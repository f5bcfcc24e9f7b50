//! Which documents a document refers to by name.
//!
//! What is not there is no problem by itself (the document may be for another system): it is noted where it
//! matters. But what is referred to is not deleted ([`super::Folder::plan_delete`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Remark;
use super::applied::DocumentId;
use super::document::{Body, Document, Parsed};
use super::openslo::{AlertPolicy, Indicator, Metric, Named, Sli, Slo};
use super::reader::Spot;

/// Where what is `in_force` refers to `gone`, unless another document has its kind and name.
pub(super) fn still_referring(
    in_force: &BTreeMap<String, Arc<Parsed>>,
    gone: &DocumentId,
) -> Vec<Remark> {
    let all = in_force.iter().flat_map(|(file, parsed)| {
        let documents = parsed.documents.iter();
        documents.map(move |document| (file, document))
    });
    let is_there = |document: &Document| document.kind == gone.kind && document.name == gone.name;
    if all.clone().any(|(_, document)| is_there(document)) {
        return Vec::new();
    }
    let referring = all.flat_map(|(file, document)| {
        let references = of(document).into_iter();
        let to_it = references.filter(|reference| reference.to == *gone);
        to_it.map(move |reference| {
            let Document { kind, name, .. } = document;
            let why = format!("the {kind} {name} refers to {gone}; delete or change that first");
            Remark::of(file, &reference.spot.says(why))
        })
    });
    referring.collect()
}

/// A document that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    to: DocumentId,
    /// Where it is named.
    spot: Spot,
}

/// What `document` refers to, in the order of what it says.
fn of(document: &Document) -> Vec<Reference> {
    let mut found = Vec::new();
    match &document.body {
        Body::Slo(slo) => of_slo(slo, &mut found),
        Body::Sli(sli) => of_sli(sli, &mut found),
        Body::AlertPolicy(policy) => of_policy(policy, &mut found),
        Body::ChaosExperiment(intent) => {
            let hypotheses = intent.spec().hypothesis.iter();
            found.extend(hypotheses.map(|it| reference("SLO", it.slo.as_str(), &document.spot)));
        }
        Body::DataSource(_)
        | Body::RouteSet(_)
        | Body::CircuitBreaker(_)
        | Body::FaultInjection(_)
        | Body::LoadShedding(_)
        | Body::DenyRule(_)
        | Body::FilterSettings(_)
        | Body::AlertCondition(_)
        | Body::NotificationTarget(_)
        | Body::EnvoyResource(_)
        | Body::AccessRule(_)
        | Body::Checked => {}
    }
    found
}

fn of_slo(slo: &Slo, found: &mut Vec<Reference>) {
    let own = slo.objectives.iter().map(|it| it.indicator.as_ref());
    for indicator in own.chain([slo.indicator.as_ref()]).flatten() {
        match indicator {
            Indicator::Inline(sli) => of_sli(sli, found),
            Indicator::Reference { name, spot } => found.push(reference("SLI", name, spot)),
        }
    }
    for policy in &slo.alert_policies {
        match policy {
            Named::Inline { value, .. } => of_policy(value, found),
            Named::Reference { name, spot } => found.push(reference("AlertPolicy", name, spot)),
        }
    }
}

fn of_sli(sli: &Sli, found: &mut Vec<Reference>) {
    let sources = match &sli.metric {
        Metric::Threshold(source) | Metric::Raw(source) => vec![&**source],
        Metric::Ratio { total, good, bad } => [Some(total), good.as_ref(), bad.as_ref()]
            .into_iter()
            .flatten()
            .map(|source| &**source)
            .collect(),
    };
    for source in sources {
        if let Some(name) = &source.reference {
            let spot = source.spot.field("metricSourceRef");
            found.push(reference("DataSource", name, &spot));
        }
    }
}

fn of_policy(policy: &AlertPolicy, found: &mut Vec<Reference>) {
    if let Named::Reference { name, spot } = &policy.condition {
        found.push(reference("AlertCondition", name, spot));
    }
    for target in &policy.targets {
        if let Named::Reference { name, spot } = target {
            found.push(reference("AlertNotificationTarget", name, spot));
        }
    }
}

fn reference(kind: &str, name: &str, spot: &Spot) -> Reference {
    Reference {
        to: DocumentId {
            kind: kind.to_owned(),
            name: name.to_owned(),
        },
        spot: spot.clone(),
    }
}
