//! How much a request matters, so that the right ones are shed first.

use serde::{Deserialize, Serialize};

/// How much a request matters. Ordered: what is lower is shed first.
///
/// The four classes of "Site Reliability Engineering", chapter 21 (Handling
/// Overload), which says of them that two more would not have been used. The
/// numbers are the wire format of the `sloop=` member: never reuse one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "How much a request matters. What is lower is shed first.")
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Criticality {
    /// Work that may fail often: nobody waits for it.
    Sheddable = 0,
    /// Batch work that is tried again, minutes or hours later.
    SheddablePlus = 1,
    /// What a person notices. The class of requests that say nothing.
    #[default]
    Critical = 2,
    /// What a person notices badly.
    CriticalPlus = 3,
}

impl Criticality {
    /// All, lowest first; the position is [`Criticality::index`].
    pub const ALL: [Self; 4] = [
        Self::Sheddable,
        Self::SheddablePlus,
        Self::Critical,
        Self::CriticalPlus,
    ];

    /// The number on the wire, 0 to 3; larger matters more.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in documents, metrics and tables.
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
    fn numbers_are_positions_and_grow_with_importance() {
        for (index, class) in Criticality::ALL.iter().enumerate() {
            assert_eq!(class.index(), index);
        }
        assert!(Criticality::ALL.is_sorted());
    }

    #[test]
    fn names_are_those_of_documents() {
        for class in Criticality::ALL {
            let written = serde_json::to_string(&class).unwrap();
            assert_eq!(written, format!("\"{}\"", class.name()));
        }
    }
}
