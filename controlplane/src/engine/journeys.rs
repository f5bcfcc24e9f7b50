//! Where the time of journeys goes: what reports say about it.

use sloop_controllers::{HopCounts, JourneyStatus, Journeys};
use sloop_model::{Dimension, OutcomeClass, WallTime};

use super::Engine;
use crate::ingest::{Details, Report};

/// Outcomes that took time: not those that the filter answered itself, nor those that nobody waited for.
const TIMED: [OutcomeClass; 3] = [
    OutcomeClass::Served,
    OutcomeClass::ClientError,
    OutcomeClass::Failed,
];

/// Takes in what `report` says of journeys.
pub(super) fn observe(journeys: &mut Journeys, report: &Report, now: WallTime) {
    let told: Vec<Vec<(&str, u64)>> = report.details.iter().map(by_journey).collect();
    if told.iter().all(Vec::is_empty) {
        return;
    }
    let scopes = report.scopes.iter().zip(&told);
    let hops: Vec<HopCounts<'_>> = scopes
        .map(|(counts, journeys)| HopCounts {
            scope: &counts.scope,
            latency: &counts.latency,
            journeys,
        })
        .collect();
    journeys.observe(&report.group, &hops, now);
}

/// Requests that took time, by journey.
fn by_journey(details: &Details) -> Vec<(&str, u64)> {
    let values = details.values.iter();
    values
        .filter(|value| value.dimension == Dimension::Journey)
        .map(|value| {
            let timed = TIMED
                .iter()
                .filter_map(|class| value.classes.get(class.index()))
                .fold(0_u64, |sum, count| sum.saturating_add(*count));
            (value.value.as_str(), timed)
        })
        .collect()
}

impl Engine {
    /// Where the time of each journey went in the last minutes, by name.
    #[must_use]
    pub fn journeys(&self) -> Vec<JourneyStatus> {
        self.journeys.status(self.world.now())
    }
}
