//! Words and limits that the filter and the control plane share.
//!
//! Pure: no clock, no randomness, no I/O. Builds for `wasm32-unknown-unknown`.
//! Begin with [`FilterConfig`], which is what a filter obeys, and [`Outcome`],
//! which is what it says about a request.

mod arm;
mod breaker;
mod config;
mod context;
mod criticality;
mod deadline;
mod deny;
mod dimensions;
mod fault;
mod flags;
mod json;
mod latency;
mod matcher;
mod module;
mod names;
mod objective;
mod only;
mod outcome;
mod policy;
mod retry;
#[cfg(feature = "schema")]
mod schema;
mod scope;
mod share;
mod shed;
mod spans;
mod stats;
mod time;
mod wilson;

pub use arm::{Arm, ArmShares, Arms, ExperimentKey, InvalidArmShares};
pub use breaker::{
    BreakerLimits, BreakerManner, BreakerMode, BreakerRule, BreakerWindow, InvalidBreaker, Judge,
    LateOutcomes, LostProbes, Pace, ProbeVerdict, Threshold, Trip, Wake,
};
pub use config::{
    BreakerConfig, ConfigError, FILTER_CONFIG_VERSION, FilterConfig, Ignored, ReportSettings,
    ScopeConfig, TraceResponse, TraceSettings,
};
pub use context::{
    B3Output, ContextSettings, DeadlineMode, InvalidJoin, JoinReach, JoinSettings, JoinWritten,
    MemberTrust, TraceOwner,
};
pub use criticality::Criticality;
pub use deadline::{DeadlineConfig, DeadlineLimit, InvalidDeadline};
pub use deny::{DenyRule, DenyWritten, InvalidDeny};
pub use dimensions::{
    BaggageSource, CallerSource, Dimension, DimensionSettings, DimensionValue, InvalidDimensions,
    Yes,
};
pub use fault::{
    BodyFault, Delay, DelaySpread, Effect, ExchangeSide, FaultEnding, FaultRule, FaultWritten,
    HeaderChanges, InvalidFault, InvalidShape, Reach, Shape,
};
pub use flags::Flags;
pub use json::{Broken, InvalidJson, InvalidSyntax, Problem};
pub use latency::{InvalidLatencies, LatencyBucket, LatencyCounts};
pub use matcher::{HeaderMatch, InvalidMatch, PathMatch, RequestMatch};
pub use module::Module;
pub use names::{InvalidName, RouteName, ServiceName, SloName};
pub use objective::{
    InvalidSelector, Judgement, Objective, ObjectiveId, Selector, StatusRange, slow_us,
};
pub use only::Only;
pub use outcome::{Ended, Outcome, OutcomeClass, OwnVerdict};
pub use policy::{Mode, Policy, Rule};
pub use retry::{InvalidRetries, RetryConfig, RetryLimits, RetryRule};
#[cfg(feature = "schema")]
pub use schema::{filter_config_schema, schema_settings};
pub use scope::{Scope, Side};
pub use share::{InvalidShare, InvalidTarget, Share, Target};
pub use shed::{ClassShares, InvalidShed, ShedConfig, ShedLimits, ShedRule};
pub use spans::{InvalidSpans, SampledFlag, SpanSettings};
pub use stats::{InvalidStats, StatsSettings};
pub use time::{Time, WallTime, whole_micros, whole_millis, whole_nanos};
pub use wilson::ShareBounds;
