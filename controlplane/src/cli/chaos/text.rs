//! A run at a terminal.

use std::io::{self, Write};

use jiff::Timestamp;
use sloop_controllers::{
    ComparisonStatus, Counts, ExperimentStatus, ExperimentVerdict, QuantileBand, QuantileShift,
};
use sloop_model::WallTime;

use super::super::table::{Table, latency, printable};
use super::word;
use crate::metrics::{rough_span, span};

/// How a run stands, on a few lines.
pub(super) fn status(run: &ExperimentStatus, out: &mut dyn Write) -> io::Result<()> {
    head(run).print(out)?;
    writeln!(out)?;
    comparisons(run).print(out)
}

/// All about a run.
pub(super) fn report(run: &ExperimentStatus, out: &mut dyn Write) -> io::Result<()> {
    status(run, out)?;
    if run
        .comparisons
        .iter()
        .any(|one| !one.faulted_latency.is_empty())
    {
        section("Latency", out)?;
        latencies(run).print(out)?;
    }
    section("Error budgets", out)?;
    let mut table = Table::of(&["  OBJECTIVE", "LEFT BEFORE", "MAY SPEND", "SPENT"]);
    for budget in &run.budgets {
        table.row(vec![
            format!("  {} {}", budget.objective.slo, budget.objective.index),
            format!("{:.0}", budget.left),
            format!("{:.0}", budget.cap),
            budget.spent.to_string(),
        ]);
    }
    table.print(out)?;
    if !run.routes.is_empty() {
        section("Routes that the faults surely harm", out)?;
        let mut table = Table::plain();
        for route in &run.routes {
            table.row(vec![
                format!("  {}", route.scope),
                fault(run, route.fault),
                share(route.effect),
            ]);
        }
        table.print(out)?;
    }
    let notes = run.comparisons.iter().flat_map(|one| {
        let said = retries(one).into_iter().chain(contamination(one));
        let said = said.chain(callers(one));
        let said = said.chain(gap(one)).chain(together(one));
        let about = format!("{} on {}", fault(run, one.fault), one.objective.slo);
        said.map(move |note| format!("  {about}: {note}"))
    });
    let notes: Vec<String> = notes.collect();
    if !notes.is_empty() {
        section("To be known of the arms", out)?;
        writeln!(out, "{}", notes.join("\n"))?;
    }
    section("What happened", out)?;
    for event in &run.events {
        writeln!(out, "  {}  {}", moment(event.at), printable(&event.what))?;
    }
    for suggestion in &run.suggestions {
        writeln!(out, "  suggestion: {}", printable(suggestion))?;
    }
    Ok(())
}

fn section(title: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{title}:")
}

fn head(run: &ExperimentStatus) -> Table {
    let mut table = Table::plain();
    let mut line = |name: &str, value: String| table.row(vec![format!("{name}:"), value]);
    line("Experiment", run.name.clone());
    line("Verdict", word(run).to_owned());
    line("Because", run.because.clone());
    line("Due", moment(run.due_at));
    if let (Some(from), Some(to)) = (run.started_at, run.ended_at) {
        let lasted = u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
        line(
            "Faults",
            format!(
                "for {} of at most {}",
                span(lasted),
                rough_span(run.lasting_ms)
            ),
        );
    }
    line("Targets", run.targets.join(", "));
    line("Seed", run.seed.to_string());
    if let Some(plan) = run.plan {
        let needed = plan.needed_to_hold.map_or_else(
            || "no number of requests is enough".to_owned(),
            |needed| format!("{needed:.0} requests in the smallest arm show that it holds"),
        );
        line(
            "Plan",
            format!("{needed}; {:.1} requests a second", plan.rate),
        );
    }
    table
}

fn comparisons(run: &ExperimentStatus) -> Table {
    let mut table = Table::of(&[
        "FAULT",
        "OBJECTIVE",
        "FAULTED",
        "CONTROL",
        "EFFECT",
        "SURELY",
        "MAY BE",
        "ABSORBED",
        "VERDICT",
    ]);
    for one in &run.comparisons {
        table.row(vec![
            fault(run, one.fault),
            format!("{} {}", one.objective.slo, one.objective.index),
            counts(one.faulted),
            counts(one.control),
            one.effect.map_or_else(|| "-".to_owned(), share),
            format!(
                "{} to {}",
                share(one.interval.low),
                share(one.interval.high)
            ),
            share(one.tolerance),
            one.absorbed.map_or_else(|| "-".to_owned(), share),
            verdict(one),
        ]);
    }
    table
}

fn latencies(run: &ExperimentStatus) -> Table {
    let head = [
        "  FAULT",
        "OBJECTIVE",
        "QUANTILE",
        "FAULTED",
        "CONTROL",
        "MORE",
    ];
    let mut table = Table::of(&head);
    for one in &run.comparisons {
        for row in quantiles(one) {
            let about = [
                format!("  {}", fault(run, one.fault)),
                one.objective.slo.to_string(),
            ];
            table.row(about.into_iter().chain(row).collect());
        }
    }
    table
}

/// A row for each quantile: its name, both arms, and by how much they differ.
pub(super) fn quantiles(one: &ComparisonStatus) -> Vec<[String; 4]> {
    let rows = one.faulted_latency.iter().filter_map(|faulted| {
        let is_same = |quantile: f64| (quantile - faulted.quantile).abs() < 1e-9;
        let mut controls = one.control_latency.iter();
        let control = controls.find(|band| is_same(band.quantile))?;
        Some([
            format!("p{}", per_cent(faulted.quantile)),
            band(faulted),
            band(control),
            more(one, faulted.quantile),
        ])
    });
    rows.collect()
}

/// By how much a quantile is larger in the arm of the fault, and where that surely is; a dash when it is not known.
pub(super) fn more(one: &ComparisonStatus, quantile: f64) -> String {
    let mut shifts = one.latency_shifts.iter();
    let found = shifts.find(|shift| (shift.quantile - quantile).abs() < 1e-9);
    found.map_or_else(|| "-".to_owned(), shift)
}

fn shift(shift: &QuantileShift) -> String {
    let signed = |us: i64| {
        let sign = if us < 0 { "-" } else { "+" };
        format!("{sign}{}", latency(us.unsigned_abs()))
    };
    let end = |us: Option<i64>| us.map_or_else(|| "?".to_owned(), signed);
    format!(
        "{} ({} to {})",
        signed(shift.us),
        end(shift.low_us),
        end(shift.high_us)
    )
}

/// Whether latency differs between the arms, and where most, in words; nothing while an arm has none.
pub(super) fn gap(one: &ComparisonStatus) -> Option<String> {
    /// Beyond this an e-value says nothing more to anybody.
    const SHOWN_MAX: f64 = 1e6;
    let gap = one.latency_gap?;
    let evidence = if SHOWN_MAX < gap.evidence {
        "e-value above a million".to_owned()
    } else {
        format!("e-value {:.1}", gap.evidence)
    };
    let sure = if 20.0 <= gap.evidence {
        format!("Latencies of the arms surely differ ({evidence})")
    } else {
        format!("It is not sure that latencies of the arms differ ({evidence}, sure from 20 on)")
    };
    let fewer = if gap.gap < 0.0 { "more" } else { "fewer" };
    Some(format!(
        "{sure}: at most {} took {} {fewer} of the arm of the fault than of the control arm, and the largest gap is surely {} to {}.",
        latency(gap.us),
        share(gap.gap.abs()),
        share(gap.low),
        share(gap.high)
    ))
}

/// How many requests count as one because they are slow together, in words; nothing while an arm has no latency.
pub(super) fn together(one: &ComparisonStatus) -> Option<String> {
    let arms = one.faulted_latency.iter().zip(&one.control_latency);
    let each = arms.map(|(faulted, control)| {
        let name = per_cent(faulted.quantile);
        let (faulted, control) = (faulted.design_effect, control.design_effect);
        format!("p{name} {faulted:.1} and {control:.1}")
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| {
        format!(
            "As requests are slow together, so many count as one in the arm of the fault and in the control arm: {}.",
            each.join(", ")
        )
    })
}

/// A quantile as people say it: 99.9, not 99.90000000000001.
fn per_cent(quantile: f64) -> f64 {
    (quantile * 1e6).round() / 1e4
}

/// A quantile and its band; an open end where nothing bounds it.
pub(super) fn band(band: &QuantileBand) -> String {
    let end = |us: Option<u64>| us.map_or_else(|| "?".to_owned(), latency);
    format!(
        "{} ({} to {})",
        latency(band.us),
        end(band.low_us),
        end(band.high_us)
    )
}

/// What a comparison shows, in a word, and what would make it sure.
pub(super) fn verdict(one: &ComparisonStatus) -> String {
    match (one.verdict, one.needed) {
        (Some(ExperimentVerdict::Held), _) => "held".to_owned(),
        (Some(ExperimentVerdict::Broken), _) => "broken".to_owned(),
        (Some(ExperimentVerdict::Inconclusive) | None, Some(needed)) => {
            format!("unsure; {needed:.0} more requests may decide it")
        }
        (Some(ExperimentVerdict::Inconclusive) | None, None) => "unsure".to_owned(),
    }
}

/// Attempts beyond the first, in words; nothing when none was reported.
pub(super) fn retries(one: &ComparisonStatus) -> Option<String> {
    let retries = one.retries?;
    Some(format!(
        "Attempts beyond the first: {} in the arm of the fault, {} in the control arm.",
        retries.faulted, retries.control
    ))
}

/// That the control arm is worse than requests were before, in words; nothing when it is not.
pub(super) fn contamination(one: &ComparisonStatus) -> Option<String> {
    Some(format!(
        "In the control arm {} more is bad than before the run: the faults harm those that do not meet them, or something else does.",
        share(one.contamination?)
    ))
}

/// Whether callers were told apart, in words; nothing while nothing was counted.
pub(super) fn callers(one: &ComparisonStatus) -> Option<String> {
    let is_counted = 0 < one.faulted.total && 0 < one.control.total;
    is_counted.then(|| match one.callers {
        0 => "Callers are not told apart by reports (FilterSettings, dimensions.caller), so one that sends many \
              requests with one trace counts as many."
            .to_owned(),
        1 => "All requests are of one caller.".to_owned(),
        64.. => "64 callers or more are told apart.".to_owned(),
        callers => format!("{callers} callers are told apart."),
    })
}

/// A fault by its id and its share of requests.
pub(super) fn fault(run: &ExperimentStatus, index: usize) -> String {
    run.faults.get(index).map_or_else(String::new, |fault| {
        format!("{} ({})", fault.id, share(fault.share.as_fraction()))
    })
}

/// Bad ones of all.
pub(super) fn counts(counts: Counts) -> String {
    format!("{} of {} bad", counts.bad(), counts.total)
}

/// A share as a percentage with two digits: effects are small.
pub(super) fn share(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}%", if text == "-0" { "0" } else { text })
}

/// A moment for people, UTC.
pub(super) fn moment(at: WallTime) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).map_or_else(
        |_| at.as_millis().to_string(),
        |moment| moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}
