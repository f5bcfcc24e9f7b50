//! `sloop describe scope`: all that is known of one route.

use std::io::{self, Write};

use http::Uri;
use sloop_model::Side;

use super::table::{Table, ago, latency, percent};
use super::{CliError, client, get};
use crate::admin::api::{ArmStatus, List, ObjectiveTotals, ScopeStatus, ValueStatus};

/// Describes the scopes called `name`: `SERVICE`, or `SERVICE/ROUTE`, on both sides.
pub(super) fn run(admin: &Uri, name: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let list: List<ScopeStatus> = client::get(admin, "/v1/scopes")?;
    let (service, route) = match name.split_once('/') {
        Some((service, route)) => (service, Some(route)),
        None => (name, None),
    };
    let is_meant = |scope: &&ScopeStatus| {
        scope.service.as_str() == service && route.is_none_or(|route| scope.route.as_str() == route)
    };
    let mut found = list.items.iter().filter(is_meant).peekable();
    if found.peek().is_none() {
        let why = format!("nobody reported on {name:?}; sloop get scopes lists what is known");
        return Err(CliError::Refused(why));
    }
    for scope in found {
        describe(scope, list.at_ms, out)?;
    }
    Ok(())
}

fn describe(scope: &ScopeStatus, at_ms: u64, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} {} ({})", scope.service, scope.route, scope.side)?;
    let mut table = Table::plain();
    let mut line = |name: &str, value: String| table.row(vec![format!("  {name}:"), value]);
    line("Reported", format!("{} ago", ago(at_ms, scope.reported_ms)));
    line("Requests", scope.requests.to_string());
    line("Outcomes", get::counts(&scope.outcomes));
    if let Some(it) = scope.latency {
        let of_all = format!("{} at the median", latency(it.p50_us));
        line("Latency", format!("{of_all}, {} p99", latency(it.p99_us)));
    }
    line("Breakers", get::breakers(&scope.breakers));
    line(
        "Refused",
        format!(
            "{}; {} in shadow, of which {} would have been good",
            scope.refused, scope.shadow_refused, scope.shadow_refused_good
        ),
    );
    line("Retries", retries(scope));
    line("Faults", get::faults(scope.faults));
    line("Shedding", shedding(scope));
    line(
        "Denied",
        format!(
            "{} in shadow, of which {} would have been good; rules: sloop get denials",
            scope.shadow_denied, scope.shadow_denied_good
        ),
    );
    table.print(out)?;
    values(&scope.values, out)?;
    arms(&scope.arms, out)?;
    writeln!(out)
}

/// As `7; 5 refused, 2 in shadow, of which 1 would have been good`. Where requests go out, a budget refuses none, and
/// retries are counted with `attempts` only: `5 not tried again, ...`.
fn retries(scope: &ScopeStatus) -> String {
    let Some(budget) = scope.retry_budget else {
        return scope.retries.to_string();
    };
    let (made, what) = match (scope.side, scope.retries) {
        (Side::Client, 0) => (String::new(), "not tried again"),
        (Side::Client, made) => (format!("{made}; "), "not tried again"),
        (Side::Server, made) => (format!("{made}; "), "refused"),
    };
    format!(
        "{made}{} {what}, {} in shadow, of which {} would have been good",
        budget.refused, budget.shadow, budget.shadow_good
    )
}

fn shedding(scope: &ScopeStatus) -> String {
    let Some(shed) = &scope.shed else {
        return "none".to_owned();
    };
    let levels: Vec<String> = scope
        .shed_levels
        .iter()
        .map(|level| {
            let share = percent(Some(level.share.as_fraction()));
            format!("{share} by {} {}", level.node, level.vm)
        })
        .collect();
    let now = if levels.is_empty() {
        "nothing".to_owned()
    } else {
        levels.join(", ")
    };
    format!(
        "{now} at the last report; so far {}; {} in shadow, of which {} would have been good; given up {} times",
        get::counts(&shed.by_class),
        shed.shadow,
        shed.shadow_good,
        shed.given_up
    )
}

fn values(values: &[ValueStatus], out: &mut dyn Write) -> io::Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let mut table = Table::of(&["  DIMENSION", "VALUE", "REQUESTS", "CLASSES", "OBJECTIVES"]);
    for value in values {
        table.row(vec![
            format!("  {}", value.dimension.name()),
            value.value.clone(),
            value.requests.to_string(),
            get::counts(&value.classes),
            objectives(&value.objectives),
        ]);
    }
    table.print(out)
}

fn arms(arms: &[ArmStatus], out: &mut dyn Write) -> io::Result<()> {
    if arms.is_empty() {
        return Ok(());
    }
    let headings = [
        "  EXPERIMENT",
        "ARM",
        "REQUESTS",
        "P50",
        "P99",
        "OBJECTIVES",
        "OUTCOMES",
    ];
    let mut table = Table::of(&headings);
    for arm in arms {
        let of_latency = |pick: fn(crate::admin::api::Latency) -> u64| {
            arm.latency
                .map_or_else(|| "-".to_owned(), |it| latency(pick(it)))
        };
        table.row(vec![
            format!("  {}", arm.experiment),
            format!("{:?}", arm.arm).to_lowercase(),
            arm.requests.to_string(),
            of_latency(|it| it.p50_us),
            of_latency(|it| it.p99_us),
            objectives(&arm.objectives),
            get::counts(&arm.outcomes),
        ]);
    }
    table.print(out)
}

/// As `payments-fast/0 9/10`: good of all.
fn objectives(objectives: &[ObjectiveTotals]) -> String {
    let texts: Vec<String> = objectives
        .iter()
        .map(|it| format!("{}/{} {}/{}", it.slo, it.objective, it.good, it.total))
        .collect();
    if texts.is_empty() {
        "-".to_owned()
    } else {
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_says_what_was_done_to_it() {
        let scope = r#"{"service": "checkout", "route": "pay", "side": "server", "requests": 30,
            "outcomes": {"success": 27, "shed": 3}, "refused": 0, "shadow_refused": 0, "shadow_refused_good": 0,
            "breakers": [], "retries": 2,
            "values": [{"dimension": "caller", "value": "shop", "requests": 30, "classes": {"served": 27},
                        "objectives": [{"slo": "fast", "objective": 0, "total": 30, "good": 9}]}],
            "faults": {"delayed": 4, "aborted": 1},
            "retry_budget": {"refused": 5, "shadow": 2, "shadow_good": 1},
            "shed": {"by_class": {"sheddable": 3}, "shadow": 2, "shadow_good": 1, "given_up": 0},
            "shed_levels": [{"node": "checkout-1", "vm": "07", "share": 2500}],
            "arms": [{"experiment": "slow", "arm": "fault", "requests": 4, "outcomes": {"success": 4},
                      "objectives": [], "latency": {"count": 4, "p50_us": 300000, "p99_us": 310000}}],
            "reported_ms": 1000}"#;
        let scope: ScopeStatus = serde_json::from_str(scope).unwrap();
        let mut out = Vec::new();
        describe(&scope, 3_000, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "checkout pay (server)",
            "2s ago",
            "shed=3 success=27",
            "4 delayed, 1 aborted",
            "2; 5 refused, 2 in shadow, of which 1 would have been good",
            "25% by checkout-1 07 at the last report; so far sheddable=3; 2 in shadow, of which 1",
            "caller      shop",
            "fast/0 9/30",
            "slow         fault   4          300.0ms   310.0ms",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn where_requests_go_out_retries_are_shown_where_they_are_counted() {
        for (side, made, expected) in [
            ("client", 0, "  300 not tried again, 0 in shadow"),
            ("client", 7, "  7; 300 not tried again, 0 in shadow"),
            ("server", 0, "  0; 300 refused, 0 in shadow"),
        ] {
            let scope = format!(
                r#"{{"service": "checkout", "route": "pay", "side": "{side}", "requests": 30, "outcomes": {{}},
                    "refused": 0, "shadow_refused": 0, "shadow_refused_good": 0, "breakers": [],
                    "retries": {made}, "faults": {{"delayed": 0, "aborted": 0}},
                    "retry_budget": {{"refused": 300, "shadow": 0, "shadow_good": 0}}, "reported_ms": 1000}}"#
            );
            let scope: ScopeStatus = serde_json::from_str(&scope).unwrap();
            let mut out = Vec::new();
            describe(&scope, 3_000, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
