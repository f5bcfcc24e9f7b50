//! What a report costs: a chart of many points, and a table of many rows.
#![allow(missing_docs, reason = "a measurement")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sloop_page::{Chart, Frame, Scale, table};

const POINTS: u32 = 10_000;

fn reports(criterion: &mut Criterion) {
    criterion.bench_function("line of 10,000 points", |bencher| {
        bencher.iter(|| {
            let x = Scale::Log(1.0, f64::from(POINTS));
            let mut chart = Chart::new("a line", Frame::whole(300.0), x, Scale::Linear(0.0, 1.0));
            let points = (1..=POINTS).map(|at| (f64::from(at), Some(f64::from(at % 7) / 7.0)));
            chart.line("s0", black_box(points));
            chart.finish().len()
        });
    });
    let row = |number: usize| vec![format!("row {number}"), number.to_string()];
    let rows: Vec<_> = (0..1_000).map(row).collect();
    criterion.bench_function("table of 1,000 rows", |bencher| {
        bencher.iter(|| table(&["name", "number"], black_box(&rows)).len());
    });
}

criterion_group!(benches, reports);
criterion_main!(benches);
