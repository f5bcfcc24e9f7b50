//! What is kept of the counts, and what a store must keep so that a restart loses nothing.

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, WallTime};

use crate::ScopeTotals;

/// Requests, and those among them that were good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All requests.
    pub total: u64,
    /// Those that were good, at most `total`.
    pub good: u64,
}

/// How much time one cell of a ring covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// For the last five minutes.
    Second,
    /// For the last six hours.
    Minute,
    /// For the last 90 days.
    Hour,
}

/// One piece of what the world knows, to be stored under [`Cell::key`], replacing what was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// What an objective counted in one cell of time.
    Budget {
        /// Whose counts these are.
        objective: ObjectiveId,
        /// How long the cell is.
        resolution: Resolution,
        /// When it begins.
        start: WallTime,
        /// What was counted in it.
        counts: Counts,
        /// Seconds of it that somebody reported on.
        known_s: u32,
    },
    /// What happened on a scope since counting began.
    Scope(ScopeTotals),
}

impl Cell {
    /// Where to store it. The number of keys is bounded: a cell takes the place of the one that left its ring.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Budget {
                objective,
                resolution,
                start,
                ..
            } => {
                let slot = resolution.slot(*start);
                format!(
                    "budget\n{}\n{}\n{resolution:?}\n{slot}",
                    objective.slo, objective.index
                )
            }
            Self::Scope(totals) => {
                let scope = &totals.scope;
                format!("scope\n{}\n{}\n{}", scope.service, scope.route, scope.side)
            }
        }
    }
}

impl Resolution {
    /// The length of a cell in milliseconds.
    #[must_use]
    pub const fn cell_ms(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }

    /// How many cells a ring has: the windows that are read from it, and one more that is only begun.
    #[must_use]
    pub const fn cells(self) -> u64 {
        match self {
            Self::Second => 301,
            Self::Minute => 361,
            Self::Hour => 90 * 24 + 1,
        }
    }

    /// The place in a ring of the cell that `at` falls into.
    const fn slot(self, at: WallTime) -> u64 {
        at.as_millis() / self.cell_ms() % self.cells()
    }
}
