//! Totals of a scope by caller, origin and journey.
//!
//! Since this process first heard of the scope, or since the scope was last
//! quiet for so long that its recent readings were dropped: for people to look at, not stored.

use std::collections::BTreeMap;

use sloop_model::{Dimension, DimensionSettings, DimensionValue, ObjectiveId, OutcomeClass};

use crate::admin::api::{ObjectiveTotals, ValueStatus};
use crate::ingest::{Details, ValueCounts};

/// Values per dimension and scope, of the whole fleet: as many as one filter may have.
const VALUES_MAX: usize = DimensionSettings::VALUES_MAX as usize;

/// Objectives per value: as many as a scope may have.
const OBJECTIVES_MAX: usize = sloop_model::FilterConfig::OBJECTIVES_MAX;

/// What was counted by value.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    retries: u64,
    by_dimension: BTreeMap<Dimension, BTreeMap<String, Totals>>,
}

#[derive(Clone, Debug, Default)]
struct Totals {
    classes: [u64; OutcomeClass::ALL.len()],
    objectives: BTreeMap<ObjectiveId, (u64, u64)>,
}

impl Values {
    /// Takes in what a report said.
    pub(super) fn add(&mut self, details: &Details) {
        self.retries = self.retries.saturating_add(details.retries);
        for counts in &details.values {
            let values = self.by_dimension.entry(counts.dimension).or_default();
            let is_known = values.contains_key(counts.value.as_str());
            let name = if is_known || values.len() < VALUES_MAX {
                counts.value.as_str()
            } else {
                DimensionValue::OTHER
            };
            values.entry(name.to_owned()).or_default().add(counts);
        }
    }

    /// Attempts beyond the first.
    pub(super) const fn retries(&self) -> u64 {
        self.retries
    }

    /// What people see of it, by dimension and value.
    pub(super) fn status(&self) -> Vec<ValueStatus> {
        let values = self.by_dimension.iter();
        values
            .flat_map(|(dimension, values)| {
                values
                    .iter()
                    .map(|(value, totals)| totals.status(*dimension, value))
            })
            .collect()
    }
}

impl Totals {
    fn add(&mut self, counts: &ValueCounts) {
        for (sum, more) in self.classes.iter_mut().zip(counts.classes) {
            *sum = sum.saturating_add(more);
        }
        for objective in &counts.objectives {
            if OBJECTIVES_MAX <= self.objectives.len()
                && !self.objectives.contains_key(&objective.id)
            {
                continue;
            }
            let (total, good) = self.objectives.entry(objective.id.clone()).or_default();
            *total = total.saturating_add(objective.total);
            *good = good.saturating_add(objective.good);
        }
    }

    fn status(&self, dimension: Dimension, value: &str) -> ValueStatus {
        let classes = OutcomeClass::ALL.iter().zip(self.classes);
        let objectives = self.objectives.iter();
        ValueStatus {
            dimension,
            value: value.to_owned(),
            requests: self
                .classes
                .iter()
                .fold(0, |sum, count| sum.saturating_add(*count)),
            classes: classes
                .filter(|(_, count)| 0 < *count)
                .map(|(class, count)| (class.name().to_owned(), count))
                .collect(),
            objectives: objectives
                .map(|(id, (total, good))| ObjectiveTotals {
                    slo: id.slo.clone(),
                    objective: id.index,
                    total: *total,
                    good: *good,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Effects;

    fn details(value: &str) -> Details {
        Details {
            retries: 1,
            effects: Effects::default(),
            values: vec![ValueCounts {
                dimension: Dimension::Caller,
                value: DimensionValue::try_from(value.to_owned()).unwrap(),
                classes: [2, 0, 1, 0, 0],
                objectives: Vec::new(),
            }],
        }
    }

    #[test]
    fn reports_add_up_and_values_beyond_the_cap_are_one() {
        let mut values = Values::default();
        for number in 0..VALUES_MAX + 10 {
            values.add(&details(&format!("caller-{number:03}")));
        }
        values.add(&details("caller-000"));
        let status = values.status();
        assert_eq!(status.len(), VALUES_MAX + 1);
        assert_eq!(
            (status[0].value.as_str(), status[0].requests),
            ("caller-000", 6)
        );
        assert_eq!(status[0].classes["failed"], 2);
        let other = status.iter().find(|one| one.value == "other").unwrap();
        assert_eq!(other.requests, 30);
        assert_eq!(values.retries(), VALUES_MAX as u64 + 11);
    }
}
