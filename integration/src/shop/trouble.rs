//! What can be wrong with a service, and a record of when it was.

use serde::{Deserialize, Serialize};

/// What is wrong with a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Some requests fail, fast.
    Errors {
        /// How many of a hundred.
        percent: u8,
    },
    /// Every answer is right, and late.
    Slow {
        /// How late, in milliseconds.
        by_ms: u64,
    },
    /// Connections are cut without an answer, or kept without one.
    Broken {
        /// How many of a hundred are kept; the others are cut.
        hang_percent: u8,
    },
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is served well.
    Served,
    /// It fails at once.
    Failed,
    /// It is served late.
    Late {
        /// How late, in milliseconds.
        by_ms: u64,
    },
    /// Its connection is cut.
    Cut,
    /// It is never answered.
    Hung,
}

impl Trouble {
    /// What happens to the request with this number.
    ///
    /// Bad ones are spread evenly (by the golden ratio), so that a short trouble is as bad as a long one.
    pub(super) fn fate(self, number: u64) -> Fate {
        let draw = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let draw = (draw * 100) >> 32;
        match self {
            Self::None => Fate::Served,
            Self::Errors { percent } if draw < u64::from(percent) => Fate::Failed,
            Self::Errors { .. } => Fate::Served,
            Self::Slow { by_ms } => Fate::Late { by_ms },
            Self::Broken { hang_percent } if draw < u64::from(hang_percent) => Fate::Hung,
            Self::Broken { .. } => Fate::Cut,
        }
    }
}

/// A time during which one thing was wrong, or nothing. Moments are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// What was wrong.
    pub trouble: Trouble,
    /// Since when.
    pub since_ms: u64,
    /// When the first request came that it met.
    pub first_hit_ms: Option<u64>,
    /// When the first bad answer was given: an error, a late answer, or a cut connection.
    pub first_bad_ms: Option<u64>,
    /// Requests that it met.
    pub hit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_trouble_is_as_bad_as_a_long_one() {
        let trouble = Trouble::Errors { percent: 80 };
        for first in [0, 1_000, u64::MAX - 20] {
            let failed = (0..20)
                .filter(|index| trouble.fate(first.wrapping_add(*index)) == Fate::Failed)
                .count();
            assert!((15..=17).contains(&failed), "{failed} of 20 from {first}");
        }
    }

    #[test]
    fn orders_read_as_they_are_written() {
        let order: Trouble = serde_json::from_str(r#"{"kind":"slow","by_ms":1500}"#).unwrap();
        assert_eq!(order, Trouble::Slow { by_ms: 1_500 });
        assert_eq!(order.fate(7), Fate::Late { by_ms: 1_500 });
        assert_eq!(Trouble::None.fate(7), Fate::Served);
    }
}
