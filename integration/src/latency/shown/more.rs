//! What grows, first requests, and pushes.

use sloop_page::{escaped, section, table};

use super::super::first::First;
use super::super::growth::{Growth, Point};
use super::super::push::{PushReport, Pushed};
use super::super::result::Report;
use super::super::standing::{Standing, StandingRow};
use super::interval;

const MICROSECOND: f64 = 1e3;
const MILLISECOND: f64 = 1e6;

/// Everything that was measured beside the variants.
pub(super) fn sections(report: &Report) -> String {
    let mut text = String::new();
    if !report.growth.is_empty() {
        let tables: String = report.growth.iter().map(growth).collect();
        text += &section(
            "What more of something costs",
            "What Sloop adds to a request as there is more of one thing. The last column is what two listeners without a filter differ by beside it.",
            &tables,
        );
    }
    if !report.first.is_empty() {
        text += &section(
            "The first request after a start",
            "From sending the first request that a fresh worker gets to its whole answer; from the fastest to the slowest start.",
            &first(&report.first),
        );
    }
    if let Some(standing) = &report.standing {
        text += &section(
            "Start and memory",
            "Processor time until Envoy is ready, the least of all starts; memory that is no file's, when each worker has \
             served all routes. The first row is whole, the others are what the filter adds to it.",
            &standing_rows(standing),
        );
    }
    if let Some(push) = &report.push {
        text += &section(
            "From a push to its being in force",
            "Pushed by the control plane over gRPC. The clock ends with the first answer that shows it; a question is asked each 0.2 ms.",
            &pushed(push),
        );
    }
    text
}

fn growth(growth: &Growth) -> String {
    let row = |point: &Point| {
        let or_unsure = |number: String| {
            if point.is_told() {
                number
            } else {
                "<span class=unsure>cannot be told</span>".to_owned()
            }
        };
        vec![
            escaped(&point.at),
            or_unsure(interval(point.added_ns, MICROSECOND, 2)),
            or_unsure(interval(point.ratio, 1.0, 3)),
            format!("{:.3}", point.again.median),
        ]
    };
    let rows: Vec<_> = growth.points.iter().map(row).collect();
    let head = [&growth.of, "added µs", "times no filter", "A/A"];
    let about = escaped(&growth.about);
    format!("<p class=why>{about}</p>{}", table(&head, &rows))
}

fn first(first: &[First]) -> String {
    let row = |one: &First| {
        vec![
            escaped(&one.name),
            interval(one.first_ns, MILLISECOND, 2),
            format!("{:.2}", one.later_ns / MILLISECOND),
            one.starts.to_string(),
        ]
    };
    let rows: Vec<_> = first.iter().map(row).collect();
    table(&["variant", "first ms", "later ms", "starts"], &rows)
}

fn standing_rows(standing: &Standing) -> String {
    let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
    let row = |one: &StandingRow| {
        vec![
            escaped(&one.name),
            format!("{:.1}", one.start_main_ms),
            optional(one.start_of_naive),
            format!("{:.1}", one.start_ms),
            format!("{:.1}", one.memory_kb / 1e3),
            format!("{:.2}", one.worker_kb / 1e3),
            optional(one.route_kb),
        ]
    };
    let rows: Vec<_> = standing.variants.iter().map(row).collect();
    let head = [
        "variant",
        "start, main thread, ms",
        "of naive's",
        "start, all threads, ms",
        "memory, MB",
        "per worker, MB",
        "per route and worker, kB",
    ];
    table(&head, &rows)
}

fn pushed(push: &PushReport) -> String {
    let row = |one: &Pushed| {
        vec![
            format!("{}<br>{}", escaped(&one.name), escaped(&one.about)),
            format!("{:.1}", one.p50_ms),
            format!("{:.1}", one.p90_ms),
            format!("{:.1}", one.most_ms),
            one.all_ms.len().to_string(),
            format!("{:.2}", one.quiet_p99_ns / MILLISECOND),
            format!("{:.2}", one.meanwhile_p99_ns / MILLISECOND),
        ]
    };
    let rows: Vec<_> = push.pushed.iter().map(row).collect();
    let head = [
        "what",
        "p50 ms",
        "p90 ms",
        "most ms",
        "pushes",
        "p99 of answers without, ms",
        "during pushes, ms",
    ];
    table(&head, &rows)
}
