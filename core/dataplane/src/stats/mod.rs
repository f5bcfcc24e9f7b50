//! Counts as Envoy's own statistics, for people without our control plane.
//!
//! Envoy's statistics have no labels for Wasm; they are written into the name and taken out again
//! by the `stats_tags` of the bootstrap. The names are those of Istio's own Wasm statistics,
//! labels first: `sloop_route=.=pay;.;sloop_side=.=server;.;sloop_requests`. One pattern per label,
//! `(sloop_route=\.=(.*?);\.;)`, takes it out in any Envoy, and in Istio it is what naming the
//! label in `extraStatTags` means. What is left is `wasmcustom.sloop_requests`, and
//! `sloop_requests` in Prometheus. [`STATS`] is the whole list.
//!
//! Nothing is counted here. On the tick the difference between a count and what was
//! shown of it becomes one call into Envoy. Counts are also handed over to reports and
//! begin anew, whenever that is; what was shown is kept modulo 2^64, which follows both. A histogram of Envoy's takes
//! one call per latency, so latencies are counters with the bounds as the label `le`,
//! which is what a histogram is in Prometheus.

mod book;
mod shown;

pub use book::{StatDelta, StatsBook};
pub(crate) use shown::{Metric, Shown, Values, show_objective, show_trouble};

/// One kind of statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What Prometheus calls it.
    pub name: &'static str,
    /// Its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// The labels of a scope.
macro_rules! of_scope {
    ($($more:literal),*) => { &[$($more,)* "sloop_service", "sloop_route", "sloop_side"] };
}

/// Requests by outcome.
pub(crate) const REQUESTS: Stat = Stat {
    name: "sloop_requests",
    labels: of_scope!("sloop_outcome"),
    help: "Requests that ended, by outcome.",
};
/// Requests by objective.
pub(crate) const OBJECTIVE_REQUESTS: Stat = Stat {
    name: "sloop_objective_requests",
    labels: of_scope!("sloop_slo", "sloop_objective", "sloop_result"),
    help: "Requests that an objective is about; the result is `good` or `bad`.",
};
/// Latencies up to a bound.
pub(crate) const LATENCY_BUCKET: Stat = Stat {
    name: "sloop_latency_microseconds_bucket",
    labels: of_scope!("le"),
    help: "Requests whose latency was at most `le`, exact to 1.6 % of it.",
};
/// All latencies together.
pub(crate) const LATENCY_SUM: Stat = Stat {
    name: "sloop_latency_microseconds_sum",
    labels: of_scope!(),
    help: "All latencies together, exact to 1.6 %; above a minute counts as a minute.",
};
/// How many had a latency.
pub(crate) const LATENCY_COUNT: Stat = Stat {
    name: "sloop_latency_microseconds_count",
    labels: of_scope!(),
    help: "Requests that had a latency.",
};
/// Attempts beyond the first.
pub(crate) const RETRIES: Stat = Stat {
    name: "sloop_retries",
    labels: of_scope!(),
    help: "Attempts beyond the first, where `attempts` is configured, and inbound where a retry budget holds.",
};
/// Trouble of the filter.
pub(crate) const TROUBLE: Stat = Stat {
    name: "sloop_trouble",
    labels: &["sloop_kind"],
    help: "Things that should not happen, by kind.",
};

/// All statistics. All are counters.
pub const STATS: [Stat; 7] = [
    REQUESTS,
    OBJECTIVE_REQUESTS,
    LATENCY_BUCKET,
    LATENCY_SUM,
    LATENCY_COUNT,
    RETRIES,
    TROUBLE,
];

/// Upper ends of latency buckets in microseconds: Prometheus's usual ladder from 1 ms to 10 s,
/// in the steps that thresholds of SLOs are chosen from. Behind them comes `+Inf`.
pub const LATENCY_BOUNDS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// The pattern by which Envoy's `stats_tags` take a label out of a name.
#[must_use]
pub fn tag_pattern(label: &str) -> String {
    // `le` ends no other label of ours, but it may end those of others: it comes first, so it begins the name.
    let start = if label == "le" { "^wasmcustom\\." } else { "" };
    format!("{start}({label}=\\.=(.*?);\\.;)")
}

/// The name by which Envoy is to know a statistic. `values` are those of its labels, in their order.
fn name_of(stat: &Stat, values: &[&str]) -> String {
    let mut name = String::with_capacity(160);
    for (label, value) in stat.labels.iter().zip(values) {
        name.push_str(label);
        name.push_str("=.=");
        // What would end the value too early, or a line.
        let plain = |c: char| {
            if matches!(c, ';' | '=' | ' ') || c.is_control() {
                '_'
            } else {
                c
            }
        };
        name.extend(value.chars().map(plain));
        name.push_str(";.;");
    }
    name.push_str(stat.name);
    name
}

#[cfg(test)]
mod tests;
