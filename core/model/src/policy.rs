//! What the control plane wants the filters to do.

use serde::{Deserialize, Serialize};

use crate::{BreakerMode, BreakerRule, FaultRule, Objective, Scope, Trip, WallTime};

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
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What it governs.
    pub scope: Scope,
    /// What to do.
    pub rule: Rule,
}

/// The kinds of policy. All that can do harm carry a moment at which the filter drops them by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
}
