//! What the demo found out: the content of `report.json`.

use std::collections::BTreeMap;

use serde::Serialize;
use sloop_bench::{Ending, Lateness};
use sloop_controllers::Spent;

use super::decided::Ordered;
use super::heard::Heard;
use super::observed::{BreakerCause, BreakerState, Counted, Enforcement};
use super::plan::Phase;
use crate::shop::CheckoutStatus;

/// Both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// What the arrivals were drawn from.
    pub seed: u64,
    /// Requests of users per second.
    pub rate: f64,
    /// The users' objective in milliseconds.
    pub objective_ms: u64,
    /// Without enforcement.
    pub shadow: Run,
    /// With enforcement.
    pub enforced: Run,
    /// What was promised, and whether it was kept.
    pub promises: Vec<Promise>,
}

/// One run. Moments are milliseconds after its beginning.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// How it was run.
    pub enforcement: Enforcement,
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: u64,
    /// What was to happen.
    pub phases: Vec<Phase>,
    /// Requests that were sent.
    pub sent_requests: u64,
    /// Requests that the control plane knows of, by the reports of `edge`'s sidecar.
    pub counted_requests: u64,
    /// All requests.
    pub whole: Summary,
    /// Requests that were meant to start while `payments` was in trouble.
    pub in_trouble: Summary,
    /// The same per route, over the whole run.
    pub routes: BTreeMap<String, Summary>,
    /// Each trouble and what was done about it.
    pub troubles: Vec<Mitigation>,
    /// Pushes that were seen to take effect.
    pub push_to_effect: Spread,
    /// What SLOs counted.
    pub counted: Vec<Counted>,
    /// Orders to open breakers, as the control plane explains them.
    pub ordered: Vec<Ordered>,
    /// What each sidecar spent of the budget of `payments`, the most first.
    pub spent: Vec<Spent>,
    /// Alerts that people were told of, in that order.
    pub heard: Vec<Heard>,
    /// What became of orders without a charge.
    pub orders: CheckoutStatus,
    /// Requests that Sloop failed although it had no reason to refuse.
    pub failed_by_sloop: Vec<Wrong>,
    /// How late the generator was.
    pub lateness: Lateness,
    /// What happened over time.
    pub slices: Vec<Slice>,
    /// Breakers on calls to `payments` over time, by sidecar.
    pub bands: Vec<Band>,
    /// Burn rates over time, by SLO: (moment, rate).
    pub burns: BTreeMap<String, Vec<(u64, f64)>>,
}

/// A request that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// What the user wanted.
    pub route: String,
    /// When.
    pub at_ms: u64,
    /// How it ended.
    pub ending: Ending,
    /// What kind of answer the shop said it was.
    pub answer: Option<String>,
}

/// What became of some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How long it was watched, in milliseconds.
    pub lasting_ms: u64,
    /// How many there were, by what became of them.
    pub kinds: Kinds,
    /// Requests that met the users' objective, per second.
    pub goodput: f64,
    /// Median latency in microseconds.
    pub p50_us: u64,
    /// 99th percentile in microseconds.
    pub p99_us: u64,
}

/// Requests by what became of them, for a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    /// Served within the objective.
    pub full: u64,
    /// Accepted within the objective, to be charged later.
    pub degraded: u64,
    /// Served, but too late.
    pub late: u64,
    /// Refused at once.
    pub refused: u64,
    /// Failed: an error, a timeout, a broken connection.
    pub failed: u64,
}

impl Kinds {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.full + self.degraded + self.late + self.refused + self.failed
    }

    /// Those that met the users' objective.
    #[must_use]
    pub const fn good(&self) -> u64 {
        self.full + self.degraded
    }
}

/// A piece of time. Requests belong to it by their intended start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Slice {
    /// Its beginning.
    pub from_ms: u64,
    /// What became of its requests.
    pub kinds: Kinds,
    /// Median latency in microseconds; absent without requests.
    pub p50_us: Option<u64>,
    /// 99th percentile in microseconds; absent without requests.
    pub p99_us: Option<u64>,
}

/// The breakers of one sidecar over time: the least closed of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Band {
    /// Whose sidecar.
    pub node: String,
    /// From when on in which state; begins with 0.
    pub states: Vec<(u64, BreakerState)>,
}

/// One trouble and what was done about it. Durations count from the first bad answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mitigation {
    /// What it was.
    pub name: String,
    /// When the first request was met by it.
    pub first_hit_ms: Option<u64>,
    /// When the first bad answer was given, by `payments`' own record.
    pub first_bad_ms: Option<u64>,
    /// Until the first sidecar's breaker opened.
    pub local_ms: Option<u64>,
    /// Until the breakers of all sidecars that call `payments` had opened.
    pub fleet_ms: Option<u64>,
    /// Until people had heard of it; 0 where they had been told of trouble before and not yet that it is over.
    pub heard_ms: Option<u64>,
    /// Which sidecar opened when, and why.
    pub opened: Vec<Opened>,
    /// From healing until all breakers were closed.
    pub relaxed_ms: Option<u64>,
}

/// A breaker's first opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Whose sidecar.
    pub node: String,
    /// How long after the first bad answer, in milliseconds.
    pub after_ms: u64,
    /// Why.
    pub cause: BreakerCause,
}

/// A few numbers about many durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Median.
    pub p50_ms: Option<u64>,
    /// Longest.
    pub max_ms: Option<u64>,
}

/// Something that was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// What.
    pub what: String,
    /// Whether it was kept.
    pub kept: bool,
    /// What was measured.
    pub measured: String,
}
