//! What a step of the control law goes by.

use core::time::Duration;

use super::FleetReading;

/// What was seen since the last step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Requests that came.
    pub(super) offered: u64,
    /// How many of them passed.
    pub(super) passed: u64,
    /// Requests that were served in time.
    pub(super) good: u64,
    /// Requests that were served, however late.
    pub(super) served: u64,
    /// Requests that ended and say something.
    pub(super) judged: u64,
    /// How many of those failed.
    pub(super) failed: u64,
    /// How many of those were slow.
    pub(super) slow: u64,
    /// The latencies of what was judged, summed up, in microseconds.
    pub(super) latency_us: u64,
    /// How many have one: upgraded connections have none.
    pub(super) timed: u64,
    /// The latencies of what was served in time.
    pub(super) good_us: u64,
    /// How many of those have one.
    pub(super) prompt: u64,
    /// Requests under way.
    pub(super) in_flight: u64,
    /// Since the last step. At least a period, but for the first one.
    pub(super) elapsed: Duration,
    /// What the fleet counted, if it is known and was not seen before.
    pub(super) fleet: Option<FleetReading>,
    /// Whether it is known what the fleet counted, seen before or not.
    pub(super) is_fleet_known: bool,
}

/// In microseconds, up to ten seconds: a stream that lasted an hour must not outweigh all others.
pub(super) fn micros(latency: Duration) -> u64 {
    let most = Duration::from_secs(10);
    u64::from(latency.min(most).subsec_micros()) + latency.min(most).as_secs() * 1_000_000
}
