//! Processor time: bars and a table.

use sloop_page::{Chart, Frame, Scale, escaped};

use super::super::result::{Report, Row};
use super::super::variants::{AGAIN, SLOOP_ALL};
use super::interval;

const ROW: f64 = 30.0;
const MICROSECOND: f64 = 1e3;

/// What each variant adds that lets requests pass, cheapest first.
pub(super) fn bars(report: &Report) -> String {
    let mut rows: Vec<&Row> = report
        .variants
        .iter()
        .filter(|row| row.status < 500)
        .collect();
    rows.sort_by(|one, other| one.added_ns.median.total_cmp(&other.added_ns.median));
    let micros = |row: &&Row| {
        let added = row.added_ns;
        [added.low, added.high].map(|ns| ns / MICROSECOND)
    };
    let ends = rows.iter().flat_map(micros);
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    // Room for the number right of the longest bar.
    let (x, ticks) = Scale::around(low, high * 1.12);
    let frame = Frame {
        left: 132.0,
        ..Frame::whole(0.0)
    };
    let frame = frame.with_rows(rows.len(), ROW);
    let label = format!(
        "Added processor time per request: {}",
        rows.iter()
            .map(|row| format!("{} {:.1} µs", row.name, row.added_ns.median / MICROSECOND))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let mut chart = Chart::new(&label, frame, x, Scale::Linear(0.0, 1.0));
    chart.columns(ticks.iter().copied());
    let names: Vec<_> = ticks
        .iter()
        .map(|tick| (*tick, format!("{tick} µs")))
        .collect();
    chart.ticks(names.iter().map(|(tick, name)| (*tick, name.as_str())));
    for (index, row) in rows.into_iter().enumerate() {
        let place = (index, ROW);
        let added = row.added_ns;
        let [low, median, high] = [added.low, added.median, added.high].map(|ns| ns / MICROSECOND);
        let tip = format!("{}: {}", row.name, row.about);
        chart.row_name(&row.name, place);
        chart.bar(class(&row.name), (0.0, median), place, &tip);
        chart.whisker((low, high), place);
        let ratio = row.ratio.median;
        chart.row_text(
            &format!("{median:.1} µs, {ratio:.3} ×"),
            high.max(0.0),
            place,
        );
    }
    chart.finish()
}

fn class(name: &str) -> &'static str {
    match name {
        AGAIN => "again",
        SLOOP_ALL => "s0",
        name if name.starts_with(SLOOP_ALL) => "s6",
        _ => "s7",
    }
}

/// Every variant.
pub(super) fn table(report: &Report) -> String {
    let row = |row: &Row| {
        let refuses = 500 <= row.status;
        vec![
            escaped(&row.name),
            escaped(&row.about),
            if refuses {
                String::new()
            } else {
                interval(row.added_ns, MICROSECOND, 2)
            },
            interval(row.ratio, 1.0, 3),
            row.of_naive
                .filter(|_| row.name != AGAIN)
                .map_or(String::new(), |share| interval(share, 1.0, 2)),
        ]
    };
    let rows: Vec<_> = report.variants.iter().map(row).collect();
    let table = sloop_page::table(
        &[
            "variant",
            "what it is",
            "added µs",
            "times no filter",
            "of naive's",
        ],
        &rows,
    );
    let unsure = report.unsure().into_iter();
    let unsure = unsure.map(|one| {
        let one = escaped(&one);
        format!("<p class=why><span class=unsure>Not told to a tenth</span>: {one}.</p>")
    });
    table + &unsure.collect::<String>()
}
