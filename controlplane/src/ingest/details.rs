//! What a report says about a scope beyond what decisions need: retries, who asked, what was done on purpose.
//!
//! For people to look at, not for controllers, so it is neither stored nor replayed.

use sloop_controllers::ObjectiveCounts;
use sloop_model::{Dimension, DimensionSettings, DimensionValue, OutcomeClass};
use sloop_xds_protos::report::v1 as wire;

use super::effects::Effects;

/// Values of all dimensions in one scope of a report: the cap of the configuration, `other` and `unknown`.
const VALUES_MAX: usize = Dimension::ALL.len() * (DimensionSettings::VALUES_MAX as usize + 2);

/// Details of one scope since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Attempts beyond the first.
    pub retries: u64,
    /// What was counted by value.
    pub values: Vec<ValueCounts>,
    /// What was done on purpose.
    pub effects: Effects,
}

/// What was counted for one value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueCounts {
    /// Which dimension.
    pub dimension: Dimension,
    /// Which value.
    pub value: DimensionValue,
    /// Requests by [`OutcomeClass::index`].
    pub classes: [u64; OutcomeClass::ALL.len()],
    /// Requests per objective; those without counts are left out.
    pub objectives: Vec<ObjectiveCounts>,
}

impl Details {
    /// The details of a scope whose objectives are `objectives`. None when they
    /// make no sense. Dimensions and classes that this reader does not know are left out.
    pub(super) fn read(
        retries: u64,
        effects: Effects,
        deltas: Vec<wire::DimensionDelta>,
        objectives: &[ObjectiveCounts],
    ) -> Option<Self> {
        if VALUES_MAX < deltas.len() {
            return None;
        }
        let mut values = Vec::with_capacity(deltas.len());
        for delta in deltas {
            if let Some(dimension) = dimension(delta.dimension()) {
                values.push(value(dimension, delta, objectives)?);
            }
        }
        Some(Self {
            retries,
            values,
            effects,
        })
    }
}

const fn dimension(dimension: wire::Dimension) -> Option<Dimension> {
    match dimension {
        wire::Dimension::Caller => Some(Dimension::Caller),
        wire::Dimension::Origin => Some(Dimension::Origin),
        wire::Dimension::Journey => Some(Dimension::Journey),
        wire::Dimension::Unspecified => None,
    }
}

fn value(
    dimension: Dimension,
    delta: wire::DimensionDelta,
    objectives: &[ObjectiveCounts],
) -> Option<ValueCounts> {
    let mut classes = [0; OutcomeClass::ALL.len()];
    for (class, count) in classes.iter_mut().zip(&delta.classes) {
        *class = *count;
    }
    if 2 * objectives.len() < delta.objectives.len() {
        return None;
    }
    let mut counted = Vec::new();
    for (objective, pair) in objectives.iter().zip(delta.objectives.chunks(2)) {
        let (total, good) = match pair {
            [total, good] => (*total, *good),
            // The zeros at the end are left out.
            [total] => (*total, 0),
            _ => continue,
        };
        if total < good || objective.total < total || objective.good < good {
            return None;
        }
        if 0 < total {
            counted.push(ObjectiveCounts {
                id: objective.id.clone(),
                total,
                good,
            });
        }
    }
    Some(ValueCounts {
        dimension,
        value: DimensionValue::try_from(delta.value).ok()?,
        classes,
        objectives: counted,
    })
}

#[cfg(test)]
mod tests {
    use sloop_model::{ObjectiveId, SloName};

    use super::*;

    fn objective(total: u64, good: u64) -> ObjectiveCounts {
        ObjectiveCounts {
            id: ObjectiveId {
                slo: SloName::try_from("up").unwrap(),
                index: 0,
            },
            total,
            good,
        }
    }

    fn delta() -> wire::DimensionDelta {
        wire::DimensionDelta {
            dimension: wire::Dimension::Caller.into(),
            value: "spiffe://a/b".to_owned(),
            classes: vec![2, 0, 1],
            objectives: vec![3, 2],
        }
    }

    fn read(delta: wire::DimensionDelta) -> Option<Details> {
        Details::read(1, Effects::default(), vec![delta], &[objective(4, 3)])
    }

    #[test]
    fn a_value_is_read_whole() {
        let details = read(delta()).unwrap();
        assert_eq!(details.retries, 1);
        let [value] = details.values.as_slice() else {
            panic!("one value")
        };
        assert_eq!(value.dimension, Dimension::Caller);
        assert_eq!(value.value.as_str(), "spiffe://a/b");
        assert_eq!(value.classes, [2, 0, 1, 0, 0]);
        assert_eq!(value.objectives, [objective(3, 2)]);
    }

    #[test]
    fn zeros_at_the_end_may_be_left_out() {
        let mut all_bad = delta();
        all_bad.objectives = vec![3];
        assert_eq!(
            read(all_bad).unwrap().values[0].objectives,
            [objective(3, 0)]
        );
        let mut none = delta();
        none.objectives.clear();
        assert_eq!(read(none).unwrap().values[0].objectives, []);
    }

    #[test]
    fn what_a_newer_filter_says_is_left_out() {
        let mut newer = delta();
        newer.dimension = 9;
        assert_eq!(read(newer).unwrap().values, []);
        let mut newer = delta();
        newer.classes = vec![1; 9];
        assert_eq!(read(newer).unwrap().values[0].classes, [1; 5]);
    }

    #[test]
    fn what_no_filter_says_makes_no_sense() {
        let broken: [fn(&mut wire::DimensionDelta); 5] = [
            |delta| delta.value.clear(),
            |delta| delta.value = "a\nb".to_owned(),
            |delta| delta.objectives = vec![2, 3],
            |delta| delta.objectives = vec![5, 3],
            |delta| delta.objectives = vec![3, 2, 1],
        ];
        for change in broken {
            let mut bad = delta();
            change(&mut bad);
            assert_eq!(read(bad.clone()), None, "{bad:?}");
        }
        assert!(
            Details::read(
                0,
                Effects::default(),
                vec![delta(); VALUES_MAX],
                &[objective(4, 3)]
            )
            .is_some()
        );
        assert!(
            Details::read(
                0,
                Effects::default(),
                vec![delta(); VALUES_MAX + 1],
                &[objective(4, 3)]
            )
            .is_none()
        );
    }
}
