//! All that people see of an SLO.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{Policy, ServiceName, SloName, WallTime};

use super::acted::Acted;
use super::intent::{BudgetingMethod, SloMode};
use crate::Counts;

/// All that `sloop describe slo NAME` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SloStatus {
    /// Its name.
    pub name: SloName,
    /// Its name for people.
    pub display_name: Option<String>,
    /// The labels of its document, by key.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The service that it belongs to.
    pub service: ServiceName,
    /// Whether Sloop acts on it.
    pub mode: SloMode,
    /// The window in words, as `rolling 28 d`.
    pub window: String,
    /// How good is summed up over time.
    pub budgeting: BudgetingMethod,
    /// When this was true.
    pub at: WallTime,
    /// Its objectives, in the order of the document.
    pub objectives: Vec<ObjectiveStatus>,
    /// All of them together; nothing when the SLO is no composite.
    #[serde(default)]
    pub composite: Option<CompositeStatus>,
    /// The policies in force because of it, counting left out.
    pub policies: Vec<Policy>,
    /// Why, one sentence per controller that decided about it.
    pub because: Vec<String>,
    /// What a reader must know to not misread the numbers.
    pub notes: Vec<String>,
}

/// One objective in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObjectiveStatus {
    /// Position in the SLO.
    pub index: u32,
    /// Its name for people.
    pub display_name: Option<String>,
    /// The share of requests that must be good, `0.0..1.0`.
    pub target: f64,
    /// The slices of time that the budget counts, in words; nothing when it counts requests.
    #[serde(default)]
    pub slices: Option<String>,
    /// What is counted, in words; nothing when it is not evaluated here.
    pub source: Option<String>,
    /// Requests over the SLO's window; nothing when not known.
    pub counts: Option<Counts>,
    /// The share of the window's time so far that somebody reported on, `0.0..=1.0`.
    pub covered: f64,
    /// The error budget; nothing when not known.
    pub budget: Option<BudgetStatus>,
    /// A sudden change for the worse that goes on; nothing when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeStatus>,
    /// Burn rates, shortest window first.
    pub burn: Vec<BurnStatus>,
    /// The pairs of windows that people are woken by.
    pub pairs: Vec<PairStatus>,
    /// How soon a change for the worse is seen; nothing when it is not evaluated here, or everything may be bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionStatus>,
    /// The level at which breakers open; nothing when the SLO is only monitored.
    pub trip: Option<TripStatus>,
    /// From where on load is shed; nothing when the SLO is only monitored, or everything may be bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedStatus>,
    /// How long requests have; nothing when the SLO is only monitored, or gives them no deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineStatus>,
    /// The retry budget; nothing when the SLO is only monitored, or everything may be bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetryStatus>,
    /// What acting did, over all scopes that the objective counts on, since counting began.
    pub acted: Acted,
}

/// An error budget: how much may be bad, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetStatus {
    /// What is counted.
    #[serde(default)]
    pub unit: BudgetUnit,
    /// How many may be bad among those of the window so far.
    pub allowed: f64,
    /// How many were bad; of shares of slices the sum, rounded up.
    pub spent: u64,
    /// `allowed` without what was spent; negative when overspent.
    pub left: f64,
    /// `left / allowed`; 1 when nothing was counted.
    pub left_share: f64,
    /// When nothing will be left if what happened in the last hour (for a window of 30 days, for
    /// others as much of them) goes on, in seconds from now; nothing when it will last, to the
    /// window's end for a calendar window. Of a rolling window, nothing is taken to recover by
    /// bad ones leaving it, so it may last longer.
    pub exhausted_in_s: Option<u64>,
    /// The same with the most that the burn may really be (`high` in [`BurnStatus`]).
    #[serde(default)]
    pub exhausted_earliest_s: Option<u64>,
    /// The same with the least that it may really be; nothing when it may well last.
    #[serde(default)]
    pub exhausted_latest_s: Option<u64>,
}

/// What an error budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetUnit {
    /// Requests.
    #[default]
    Requests,
    /// Slices of time in which something was counted, and that are over.
    Slices,
}

/// All objectives of a composite SLO together.
///
/// OpenSLO v1 says how objectives add up (notes on composite SLOs) and gives a composite no
/// target of its own, so `1` is the whole budget:
///
/// - `Occurrences`: each objective burns it at its own rate times its weight.
/// - `Timeslices`: a slice is bad when it was for any objective, whatever its weight; the budget
///   is that of the strictest objective.
/// - `RatioTimeslices`: what the objectives miss, times their weights, adds up to at most
///   everything; the budget is that of the strictest objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompositeStatus {
    /// The share of the budget that is left, at most 1; negative when overspent; nothing when not known.
    pub left_share: Option<f64>,
    /// Burn rates, shortest window first.
    pub burn: Vec<CompositeBurn>,
    /// The pairs of windows that people are woken by.
    #[serde(default)]
    pub pairs: Vec<PairStatus>,
    /// Whether all of its objectives are known. When not, rates are lower bounds and
    /// `left_share` is an upper one: what is not known is not good.
    pub is_complete: bool,
}

/// How fast a composite's budget is spent: 1 is exactly as fast as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompositeBurn {
    /// The window up to now, in milliseconds.
    pub window_ms: u64,
    /// How long a time up to now it is of, in milliseconds, where a slice is longer than the window: it holds the one that
    /// was over last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_ms: Option<u64>,
    /// The rate; nothing when not known or nothing was counted.
    pub burn: Option<f64>,
    /// Lower end of what it may be: what its objectives surely burn adds up to it.
    #[serde(default)]
    pub low: Option<f64>,
    /// Upper end; nothing while an objective is not known.
    #[serde(default)]
    pub high: Option<f64>,
}

/// How fast the budget is spent: 1 is exactly as fast as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BurnStatus {
    /// The window up to now, in milliseconds.
    pub window_ms: u64,
    /// How long a time up to now it is of, in milliseconds, where a slice is longer than the window: it holds the one that
    /// was over last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_ms: Option<u64>,
    /// Requests in it; nothing when not known.
    pub counts: Option<Counts>,
    /// The rate; nothing when not known or nothing was counted. By slices when the budget
    /// counts them.
    pub burn: Option<f64>,
    /// Lower end of what it may be (Wilson, three standard deviations).
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// A sudden change of the rate of failures, found without waiting for a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeStatus {
    /// When it most likely was.
    pub since_ms: WallTime,
    /// What was counted since.
    pub counts: Counts,
    /// How fast the budget burned since.
    pub burn: f64,
    /// Lower end of what that may be (Wilson, three standard deviations).
    pub low: f64,
}

/// Two windows that must both burn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PairStatus {
    /// The burn rate above which it fires.
    pub factor: f64,
    /// The long window in milliseconds.
    pub long_ms: u64,
    /// The short window in milliseconds.
    pub short_ms: u64,
    /// Whether both exceed the factor; nothing when not known.
    pub burning: Option<bool>,
}

/// The level at which breakers open, and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TripStatus {
    /// The share of bad requests, `0.0..1.0`.
    pub level: f64,
    /// The derivation in words, with the numbers.
    pub derivation: String,
}

/// What change of the rate of failures is looked for, and how soon it is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DetectionStatus {
    /// The least share of bad requests that is looked for, `0.0..1.0`; nothing where none is, because slices are counted.
    pub least: Option<f64>,
    /// The derivation in words, with the numbers.
    pub derivation: String,
}

/// From which share of bad requests on load is shed, and where that comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShedStatus {
    /// The share of bad requests, `0.0..1.0`.
    pub level: f64,
    /// The derivation in words, with the numbers.
    pub derivation: String,
}

/// How long requests have, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadlineStatus {
    /// From a request's arrival on, in milliseconds.
    pub limit_ms: u32,
    /// The derivation in words, with the numbers.
    pub derivation: String,
}

/// How many retries pass while they are in vain, and where that comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetryStatus {
    /// Retries for each first attempt, `0.0..=1.0`.
    pub share: f64,
    /// The derivation in words, with the numbers.
    pub derivation: String,
}
