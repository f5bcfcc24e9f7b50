//! How much a request matters.

use serde::{Deserialize, Serialize};

/// How much a request matters, the least first.
///
/// The four classes of "Site Reliability Engineering", chapter 21 "Handling
/// Overload" (Beyer et al. 2016): what is shed first, and what never should be.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// May be missing often, even all the time: background work that is repeated.
    Sheddable,
    /// May be missing now and then: batch work that is tried again after minutes.
    SheddablePlus,
    /// People notice when it is missing. What says nothing of itself is this.
    #[default]
    Critical,
    /// Serious damage when it is missing.
    CriticalPlus,
}

impl Criticality {
    /// All classes, in ascending order.
    pub const ALL: [Self; 4] = [
        Self::Sheddable,
        Self::SheddablePlus,
        Self::Critical,
        Self::CriticalPlus,
    ];

    /// Its position in [`Criticality::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in documents, contexts and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::SheddablePlus => "sheddable_plus",
            Self::Critical => "critical",
            Self::CriticalPlus => "critical_plus",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_positions_are_those_on_the_wire() {
        for (index, class) in Criticality::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), index);
            let json = serde_json::to_string(&class).unwrap();
            assert_eq!(json, format!("\"{}\"", class.name()));
        }
        assert!(Criticality::ALL.is_sorted());
    }
}
