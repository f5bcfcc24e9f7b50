//! The charts of a run: arms over time, distributions of latency, budgets.

use sloop_controllers::{ArmsPoint, BudgetSpent, ComparisonStatus, Counts, ExperimentStatus};
use sloop_model::WallTime;
use sloop_page::{Chart, Frame, Scale};

use super::super::text::share;

/// Points of a line over time: with more, each has few requests, and the line shows their scatter alone.
const POINTS_MAX: usize = 30;
/// How high charts are that stand side by side.
const HEIGHT: f64 = 230.0;

/// The share of bad requests of both arms over time.
pub(super) fn over_time(run: &ExperimentStatus, one: &ComparisonStatus) -> String {
    let points = gathered(&one.points);
    let bad = |counts: Counts| {
        #[expect(clippy::cast_precision_loss, reason = "requests of some seconds")]
        let share = counts.bad() as f64 / counts.total as f64;
        (0 < counts.total).then_some(share)
    };
    let tops = points
        .iter()
        .flat_map(|point| [bad(point.faulted), bad(point.control)]);
    let top = tops.flatten().fold(0.05, f64::max);
    let (scale, lines) = Scale::up_to(top.min(1.0));
    let mut chart = on_time("Share of bad requests over time", run, scale);
    let names: Vec<_> = lines.iter().map(|line| (*line, share(*line))).collect();
    chart.grid(names.iter().map(|(at, name)| (*at, name.as_str())));
    let of = |arm: fn(&ArmsPoint) -> Counts| {
        let shares = points.iter();
        shares.map(move |point| (seconds(run, point.at), bad(arm(point))))
    };
    chart.line("s0", of(|point| point.control));
    chart.line("s1", of(|point| point.faulted));
    chart.finish()
}

/// What was spent of a budget over time, up to what may be.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
pub(super) fn budget(run: &ExperimentStatus, budget: &BudgetSpent) -> String {
    let about = run
        .comparisons
        .iter()
        .filter(|one| one.objective == budget.objective);
    let mut points: Vec<&ArmsPoint> = about.flat_map(|one| &one.points).collect();
    points.sort_by_key(|point| point.at);
    let (scale, lines) = Scale::up_to(budget.cap.max(budget.spent as f64).max(1.0));
    let mut chart = on_time("Bad requests in the arms of faults", run, scale);
    let names: Vec<_> = lines
        .iter()
        .map(|line| (*line, format!("{line:.0}")))
        .collect();
    chart.grid(names.iter().map(|(at, name)| (*at, name.as_str())));
    let mut spent = 0;
    let sums = points.into_iter().map(|point| {
        spent += point.faulted.bad();
        (seconds(run, point.at), Some(spent as f64))
    });
    let from_nothing = std::iter::once((0.0, Some(0.0)));
    chart.line("s1", from_nothing.chain(sums));
    chart.limit(budget.cap, "may spend");
    chart.finish()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds and counts below 2^52"
)]
/// The share of requests of both arms that took at most so long.
pub(super) fn distributions(one: &ComparisonStatus) -> String {
    let slowest = one.latencies.last().map_or(1_000.0, |(us, ..)| *us as f64);
    let top = slowest.max(10_000.0) * 1.2;
    let scale = Scale::Log(500.0, top);
    let mut chart = Chart::new(
        "Share of requests within a latency",
        Frame::half(HEIGHT),
        scale,
        Scale::Linear(0.0, 1.0),
    );
    chart.grid([(0.0, "0%"), (0.5, "50%"), (0.9, "90%"), (1.0, "100%")]);
    let ticks = [
        (1e3, "1 ms"),
        (1e4, "10 ms"),
        (1e5, "100 ms"),
        (1e6, "1 s"),
        (1e7, "10 s"),
    ];
    chart.ticks(ticks.into_iter().filter(|(us, _)| *us <= top));
    for (class, is_faulted) in [("s0", false), ("s1", true)] {
        let count = |(_, faulted, control): &(u64, u64, u64)| {
            if is_faulted {
                *faulted as f64
            } else {
                *control as f64
            }
        };
        let all: f64 = one.latencies.iter().map(count).sum();
        let mut below = 0.0;
        let points: Vec<_> = one
            .latencies
            .iter()
            .map(|entry| {
                below += count(entry);
                (entry.0 as f64, (0.0 < all).then_some(below / all.max(1.0)))
            })
            .collect();
        chart.line(class, points);
    }
    chart.finish()
}

/// An empty chart over the time of the run.
fn on_time(label: &str, run: &ExperimentStatus, scale: Scale) -> Chart {
    let all = run.comparisons.iter().flat_map(|one| &one.points);
    let last = all.map(|point| point.at).max();
    let end = last.max(run.ended_at).map_or(1.0, |at| seconds(run, at));
    let (_, ticks) = Scale::up_to(end);
    let time = Scale::Linear(0.0, end.max(1.0));
    let mut chart = Chart::new(label, Frame::half(HEIGHT), time, scale);
    let ticks = ticks.into_iter().filter(|tick| *tick <= end);
    let names: Vec<_> = ticks.map(|tick| (tick, format!("{tick:.0} s"))).collect();
    chart.ticks(names.iter().map(|(at, name)| (*at, name.as_str())));
    chart
}

fn seconds(run: &ExperimentStatus, at: WallTime) -> f64 {
    at.since(run.started_at.unwrap_or(run.due_at)).as_secs_f64()
}

/// Points that follow each other as one, so that there are at most [`POINTS_MAX`].
fn gathered(points: &[ArmsPoint]) -> Vec<ArmsPoint> {
    let each = points.len().div_ceil(POINTS_MAX).max(1);
    let groups = points.chunks(each).filter_map(|group| {
        let (first, rest) = group.split_first()?;
        Some(rest.iter().fold(*first, |sum, point| ArmsPoint {
            at: sum.at,
            faulted: sum_of(sum.faulted, point.faulted),
            control: sum_of(sum.control, point.control),
        }))
    });
    groups.collect()
}

const fn sum_of(one: Counts, other: Counts) -> Counts {
    Counts {
        total: one.total.saturating_add(other.total),
        good: one.good.saturating_add(other.good),
    }
}
