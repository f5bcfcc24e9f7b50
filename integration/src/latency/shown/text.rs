//! What the report says in words.

use std::fmt::Write as _;

use sloop_page::{Card, cards, escaped, header, notes};

use super::super::result::{Report, Row};
use super::super::variants::{AGAIN, NAIVE, SLOOP_ALL};

/// Title and what it is about.
pub(super) fn head(report: &Report) -> String {
    let lead = format!(
        "What HTTP filters add to each request of a real Envoy {}, all behind one worker, in {} pairs of slices of {} requests.",
        report.machine.envoy, report.settings.rounds, report.settings.slice
    );
    header("What a filter costs each request", &lead)
}

fn find<'a>(report: &'a Report, name: &str) -> Option<&'a Row> {
    report.variants.iter().find(|row| row.name == name)
}

/// The numbers that matter.
pub(super) fn headlines(report: &Report) -> String {
    let mut all = Vec::new();
    let mut card = |title: &str, big: String, text: String| {
        all.push(Card {
            title: title.to_owned(),
            big,
            text,
        });
    };
    if let Some(sloop) = find(report, SLOOP_ALL) {
        let micros = sloop.added_ns.median / 1e3;
        card(
            "Sloop with everything on",
            format!("{micros:.1} µs <small>of processor</small>"),
            format!(
                "Added to each request: {:.3} times no filter.",
                sloop.ratio.median
            ),
        );
    }
    if let Some(share) = find(report, SLOOP_ALL).and_then(|row| row.of_naive) {
        let naive = find(report, NAIVE).map_or(0.0, |row| row.added_ns.median / 1e3);
        card(
            "Of what a naive filter adds",
            format!("{:.0} %", share.median * 100.0),
            format!("The filter that most teams would write adds {naive:.1} µs."),
        );
    }
    if let Some(open) = report.latency.as_ref().filter(|open| open.is_usable())
        && let Some(row) = open.variants.iter().find(|row| row.name == SLOOP_ALL)
        && let Some(added) = row.added_ns
    {
        card(
            "Added to the median latency",
            format!("{:.0} µs", added.p50.median / 1e3),
            format!(
                "Differences below {:.0} µs cannot be told.",
                open.told.p50.resolution_ns / 1e3
            ),
        );
    }
    if let Some(again) = find(report, AGAIN) {
        card(
            "Error of the measurement",
            format!("{:.1} %", (again.ratio.median - 1.0).abs() * 100.0),
            "What two listeners without any filter differ by (A/A). Beyond 1.5 % there is no result.".to_owned(),
        );
    }
    cards(&all)
}

/// How it was measured, in ten sentences.
pub(super) fn method(report: &Report) -> String {
    let settings = report.settings;
    let open = report.latency.as_ref().map(|open| open.settings);
    let sentences = [
        "One Envoy with one worker has a listener for each variant, so that all share the thread, its memory, code and caches.".to_owned(),
        "All proxy to one service that answers at once; each variant is looked at first, to see that it does its work.".to_owned(),
        format!("Processor time is what the kernel's scheduler counts for the worker over a slice of {} requests, in bursts of one to four.", settings.slice),
        "Two neighbouring slices, one without and one with the filter, in random order, are a pair; only pairs are compared.".to_owned(),
        "What is shown is the median of all pairs, which does not feel the few that something disturbed.".to_owned(),
        "Intervals come from blocks of successive pairs and hold the true median with at least 95 %, whatever the distribution is; what two runs need not agree on within a tenth gets more pairs, as many as the spread of the first ones asks for, and is named if they do not help.".to_owned(),
        open.map_or_else(
            || "Latency was not measured in this run.".to_owned(),
            |open| format!(
                "Latency counts from the moment at which a request was meant to start, by a Poisson process of {:.0} a second, in slices of {} ms, {} pairs for each variant.",
                open.rate, open.slice_ms, open.rounds
            ),
        ),
        report.latency.as_ref().map_or_else(
            || "So there are no percentiles in it.".to_owned(),
            |open| format!(
                "The generator was checked on a service that waits {:.1} ms, for which it found {:.2} ms, and was itself late by {:.0} µs for half of the requests and {:.0} µs for all but one in a hundred.",
                open.check.known_ns as f64 / 1e6,
                open.check.p50_ns as f64 / 1e6,
                open.late_ns.p50 / 1e3,
                open.late_ns.p99 / 1e3
            ),
        ),
        "A second listener without a filter is measured like every variant: what it differs by is the error, and beyond 1.5 % nothing is reported.".to_owned(),
        "At the end everything must add up: what was sent, what Envoy counted for each listener, what the filters counted and reported.".to_owned(),
    ];
    notes("How this was measured", &sentences)
}

/// Where it was measured, in a sentence.
pub(super) fn conditions(report: &Report) -> String {
    let (machine, settings) = (&report.machine, report.settings);
    let mut text = format!(
        "{} pairs of slices of {} requests{}, {}; Envoy {}, one worker",
        settings.rounds,
        settings.slice,
        settings.more(),
        settings.spoken(),
        machine.envoy
    );
    if machine.shares.is_some() {
        text.push_str(" on a processor of its own");
    }
    if machine.is_real_time {
        text.push_str(" with real-time priority");
    }
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    // Writing into a string cannot fail.
    write!(
        text,
        "; {} x {}, Linux {}; load {}, stolen {}; {:.1} µs per request without a filter.",
        machine.processors,
        machine.processor,
        machine.kernel,
        machine
            .load
            .map_or("unknown".to_owned(), |load| format!("{load:.1}")),
        machine.stolen.map_or("unknown".to_owned(), percent),
        report.baseline_ns / 1e3
    )
    .ok();
    text
}

/// Machine, versions, and every number to take away.
pub(super) fn machine(report: &Report, files: &[(String, String)]) -> String {
    let links: String = files
        .iter()
        .map(|(name, content)| {
            let (name, content) = (escaped(name), encoded(content));
            format!("<li><a download=\"{name}\" href=\"data:text/plain;charset=utf-8,{content}\">{name}</a></li>")
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let content = format!(
        "<p>{} Sloop {version}; made {} ms after the epoch; order of slices from seed {}.</p><ul class=downloads>{links}</ul>",
        escaped(&conditions(report)),
        report.made_ms,
        report.settings.seed,
    );
    sloop_page::section(
        "Machine, versions, numbers",
        "Files with every number are in this page; .hgrm files are for the plotter of HdrHistogram.",
        &content,
    )
}

/// For a URL (RFC 3986, 2.1): everything but what means nothing there.
fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:[]{}!*()/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            write!(url, "%{byte:02X}").ok();
        }
    }
    url
}
