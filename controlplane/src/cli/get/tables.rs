//! The columns of each kind of thing.

use std::collections::BTreeMap;

use sloop_controllers::{SloStatus, objective_name};

use super::super::lines::{Line, lines};
use super::super::table::{Table, ago, latency, percent};
use crate::admin::api::{
    AlertShown, BreakerStatus, DecisionTaken, DenialStatus, DocumentFile, FaultTotals, List,
    LoadCount, NodeStatus, ScopeStatus, TargetTold,
};
use crate::alerts::Told;

pub(super) fn slos(list: &List<SloStatus>, wide: bool) -> Table {
    let mut headings = vec![
        "NAME",
        "SERVICE",
        "MODE",
        "TARGET",
        "GOOD",
        "BUDGET LEFT",
        "BURN",
    ];
    if wide {
        headings.extend(["OBJECTIVE", "REQUESTS", "BAD", "WINDOW", "POLICIES"]);
    }
    let mut table = Table::of(&headings);
    for slo in &list.items {
        for line in lines(slo) {
            let mut row = vec![
                slo.name.to_string(),
                slo.service.to_string(),
                format!("{:?}", slo.mode).to_lowercase(),
                line.target(),
                line.good(),
                line.left(),
                line.burn(),
            ];
            if wide {
                let counts = match line {
                    Line::Objective(objective) => objective.counts,
                    Line::Composite(_) => None,
                };
                let count =
                    |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |it| it.to_string());
                row.extend([
                    line.name(),
                    count(counts.map(|it| it.total)),
                    count(counts.map(|it| it.bad())),
                    slo.window.clone(),
                    slo.policies.len().to_string(),
                ]);
            }
            table.row(row);
        }
    }
    table
}

/// Good to about 15 digits.
pub(in crate::cli) fn share(part: u64, whole: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "for people; counts stay below 2^53"
    )]
    let share = part as f64 / whole as f64;
    share
}

pub(super) fn nodes(list: &List<NodeStatus>, wide: bool) -> Table {
    let mut headings = vec!["NODE", "SERVICE", "CONNECTED", "REPORTED", "GENERATIONS"];
    if wide {
        headings.extend(["REQUESTS", "FAILED", "ACKNOWLEDGED", "REFUSAL"]);
    }
    let mut table = Table::of(&headings);
    for node in &list.items {
        let mut generations: Vec<String> = node
            .filters
            .iter()
            .map(|filter| format!("{}:{}", filter.side, filter.generation))
            .collect();
        generations.sort();
        generations.dedup();
        let mut row = vec![
            node.node.clone(),
            node.group.clone(),
            if node.connected { "yes" } else { "no" }.to_owned(),
            ago(list.at_ms, node.reported_ms),
            generations.join(","),
        ];
        if wide {
            // As filters count, where there are any: they see more than their Envoy.
            let usual = node.load.first().map(|load| load.usual);
            let count = |of: fn(LoadCount) -> u64| {
                usual.map_or_else(|| "-".to_owned(), |it| of(it).to_string())
            };
            row.push(count(|it| it.requests));
            row.push(count(|it| it.failed));
            let join = |values: Vec<String>| values.join("; ");
            let resources = || node.resources.iter();
            row.push(join(
                resources()
                    .filter_map(|it| it.acknowledged.clone())
                    .collect(),
            ));
            row.push(join(
                resources().filter_map(|it| it.refusal.clone()).collect(),
            ));
        }
        table.row(row);
    }
    table
}

pub(super) fn scopes(list: &List<ScopeStatus>, wide: bool) -> Table {
    let mut headings = vec![
        "SERVICE", "ROUTE", "SIDE", "REQUESTS", "P50", "P99", "BREAKERS",
    ];
    if wide {
        headings.extend([
            "REPORTED", "REFUSED", "SHADOW", "RETRIES", "SHED", "FAULTS", "OUTCOMES",
        ]);
    }
    let mut table = Table::of(&headings);
    for scope in &list.items {
        let of_latency = |pick: fn(crate::admin::api::Latency) -> u64| {
            scope
                .latency
                .map_or_else(|| "-".to_owned(), |it| latency(pick(it)))
        };
        let mut row = vec![
            scope.service.to_string(),
            scope.route.to_string(),
            scope.side.to_string(),
            scope.requests.to_string(),
            of_latency(|it| it.p50_us),
            of_latency(|it| it.p99_us),
            breakers(&scope.breakers),
        ];
        if wide {
            row.extend([
                ago(list.at_ms, scope.reported_ms),
                scope.refused.to_string(),
                scope.shadow_refused.to_string(),
                scope.retries.to_string(),
                shed(scope),
                faults(scope.faults),
                counts(&scope.outcomes),
            ]);
        }
        table.row(row);
    }
    table
}

/// Counts by name; `-` when there are none.
pub(in crate::cli) fn counts(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts.iter();
    let texts: Vec<String> = counts
        .map(|(name, count)| format!("{name}={count}"))
        .collect();
    if texts.is_empty() {
        "-".to_owned()
    } else {
        texts.join(" ")
    }
}

/// Requests that were shed, and the largest share that a VM sheds.
fn shed(scope: &ScopeStatus) -> String {
    let Some(shed) = &scope.shed else {
        return "-".to_owned();
    };
    let requests = shed
        .by_class
        .values()
        .fold(0_u64, |sum, count| sum.saturating_add(*count));
    let largest = scope.shed_levels.iter().map(|level| level.share).max();
    match largest {
        Some(share) => format!("{requests} (up to {})", percent(Some(share.as_fraction()))),
        None => requests.to_string(),
    }
}

/// Requests that faults met.
pub(in crate::cli) fn faults(faults: Option<FaultTotals>) -> String {
    faults.map_or_else(
        || "-".to_owned(),
        |it| format!("{} delayed, {} aborted", it.delayed, it.aborted),
    )
}

pub(super) fn denials(list: &List<DenialStatus>) -> Table {
    let mut table = Table::of(&["SERVICE", "SIDE", "RULE", "REFUSED", "SHADOW", "OVER SHARE"]);
    for denial in &list.items {
        table.row(vec![
            denial.group.clone(),
            denial.side.to_string(),
            denial.id.clone(),
            denial.refused.to_string(),
            denial.shadow_refused.to_string(),
            denial.over_share.to_string(),
        ]);
    }
    table
}

/// How many breakers are in each state.
pub(in crate::cli) fn breakers(breakers: &[BreakerStatus]) -> String {
    let mut counts = BTreeMap::new();
    for breaker in breakers {
        *counts.entry(breaker.state).or_insert(0_usize) += 1;
    }
    let counts = counts.iter();
    let texts: Vec<String> = counts
        .map(|(state, count)| format!("{count} {}", format!("{state:?}").to_lowercase()))
        .collect();
    if texts.is_empty() {
        "-".to_owned()
    } else {
        texts.join(", ")
    }
}

pub(super) fn decisions(list: &List<DecisionTaken>) -> Table {
    let mut table = Table::of(&["NUMBER", "AGO", "INTENT", "STAGE", "POLICIES", "BECAUSE"]);
    for decision in &list.items {
        table.row(vec![
            decision.id.to_string(),
            ago(list.at_ms, Some(decision.at_ms)),
            decision.intent.clone(),
            format!("{:?}", decision.stage).to_lowercase(),
            decision.policies.to_string(),
            decision.because.clone(),
        ]);
    }
    table
}

pub(super) fn alerts(list: &List<AlertShown>) -> Table {
    let mut table = Table::of(&[
        "STATE", "AGO", "POLICY", "SLO", "SEVERITY", "TOLD", "NOT TOLD", "SUMMARY",
    ]);
    for AlertShown { alert, told } in &list.items {
        let (those_who_know, others): (Vec<_>, Vec<_>) =
            told.iter().partition(|it| it.state == Told::Told);
        let others = others.iter().map(|it| match it.state {
            Told::Waiting | Told::Told => it.target.clone(),
            Told::Refused => format!("{} (refused)", it.target),
            Told::Dropped => format!("{} (no room)", it.target),
        });
        let name = |it: &&TargetTold| it.target.clone();
        table.row(vec![
            format!("{:?}", alert.state).to_lowercase(),
            ago(list.at_ms, Some(alert.since_ms.as_millis())),
            alert.policy.clone(),
            format!(
                "{}/{}",
                alert.objective.slo,
                objective_name(alert.objective.index)
            ),
            alert.severity.clone(),
            names(those_who_know.iter().map(name)),
            names(others),
            alert.summary.clone(),
        ]);
    }
    table
}

/// Names in their order; `-` when there are none.
fn names(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(",")
    }
}

pub(super) fn documents(list: &List<DocumentFile>) -> Table {
    let mut table = Table::of(&["FILE", "IN FORCE", "PROBLEMS"]);
    for file in &list.items {
        let in_force = match (file.accepted, file.kept) {
            (true, _) => "yes",
            (false, true) => "earlier",
            (false, false) => "no",
        };
        let notes = file.notes.iter().map(|note| format!("note: {note}"));
        let mut problems = file.problems.iter().cloned().chain(notes);
        let first = problems.next().unwrap_or_default();
        table.row(vec![file.file.clone(), in_force.to_owned(), first]);
        for problem in problems {
            table.row(vec![String::new(), String::new(), problem]);
        }
    }
    table
}
