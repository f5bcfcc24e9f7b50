//! Reports of a size that the control plane takes.

use core::mem;

use sloop_model::{Outcome, OutcomeClass, ReportSettings};

use super::{BreakerDelta, DimensionDelta, ObjectiveDelta, Report, ScopeDelta, Trouble};
use crate::fault::{ArmDelta, CallerDelta};

/// A number with its tag, at most.
const NUMBER: usize = 12;
/// The tag and the length before what has a length, at most.
const LENGTH: usize = 7;
/// A number among others, at most.
const PACKED: usize = 10;

impl Report {
    /// The same in reports whose scopes have [`ReportSettings::BYTES_MAX`] each at most, the first one last. What was
    /// counted beside scopes is in the first; all are about the same time.
    pub(crate) fn into_parts(mut self) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        let mut bytes = 0;
        let mut scopes = Vec::new();
        for delta in mem::take(&mut self.scopes) {
            let more = delta.bytes_max();
            if ReportSettings::BYTES_MAX < bytes + more && !scopes.is_empty() {
                parts.push(self.rest(mem::take(&mut scopes)));
                bytes = 0;
            }
            bytes += more;
            scopes.push(delta);
        }
        parts.push(self.rest(scopes));
        parts.reverse();
        if let Some(first) = parts.last_mut() {
            first.denials = self.denials;
            first.trouble = self.trouble;
        }
        parts
    }

    /// A report of the same VM and time with these scopes, and nothing else counted.
    fn rest(&self, scopes: Vec<ScopeDelta>) -> Self {
        Self {
            scopes,
            filters: self.filters.clone(),
            denials: Vec::new(),
            trouble: Trouble::default(),
            ..*self
        }
    }
}

impl ScopeDelta {
    /// At least the bytes that it has in a report. A scope alone has fewer than [`ReportSettings::BYTES_MAX`], with
    /// all that it can have.
    pub(super) fn bytes_max(&self) -> usize {
        let names = self.scope.service.as_str().len() + self.scope.route.as_str().len();
        let objectives: usize = self.objectives.iter().map(objective).sum();
        let dimensions: usize = self.dimensions.iter().map(dimension).sum();
        let arms: usize = self.arms.iter().map(arm).sum();
        let breaker = self.breaker.as_ref().map_or(0, breaker);
        let shed = self.shed.map_or(0, |_| 5 * NUMBER + 4 * PACKED + LENGTH);
        let others = 13 * NUMBER + Outcome::ALL.len() * PACKED;
        let latency = self.latency.as_bytes().len();
        names + objectives + dimensions + arms + breaker + shed + others + latency + 8 * LENGTH
    }
}

fn objective(delta: &ObjectiveDelta) -> usize {
    2 * LENGTH + delta.id.slo.as_str().len() + 3 * NUMBER
}

fn breaker(delta: &BreakerDelta) -> usize {
    5 * NUMBER + delta.changes.len() * (LENGTH + 3 * NUMBER)
}

fn dimension(delta: &DimensionDelta) -> usize {
    let numbers = OutcomeClass::ALL.len() + 2 * delta.objectives.len();
    4 * LENGTH + NUMBER + delta.value.as_str().len() + numbers * PACKED
}

fn arm(delta: &ArmDelta) -> usize {
    let objectives: usize = delta.objectives.iter().map(objective).sum();
    let numbers = 3 * NUMBER + Outcome::ALL.len() * PACKED;
    let callers: usize = delta.callers.iter().map(caller).sum();
    3 * LENGTH + numbers + objectives + callers + delta.latency.as_bytes().len()
}

fn caller(delta: &CallerDelta) -> usize {
    3 * LENGTH + delta.caller.as_str().len() + 2 * delta.objectives.len() * PACKED
}
