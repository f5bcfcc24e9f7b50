//! `sloop describe`.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use sloop_controllers::{
    BudgetStatus, BudgetUnit, BurnStatus, ChangeStatus, CompositeStatus, ObjectiveStatus,
    PairStatus, SloStatus,
};

use super::explain::balance;
use super::policy::sentence;
use super::table::{Table, percent, printable};
use super::{AdminArgs, CliError, client, get, journey, node, scope, spending};
use crate::metrics::{rough_span, span};

const EXAMPLE: &str = "Example:
  sloop describe slo checkout-availability --window 6h
  sloop describe scope checkout/pay
  sloop describe node checkout-1
  sloop describe journey buy";

/// What to describe.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct DescribeArgs {
    /// The kind of thing.
    #[arg(value_enum)]
    kind: Kind,
    /// Its name; of scopes SERVICE, or SERVICE/ROUTE.
    name: String,
    /// Show who spent the budget in the last so much time, as 5m, 6h or 30d; in the SLO's window when left out.
    #[arg(long, value_name = "TIME", value_parser = spending::window)]
    window: Option<Duration>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Kinds of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// An SLO: objectives, budget, burn, policies in force, and why.
    Slo,
    /// The routes of a service: outcomes, breakers, shedding, faults, callers, arms of experiments.
    Scope,
    /// A sidecar: since when it is connected, what it was sent, accepted and refused, and how long that took.
    Node,
    /// A journey: whose time it was in the last minutes, the share of each service.
    Journey,
}

pub(super) fn run(args: &DescribeArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match args.kind {
        Kind::Slo => {
            let path = format!("/v1/slos/{}", client::segment(&args.name));
            let slo: SloStatus = client::get(&args.admin.admin, &path)?;
            describe(&slo, out)?;
            spending::print(&args.admin.admin, &args.name, args.window, out)
        }
        Kind::Scope => scope::run(&args.admin.admin, &args.name, out),
        Kind::Node => node::run(&args.admin.admin, &args.name, out),
        Kind::Journey => journey::run(&args.admin.admin, &args.name, out),
    }
}

fn describe(slo: &SloStatus, out: &mut dyn Write) -> io::Result<()> {
    let mut head = Table::plain();
    let mut line = |name: &str, value: String| head.row(vec![format!("{name}:"), value]);
    line("Name", slo.name.to_string());
    if let Some(display_name) = &slo.display_name {
        line("Display name", display_name.clone());
    }
    if !slo.labels.is_empty() {
        let labels = slo
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        line("Labels", labels.collect::<Vec<_>>().join(", "));
    }
    line("Service", slo.service.to_string());
    line("Mode", format!("{:?}", slo.mode).to_lowercase());
    line("Window", slo.window.clone());
    line("Budgeting", format!("{:?}", slo.budgeting).to_lowercase());
    head.print(out)?;
    for objective in &slo.objectives {
        describe_objective(objective, out)?;
    }
    if let Some(composite) = &slo.composite {
        describe_composite(composite, out)?;
    }
    section("Policies in force", out)?;
    for policy in &slo.policies {
        writeln!(out, "  {}", sentence(policy, slo.at))?;
    }
    if slo.policies.is_empty() {
        writeln!(out, "  none")?;
    }
    paragraphs("Why", &slo.because, out)?;
    paragraphs("Notes", &slo.notes, out)
}

pub(super) fn describe_objective(
    objective: &ObjectiveStatus,
    out: &mut dyn Write,
) -> io::Result<()> {
    let title = match &objective.display_name {
        Some(name) => format!("Objective {}: {name}", objective.index),
        None => format!("Objective {}", objective.index),
    };
    section(&title, out)?;
    let mut table = Table::plain();
    let mut line = |name: &str, value: String| table.row(vec![format!("  {name}:"), value]);
    line("Target", percent(Some(objective.target)));
    if let Some(slices) = &objective.slices {
        line("Budget of", slices.clone());
    }
    let source = objective.source.as_deref();
    line("Counts", source.unwrap_or("not evaluated here").to_owned());
    if let Some(counts) = objective.counts {
        let bad = counts.total.saturating_sub(counts.good);
        let good = (counts.total > 0).then(|| get::share(counts.good, counts.total));
        line(
            "Requests",
            format!(
                "{} in the window, {bad} bad, {} good",
                counts.total,
                percent(good)
            ),
        );
        line("Covered", percent(Some(objective.covered)));
    } else if objective.source.is_some() {
        line("Requests", "not known: nobody has reported any".to_owned());
    }
    if let Some(budget) = &objective.budget {
        line(
            "Budget",
            format!(
                "{} left: {} of {} allowed bad {} spent",
                percent(Some(budget.left_share)),
                budget.spent,
                allowed(budget.allowed),
                unit(budget.unit)
            ),
        );
        line("Exhausted", exhausted(budget));
    } else if objective.source.is_some() {
        line("Budget", "not known".to_owned());
    }
    for (name, value) in derived(objective) {
        line(name, value);
    }
    line("Acting", balance(objective.acted));
    if let Some(change) = &objective.change {
        line("Changed", changed(change));
    }
    table.print(out)?;
    print_burn(objective, out)
}

/// What follows from the objective, each with where it comes from.
fn derived(objective: &ObjectiveStatus) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(detection) = &objective.detection {
        lines.push(("Notices", detection.derivation.clone()));
    }
    if let Some(trip) = &objective.trip {
        lines.push(("Trips above", percent(Some(trip.level))));
        lines.push(("Derived", trip.derivation.clone()));
    }
    if let Some(shed) = &objective.shed {
        lines.push(("Sheds", shed.derivation.clone()));
    }
    if let Some(deadline) = &objective.deadline {
        lines.push(("Deadline", span(deadline.limit_ms.into())));
        lines.push(("Derived", deadline.derivation.clone()));
    }
    if let Some(retries) = &objective.retries {
        lines.push(("Retries", retries.derivation.clone()));
    }
    lines
}

fn describe_composite(composite: &CompositeStatus, out: &mut dyn Write) -> io::Result<()> {
    section("Composite", out)?;
    let bound = if composite.is_complete {
        ""
    } else {
        " at most: not all objectives are known"
    };
    let left = composite.left_share.map_or_else(
        || "not known".to_owned(),
        |left| format!("{} left{bound}", percent(Some(left))),
    );
    writeln!(out, "  Budget: {left}")?;
    for burn in &composite.burn {
        if let Some(rate) = burn.burn {
            let window = window(burn.window_ms, burn.measured_ms);
            writeln!(out, "  burn over {window}: {rate:.2}")?;
        }
    }
    for pair in &composite.pairs {
        writeln!(out, "  {}", pair_line(pair))?;
    }
    Ok(())
}

const fn unit(unit: BudgetUnit) -> &'static str {
    match unit {
        BudgetUnit::Requests => "requests",
        BudgetUnit::Slices => "slices",
    }
}

/// When nothing will be left, with what is surely known of it.
fn exhausted(budget: &BudgetStatus) -> String {
    let span = |seconds: u64| rough_span(seconds.saturating_mul(1_000));
    let within = match (budget.exhausted_earliest_s, budget.exhausted_latest_s) {
        (None | Some(0), _) => String::new(),
        (Some(earliest), Some(latest)) => {
            format!("; surely between {} and {}", span(earliest), span(latest))
        }
        (Some(earliest), None) => format!("; not before {}, perhaps never", span(earliest)),
    };
    match budget.exhausted_in_s {
        Some(0) => "nothing is left".to_owned(),
        Some(seconds) => format!("in {} as it went of late{within}", span(seconds)),
        None => format!("not as it went of late{within}"),
    }
}

fn changed(change: &ChangeStatus) -> String {
    let counts = change.counts;
    let bad = counts.total.saturating_sub(counts.good);
    format!(
        "for the worse: {bad} of {} requests were bad since, {:.1} times the budget, surely {:.1}",
        counts.total, change.burn, change.low
    )
}

/// How many requests may be bad; of few also the fraction.
fn allowed(requests: f64) -> String {
    let digits = if requests < 10.0 { 2 } else { 0 };
    format!("{requests:.digits$}")
}

fn print_burn(objective: &ObjectiveStatus, out: &mut dyn Write) -> io::Result<()> {
    // Rows of nothing but "not known" help nobody.
    if objective.burn.iter().any(|burn| burn.counts.is_some()) {
        let mut table = Table::of(&["  BURN OVER", "RATE", "FROM", "TO", "REQUESTS", "BAD"]);
        for burn in &objective.burn {
            table.row(burn_row(burn));
        }
        table.print(out)?;
    }
    for pair in &objective.pairs {
        writeln!(out, "  {}", pair_line(pair))?;
    }
    Ok(())
}

fn burn_row(burn: &BurnStatus) -> Vec<String> {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
    let count = |pick: fn(sloop_controllers::Counts) -> u64| {
        burn.counts
            .map_or_else(|| "-".to_owned(), |counts| pick(counts).to_string())
    };
    vec![
        format!("  {}", window(burn.window_ms, burn.measured_ms)),
        rate(burn.burn),
        rate(burn.low),
        rate(burn.high),
        count(|it| it.total),
        count(|it| it.total.saturating_sub(it.good)),
    ]
}

/// A window of so many milliseconds, and what is measured in its place.
fn window(length_ms: u64, measured_ms: Option<u64>) -> String {
    let length = span(length_ms);
    measured_ms.map_or(length.clone(), |measured| {
        format!("{length} (slice of {})", span(measured))
    })
}

fn pair_line(pair: &PairStatus) -> String {
    let state = match pair.burning {
        Some(true) => "BURNING",
        Some(false) => "calm",
        None => "not known",
    };
    format!(
        "above {} over both {} and {}: {state}",
        pair.factor,
        span(pair.long_ms),
        span(pair.short_ms)
    )
}

pub(super) fn section(title: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", title)
}

pub(super) fn paragraphs(title: &str, texts: &[String], out: &mut dyn Write) -> io::Result<()> {
    if texts.is_empty() {
        return Ok(());
    }
    section(title, out)?;
    let mut texts = texts.iter().map(|text| printable(text));
    texts.try_for_each(|text| writeln!(out, "  {text}"))
}
