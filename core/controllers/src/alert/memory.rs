//! What is remembered of an alert policy: the state of each objective.
//!
//! - *calm*: nothing to tell.
//! - *pending*: the condition holds, and not yet for as long as it must.
//! - *firing*: people are told.
//! - *resolved*: people are told that it is over; after [`RESOLVED_KEPT`] it is calm.
//!
//! Where it is not known whether the condition holds, everything stays as it is.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::AlertKind;

/// Per objective, in the order of the intent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMemory {
    pub(super) objectives: Vec<Watched>,
}

/// Both things that one objective may be told for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) breaching: State,
    pub(super) no_data: State,
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    #[default]
    Calm,
    Pending {
        since: WallTime,
    },
    Firing {
        since: WallTime,
        /// When the condition last held.
        held: WallTime,
    },
    Resolved {
        since: WallTime,
        until: WallTime,
    },
}

/// It must not hold for so long before it is over: what comes and goes is one alert.
const RESOLVE_AFTER: Duration = Duration::from_secs(60);
/// For so long people are told that it is over; whoever cannot be reached for longer learns it elsewhere.
const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);

impl State {
    /// The state at `now`, when the condition holds or not; `None` when nobody knows.
    pub(super) fn next(self, holds: Option<bool>, after: Duration, now: WallTime) -> Self {
        let Some(holds) = holds else { return self };
        let begin = |since: WallTime| {
            if after <= now.since(since) {
                Self::Firing { since, held: now }
            } else {
                Self::Pending { since }
            }
        };
        match self {
            Self::Calm if holds => begin(now),
            Self::Pending { since } if holds => begin(since),
            Self::Calm | Self::Pending { .. } => Self::Calm,
            Self::Firing { since, .. } if holds => Self::Firing { since, held: now },
            Self::Firing { since, held } if RESOLVE_AFTER <= now.since(held) => {
                Self::Resolved { since, until: now }
            }
            Self::Firing { .. } => self,
            Self::Resolved { .. } if holds => begin(now),
            Self::Resolved { until, .. } if RESOLVED_KEPT <= now.since(until) => Self::Calm,
            Self::Resolved { .. } => self,
        }
    }
}

impl Watched {
    /// Both, each with its kind.
    pub(super) fn states(&self) -> [(AlertKind, State); 2] {
        [
            (AlertKind::Breaching, self.breaching),
            (AlertKind::NoData, self.no_data),
        ]
    }
}
