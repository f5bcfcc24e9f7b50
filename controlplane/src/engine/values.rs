//! Totals of a scope by caller, origin and journey.
//!
//! Since this process first heard of the scope, or since the scope was last
//! quiet for so long that its recent readings were dropped: for people to look at, not stored.

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
    /// By dimension and value, ascending. Lists, as most scopes have a few of each, and a tree has room for eleven as soon
    /// as there is one: of tens of thousands of scopes that was a tenth of everything.
    all: Vec<Totals>,
}

#[derive(Clone, Debug)]
struct Totals {
    dimension: Dimension,
    value: Box<str>,
    classes: [u64; OutcomeClass::ALL.len()],
    /// By objective, ascending.
    objectives: Vec<ObjectiveTotals>,
}

impl Values {
    /// Takes in what a report said.
    pub(super) fn add(&mut self, details: &Details) {
        self.retries = self.retries.saturating_add(details.retries);
        for counts in &details.values {
            if let Some(totals) = self.named(counts.dimension, counts.value.as_str()) {
                totals.add(counts);
            }
        }
    }

    /// What is known of `value`, or of all others where there are too many.
    fn named(&mut self, dimension: Dimension, value: &str) -> Option<&mut Totals> {
        let place = match self.place(dimension, value) {
            Ok(place) => place,
            Err(place) => {
                let others = self.all.iter();
                let count = others.filter(|it| it.dimension == dimension).count();
                let (value, place) = match count < VALUES_MAX {
                    true => (value, Err(place)),
                    false => (
                        DimensionValue::OTHER,
                        self.place(dimension, DimensionValue::OTHER),
                    ),
                };
                place.unwrap_or_else(|place| {
                    let newcomer = Totals {
                        dimension,
                        value: value.into(),
                        classes: [0; OutcomeClass::ALL.len()],
                        objectives: Vec::new(),
                    };
                    make_room(&mut self.all);
                    self.all.insert(place, newcomer);
                    place
                })
            }
        };
        self.all.get_mut(place)
    }

    /// Where `value` is, or belongs.
    fn place(&self, dimension: Dimension, value: &str) -> Result<usize, usize> {
        let key = (dimension, value);
        self.all
            .binary_search_by(|totals| (totals.dimension, &*totals.value).cmp(&key))
    }

    /// Attempts beyond the first.
    pub(super) const fn retries(&self) -> u64 {
        self.retries
    }

    /// What people see of it, by dimension and value.
    pub(super) fn status(&self) -> Vec<ValueStatus> {
        self.all.iter().map(Totals::status).collect()
    }
}

/// Makes room for one more, and a few others where there are many.
fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 4);
    }
}

impl Totals {
    fn add(&mut self, counts: &ValueCounts) {
        for (sum, more) in self.classes.iter_mut().zip(counts.classes) {
            *sum = sum.saturating_add(more);
        }
        for objective in &counts.objectives {
            if let Some(totals) = self.objective(&objective.id) {
                totals.total = totals.total.saturating_add(objective.total);
                totals.good = totals.good.saturating_add(objective.good);
            }
        }
    }

    /// What is known of an objective; nothing when there are too many.
    fn objective(&mut self, id: &ObjectiveId) -> Option<&mut ObjectiveTotals> {
        let key = (&id.slo, id.index);
        let known = &mut self.objectives;
        let place = known.binary_search_by(|it| (&it.slo, it.objective).cmp(&key));
        let place = match place {
            Ok(place) => place,
            Err(_) if OBJECTIVES_MAX <= known.len() => return None,
            Err(place) => {
                let newcomer = ObjectiveTotals {
                    slo: id.slo.clone(),
                    objective: id.index,
                    total: 0,
                    good: 0,
                };
                make_room(known);
                known.insert(place, newcomer);
                place
            }
        };
        known.get_mut(place)
    }

    fn status(&self) -> ValueStatus {
        let classes = OutcomeClass::ALL.iter().zip(self.classes);
        ValueStatus {
            dimension: self.dimension,
            value: self.value.to_string(),
            requests: self
                .classes
                .iter()
                .fold(0, |sum, count| sum.saturating_add(*count)),
            classes: classes
                .filter(|(_, count)| 0 < *count)
                .map(|(class, count)| (class.name().to_owned(), count))
                .collect(),
            objectives: self.objectives.clone(),
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
