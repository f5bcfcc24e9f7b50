//! The shapes of the JSON that the HTTP API answers with.
//!
//! Fields are only ever added; readers ignore those that they do not know.
//! Times are milliseconds since the Unix epoch and end in `_ms`, but for `at` and the like of SLOs and experiments.

mod alerts;
mod effects;
mod events;
mod load;
mod pushes;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_controllers::{Acted, BreakerState, Means, ObjectiveStatus, Signal, Spent, Stage};
use sloop_model::{Dimension, Module, Policy, RouteName, Scope, ServiceName, Side, SloName};

use crate::documents::{Became, DocumentId, Remark};

pub use alerts::{AlertShown, TargetTold};
pub use effects::{ArmStatus, DenialStatus, FaultTotals, RetryTotals, ShedLevel, ShedTotals};
pub use events::{Event, Happened};
pub use load::{CountedBy, LoadCount, NodeLoad, StageLoad};
pub use pushes::{PushStage, PushStatus};

/// A list, and when it was true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct List<T> {
    /// When.
    pub at_ms: u64,
    /// The things, in the order of their names; events and decisions oldest first.
    pub items: Vec<T>,
}

/// `GET /v1/slos/{name}/spending?window_s=SECONDS`: who spent an objective's budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpendingStatus {
    /// Position of the objective in the SLO.
    pub objective: u32,
    /// The window up to now, in milliseconds: the one that was asked for, or the SLO's own so far; at most 90 days.
    pub window_ms: u64,
    /// Bad requests by what they are due to: by kind, and then who spent most first. The routes
    /// add up to all of them; what other kinds lack to that is not known. What each kind
    /// means and how exact windows are: `SpentBy` of `core/controllers`.
    pub spent: Vec<Spent>,
}

/// `GET /v1/scopes`: one route of one service, seen from one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeStatus {
    /// The service that the requests are for.
    pub service: ServiceName,
    /// The route.
    pub route: RouteName,
    /// Who looked.
    pub side: Side,
    /// Requests that ended, since ever.
    pub requests: u64,
    /// The same by the name of the outcome; outcomes that never happened are left out.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests that breakers refused, since ever.
    pub refused: u64,
    /// Requests that breakers in shadow mode would have refused, since ever.
    pub shadow_refused: u64,
    /// Among `shadow_refused`: those that met every objective all the same.
    pub shadow_refused_good: u64,
    /// Latency of the last minute; absent when nothing was answered in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The breakers on it, one per Wasm VM, sorted by node. Empty where none reports.
    pub breakers: Vec<BreakerStatus>,
    /// Attempts beyond the first that this process was told of.
    #[serde(default)]
    pub retries: u64,
    /// Who asked, where filters tell requests apart by it: by dimension and value, since this
    /// process first heard of the scope or the scope was last quiet for an hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueStatus>,
    /// Requests that faults met, counted as `values` are; absent where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultTotals>,
    /// What shedding did, counted as `values` are; absent where none was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedTotals>,
    /// What is being shed, by the last word of each VM, sorted by node. VMs that shed nothing are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shed_levels: Vec<ShedLevel>,
    /// Requests that deny rules in shadow mode would have refused, counted as `values` are.
    #[serde(default)]
    pub shadow_denied: u64,
    /// Among `shadow_denied`: those that met every objective all the same.
    #[serde(default)]
    pub shadow_denied_good: u64,
    /// What retry budgets did, counted as `values` are; absent where they did nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryTotals>,
    /// How the arms of experiments went, sorted by experiment and arm, counted as `values` are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<ArmStatus>,
    /// When the newest report about it came; absent when none came since the process began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_ms: Option<u64>,
}

/// What one value of a dimension counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValueStatus {
    /// `caller`, `origin` or `journey`.
    pub dimension: Dimension,
    /// The value; `other` is all that were too many, `unknown` none.
    pub value: String,
    /// Requests that ended.
    pub requests: u64,
    /// The same by the name of the class of outcome; classes that never happened are left out.
    pub classes: BTreeMap<String, u64>,
    /// Requests per objective, sorted by SLO and objective.
    pub objectives: Vec<ObjectiveTotals>,
}

/// Requests of one objective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveTotals {
    /// The SLO.
    pub slo: SloName,
    /// Position in the SLO's list of objectives, from 0.
    pub objective: u32,
    /// Requests that it is about.
    pub total: u64,
    /// Those among them that met it.
    pub good: u64,
}

/// Percentiles, at most 1.6 % off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Requests with a latency.
    pub count: u64,
    /// Median in microseconds.
    pub p50_us: u64,
    /// 99th percentile in microseconds.
    pub p99_us: u64,
}

/// The breaker of one Wasm VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerStatus {
    /// Envoy's node id.
    pub node: String,
    /// Which VM of the node: its incarnation, 16 hexadecimal digits.
    pub vm: String,
    /// `closed`, `open`, `probing` or `ramping`.
    pub state: BreakerState,
    /// When it came into this state, by the sidecar's clock; absent when the control plane saw no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
}

/// `GET /v1/nodes`: one Envoy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// Envoy's node id; `unnamed` for sidecars that report without one.
    pub node: String,
    /// Envoy's node cluster: the service that the sidecar belongs to.
    pub group: String,
    /// Whether it holds a stream to this control plane.
    pub connected: bool,
    /// Since when; absent when it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_ms: Option<u64>,
    /// The nodes that it gets the same as, as `edge{zone=a}`; absent when it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// How long it took until all that it should have was in force; absent while that is not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_ms: Option<u64>,
    /// Since when it does not run with all that it should have; absent when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// Where it runs, as `region/zone`; empty when it did not say.
    pub zone: String,
    /// What it subscribed to, sorted by kind. Empty when not connected.
    pub resources: Vec<ResourceStatus>,
    /// When its newest report came; absent when none came since the process began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_ms: Option<u64>,
    /// Configurations in force, one per Wasm VM and side, as the filters themselves say.
    pub filters: Vec<FilterInForce>,
    /// What was counted of it, by what changes that go to a few nodes first are judged; by each who counted any. Both see the
    /// same requests. Empty of a node that did not report for ten minutes.
    #[serde(default)]
    pub load: Vec<NodeLoad>,
}

/// How one Envoy stands with one type of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceStatus {
    /// The type URL.
    pub kind: String,
    /// The version that was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// The version that Envoy accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<String>,
    /// When the version in `sent` was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_ms: Option<u64>,
    /// When Envoy accepted something last, also while it has not answered what was sent since, or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ms: Option<u64>,
    /// How long Envoy took to accept what was sent last; absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// What Envoy said when it refused what was sent last; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What it refused last on this stream, also when it has accepted something since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
}

/// An Envoy refused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRefusal {
    /// When.
    pub at_ms: u64,
    /// What.
    pub version: String,
    /// Why, in Envoy's words.
    pub reason: String,
}

/// The configuration that a filter runs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilterInForce {
    /// Which VM of the node.
    pub vm: String,
    /// Which filter.
    pub side: Side,
    /// The configuration's number.
    pub generation: u64,
    /// The number of the configuration that Envoy accepted last; absent when it accepted none on its
    /// present stream. Where `generation` is another for longer than between two reports, they drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
    /// Since when, by the sidecar's clock.
    pub applied_ms: u64,
    /// Which module it is: `requests` or `answers`.
    #[serde(default)]
    pub module: Module,
    /// The version of the service that the sidecar belongs to, if it is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `GET /v1/decisions`: a controller changed its mind about an intent. At most the newest 1,000 are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionTaken {
    /// Its number. Numbers only grow, also over restarts.
    #[serde(default)]
    pub id: u64,
    /// When.
    pub at_ms: u64,
    /// The intent: kind and name of the document, as `SLO/checkout`.
    pub intent: String,
    /// The stage of the controller that decided: `measure`, `protect`, `change` or `advise`.
    pub stage: Stage,
    /// Policies that should hold by it.
    pub policies: usize,
    /// Why.
    pub because: String,
}

/// `GET /v1/decisions/{id}`: one decision, what it was decided by, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionExplained {
    /// The decision.
    #[serde(flatten)]
    pub decision: DecisionTaken,
    /// Policies that hold since.
    pub given: Vec<Policy>,
    /// Policies that held until then.
    pub withdrawn: Vec<Policy>,
    /// What the controller found out.
    pub signals: Vec<Signal>,
    /// How the objectives of an SLO stood at that moment: counts, burn per window, change.
    pub objectives: Vec<ObjectiveStatus>,
    /// Where it refuses requests, what that did. At most 64 scopes; those without requests so far are left out.
    /// While it holds, scopes of which the first requests come later are added.
    pub effects: Vec<DecisionEffect>,
}

/// What a decision did on one scope, as long as it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionEffect {
    /// Where.
    pub scope: Scope,
    /// From when on.
    pub since_ms: u64,
    /// Until when; absent while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// By what it refuses requests there; others' doing is not counted.
    #[serde(default)]
    pub by: BTreeSet<Means>,
    /// What was counted when it began.
    pub before: Acted,
    /// What was counted while it held.
    pub acted: Acted,
    /// Other decisions that refused requests there by the same means meanwhile, at most 64: what was counted
    /// is theirs, too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub shared_with: BTreeSet<u64>,
}

/// `GET /v1/documents`: one file, or one document that was handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentFile {
    /// Its path; `applied:KIND/NAME` for a document that was handed in.
    pub file: String,
    /// Whether what it says is in force.
    pub accepted: bool,
    /// Whether it is not, and what it said before is.
    #[serde(default)]
    pub kept: bool,
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// What one should know of what is in force of it: above all what is not evaluated, and why.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// `POST /v1/documents`, `DELETE /v1/documents/{kind}/{name}`: what became of documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentsChanged {
    /// When.
    pub at_ms: u64,
    /// The documents, in the order of their kinds and names.
    pub items: Vec<DocumentChanged>,
    /// What one should know of what was handed in, or of others because of the change: above all
    /// what is not evaluated, and why.
    #[serde(default)]
    pub notes: Vec<Remark>,
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentChanged {
    /// Which.
    #[serde(flatten)]
    pub id: DocumentId,
    /// `created`, `configured`, `unchanged` or `deleted`.
    pub became: Became,
}

/// One of the texts that `POST /v1/documents` takes as [`TEXTS_TYPE`](super::TEXTS_TYPE).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentText {
    /// What to call it where something is wrong with it.
    pub file: String,
    /// Documents, YAML or JSON.
    pub text: String,
}

/// Body of every error (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What is wrong, for all requests like this one.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// What is wrong with documents, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Remark>,
}
