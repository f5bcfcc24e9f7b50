//! Runs side by side, on the same basis: effects with intervals, whatever was done and when.

use sloop_controllers::{ComparisonStatus, ExperimentStatus};
use sloop_page::{Chart, Frame, Scale};

use super::super::table::Table;
use super::text::{counts, fault, moment, more, share};
use super::word;

const HEAD: [&str; 11] = [
    "RUN",
    "DUE",
    "VERDICT",
    "FAULT",
    "OBJECTIVE",
    "FAULTED",
    "EFFECT",
    "SURELY",
    "ABSORBED",
    "P50 MORE",
    "P99 MORE",
];

/// A row for each comparison; a run that did not begin has one row.
pub(super) fn table(runs: &[ExperimentStatus]) -> Table {
    let mut table = Table::of(&HEAD);
    for row in rows(runs) {
        table.row(row);
    }
    table
}

/// The same as a page, with all effects on one scale.
pub(super) fn page(runs: &[ExperimentStatus]) -> String {
    let title = "Experiments compared";
    let body = [
        sloop_page::header(
            title,
            "What faults did to objectives: the share of bad requests in the arm of the fault less that in the control arm.",
        ),
        sloop_page::section(
            "Effects",
            "The bar is what was seen, the line where the effect surely is (95 %, at every moment).",
            &chart(runs),
        ),
        sloop_page::section(
            "Numbers",
            "",
            &sloop_page::table(&HEAD, &escaped(rows(runs))),
        ),
    ];
    sloop_page::page(title, "", &body.concat())
}

/// All effects on one scale.
pub(super) fn chart(runs: &[ExperimentStatus]) -> String {
    const ROW: f64 = 30.0;
    let all: Vec<(&ExperimentStatus, &ComparisonStatus)> = runs
        .iter()
        .flat_map(|run| run.comparisons.iter().map(move |one| (run, one)))
        .collect();
    let ends = all.iter().flat_map(|(_, one)| {
        let effect = one.effect.unwrap_or(0.0);
        // An interval that says nothing must not make the rest too small to see.
        [
            one.interval.low.max(effect - 0.3),
            one.interval.high.min(effect + 0.3),
            one.tolerance,
        ]
    });
    let (low, high) = ends.fold((0.0_f64, 0.01_f64), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    let (scale, ticks) = Scale::around(low, high);
    let mut frame = Frame::whole(0.0).with_rows(all.len(), ROW);
    frame.left = 320.0;
    let rows = Scale::Linear(0.0, 1.0);
    let mut chart = Chart::new("Effects with their intervals", frame, scale, rows);
    chart.columns(ticks.iter().copied());
    let names: Vec<_> = ticks.iter().map(|tick| (*tick, share(*tick))).collect();
    chart.ticks(names.iter().map(|(at, name)| (*at, name.as_str())));
    let tolerated = all.first().map(|(_, one)| one.tolerance);
    if let Some(tolerated) = tolerated
        && all
            .iter()
            .all(|(_, one)| (one.tolerance - tolerated).abs() < 1e-9)
    {
        chart.mark(tolerated, "tolerated");
    }
    for (row, (run, one)) in all.iter().enumerate() {
        let place = (row, ROW);
        chart.row_name(
            &format!("{} on {}", fault(run, one.fault), one.objective.slo),
            place,
        );
        let class = if one.interval.low > one.tolerance {
            "limit"
        } else {
            "s0"
        };
        let effect = one.effect.unwrap_or(0.0);
        chart.bar(class, (0.0, effect), place, &share(effect));
        chart.whisker((one.interval.low, one.interval.high), place);
    }
    chart.finish()
}

fn rows(runs: &[ExperimentStatus]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for run in runs {
        let name = format!("{}@{}", run.name, run.due_at.as_millis());
        let head = [name, moment(run.due_at), word(run).to_owned()];
        if run.comparisons.is_empty() {
            let rest = ["-".to_owned(), run.because.clone()];
            rows.push(head.iter().cloned().chain(rest).collect());
        }
        for one in &run.comparisons {
            let rest = [
                fault(run, one.fault),
                format!("{} {}", one.objective.slo, one.objective.index),
                counts(one.faulted),
                one.effect.map_or_else(|| "-".to_owned(), share),
                format!(
                    "{} to {}",
                    share(one.interval.low),
                    share(one.interval.high)
                ),
                one.absorbed.map_or_else(|| "-".to_owned(), share),
                more(one, 0.5),
                more(one, 0.99),
            ];
            rows.push(head.iter().cloned().chain(rest).collect());
        }
    }
    rows
}

/// Cells of a table as HTML.
pub(super) fn escaped(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let row = |row: Vec<String>| row.iter().map(|cell| sloop_page::escaped(cell)).collect();
    rows.into_iter().map(row).collect()
}
