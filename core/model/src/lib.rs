//! Words and limits that the filter and the control plane share.
//!
//! Pure: no clock, no randomness, no I/O. Builds for `wasm32-unknown-unknown`.
//! Begin with [`FilterConfig`], which is what a filter obeys, and [`Outcome`],
//! which is what it says about a request.

mod breaker;
mod config;
mod dimensions;
mod fault;
mod latency;
mod matcher;
mod names;
mod objective;
mod outcome;
mod policy;
mod scope;
mod share;
mod stats;
mod time;
mod wilson;

pub use breaker::{BreakerLimits, BreakerRule, InvalidBreaker, Trip};
pub use config::{
    BreakerConfig, ConfigError, FILTER_CONFIG_VERSION, FilterConfig, ReportSettings, ScopeConfig,
    TraceResponse, TraceSettings,
};
pub use dimensions::{
    BaggageSource, CallerSource, Dimension, DimensionSettings, DimensionValue, InvalidDimensions,
    Yes,
};
pub use fault::{Delay, FaultRule, FaultWritten, InvalidFault};
pub use latency::{InvalidLatencies, LatencyBucket, LatencyCounts};
pub use matcher::{HeaderMatch, InvalidMatch, PathMatch, RequestMatch};
pub use names::{InvalidName, RouteName, ServiceName, SloName};
pub use objective::{InvalidSelector, Judgement, Objective, ObjectiveId, Selector, StatusRange};
pub use outcome::{Ended, Flags, Outcome, OutcomeClass, OwnVerdict};
pub use policy::{Mode, Policy, Rule};
pub use scope::{Scope, Side};
pub use share::{InvalidShare, InvalidTarget, Share, Target};
pub use stats::{InvalidStats, StatsSettings};
pub use time::{Time, WallTime};
pub use wilson::ShareBounds;
