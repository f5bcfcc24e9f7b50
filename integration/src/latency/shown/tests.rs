use sloop_bench::paired::{Estimate, Pair};

use super::super::aims::Aims;
use super::super::first::First;
use super::super::growth::{Growth, Point};
use super::super::open::{Check, OpenReport, OpenRow, OpenSettings, Percentiles, Spread, Told};
use super::super::push::{PushReport, Pushed};
use super::super::result::Report;
use super::super::result::tests::{report as of_rows, row};
use super::super::variants::{AGAIN, BASELINE};
use super::{hgrm, html, markdown};

fn around(median: f64, by: f64) -> Estimate {
    Estimate {
        low: median - by,
        median,
        high: median + by,
    }
}

/// Latencies like those of a worker: most around `p50`, and a tail.
fn open_row(name: &str, p50: f64, added: Option<f64>) -> OpenRow {
    let value = |nines: u32| (p50 * (1.0 + 0.4 * f64::from(nines)).powf(1.2)).round();
    let counts = [50_000, 40_000, 9_000, 900, 90, 9, 1];
    let steps = counts.into_iter().zip(0..);
    OpenRow {
        name: name.into(),
        about: String::new(),
        all: Percentiles {
            p50,
            p99: value(2),
            p999: value(3),
        },
        added_ns: added.map(|added| Spread {
            p50: around(added, 2_000.0),
            p99: around(added * 2.5, 20_000.0),
            p999: around(added * 5.0, 300_000.0),
        }),
        waited: 3,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        histogram: steps
            .map(|(count, nines)| (value(nines) as u64, count))
            .collect(),
        pairs: vec![],
    }
}

fn latency() -> OpenReport {
    let told = |resolution_ns, is_told| Told {
        resolution_ns,
        is_told,
    };
    OpenReport {
        refusals: vec![],
        settings: OpenSettings::new(45, 600),
        check: Check {
            known_ns: 3_000_000,
            least_ns: 3_050_000,
            p50_ns: 3_080_000,
        },
        late_ns: Percentiles {
            p50: 6_000.0,
            p99: 90_000.0,
            p999: 200_000.0,
        },
        told: Spread {
            p50: told(3_000.0, true),
            p99: told(25_000.0, true),
            p999: told(400_000.0, false),
        },
        variants: vec![
            open_row(BASELINE, 128_000.0, None),
            open_row(AGAIN, 128_500.0, Some(500.0)),
            open_row("naive", 150_000.0, Some(21_000.0)),
            open_row("sloop", 141_000.0, Some(12_000.0)),
        ],
    }
}

/// A report with everything in it, of numbers that are invented.
pub(in super::super) fn report() -> Report {
    let mut rows = vec![
        row(AGAIN, 1.002),
        row("raw", 1.06),
        row("naive", 1.36),
        row("lua", 1.2),
        row("sloop", 1.29),
        row("sloop_plain", 1.22),
        row("sloop_refused", 0.55),
    ];
    for row in &mut rows {
        row.added_ns = around(row.added_ns.median, 700.0);
        row.ratio = around(row.ratio.median, 0.015);
        row.pairs = vec![
            Pair {
                baseline: 40_000.0,
                variant: 41_000.0,
            };
            3
        ];
        if row.name == "sloop_refused" {
            row.status = 503;
            row.of_naive = None;
        }
    }
    let point = |at: &str, ratio: f64| Point {
        at: at.into(),
        added_ns: around((ratio - 1.0) * 40_000.0, 600.0),
        ratio: around(ratio, 0.01),
        again: around(1.001, 0.004),
    };
    let pushed = |name: &str, p50_ms: f64| Pushed {
        name: name.into(),
        about: format!("what {name} is"),
        all_ms: vec![p50_ms; 20],
        p50_ms,
        p90_ms: p50_ms * 2.0,
        most_ms: p50_ms * 4.0,
        quiet_p99_ns: 150_000.0,
        meanwhile_p99_ns: 900_000.0,
    };
    let report = Report {
        latency: Some(latency()),
        growth: vec![Growth {
            of: "routes".into(),
            about: "More and more scopes.".into(),
            points: vec![point("1", 1.2), point("1000", 1.24)],
        }],
        first: vec![First {
            name: "sloop".into(),
            first_ns: around(3_100_000.0, 400_000.0),
            later_ns: 210_000.0,
            starts: 5,
        }],
        push: Some(PushReport {
            pushed: vec![pushed("ecds", 3.2), pushed("rds_1000", 21.0)],
        }),
        standing: Some(super::super::standing::invented()),
        ..of_rows(rows)
    };
    Report {
        aims: Aims::of(&report),
        ..report
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let report = report();
    let json = serde_json::to_string(&report).unwrap();
    let page = html(&report, &[("latency.json".into(), json)]);
    for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("download=\"latency.json\" href=\"data:"));
    assert!(!page.contains("NaN") && !page.contains("inf "));
    if let Some(path) = std::env::var_os("SLOOP_WRITE_REPORT") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn every_chart_says_what_it_shows_to_whom_cannot_see_it() {
    let page = html(&report(), &[]);
    assert_eq!(page.matches("role=img").count(), 2, "costs and percentiles");
    assert_eq!(page.matches("role=img aria-label=").count(), 2);
}

#[test]
fn names_cannot_break_the_page() {
    let mut report = report();
    report.variants[1].name = "<b>&".to_owned();
    report.variants[1].about = "<b>&".to_owned();
    let page = html(&report, &[("<b>&".into(), "<b>&".into())]);
    assert!(!page.contains("<b>"));
}

#[test]
fn aims_are_on_the_page_and_in_markdown_and_not_in_a_report_without_sloop() {
    let mut report = report();
    for text in [html(&report, &[]), markdown(&report)] {
        for part in [
            "a refusal, of a proxied request",
            "not met, 6 % over",
            "not measured",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
    report.aims = None;
    for text in [html(&report, &[]), markdown(&report)] {
        assert!(!text.contains("not met"), "{text}");
    }
}

#[test]
fn what_two_runs_need_not_agree_on_is_named() {
    let mut report = report();
    report.variants[1].error = Some(0.2);
    for text in [html(&report, &[]), markdown(&report)] {
        let all = text.to_lowercase();
        assert_eq!(all.matches("not told to a tenth").count(), 1, "{text}");
        assert!(all.contains("raw: 0.5"), "{text}");
    }
}

#[test]
fn what_cannot_be_told_has_no_number() {
    let page = html(&report(), &[]);
    assert!(page.contains("cannot be told"));
    let text = markdown(&report());
    assert!(
        text.contains("| `sloop` | 141 | 12.0 [10.0, 14.0] |"),
        "{text}"
    );
    assert!(text.contains("| cannot be told |"), "{text}");
    assert!(!text.contains("| 60.0 ["), "p99.9: {text}");
}

#[test]
fn what_is_measured_beside_the_variants_is_shown_everywhere() {
    let (page, text) = (html(&report(), &[]), markdown(&report()));
    let start = "| `none` | 50.0 |  | 60.0 | 14.0 | 0.20 |  |";
    assert!(text.contains(start), "{text}");
    for shown in [&page, &text] {
        for number in ["50.0", "1.240 [1.230, 1.250]", "3.10 [2.70, 3.50]", "21.0"] {
            assert!(shown.contains(number), "{number}");
        }
    }
}

#[test]
fn latency_that_is_refused_is_not_shown_and_the_rest_is() {
    let mut report = report();
    let latency = report.latency.as_mut().unwrap();
    latency
        .refusals
        .push("the generator was the bottleneck".into());
    let (page, text) = (html(&report, &[]), markdown(&report));
    for shown in [&page, &text] {
        assert!(shown.contains("the generator was the bottleneck"));
        assert!(!shown.contains("141"), "{shown}");
    }
    assert!(
        text.contains("| `sloop` | 11.6 [10.9, 12.3] | 1.290 [1.275, 1.305] |"),
        "{text}"
    );
}

#[test]
fn a_report_that_is_refused_shows_why_and_nothing_else() {
    let mut report = report();
    report.refusals.push("A/A is off".into());
    assert_eq!(markdown(&report), "- no result: A/A is off\n");
}

#[test]
fn a_percentile_file_has_every_request_and_ends_at_the_last() {
    let text = hgrm(&open_row("sloop", 141_000.0, None));
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("0.")).collect();
    assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    let columns = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        columns(lines[0]),
        ["141.000", "0.500000000000", "50000", "2.00"]
    );
    let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
    assert_eq!(columns(last)[1..], ["1.000000000000", "100000"]);
    assert!(text.contains("Total count    =       100000]"), "{text}");
}

#[test]
fn the_json_is_read_back_as_it_was() {
    let report = report();
    let json = serde_json::to_vec(&report).unwrap();
    let read: Report = serde_json::from_slice(&json).unwrap();
    assert_eq!(read, report);
}
