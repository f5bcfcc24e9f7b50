//! Turns the alert policies of an SLO into what controllers work with.

use std::collections::BTreeMap;

use sloop_controllers::{AlertIntent, AlertTarget, SloIntent};

use super::intents::Context;
use super::openslo::{AlertPolicy, Named, NotificationTarget, Slo};
use super::reader::{Sink, Spot};
use super::suggest;

/// The alert policies of `slo` that can be evaluated. What cannot be is noted, with the reason.
pub(super) fn of(
    slo: &Slo,
    intent: &SloIntent,
    context: &Context<'_>,
    sink: &Sink,
) -> Vec<AlertIntent> {
    let objectives: Vec<_> = (0..)
        .zip(&intent.objectives)
        .filter(|(_, objective)| objective.source.is_some())
        .map(|(index, objective)| (index, objective.target))
        .collect();
    let slices: Vec<_> = (0..)
        .zip(&intent.objectives)
        .filter_map(|(index, objective)| Some((index, objective.slicing?)))
        .collect();
    let composite = intent
        .is_evaluated_together()
        .then(|| Box::new(intent.clone()));
    if objectives.is_empty() {
        return Vec::new();
    }
    let policies = slo.alert_policies.iter();
    policies
        .filter_map(|named| {
            let (policy, read) = found(named, "AlertPolicy", &context.policies, sink)?;
            let conditions = &context.conditions;
            let (_, condition) = found(&read.condition, "AlertCondition", conditions, sink)?;
            let lookback = condition.lookback.length();
            if lookback.is_zero() {
                let spot = &condition.lookback_spot;
                sink.note(spot.says("not evaluated here: there is no burn rate over no time"));
                return None;
            }
            let after = condition.after.map_or(0, |after| millis(after.length()));
            Some(AlertIntent {
                policy: policy.to_owned(),
                slo: intent.name.clone(),
                service: intent.service.clone(),
                labels: intent.labels.clone(),
                annotations: annotations(slo, read),
                objectives: objectives.clone(),
                slices: slices.clone(),
                composite: composite.clone(),
                severity: condition.severity.clone(),
                op: condition.op,
                threshold: condition.threshold,
                lookback_ms: millis(lookback),
                after_ms: after,
                when: read.when,
                acting: read.acting,
                targets: targets(read, context, sink),
            })
        })
        .collect()
}

/// What comes with the alerts of a policy on `slo`: what both say, and of one key what the policy does.
fn annotations(slo: &Slo, policy: &AlertPolicy) -> BTreeMap<String, String> {
    let mut annotations = slo.annotations.clone();
    annotations.extend(policy.annotations.clone());
    annotations
}

/// Who of a policy's targets can be told.
fn targets(policy: &AlertPolicy, context: &Context<'_>, sink: &Sink) -> Vec<AlertTarget> {
    let named = policy.targets.iter();
    named
        .filter_map(|named| {
            let (name, target) = found(named, "AlertNotificationTarget", &context.targets, sink)?;
            if !is_address(target) {
                let why = format!(
                    "{name} is not told: its target is no address of a webhook, as https://host/path"
                );
                sink.note(target.spot.says(why));
                return None;
            }
            Some(AlertTarget {
                name: name.to_owned(),
                url: target.target.clone(),
            })
        })
        .collect()
}

fn is_address(target: &NotificationTarget) -> bool {
    let uri: Option<http::Uri> = target.target.parse().ok();
    uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    })
}

/// What a name stands for, with its name. `None` after a note.
fn found<'a, T>(
    named: &'a Named<T>,
    kind: &str,
    known: &BTreeMap<&'a str, &'a T>,
    sink: &Sink,
) -> Option<(&'a str, &'a T)> {
    let (name, spot): (&str, &Spot) = match named {
        Named::Inline { name, value } => return Some((name, value)),
        Named::Reference { name, spot } => (name, spot),
    };
    let found = known.get(name).copied();
    if found.is_none() {
        let known: Vec<&str> = known.keys().copied().collect();
        let perhaps = suggest::perhaps(name, &known);
        let why =
            format!("not evaluated here: there is no {kind} {name} in these documents{perhaps}");
        sink.note(spot.says(why));
    }
    Some((name, found?))
}

fn millis(length: core::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
