//! The kinds about alerts: checked, and not evaluated by this version.

use super::super::metadata;
use super::super::reader::{At, Fields};
use super::{DESCRIPTION, check_description, duration};

/// Checks `alertPolicies` of an SLO: names of policies, or policies.
pub(super) fn check_policies(spec: &Fields<'_>) {
    let list = spec
        .get("alertPolicies")
        .and_then(|at| at.items(usize::MAX));
    for at in list.into_iter().flatten() {
        check_item(&at, POLICY, check_policy);
    }
}

/// Checks `spec` of an `AlertPolicy`.
pub(super) fn check_policy(parent: &Fields<'_>) {
    let Some(spec) = parent.get("spec") else {
        parent.required("spec");
        return;
    };
    let Some(fields) = spec.fields(&[
        DESCRIPTION,
        "alertWhenNoData",
        "alertWhenBreaching",
        "alertWhenResolved",
        "conditions",
        "notificationTargets",
    ]) else {
        return;
    };
    check_description(&fields);
    for name in ["alertWhenNoData", "alertWhenBreaching", "alertWhenResolved"] {
        fields.get(name).and_then(|at| at.bool());
    }
    let items = |name| fields.get(name).and_then(|at: At<'_>| at.items(usize::MAX));
    let conditions = items("conditions").unwrap_or_default();
    if conditions.len() != 1 {
        let list = spec.spot().field("conditions");
        let given = conditions.len();
        spec.sink()
            .refuse(list.says(format!("has {given} items; it must have exactly 1")));
    }
    for at in &conditions {
        check_item(at, CONDITION, check_condition);
    }
    let targets = items("notificationTargets").unwrap_or_default();
    if targets.is_empty() {
        let list = spec.spot().field("notificationTargets");
        spec.sink()
            .refuse(list.says("has 0 items; it must have at least 1"));
    }
    for at in &targets {
        check_item(at, TARGET, check_target);
    }
}

/// Checks `spec` of an `AlertCondition`.
pub(super) fn check_condition(parent: &Fields<'_>) {
    let Some(fields) = parent
        .required("spec")
        .and_then(|spec| spec.fields(&[DESCRIPTION, "severity", "condition"]))
    else {
        return;
    };
    check_description(&fields);
    fields.required_text("severity");
    let Some(condition) = fields.required("condition").and_then(|condition| {
        condition.fields(&["kind", "op", "threshold", "lookbackWindow", "alertAfter"])
    }) else {
        return;
    };
    if let Some(kind) = condition.required("kind") {
        kind.word(&[("burnrate", ())]);
    }
    if let Some(op) = condition.required("op") {
        op.word(&["lte", "gte", "lt", "gt"].map(|word| (word, ())));
    }
    condition.required("threshold").and_then(|at| at.number());
    let windows = [
        condition.required("lookbackWindow"),
        condition.get("alertAfter"),
    ];
    for window in windows.iter().flatten() {
        duration::read(window);
    }
}

/// Checks `spec` of an `AlertNotificationTarget`.
pub(super) fn check_target(parent: &Fields<'_>) {
    if let Some(fields) = parent
        .required("spec")
        .and_then(|spec| spec.fields(&[DESCRIPTION, "target"]))
    {
        check_description(&fields);
        fields.required_text("target");
    }
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
}

const POLICY: Item = Item {
    reference: "alertPolicyRef",
    kind: "AlertPolicy",
    fields: &["alertPolicyRef", "kind", "metadata", "spec"],
};
const CONDITION: Item = Item {
    reference: "conditionRef",
    kind: "AlertCondition",
    fields: &["conditionRef", "kind", "metadata", "spec"],
};
const TARGET: Item = Item {
    reference: "targetRef",
    kind: "AlertNotificationTarget",
    fields: &["targetRef", "kind", "metadata", "spec"],
};

fn check_item(at: &At<'_>, item: Item, check: impl Fn(&Fields<'_>)) {
    let Some(fields) = at.fields(item.fields) else {
        return;
    };
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
        if let Some(name) = fields.required(item.reference) {
            metadata::read_name(&name);
        }
        return;
    }
    if let Some(given) = fields.required("kind") {
        given.word(&[(item.kind, ())]);
    }
    if let Some(metadata) = metadata::read(&fields) {
        metadata::refuse_mode(&metadata);
    }
    check(&fields);
}
