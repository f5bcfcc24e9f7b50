//! Latency: percentiles as users of HdrHistogram know them, and what is added.

use sloop_bench::paired::Estimate;
use sloop_page::{Chart, Frame, Scale, escaped, legend};

use super::super::open::{OpenReport, OpenRow, Told};
use super::super::result::Report;
use super::super::variants::AGAIN;
use super::interval;

/// The left half of the percentiles is the first tick; five nines fill the axis.
const NINES: [(f64, &str); 6] = [
    (1.0, "0 %"),
    (10.0, "90 %"),
    (100.0, "99 %"),
    (1_000.0, "99.9 %"),
    (10_000.0, "99.99 %"),
    (100_000.0, "99.999 %"),
];
const CLASSES: [&str; 8] = ["s7", "s1", "s0", "s2", "s3", "s4", "s5", "s6"];
const MICROSECOND: f64 = 1e3;

/// Nothing when latency was not measured.
pub(super) fn section(report: &Report) -> String {
    let Some(open) = &report.latency else {
        return String::new();
    };
    let title = "What each request waits";
    if !open.is_usable() {
        let why: Vec<String> = open.refusals.clone();
        return sloop_page::notes(&format!("{title}: no result"), &why);
    }
    let shown: Vec<(&OpenRow, &str)> = open
        .variants
        .iter()
        .filter(|row| row.name != AGAIN)
        .zip(CLASSES)
        .collect();
    let why = format!(
        "Latency from the intended start of each request, at {:.0} requests a second that come at random moments. \
         Both scales are logarithmic: each step to the right leaves a tenth of the requests.",
        open.settings.rate
    );
    let names = legend(shown.iter().map(|(row, class)| (*class, row.name.as_str())));
    sloop_page::section(title, &why, &(names + &percentiles(&shown) + &table(open)))
}

fn percentiles(shown: &[(&OpenRow, &str)]) -> String {
    let values = || {
        let all = shown.iter().flat_map(|(row, _)| &row.histogram);
        all.map(|(value, _)| *value as f64 / MICROSECOND)
    };
    let (low, high) = values().fold((f64::INFINITY, 1.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let low = low.clamp(1.0, high);
    let y = Scale::Log(low * 0.9, high * 1.1);
    let x = Scale::Log(1.0, 100_000.0);
    let label = format!(
        "Latency by percentile: {}",
        shown
            .iter()
            .map(|(row, _)| format!("{} p50 {:.0} µs", row.name, row.all.p50 / MICROSECOND))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let mut chart = Chart::new(&label, Frame::whole(360.0), x, y);
    chart.columns(NINES.map(|(at, _)| at));
    chart.ticks(NINES);
    let lines: Vec<_> = steps(low, high);
    chart.grid(lines.iter().map(|(value, name)| (*value, name.as_str())));
    for (row, class) in shown {
        chart.line(class, points(row));
    }
    chart.finish()
}

/// 1, 2 and 5 times powers of ten between these.
fn steps(low: f64, high: f64) -> Vec<(f64, String)> {
    let powers = (0..8).map(|power| 10_f64.powi(power));
    let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * power));
    let named = |value: f64| {
        if value < 1_000.0 {
            format!("{value} µs")
        } else {
            format!("{} ms", value / 1_000.0)
        }
    };
    all.filter(|value| low <= *value && *value <= high)
        .map(|value| (value, named(value)))
        .collect()
}

/// (1 over the share of requests that took longer, microseconds).
fn points(row: &OpenRow) -> impl Iterator<Item = (f64, Option<f64>)> {
    let total: u64 = row.histogram.iter().map(|(_, count)| count).sum();
    let mut above = total;
    let with_shares = row.histogram.iter().map(move |(value, count)| {
        above = above.saturating_sub(*count);
        let share = above.max(1) as f64 / total.max(1) as f64;
        (1.0 / share, Some(*value as f64 / MICROSECOND))
    });
    with_shares.collect::<Vec<_>>().into_iter()
}

fn table(open: &OpenReport) -> String {
    let row = |row: &OpenRow| {
        let added = |pick: fn(&super::super::Spread<Estimate>) -> Estimate, told: Told| {
            row.added_ns.as_ref().map_or(String::new(), |added| {
                if told.is_told {
                    interval(pick(added), MICROSECOND, 1)
                } else {
                    "<span class=unsure>cannot be told</span>".to_owned()
                }
            })
        };
        let all = row.all;
        vec![
            escaped(&row.name),
            format!("{:.0}", all.p50 / MICROSECOND),
            added(|added| added.p50, open.told.p50),
            format!("{:.0}", all.p99 / MICROSECOND),
            added(|added| added.p99, open.told.p99),
            format!("{:.0}", all.p999 / MICROSECOND),
            added(|added| added.p999, open.told.p999),
        ]
    };
    let rows: Vec<_> = open.variants.iter().map(row).collect();
    let head = [
        "variant",
        "p50 µs",
        "added",
        "p99 µs",
        "added",
        "p99.9 µs",
        "added",
    ];
    let resolution = |told: Told| {
        let word = if told.is_told {
            ""
        } else {
            ", too coarse to tell"
        };
        format!("{:.0} µs{word}", told.resolution_ns / MICROSECOND)
    };
    format!(
        "{}<p class=why>What two listeners without a filter differ by: p50 {}, p99 {}, p99.9 {}. Smaller differences are noise.</p>",
        sloop_page::table(&head, &rows),
        resolution(open.told.p50),
        resolution(open.told.p99),
        resolution(open.told.p999)
    )
}
