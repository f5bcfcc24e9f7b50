//! The report in a terminal, and as Markdown.

use std::fmt::Write as _;

use super::result::{Report, Row, Told};
use super::rival::Rival;

/// What is closer than this to the best is as good, as a share of what is attainable.
pub(super) const NOISE: f64 = 0.01;

/// A Markdown table per measure: stories down, rivals across.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let percent = |row: &Row| format!("{:.1}", row.of_attainable.mean * 100.0);
    let goodput = |row: &Row| format!("{:.0}", row.mean(|run| run.goodput));
    let critical = |row: &Row| format!("{:.0}", row.mean(|run| run.by_class[3]) * 100.0);
    let seconds = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.1}"));
    let mitigated = |row: &Row| seconds(row.time(|run| run.mitigated));
    let recovered = |row: &Row| seconds(row.time(|run| run.recovered));
    let needless = |row: &Row| format!("{:.2}", row.mean(|run| run.needless) * 100.0);
    for (what, cell) in [
        (
            "good answers, % of what was attainable in the whole story",
            &percent as &dyn Fn(&Row) -> String,
        ),
        ("good answers per second in trouble", &goodput),
        (
            "good answers to critical_plus requests in trouble, %",
            &critical,
        ),
        ("seconds until mitigated", &mitigated),
        ("seconds until recovered", &recovered),
        ("refused before there was trouble, %", &needless),
    ] {
        write_table(&mut text, report, what, cell);
    }
    text
}

fn write_table(text: &mut String, report: &Report, what: &str, cell: &dyn Fn(&Row) -> String) {
    let Some(first) = report.stories.first() else {
        return;
    };
    let names = first.rows.iter().map(|row| format!(" {:>9} |", row.name));
    let names: String = names.collect();
    let rules = "-----------|".repeat(first.rows.len());
    // Writing into a string cannot fail.
    writeln!(
        text,
        "\n{what}\n\n| {:18} |{names}\n|--------------------|{rules}",
        "story"
    )
    .ok();
    for story in &report.stories {
        let cells = story.rows.iter().map(|row| format!(" {:>9} |", cell(row)));
        let cells: String = cells.collect();
        writeln!(text, "| {:18} |{cells}", story.name).ok();
    }
}

/// Where Sloop is worse than nothing, or than a rival, beyond the noise; in sentences.
#[must_use]
pub fn failures(report: &Report) -> Vec<String> {
    report.stories.iter().flat_map(behind).collect()
}

fn behind(story: &Told) -> Vec<String> {
    let Some(sloop) = story.row(Rival::Sloop) else {
        return Vec::new();
    };
    let better = story.rows.iter().filter(|row| {
        let ours = [Rival::SloopOutliers, Rival::SloopControlled];
        let is_ours = ours.iter().any(|ours| row.name == ours.name());
        !is_ours && sloop.of_attainable.mean + NOISE < row.of_attainable.mean
    });
    better
        .map(|row| {
            format!(
                "{}: sloop {:.1} %, {} {:.1} %",
                story.name,
                sloop.of_attainable.mean * 100.0,
                row.name,
                row.of_attainable.mean * 100.0
            )
        })
        .collect()
}
