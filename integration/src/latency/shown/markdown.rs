//! The report as Markdown, for a pull request and for the README.

use std::fmt::Write as _;

use sloop_bench::paired::Estimate;

use super::super::open::{OpenReport, OpenRow, Spread, Told};
use super::super::result::{Report, Row};
use super::super::variants::{AGAIN, BASELINE, NAIVE};
use super::{interval, text};

const MICROSECOND: f64 = 1e3;
const MILLISECOND: f64 = 1e6;

/// All tables. What may not be used is not in them; the reason is.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    if !report.is_usable() {
        for refusal in &report.refusals {
            line(&mut out, format_args!("- no result: {refusal}"));
        }
        return out;
    }
    costs(&mut out, report);
    line(&mut out, format_args!(""));
    line(&mut out, format_args!("{}", text::conditions(report)));
    for one in report.unsure() {
        line(&mut out, format_args!("- not told to a tenth: {one}"));
    }
    if let Some(open) = &report.latency {
        latency(&mut out, open);
    }
    growth(&mut out, report);
    first(&mut out, report);
    standing(&mut out, report);
    push(&mut out, report);
    if let Some(aims) = &report.aims {
        line(&mut out, format_args!("\n{}", aims.markdown().trim_end()));
    }
    out
}

fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    writeln!(out, "{arguments}").ok();
}

fn costs(out: &mut String, report: &Report) {
    line(
        out,
        format_args!("| variant | added µs per request | times no filter | of naive's |"),
    );
    line(out, format_args!("|---|---|---|---|"));
    let row = |row: &Row| {
        let refuses = 500 <= row.status;
        let is_again = row.name == AGAIN;
        let added = if refuses {
            String::new()
        } else {
            interval(row.added_ns, MICROSECOND, 1)
        };
        let share = row.of_naive.filter(|_| !is_again && row.name != NAIVE);
        let share = match share {
            Some(share) => interval(share, 1.0, 2),
            None if row.name == NAIVE => "1".to_owned(),
            None => String::new(),
        };
        let word = if is_again { " (A/A)" } else { "" };
        let ratio = interval(row.ratio, 1.0, 3);
        format!("| `{}`{word} | {added} | {ratio} | {share} |", row.name)
    };
    for one in &report.variants {
        line(out, format_args!("{}", row(one)));
    }
}

fn latency(out: &mut String, open: &OpenReport) {
    line(out, format_args!(""));
    if !open.is_usable() {
        for refusal in &open.refusals {
            line(out, format_args!("- no latency: {refusal}"));
        }
        return;
    }
    line(
        out,
        format_args!(
            "Latency at {:.0} requests a second over {} connections, in µs; added by pair medians over {} rounds:",
            open.settings.rate, open.settings.connections, open.settings.rounds
        ),
    );
    line(
        out,
        format_args!(
            "\n| variant | p50 | added | p99 | added | p99.9 | added |\n|---|---|---|---|---|---|---|"
        ),
    );
    for row in &open.variants {
        line(out, format_args!("{}", latency_row(row, &open.told)));
    }
}

fn latency_row(row: &OpenRow, told: &Spread<Told>) -> String {
    let added = |pick: fn(&Spread<Estimate>) -> Estimate, told: Told| match &row.added_ns {
        None => String::new(),
        Some(_) if !told.is_told => "cannot be told".to_owned(),
        Some(added) => interval(pick(added), MICROSECOND, 1),
    };
    let all = row.all;
    let word = match row.name.as_str() {
        AGAIN => " (A/A)",
        _ => "",
    };
    format!(
        "| `{}`{word} | {:.0} | {} | {:.0} | {} | {:.0} | {} |",
        row.name,
        all.p50 / MICROSECOND,
        added(|it| it.p50, told.p50),
        all.p99 / MICROSECOND,
        added(|it| it.p99, told.p99),
        all.p999 / MICROSECOND,
        added(|it| it.p999, told.p999),
    )
}

fn growth(out: &mut String, report: &Report) {
    for growth in &report.growth {
        let (of, about) = (&growth.of, &growth.about);
        line(
            out,
            format_args!(
                "\n{about}\n\n| {of} | added µs | times no filter | A/A |\n|---|---|---|---|"
            ),
        );
        for point in &growth.points {
            let [added, ratio] = if point.is_told() {
                [
                    interval(point.added_ns, MICROSECOND, 1),
                    interval(point.ratio, 1.0, 3),
                ]
            } else {
                ["cannot be told"; 2].map(str::to_owned)
            };
            let again = point.again.median;
            line(
                out,
                format_args!("| {} | {added} | {ratio} | {again:.3} |", point.at),
            );
        }
    }
}

fn first(out: &mut String, report: &Report) {
    if report.first.is_empty() {
        return;
    }
    line(
        out,
        format_args!("\n| first request after a start | ms | later ms |\n|---|---|---|"),
    );
    for one in &report.first {
        let first = interval(one.first_ns, MILLISECOND, 2);
        let name = if one.name == BASELINE {
            "no filter"
        } else {
            &one.name
        };
        line(
            out,
            format_args!("| {name} | {first} | {:.2} |", one.later_ns / MILLISECOND),
        );
    }
}

fn standing(out: &mut String, report: &Report) {
    let Some(standing) = &report.standing else {
        return;
    };
    line(
        out,
        format_args!(
            "\n| before the first request | start, main thread ms | of naive's | all threads ms | memory MB | per worker MB | per route and worker kB |\n|---|---|---|---|---|---|---|"
        ),
    );
    let or_nothing = |value: Option<f64>, digits: usize| {
        value.map_or(String::new(), |value| format!("{value:.digits$}"))
    };
    for one in &standing.variants {
        line(
            out,
            format_args!(
                "| `{}` | {:.1} | {} | {:.1} | {:.1} | {:.2} | {} |",
                one.name,
                one.start_main_ms,
                or_nothing(one.start_of_naive, 2),
                one.start_ms,
                one.memory_kb / 1e3,
                one.worker_kb / 1e3,
                or_nothing(one.route_kb, 1),
            ),
        );
    }
}

fn push(out: &mut String, report: &Report) {
    let Some(push) = &report.push else {
        return;
    };
    line(
        out,
        format_args!(
            "\n| pushed | in force after p50 ms | p90 | most | p99 of answers, quiet ms | during pushes ms |\n|---|---|---|---|---|---|"
        ),
    );
    for one in &push.pushed {
        line(
            out,
            format_args!(
                "| {} ({}) | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} |",
                one.about,
                one.name,
                one.p50_ms,
                one.p90_ms,
                one.most_ms,
                one.quiet_p99_ns / MILLISECOND,
                one.meanwhile_p99_ns / MILLISECOND
            ),
        );
    }
}
