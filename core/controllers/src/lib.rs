//! Every decision of the control plane, as pure functions.
//!
//! A controller is a pure function: (intent, memory, world) -> decision. The
//! process around it feeds the [`World`] with [`Observation`]s, lets
//! [`Controllers`] step, makes [`filter_config`]s from the merged policies, and
//! shows people [`SloStatus`]es. Begin with [`Controller`].

mod access;
mod alert;
mod all;
mod budget;
mod by_scope;
mod chaos;
mod circuit_break;
mod configs;
mod deny;
mod detect;
mod fault_injection;
mod filter_settings;
mod harness;
mod journey;
mod lease;
mod load_shed;
mod merge;
mod observation;
mod replay;
mod route_set;
mod slo;
mod words;
mod world;

pub use access::{Access, AccessRule, Denied, InvalidPattern, InvalidSpiffeId, Pattern, SpiffeId};
pub use alert::{
    Acting, Alert, AlertIntent, AlertKind, AlertMemory, AlertReason, AlertState, AlertStatus,
    AlertTarget, AlertTelling, AlertWhen, Comparison,
};
pub use budget::{Cell, Counts, InvalidSlicing, Level, Resolution, Slicing, Spent, SpentBy};
pub use chaos::{
    AbortConditions, ArmRetries, ArmsPoint, BudgetSpent, Chaos, ChaosIntent, ChaosMemory,
    ChaosSchedule, ChaosSpec, ChaosTarget, ComparisonStatus, Ends, ExperimentEvent,
    ExperimentPhase, ExperimentPlan, ExperimentStatus, ExperimentVerdict, FaultStatus, Hypothesis,
    Interval, InvalidExperiment, LatencyGap, QuantileBand, QuantileShift, RouteEffect,
};
pub use circuit_break::{
    CircuitBreak, CircuitBreakerIntent, DerivedBreak, Orders, implied_breaker,
};
pub use configs::{
    ConfigSettings, Configured, RouteNames, Unnamed, filter_config, fleet_objective, route_names,
};
pub use deny::{Deny, DenyIntent};
pub use fault_injection::{FaultInjection, FaultInjectionIntent, LastBurned};
pub use filter_settings::FilterSettings;
pub use harness::{Controllers, Decided, InvalidIntent, Step};
pub use journey::{HopCounts, HopShare, JourneyStatus, Journeys};
pub use load_shed::{LoadShed, LoadSheddingIntent};
pub use merge::merge;
pub use observation::{
    ArmCaller, ArmCounts, BreakerCause, BreakerChange, BreakerReading, BreakerState, FilterReading,
    ObjectiveCounts, Observation, Observed, ScopeCounts, ShadowCounts, SidecarReading,
};
pub use replay::{Brain, Input};
pub use route_set::{NamedRoute, RouteSelector, RouteSet};
pub use slo::{
    Acted, BudgetStatus, BudgetUnit, BudgetingMethod, BurnStatus, ChangeStatus, CompositeBurn,
    CompositeStatus, DeadlineChoice, DeadlineStatus, DetectionStatus, Indicator, Means,
    ObjectiveStatus, PairStatus, Refusals, RetryStatus, ShedStatus, Slo, SloIntent, SloMemory,
    SloMode, SloObjective, SloSource, SloStatus, SloWindow, TripStatus, Weight, objective_name,
};
pub use world::{ArmBlock, Counted, Lost, ScopeTotals, Signal, Speed, Weighed, World};

use core::fmt::Debug;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sloop_model::{Policy, WallTime};

/// Names one thing that an operator asked for: by convention kind and name of the document, as `SLO/checkout`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IntentId(pub String);

/// One kind of control loop.
pub trait Controller: Debug + Send {
    /// What an operator asks for. It cannot be read with values that make no sense.
    type Intent: Debug + DeserializeOwned + Send + 'static;

    /// What this loop remembers between steps, for one intent. A restart may lose it: nothing that was ordered before may then be wrong.
    type Memory: Debug + Default + Serialize + DeserializeOwned + Send + 'static;

    /// The kind of intents that it takes. Several controllers may take the same kind.
    const KIND: &'static str;

    /// When it runs within a step, and whose policy wins a conflict.
    const STAGE: Stage;

    /// Decides what should hold from `world.now()` on.
    ///
    /// Same arguments, same answer: no clock, no randomness, no I/O.
    fn step(&self, intent: &Self::Intent, memory: &mut Self::Memory, world: &World) -> Decision;

    /// Since when an intent waits for what only one can have, if it does at `now`. Within a step these come first, by this moment and
    /// then by name, and each knows what those before it got.
    fn waits_since(
        &self,
        _intent: &Self::Intent,
        _memory: &Self::Memory,
        _now: WallTime,
    ) -> Option<WallTime> {
        None
    }
}

/// The order of controllers within a step. Signals of a stage are seen by later
/// stages; on a conflict the policy of the earlier stage wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Turns observations into signals: is an objective met, what does it cost.
    Measure,
    /// Reduces harm that is happening.
    Protect,
    /// Alters the system on purpose: experiments, upgrades.
    Change,
    /// Recommends.
    Advise,
}

/// What one controller wants for one intent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Facts for later stages and for people.
    pub signals: Vec<Signal>,
    /// All policies that should hold. They replace the previous ones of this intent,
    /// so leaving one out withdraws it.
    pub policies: Vec<Policy>,
    /// When to be asked again even if nothing new was observed.
    pub wake_at: Option<WallTime>,
    /// Why, for people, with the numbers.
    pub because: String,
}
