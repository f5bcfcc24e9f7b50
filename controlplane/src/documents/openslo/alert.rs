//! The kinds about alerts.

use std::collections::BTreeMap;

use sloop_controllers::{AlertWhen, Comparison};

use super::super::metadata::{self, Metadata};
use super::super::reader::{At, Fields, Spot};
use super::duration::{self, Shorthand};
use super::{DESCRIPTION, check_description};

/// What stands in a list: an object, or the name of a document.
#[derive(Clone, Debug)]
pub(in crate::documents) enum Named<T> {
    /// In its place.
    Inline { name: String, value: T },
    /// In a document of that kind.
    Reference { name: String, spot: Spot },
}

/// An `AlertPolicy`.
#[derive(Clone, Debug)]
pub(in crate::documents) struct AlertPolicy {
    /// Those that are not ours, by key.
    pub(in crate::documents) annotations: BTreeMap<String, String>,
    pub(in crate::documents) when: AlertWhen,
    pub(in crate::documents) acting: bool,
    pub(in crate::documents) condition: Named<AlertCondition>,
    pub(in crate::documents) targets: Vec<Named<NotificationTarget>>,
}

/// An `AlertCondition`; its kind is always the burn rate.
#[derive(Clone, Debug)]
pub(in crate::documents) struct AlertCondition {
    pub(in crate::documents) severity: String,
    pub(in crate::documents) op: Comparison,
    pub(in crate::documents) threshold: f64,
    pub(in crate::documents) lookback: Shorthand,
    pub(in crate::documents) after: Option<Shorthand>,
    /// Where the lookback stands.
    pub(in crate::documents) lookback_spot: Spot,
}

/// An `AlertNotificationTarget`.
#[derive(Clone, Debug)]
pub(in crate::documents) struct NotificationTarget {
    /// Free text; an address that begins with a scheme of HTTP is delivered to.
    pub(in crate::documents) target: String,
    pub(in crate::documents) spot: Spot,
}

/// Reads `alertPolicies` of an SLO: names of policies, or policies.
pub(super) fn read_policies(spec: &Fields<'_>) -> Vec<Named<AlertPolicy>> {
    let list = spec
        .get("alertPolicies")
        .and_then(|at| at.items(usize::MAX));
    let list = list.into_iter().flatten();
    let read = list.filter_map(|at| read_item(&at, POLICY, read_policy).map(|read| (at, read)));
    let read: Vec<_> = read.collect();
    refuse_repeats(&read);
    read.into_iter().map(|(_, read)| read).collect()
}

/// Alerts are told apart by the SLO and the name of the policy: of two policies only one would be evaluated. To refer to
/// the same document twice says nothing else than once.
fn refuse_repeats(policies: &[(At<'_>, Named<AlertPolicy>)]) {
    let mut seen: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for (index, (at, policy)) in policies.iter().enumerate() {
        let (name, is_inline) = match policy {
            Named::Inline { name, .. } => (name, true),
            Named::Reference { name, .. } => (name, false),
        };
        match seen.get(name.as_str()) {
            Some((first, was_inline)) if is_inline || *was_inline => {
                let first = policies
                    .get(*first)
                    .map_or("", |(at, _)| at.spot().path.as_str());
                at.refuse(format!(
                    "is called {name}, as {first} is; give each alert policy of an SLO a name of its own"
                ));
            }
            Some(_) => {}
            None => drop(seen.insert(name, (index, is_inline))),
        }
    }
}

/// Reads `spec` of an `AlertPolicy`, and what its metadata say of it.
pub(super) fn read_policy(
    parent: &Fields<'_>,
    metadata: Option<&Metadata<'_>>,
) -> Option<AlertPolicy> {
    let acting = metadata.and_then(|metadata| metadata.acting.as_ref());
    let acting = acting.map(|at| at.word(&[("true", true), ("false", false)]));
    let Some(spec) = parent.get("spec") else {
        parent.required("spec");
        return None;
    };
    let fields = spec.fields(&[
        DESCRIPTION,
        "alertWhenNoData",
        "alertWhenBreaching",
        "alertWhenResolved",
        "conditions",
        "notificationTargets",
    ])?;
    check_description(&fields);
    let is = |name, otherwise| {
        let given = fields.get(name).and_then(|at| at.bool());
        given.unwrap_or(otherwise)
    };
    let when = AlertWhen {
        no_data: is("alertWhenNoData", false),
        breaching: is("alertWhenBreaching", true),
        resolved: is("alertWhenResolved", false),
    };
    let items = |name| fields.get(name).and_then(|at: At<'_>| at.items(usize::MAX));
    let conditions = items("conditions").unwrap_or_default();
    if conditions.len() != 1 {
        let list = spec.spot().field("conditions");
        let given = conditions.len();
        spec.sink()
            .refuse(list.says(format!("has {given} items; it must have exactly 1")));
    }
    let conditions: Vec<_> = conditions
        .iter()
        .map(|at| read_item(at, CONDITION, |fields, _| read_condition(fields)))
        .collect();
    let targets = items("notificationTargets").unwrap_or_default();
    if targets.is_empty() {
        let list = spec.spot().field("notificationTargets");
        spec.sink()
            .refuse(list.says("has 0 items; it must have at least 1"));
    }
    let targets = targets
        .iter()
        .filter_map(|at| read_item(at, TARGET, |fields, _| read_target(fields)))
        .collect();
    let annotations = metadata.map(|metadata| metadata.annotations.clone());
    Some(AlertPolicy {
        annotations: metadata::kept_annotations(annotations.unwrap_or_default()),
        when,
        acting: acting.unwrap_or(Some(false))?,
        condition: conditions.into_iter().next()??,
        targets,
    })
}

/// Reads `spec` of an `AlertCondition`.
pub(super) fn read_condition(parent: &Fields<'_>) -> Option<AlertCondition> {
    let spec = parent.required("spec")?;
    let fields = spec.fields(&[DESCRIPTION, "severity", "condition"])?;
    check_description(&fields);
    let severity = fields.required_text("severity");
    let condition = fields.required("condition").and_then(|condition| {
        condition.fields(&["kind", "op", "threshold", "lookbackWindow", "alertAfter"])
    })?;
    if let Some(kind) = condition.required("kind") {
        kind.word(&[("burnrate", ())]);
    }
    let op = condition.required("op").and_then(|op| {
        op.word(&[
            ("lte", Comparison::Lte),
            ("gte", Comparison::Gte),
            ("lt", Comparison::Lt),
            ("gt", Comparison::Gt),
        ])
    });
    let threshold = condition.required("threshold").and_then(|at| at.number());
    let lookback = condition.required("lookbackWindow");
    let length = lookback.as_ref().and_then(duration::read);
    let after = condition
        .get("alertAfter")
        .map(|window| duration::read(&window));
    Some(AlertCondition {
        severity: severity?.to_owned(),
        op: op?,
        threshold: threshold?,
        lookback: length?,
        after: match after {
            Some(after) => Some(after?),
            None => None,
        },
        lookback_spot: lookback?.spot().clone(),
    })
}

/// Reads `spec` of an `AlertNotificationTarget`.
pub(super) fn read_target(parent: &Fields<'_>) -> Option<NotificationTarget> {
    let spec = parent.required("spec")?;
    let fields = spec.fields(&[DESCRIPTION, "target"])?;
    check_description(&fields);
    let target = fields.required("target")?;
    Some(NotificationTarget {
        target: target.text()?.to_owned(),
        spot: target.spot().clone(),
    })
}

/// What may stand in a list: the name of a document, or an object in its place.
#[derive(Clone, Copy, Debug)]
struct Item {
    /// The field with the name.
    reference: &'static str,
    /// The kind of the object.
    kind: &'static str,
    /// All fields of both.
    fields: &'static [&'static str],
    /// Complains about annotations of ours that mean nothing on it.
    refuse: fn(&Metadata<'_>),
}

const POLICY: Item = Item {
    reference: "alertPolicyRef",
    kind: "AlertPolicy",
    fields: &["alertPolicyRef", "kind", "metadata", "spec"],
    refuse: metadata::refuse_of_slos,
};
const CONDITION: Item = Item {
    reference: "conditionRef",
    kind: "AlertCondition",
    fields: &["conditionRef", "kind", "metadata", "spec"],
    refuse: metadata::refuse_ours,
};
const TARGET: Item = Item {
    reference: "targetRef",
    kind: "AlertNotificationTarget",
    fields: &["targetRef", "kind", "metadata", "spec"],
    refuse: metadata::refuse_ours,
};

fn read_item<T>(
    at: &At<'_>,
    item: Item,
    read: impl Fn(&Fields<'_>, Option<&Metadata<'_>>) -> Option<T>,
) -> Option<Named<T>> {
    let fields = at.fields(item.fields)?;
    let is_inline = ["kind", "metadata", "spec"]
        .iter()
        .any(|name| fields.has(name));
    if fields.has(item.reference) {
        if is_inline {
            at.refuse(format!(
                "has {} and an object in its place; give one of them",
                item.reference
            ));
        }
        let name = fields.required(item.reference)?;
        return Some(Named::Reference {
            name: metadata::read_name(&name)?,
            spot: name.spot().clone(),
        });
    }
    if let Some(given) = fields.required("kind") {
        given.word(&[(item.kind, ())]);
    }
    let metadata = metadata::read(&fields);
    if let Some(metadata) = &metadata {
        (item.refuse)(metadata);
    }
    let value = read(&fields, metadata.as_ref());
    Some(Named::Inline {
        name: metadata?.name,
        value: value?,
    })
}
