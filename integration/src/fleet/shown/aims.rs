//! What a control plane for ten thousand sidecars should reach.

use super::super::result::{Reports, Run};

/// One bound.
pub(super) struct Aim {
    pub(super) name: &'static str,
    pub(super) bound: f64,
    unit: &'static str,
    is_least: bool,
    pub(super) value: fn(&Run) -> Option<f64>,
}

impl Aim {
    /// Whether `value` is within the bound.
    pub(super) fn is_met(&self, value: f64) -> bool {
        if self.is_least {
            self.bound <= value
        } else {
            value <= self.bound
        }
    }

    /// A value with its unit.
    pub(super) fn shown(&self, value: f64) -> String {
        let digits = if value < 100.0 { 1 } else { 0 };
        format!("{value:.digits$} {}", self.unit)
    }
}

const fn most(
    name: &'static str,
    bound: f64,
    unit: &'static str,
    value: fn(&Run) -> Option<f64>,
) -> Aim {
    Aim {
        name,
        bound,
        unit,
        is_least: false,
        value,
    }
}

const fn least(
    name: &'static str,
    bound: f64,
    unit: &'static str,
    value: fn(&Run) -> Option<f64>,
) -> Aim {
    Aim {
        name,
        bound,
        unit,
        is_least: true,
        value,
    }
}

fn reports(run: &Run, name: &str) -> Option<f64> {
    let mut all = run.reports.iter();
    all.find(|it| it.name == name).map(Reports::per_core)
}

/// First requests with names alone.
fn small(run: &Run) -> Option<&Run> {
    (run.node_bytes == 0).then_some(run)
}

fn large(run: &Run) -> Option<&Run> {
    (run.node_bytes != 0).then_some(run)
}

/// In the order of the table.
pub(super) const AIMS: [Aim; 12] = [
    most("all streams connected", 4.0, "s", |run| {
        small(run).map(|run| run.connect.all_ms / 1e3)
    }),
    most("a policy at the last node", 500.0, "ms", |run| {
        small(run).map(|run| run.push.median(|it| it.last_ms))
    }),
    most("a policy at 99 of 100 nodes", 400.0, "ms", |run| {
        small(run).map(|run| run.push.median(|it| it.p99_ms))
    }),
    most("processor time per node and push", 35.0, "µs", |run| {
        small(run).map(|run| run.push.cpu_us)
    }),
    most("memory per simulated node", 40.0, "KiB", |run| {
        small(run).map(|run| run.memory.pushed_bytes / 1_024.0)
    }),
    most(
        "memory per node with first requests as large as Envoy's",
        110.0,
        "KiB",
        |run| large(run).map(|run| run.memory.pushed_bytes / 1_024.0),
    ),
    most("memory per real Envoy", 110.0, "KiB", |run| {
        run.envoys.map(|envoys| envoys.bytes / 1_024.0)
    }),
    least("reports a second and core, dense", 100_000.0, "", |run| {
        reports(run, "dense")
    }),
    least(
        "reports a second and core, each on its own connection",
        30_000.0,
        "",
        |run| reports(run, "each on its own connection"),
    ),
    least(
        "reports of 1 KiB a second beside pushes",
        20_000.0,
        "",
        |run| {
            let mut all = run.reports.iter();
            all.find(|it| it.name == "1 KiB, beside pushes")
                .map(|it| it.per_second)
        },
    ),
    most(
        "p99 of a policy beside these, times that without",
        1.1,
        "",
        |run| {
            let beside = run.push_with_reports.as_ref()?;
            Some(beside.median(|it| it.p99_ms) / run.push.median(|it| it.p99_ms))
        },
    ),
    most("nodes lost by a reconnect storm", 0.0, "", |run| {
        run.lost().map(|lost| lost as f64)
    }),
];
