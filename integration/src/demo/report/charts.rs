//! What is drawn.

use sloop_page::{Chart, Frame, Scale, legend};

use super::super::observed::BreakerState;
use super::super::plan::{OBJECTIVE, Phase};
use super::super::result::{Kinds, Run, Slice};
use crate::shop::Trouble;

const FRAME: Frame = Frame::half(230.0);
const ROW: f64 = 34.0;
/// Between two names on the axis of time.
const TICK_MS: u64 = 10_000;
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

/// An empty chart over the time of `phases`, in milliseconds, with troubles shaded.
fn over_time(label: &str, frame: Frame, phases: &[Phase], scale: Scale) -> Chart {
    let end_ms = phases.last().map_or(1, |phase| phase.to_ms).max(1);
    let time = Scale::Linear(0.0, end_ms as f64);
    let mut chart = Chart::new(label, frame, time, scale);
    for phase in phases {
        if phase.trouble != Trouble::None {
            let span = (phase.from_ms as f64, phase.to_ms as f64);
            chart.shade("shade", span, &phase.name);
        }
    }
    let ticks = (0..=end_ms / TICK_MS).map(|tick| tick * TICK_MS);
    let ticks: Vec<_> = ticks
        .map(|at_ms| (at_ms as f64, format!("{} s", at_ms / 1_000)))
        .collect();
    chart.ticks(ticks.iter().map(|(at, name)| (*at, name.as_str())));
    chart
}

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
    let mut chart = over_time(&label, FRAME, &run.phases, Scale::Linear(0.0, RATE_TOP));
    chart.grid([(0.0, "0"), (40.0, "40/s"), (80.0, "80/s"), (120.0, "120/s")]);
    let mut below = vec![0.0; run.slices.len()];
    for (class, _, count) in KINDS {
        let mut steps = Vec::new();
        for ((slice, to), bottom) in spans(&run.slices).zip(&mut below) {
            let seconds = (to - slice.from_ms).max(1) as f64 / 1_000.0;
            let top = *bottom + count(&slice.kinds) as f64 / seconds;
            steps.push((slice.from_ms as f64, to as f64, *bottom, top));
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
    let mut chart = over_time(&label, FRAME, &run.phases, scale);
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
        let points = spans(&run.slices).map(|(slice, to)| {
            let middle = slice.from_ms.midpoint(to);
            (middle as f64, seconds(pick(slice)))
        });
        chart.line(class, points);
    }
    chart.finish()
}

const BURN_CLASSES: [&str; 4] = ["s0", "s1", "s2", "s3"];

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
    let mut chart = over_time(&label, FRAME, &run.phases, Scale::Log(0.1, 100.0));
    chart.grid([(0.1, "0.1×"), (1.0, "1×"), (10.0, "10×"), (100.0, "100×")]);
    chart.limit(1.0, "sustainable");
    for (class, points) in BURN_CLASSES.into_iter().zip(run.burns.values()) {
        chart.line(
            class,
            points.iter().map(|(at, rate)| (*at as f64, Some(*rate))),
        );
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
    let frame = FRAME.with_rows(run.bands.len(), ROW);
    let mut chart = over_time(&label, frame, &run.phases, Scale::Linear(0.0, 1.0));
    let end = run.phases.last().map_or(0, |phase| phase.to_ms);
    for (row, band) in run.bands.iter().enumerate() {
        chart.row_name(&band.node, (row, ROW));
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
            chart.bar(class, (from as f64, to as f64), (row, ROW), &tip);
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
