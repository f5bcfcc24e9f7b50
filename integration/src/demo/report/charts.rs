//! What is drawn.

use super::super::observed::BreakerState;
use super::super::plan::OBJECTIVE;
use super::super::result::{Kinds, Run, Slice};
use super::chart::{Chart, Scale, height_of_rows, legend};

const HEIGHT: f64 = 230.0;
const ROW: f64 = 34.0;
/// Requests a second: above the highest half second that the demo's load draws.
const RATE_TOP: f64 = 130.0;

type Count = fn(&Kinds) -> u64;

/// Bottom first: class, name, count.
const KINDS: [(&str, &str, Count); 5] = [
    ("full", "served in time", |kinds| kinds.full),
    ("degraded", "order accepted, charged later", |kinds| {
        kinds.degraded
    }),
    ("late", "served too late", |kinds| kinds.late),
    ("refused", "refused at once", |kinds| kinds.refused),
    ("failed", "failed", |kinds| kinds.failed),
];

/// Names of the colours in [`kinds`].
pub(super) fn kinds_legend() -> String {
    legend(KINDS.map(|(class, name, _)| (class, name)))
}

/// Requests per second by what became of them.
pub(super) fn kinds(run: &Run) -> String {
    let label = format!(
        "Requests per second by what became of them: {:.0} good ones per second while payments was in trouble",
        run.in_trouble.goodput
    );
    let mut chart = Chart::new(&label, HEIGHT, &run.phases, Scale::Linear(RATE_TOP));
    chart.grid([(0.0, "0"), (40.0, "40/s"), (80.0, "80/s"), (120.0, "120/s")]);
    let mut below = vec![0.0; run.slices.len()];
    for (class, _, count) in KINDS {
        let mut steps = Vec::new();
        for ((slice, to), bottom) in spans(&run.slices).zip(&mut below) {
            let seconds = (to - slice.from_ms).max(1) as f64 / 1_000.0;
            let top = *bottom + count(&slice.kinds) as f64 / seconds;
            steps.push((slice.from_ms, to, *bottom, top));
            *bottom = top;
        }
        chart.steps(class, &steps);
    }
    chart.finish()
}

/// Slices, and when each ends.
fn spans(slices: &[Slice]) -> impl Iterator<Item = (&Slice, u64)> {
    let length = match slices {
        [first, second, ..] => second.from_ms - first.from_ms,
        [_] | [] => 1_000,
    };
    slices
        .iter()
        .map(move |slice| (slice, slice.from_ms + length))
}

/// Names of the colours in [`latency`].
pub(super) fn latency_legend() -> String {
    legend([
        ("p99", "99 of 100 (p99)"),
        ("p50", "half (p50)"),
        ("limit", "what users accept"),
    ])
}

/// Latency percentiles.
pub(super) fn latency(run: &Run) -> String {
    let label = format!(
        "Latency: while payments was in trouble the median was {} ms and the 99th percentile {} ms",
        run.in_trouble.p50_us / 1_000,
        run.in_trouble.p99_us / 1_000
    );
    let scale = Scale::Log(0.003, 10.0);
    let mut chart = Chart::new(&label, HEIGHT, &run.phases, scale);
    chart.grid([
        (0.003, ""),
        (0.01, "10 ms"),
        (0.1, "100 ms"),
        (1.0, "1 s"),
        (10.0, "10 s"),
    ]);
    chart.limit(OBJECTIVE.as_secs_f64(), "users' objective");
    let seconds = |us: Option<u64>| us.map(|us| us as f64 / 1e6);
    for (class, pick) in [
        ("p99", (|slice| slice.p99_us) as fn(&Slice) -> Option<u64>),
        ("p50", |slice| slice.p50_us),
    ] {
        let points = spans(&run.slices)
            .map(|(slice, to)| (slice.from_ms.midpoint(to), seconds(pick(slice))));
        chart.line(class, points);
    }
    chart.finish()
}

const BURN_CLASSES: [&str; 4] = ["slo0", "slo1", "slo2", "slo3"];

/// Names of the colours in [`burns`].
pub(super) fn burns_legend(run: &Run) -> String {
    legend(
        BURN_CLASSES
            .into_iter()
            .zip(run.burns.keys().map(String::as_str)),
    )
}

/// Burn rates.
pub(super) fn burns(run: &Run) -> String {
    let highest = run
        .burns
        .values()
        .flatten()
        .map(|(_, rate)| *rate)
        .fold(0.0, f64::max);
    let label =
        format!("Burn rates of the error budgets: at most {highest:.0} times the sustainable rate");
    let mut chart = Chart::new(&label, HEIGHT, &run.phases, Scale::Log(0.1, 100.0));
    chart.grid([(0.1, "0.1×"), (1.0, "1×"), (10.0, "10×"), (100.0, "100×")]);
    chart.limit(1.0, "sustainable");
    for (class, points) in BURN_CLASSES.into_iter().zip(run.burns.values()) {
        chart.line(class, points.iter().map(|(at, rate)| (*at, Some(*rate))));
    }
    chart.finish()
}

/// Names of the colours in [`bands`].
pub(super) fn bands_legend() -> String {
    legend([
        ("closed", "closed: all requests pass"),
        ("open", "open: none passes"),
        ("probing", "probing: a few pass"),
        ("ramping", "ramping: more and more pass"),
    ])
}

/// States of breakers.
pub(super) fn bands(run: &Run) -> String {
    let label = format!(
        "States of the circuit breakers in the sidecars of {}",
        run.bands
            .iter()
            .map(|band| band.node.as_str())
            .collect::<Vec<_>>()
            .join(" and ")
    );
    let height = height_of_rows(run.bands.len(), ROW);
    let mut chart = Chart::new(&label, height, &run.phases, Scale::Linear(1.0));
    let end = run.phases.last().map_or(0, |phase| phase.to_ms);
    for (row, band) in run.bands.iter().enumerate() {
        chart.row_name(&band.node, row, ROW);
        let ends = band.states.iter().skip(1).map(|(at, _)| *at);
        for ((from, state), to) in band.states.iter().zip(ends.chain([end])) {
            let (from, to) = ((*from).min(end), to.min(end));
            let class = class_of(*state);
            let tip = format!(
                "{} from {:.1} s to {:.1} s",
                class,
                from as f64 / 1e3,
                to as f64 / 1e3
            );
            chart.bar(class, (from, to), (row, ROW), &tip);
        }
    }
    chart.finish()
}

const fn class_of(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::Probing => "probing",
        BreakerState::Ramping => "ramping",
    }
}
