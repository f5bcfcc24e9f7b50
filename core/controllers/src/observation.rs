//! What the filters saw, as the control plane takes it in.

use serde::{Deserialize, Serialize};
use sloop_model::{
    Arm, DimensionValue, ExperimentKey, Module, ObjectiveId, Outcome, Scope, Side, WallTime,
};

use crate::World;

/// One report of one VM of a sidecar, after repeats were dropped: every count in it is new.
///
/// Of each count at most [`World::COUNT_MAX`] requests are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Envoy's node id.
    pub node: String,
    /// Which of the sidecar's VMs: each has breakers and counts of its own.
    pub incarnation: u64,
    /// The beginning of the interval that the counts are from.
    pub from: WallTime,
    /// The end of that interval. One that lies after the world's own time is taken as then, and `from` as so much earlier.
    pub at: WallTime,
    /// Scopes with news, no duplicates. A scope that the VM reported before and leaves out had no requests.
    pub scopes: Vec<ScopeCounts>,
    /// What the sidecar says it is.
    #[serde(default, skip_serializing_if = "SidecarReading::says_nothing")]
    pub sidecar: SidecarReading,
}

/// The same, of what somebody else keeps: most of a report is counts, which nobody needs for longer.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Envoy's node id.
    pub node: &'a str,
    /// Which of the sidecar's VMs.
    pub incarnation: u64,
    /// The beginning of the interval that the counts are from.
    pub from: WallTime,
    /// The end of that interval.
    pub at: WallTime,
    /// Scopes with news, no duplicates.
    pub scopes: &'a [ScopeCounts],
    /// What the sidecar says it is.
    pub sidecar: SidecarReading,
}

impl<'a> From<&'a Observation> for Observed<'a> {
    fn from(observation: &'a Observation) -> Self {
        Self {
            node: &observation.node,
            incarnation: observation.incarnation,
            from: observation.from,
            at: observation.at,
            scopes: &observation.scopes,
            sidecar: observation.sidecar.clone(),
        }
    }
}

impl From<Observed<'_>> for Observation {
    fn from(observed: Observed<'_>) -> Self {
        Self {
            node: observed.node.to_owned(),
            incarnation: observed.incarnation,
            from: observed.from,
            at: observed.at,
            scopes: observed.scopes.to_vec(),
            sidecar: observed.sidecar,
        }
    }
}

impl World {
    /// Takes in a report. Of one that ends in the future (the sidecar's clock is ahead) all is taken as ending now.
    pub fn observe(&mut self, observation: Observation) {
        self.observe_kept((&observation).into());
    }
}

/// What a sidecar says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidecarReading {
    /// The service that it belongs to; empty when it does not say.
    pub service: String,
    /// Its filters, at most one for each side; none when it does not say.
    pub filters: Vec<FilterReading>,
}

/// What a filter says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterReading {
    /// Which filter of the sidecar.
    pub side: Side,
    /// What it can touch.
    pub module: Module,
    /// The version of the service that the sidecar belongs to, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<DimensionValue>,
    /// Whether it runs with what was sent to it, and not with what its Envoy began with.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub is_configured: bool,
}

const fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_yes(it: &bool) -> bool {
    *it
}

impl SidecarReading {
    /// Whether nothing is said.
    #[must_use]
    pub const fn says_nothing(&self) -> bool {
        self.filters.is_empty()
    }
}

/// What happened on one scope since the node's last report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeCounts {
    /// Which requests.
    pub scope: Scope,
    /// Requests that ended.
    pub requests: u64,
    /// Requests by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Requests per objective.
    pub objectives: Vec<ObjectiveCounts>,
    /// Requests that a breaker refused.
    pub refused: u64,
    /// Requests that a breaker in shadow mode would have refused.
    pub shadow_refused: u64,
    /// Among `shadow_refused`: those that met every objective all the same.
    pub shadow_refused_good: u64,
    /// The breaker, if one guards the scope.
    pub breaker: Option<BreakerReading>,
    /// Latencies in microseconds and how many requests had them, ascending.
    pub latency: Vec<(u64, u64)>,
    /// What ended in the arms of experiments, at most [`ScopeCounts::ARMS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<ArmCounts>,
    /// What other protection in shadow mode would have kept out.
    #[serde(default, skip_serializing_if = "ShadowCounts::is_nothing")]
    pub shadows: ShadowCounts,
}

/// What shedding and deny rules in shadow mode would have kept out, and did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowCounts {
    /// Requests that would have been shed.
    pub shed: u64,
    /// Among `shed`: those that met every objective all the same.
    pub shed_good: u64,
    /// Requests that a deny rule would have refused.
    pub denied: u64,
    /// Among `denied`: those that met every objective all the same.
    pub denied_good: u64,
}

impl ShadowCounts {
    /// Whether nothing would have been kept out.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.shed == 0 && self.denied == 0
    }
}

impl ScopeCounts {
    /// Arms of one scope in one report: two of each of four experiments.
    pub const ARMS_MAX: usize = 8;

    /// That nothing happened on `scope`.
    #[must_use]
    pub const fn nothing(scope: Scope) -> Self {
        Self {
            scope,
            requests: 0,
            outcomes: [0; Outcome::ALL.len()],
            objectives: Vec::new(),
            refused: 0,
            shadow_refused: 0,
            shadow_refused_good: 0,
            breaker: None,
            latency: Vec::new(),
            arms: Vec::new(),
            shadows: ShadowCounts {
                shed: 0,
                shed_good: 0,
                denied: 0,
                denied_good: 0,
            },
        }
    }
}

/// What ended in one arm of one experiment on a scope since the node's last report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCounts {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// [`Arm::Fault`] or [`Arm::Control`].
    pub arm: Arm,
    /// Requests that ended.
    pub requests: u64,
    /// Requests by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Requests per objective.
    pub objectives: Vec<ObjectiveCounts>,
    /// Latencies in microseconds and how many requests had them, ascending.
    pub latency: Vec<(u64, u64)>,
    /// Attempts beyond the first; 0 too where nobody counts them.
    #[serde(default)]
    pub retries: u64,
    /// Callers that have names, at most [`ArmCounts::CALLERS_MAX`]; none where callers are not told apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<ArmCaller>,
}

impl ArmCounts {
    /// Callers of one arm in one report that are taken: as many as a filter tells apart.
    pub const CALLERS_MAX: usize = 16;
}

/// What one caller sent of an arm's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCaller {
    /// Who.
    pub caller: DimensionValue,
    /// Total and good of each of the arm's objectives, in their order; what is missing at the end is 0.
    pub objectives: Vec<(u64, u64)>,
}

/// What happened to one objective on one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectiveCounts {
    /// Whose counts these are.
    pub id: ObjectiveId,
    /// Requests that the objective is about.
    pub total: u64,
    /// Those among them that met it. More than `total` is taken as `total`.
    pub good: u64,
}

/// What a sidecar's breaker is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerReading {
    /// Its state when the report was made.
    pub state: BreakerState,
    /// Changes since the last report, oldest first.
    pub changes: Vec<BreakerChange>,
}

/// The states of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// A few requests pass, to see.
    Probing,
    /// A growing share passes.
    Ramping,
}

/// One change of a breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerChange {
    /// The state that it changed to.
    pub to: BreakerState,
    /// When, by the sidecar's wall clock.
    pub at: WallTime,
    /// Why.
    pub cause: BreakerCause,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BreakerCause {
    /// Too many of the requests that the sidecar saw failed.
    Failures,
    /// Too many were slow.
    Slowness,
    /// The control plane said so.
    Fleet,
    /// Time passed.
    Time,
    /// Probes were served.
    Recovered,
}
