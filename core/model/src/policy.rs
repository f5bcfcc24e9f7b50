//! What the control plane wants the filters to do.

use serde::{Deserialize, Serialize};

use crate::{
    BreakerMode, BreakerRule, DeadlineLimit, DenyRule, FaultRule, Objective, RetryRule, Scope,
    ShedRule, Trip, WallTime,
};

/// Whether a rule acts, or only says what it would have done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Decide and act.
    #[default]
    Enforce,
    /// Decide and count, do not act.
    Shadow,
}

/// What the data plane must do on one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What it governs.
    pub scope: Scope,
    /// What to do.
    pub rule: Rule,
}

/// The kinds of policy. All that can do harm carry a moment at which the filter drops them by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// Count for this objective. Harmless, so it does not expire.
    Count(Box<Objective>),
    /// Guard with a breaker.
    Break {
        /// What it may do.
        mode: BreakerMode,
        /// When it opens and closes.
        limits: BreakerRule,
        /// When the filter drops it.
        expires_at_ms: WallTime,
    },
    /// Open the breaker that guards the scope.
    Trip(Trip),
    /// Inject a fault.
    Fault(FaultRule),
    /// Shed load.
    Shed {
        /// Whether it sheds or only counts.
        mode: Mode,
        /// How much, and when. Absent: as the SLOs of the scope imply; then nothing holds where none does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limits: Option<ShedRule>,
        /// When the filter drops it.
        expires_at_ms: WallTime,
    },
    /// Refuse requests because of what they are.
    Deny(DenyRule),
    /// Give requests a deadline, and refuse those whose deadline has passed.
    Deadline {
        /// Whether it gives and refuses, or only counts.
        mode: Mode,
        /// How long an answer is of use, from the request's arrival on.
        limit_ms: DeadlineLimit,
        /// When the filter drops it.
        expires_at_ms: WallTime,
    },
    /// Bound retries while they do not help.
    RetryBudget {
        /// Whether it acts or only counts.
        mode: Mode,
        /// How many.
        limits: RetryRule,
        /// When the filter drops it.
        expires_at_ms: WallTime,
    },
}
