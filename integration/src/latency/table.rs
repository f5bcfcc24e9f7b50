//! The tables, for a terminal.

use std::fmt::Write as _;

use sloop_bench::paired::Estimate;

use super::instructions::Instructions;
use super::result::{Report, Row};
use super::standing::standing_table;
use super::variants::{AGAIN, BASELINE};

/// What was measured, and below which conditions.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = rows(report.baseline_ns, &report.variants);
    let machine = &report.machine;
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let stolen = machine.stolen.map_or("unknown".to_owned(), percent);
    let load = machine
        .load
        .map_or("unknown".to_owned(), |load| format!("{load:.1}"));
    let settings = report.settings;
    // Writing into a string cannot fail.
    writeln!(
        text,
        "\n  {} pairs of slices of {} requests each{} ({}), {} connections; medians with 95 % intervals\n  \
         Envoy {}, one worker{}{}; {} x {}, kernel {}; load {load}, stolen {stolen}",
        settings.rounds,
        settings.slice,
        settings.more(),
        settings.spoken(),
        settings.connections,
        machine.envoy,
        if machine.shares.is_some() {
            " on a processor of its own"
        } else {
            ""
        },
        if machine.is_real_time {
            " with real-time priority"
        } else {
            ""
        },
        machine.processors,
        machine.processor,
        machine.kernel,
    )
    .ok();
    for one in report.unsure() {
        writeln!(text, "  not told to a tenth: {one}").ok();
    }
    if let Some(standing) = &report.standing {
        text += &standing_table(standing);
    }
    if let Some(aims) = &report.aims {
        text += &aims.table();
    }
    text
}

/// The rows alone.
pub(super) fn rows(baseline_ns: f64, rows: &[Row]) -> String {
    let name = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(8);
    let mut text = format!(
        "  {:<name$}  {:>8}  {:>22}  {:>22}  {:>19}\n",
        "", "CPU us", "added us/request", "times no filter", "of naive's"
    );
    let mut line = |row: &str, cpu_ns: f64, cells: [String; 3], about: &str| {
        let [added, ratio, share] = cells;
        let cpu = cpu_ns / 1e3;
        writeln!(
            text,
            "  {row:<name$}  {cpu:>8.1}  {added:>22}  {ratio:>22}  {share:>19}  {about}"
        )
        .ok();
    };
    let nothing = || [const { String::new() }; 3];
    line(BASELINE, baseline_ns, nothing(), "no filter");
    for row in rows {
        let micros = Estimate {
            low: row.added_ns.low / 1e3,
            median: row.added_ns.median / 1e3,
            high: row.added_ns.high / 1e3,
        };
        let cells = [
            cell(micros, 2),
            cell(row.ratio, 3),
            row.of_naive
                .filter(|_| row.name != AGAIN)
                .map_or(String::new(), |share| cell(share, 2)),
        ];
        let cpu_ns = baseline_ns * row.ratio.median;
        line(&row.name, cpu_ns, cells, &row.about);
    }
    text
}

/// What was counted.
#[must_use]
pub fn instructions_table(counted: &Instructions) -> String {
    let rows = &counted.variants;
    let name = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(8);
    let mut text = format!(
        "  {:<name$}  {:>12}  {:>8}  {:>10}  {:>14}  {:>10}\n  {BASELINE:<name$}  {:>12.0}\n",
        "", "instructions", "spread", "added", "times no filter", "of naive's", counted.baseline
    );
    for row in rows {
        let spread = (row.all.high - row.all.low) / row.all.median * 100.0;
        let share = row
            .of_naive
            .map_or(String::new(), |share| format!("{share:.2}"));
        // Writing into a string cannot fail.
        writeln!(
            text,
            "  {:<name$}  {:>12.0}  {spread:>6.2} %  {:>10.0}  {:>15.3}  {share:>10}  {}",
            row.name, row.all.median, row.added, row.ratio, row.about
        )
        .ok();
    }
    writeln!(
        text,
        "\n  instructions of the worker per request, without the kernel's; medians of {} counts\n  Envoy {}",
        counted.rounds, counted.envoy
    )
    .ok();
    if let Some(aims) = &counted.aims {
        text += &aims.table();
    }
    text
}

fn cell(of: Estimate, digits: usize) -> String {
    let Estimate { low, median, high } = of;
    format!("{median:.digits$} [{low:.digits$}, {high:.digits$}]")
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::{report, row};
    use super::*;

    #[test]
    fn every_variant_has_a_row_and_the_baseline_is_the_first() {
        let text = table(&report(vec![row(AGAIN, 1.0), row("sloop", 1.2)]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].trim_start().starts_with("none "), "{text}");
        assert!(lines[2].contains("1.000 [1.000, 1.000]"), "{text}");
        assert!(!lines[2].contains("0.50"), "A/A is no share: {text}");
        assert!(lines[3].contains("8.00 [8.00, 8.00]"), "{text}");
        assert!(lines[3].contains("0.50 [0.50, 0.50]"), "{text}");
    }
}
