//! The ways in which breakers differ, each as a setting.
//!
//! The first variant of each is the default. But for [`Pace`] and [`Judge`], the other
//! is what resilience4j does, the best known library of its kind: a rule with
//! all of them, `ramp_ms` 0, `sigmas_hundredths` 0 and `open_max_ms` equal to
//! `open_ms` behaves as it does (`core/dataplane/tests/breaker_conformance.rs`).

use serde::{Deserialize, Serialize};

/// How a breaker goes about its work, where there is more than one right way.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BreakerManner {
    /// When a share is too large.
    pub threshold: Threshold,
    /// How probes are judged.
    pub verdict: ProbeVerdict,
    /// What outcomes of an earlier state mean.
    pub late: LateOutcomes,
    /// What ends the wait of an open breaker.
    pub wake: Wake,
    /// What becomes of probes that do not come back.
    pub lost: LostProbes,
    /// How soon it finds its way back.
    pub pace: Pace,
    /// By what a request is bad.
    #[serde(skip_serializing_if = "Judge::is_default")]
    pub judge: Judge,
}

/// When a share is too large.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// Above its limit. The limit must be below the whole.
    #[default]
    Exceeded,
    /// At its limit or above. The limit must be above nothing.
    Reached,
}

/// How probes are judged.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProbeVerdict {
    /// The first that fails opens again, as do more slow ones than `slow_max` of all; all served closes.
    #[default]
    FirstFailure,
    /// By their shares, as requests are, once `calls_min` or all of them ended, whichever is fewer.
    Ratio,
}

/// What the outcome of a request means that was admitted in an earlier state.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LateOutcomes {
    /// Nothing: it tells of another time.
    #[default]
    Ignored,
    /// As much as any other. While open they are counted, and decide nothing.
    Counted,
}

/// What ends the wait of an open breaker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Time: it probes from the moment at which the wait is over.
    #[default]
    OnTime,
    /// A request that arrives later than that moment, and is the first probe.
    OnRequest,
}

/// What becomes of probes that do not come back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LostProbes {
    /// After as long as it was open, as many again may pass.
    #[default]
    Replaced,
    /// They are waited for, however long. A request whose end is never told keeps it from closing.
    Awaited,
}

/// How soon a breaker finds its way back. What it finds out is the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// By time: it is open, and ramps, for as long as the limits say.
    #[default]
    Time,
    /// By the traffic, where that is sooner. It probes when 20 requests were refused, but not within `open_ms`; on the
    /// ramp two requests may be under way, one more with each that is served in time, and when 32 may, it closes.
    Traffic,
}

/// By what a request is bad, to a breaker and to shedding.
///
/// What the filter answered itself, and what the caller gave up, says nothing about the service and so nothing here.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// By its outcome: what was not served failed.
    #[default]
    Outcomes,
    /// By the objectives that guard the scope: what is bad for any of them failed, what none of them counts says
    /// nothing. Where none guards it, by its outcome.
    Objectives,
    /// By both: what was not served failed, and so did what is bad for an objective that guards the scope.
    Both,
}

impl Judge {
    /// What judges as strictly as both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }

    /// Whether objectives have a say.
    #[must_use]
    pub const fn asks_objectives(self) -> bool {
        match self {
            Self::Outcomes => false,
            Self::Objectives | Self::Both => true,
        }
    }

    pub(crate) fn is_default(judge: &Self) -> bool {
        *judge == Self::default()
    }
}
