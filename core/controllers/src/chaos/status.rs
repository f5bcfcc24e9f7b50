//! All that people see of an experiment, while it runs and for good.

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, Share, WallTime};

use super::stats::{Interval, LatencyGap, QuantileBand, QuantileShift};
use crate::Counts;

/// One run of an experiment. What `sloop chaos report NAME` shows, and what is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExperimentStatus {
    /// The document's name.
    pub name: String,
    /// When it was due: with the name it tells runs apart.
    pub due_at: WallTime,
    /// Where it is.
    pub phase: ExperimentPhase,
    /// What it showed; absent until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<ExperimentVerdict>,
    /// Why it is so, with the numbers.
    pub because: String,
    /// When faults began; absent when they did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<WallTime>,
    /// When faults ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<WallTime>,
    /// The longest that it may last, in milliseconds.
    pub lasting_ms: u64,
    /// What chose requests, sidecars and services.
    pub seed: u64,
    /// Where faults are injected, in words, as chosen.
    pub targets: Vec<String>,
    /// What is done.
    pub faults: Vec<FaultStatus>,
    /// What it would take, as computed before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ExperimentPlan>,
    /// Each fault compared for each hypothesis; the primary hypothesis first.
    pub comparisons: Vec<ComparisonStatus>,
    /// Error budgets that it spends.
    pub budgets: Vec<BudgetSpent>,
    /// Routes that a fault surely harms: more of their requests are bad in its arm; false discoveries are held to one in twenty (e-BH).
    pub routes: Vec<RouteEffect>,
    /// What happened, oldest first.
    pub events: Vec<ExperimentEvent>,
    /// What the data suggests; nothing where it suggests nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<String>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExperimentPhase {
    /// It waits until it may begin.
    Preflight,
    /// Faults are injected.
    Running,
    /// Faults are withdrawn, and the last reports come in.
    Draining,
    /// It is over.
    Over,
}

/// What a run showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExperimentVerdict {
    /// Every hypothesis surely holds.
    Held,
    /// At least one surely does not.
    Broken,
    /// Not enough is known to say.
    Inconclusive,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FaultStatus {
    /// The id of its rule.
    pub id: String,
    /// What chooses its requests together with the trace id.
    pub seed: u64,
    /// The share of requests in its arm.
    pub share: Share,
    /// The share of requests in its control arm.
    pub control: Share,
    /// Requests that met it on its targets. With none, nothing was tried, and nothing can be held.
    #[serde(default)]
    pub met: u64,
}

/// What a run would take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExperimentPlan {
    /// Requests per second that the primary objective counts.
    pub rate: f64,
    /// The share of them that was bad before, in the last hour.
    pub bad_before: f64,
    /// Requests in the smallest fault arm that show with 80 % power that the primary hypothesis holds, if there is no effect.
    pub needed_to_hold: Option<f64>,
    /// The same to show that it is broken, if the effect is twice the tolerance.
    pub needed_to_break: Option<f64>,
    /// Seconds until the larger of them is there.
    pub expected_s: Option<f64>,
    /// Requests of the primary objective that all arms of faults will have if it lasts its time: at most so much can be spent.
    pub spent_max: f64,
}

/// One fault compared with its control arm, for one hypothesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparisonStatus {
    /// Position of the fault.
    pub fault: usize,
    /// The objective.
    pub objective: ObjectiveId,
    /// How much the effect may be.
    pub tolerance: f64,
    /// Requests in the arm of the fault.
    pub faulted: Counts,
    /// Requests in the control arm.
    pub control: Counts,
    /// The share that is bad in the arm of the fault less that in the control arm; absent while an arm has nothing.
    pub effect: Option<f64>,
    /// Where the effect surely is (95 %, at every moment).
    pub interval: Interval,
    /// The e-value against "the effect is at most the tolerance", its highest.
    pub evidence_broken: f64,
    /// The e-value against "the effect is at least the tolerance", its highest.
    pub evidence_held: f64,
    /// What it shows; absent while nothing is sure.
    pub verdict: Option<ExperimentVerdict>,
    /// How many requests count as one, since requests of an arm fail together.
    pub design_effect: f64,
    /// Callers that were told apart, as far as 64; with none, it is not known whether arms were drawn by caller.
    #[serde(default)]
    pub callers: usize,
    /// `1 - effect / (1 - bad in the control arm)`: the share of faulted requests that the system made good.
    pub absorbed: Option<f64>,
    /// The share that is bad in the control arm less that before the run, when that is surely above 0: the experiment harms those that it should not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contamination: Option<f64>,
    /// Requests of the fault's arm that would make it sure, if the effect is as it looks; absent when it is sure, or when none would.
    pub needed: Option<f64>,
    /// Attempts beyond the first in both arms; absent when none was reported, also where sidecars do not count them (`attempts`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<ArmRetries>,
    /// Latency in the arm of the fault.
    pub faulted_latency: Vec<QuantileBand>,
    /// Latency in the control arm.
    pub control_latency: Vec<QuantileBand>,
    /// By how much quantiles of the latency differ between the arms.
    #[serde(default)]
    pub latency_shifts: Vec<QuantileShift>,
    /// Whether and where latency differs the most; absent while an arm has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_gap: Option<LatencyGap>,
    /// Both arms over time, for charts.
    pub points: Vec<ArmsPoint>,
    /// Latencies of both arms for charts, ascending: microseconds, requests in the arm of the fault, in the control arm.
    pub latencies: Vec<(u64, u64, u64)>,
}

/// Attempts beyond the first: on the server's side requests that were one, on the client's those that Envoy made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArmRetries {
    /// In the arm of the fault.
    pub faulted: u64,
    /// In the control arm.
    pub control: u64,
}

/// What both arms had in one part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArmsPoint {
    /// When it began.
    pub at: WallTime,
    /// The arm of the fault.
    pub faulted: Counts,
    /// The control arm.
    pub control: Counts,
}

/// What a run spent of an error budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetSpent {
    /// The objective.
    pub objective: ObjectiveId,
    /// Requests that might still be bad when it began.
    pub left: f64,
    /// Of these it may spend so many.
    pub cap: f64,
    /// Bad requests in the arms of faults: at most so many are its own.
    pub spent: u64,
}

/// A route that the fault surely harms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteEffect {
    /// Position of the fault.
    pub fault: usize,
    /// The scope, in words.
    pub scope: String,
    /// The objective.
    pub objective: ObjectiveId,
    /// The share that is bad in the arm of the fault less that in the control arm.
    pub effect: f64,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExperimentEvent {
    /// When.
    pub at: WallTime,
    /// What, in words.
    pub what: String,
}
