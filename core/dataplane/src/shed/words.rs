//! What a shedder is told, and what it tells.

use core::time::Duration;

use sloop_model::{Criticality, Outcome};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShedEnding {
    /// In one word.
    pub outcome: Outcome,
    /// How long the service took; without what the filter itself held it back.
    pub latency: Duration,
    /// Whether it met every objective of its scope.
    pub is_good: bool,
}

/// What the whole fleet counted on the scope lately: in the last ten seconds, or in fewer that had enough requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetReading {
    /// Requests of which an objective says whether they were good.
    pub requests: u64,
    /// How many of them were good.
    pub good: u64,
}

/// What a shedder did since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShedCounts {
    /// Requests shed, by [`Criticality::index`].
    pub shed: [u64; Criticality::ALL.len()],
    /// Requests that ended and would have been shed without the shadow mode.
    pub shadow_shed: u64,
    /// How many of these met every objective: what acting would have cost.
    pub shadow_shed_good: u64,
    /// Times that shedding was given up because it did not help.
    pub given_up: u64,
}
