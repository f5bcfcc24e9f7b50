//! What reports said that counts nowhere.

use serde::{Deserialize, Serialize};

/// What the world could not take in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Requests of objectives or scopes beyond the cap.
    pub over_cap: u64,
    /// Requests that came later than any window reaches back.
    pub too_late: u64,
    /// Requests that came when what became of their slice of time had been settled. They count
    /// as requests all the same.
    #[serde(default)]
    pub too_late_for_slices: u64,
    /// Requests that a report counts for an objective on a scope where it does not count. A sidecar that may
    /// report on one service says nothing by that about the SLOs of others.
    #[serde(default)]
    pub elsewhere: u64,
    /// Reports of VMs beyond the cap. All that they count counts; how their breakers are, and that nothing happened, is not known.
    #[serde(default)]
    pub vms: u64,
}
