//! The arms of an experiment.
//!
//! Every request belongs to one arm of every experiment. The arm is a function
//! of the trace id and the experiment's seed, so every hop of a trace knows it
//! without being told, and an experiment can be repeated. It also travels with
//! the trace, so that it stays the same while shares or seeds change: what a
//! request came with wins over what would be drawn here.

use serde::{Deserialize, Serialize};

use crate::Share;

/// What an experiment does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// It meets the fault.
    Fault,
    /// It meets no fault, and is counted as what the fault is compared with.
    Control,
    /// It has no part in the experiment.
    Untouched,
}

/// Names an experiment in 32 bits: the FNV-1a hash of its id.
///
/// FNV-1a (Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>) with the published basis
/// and prime. Two experiments that are in force together share a key with a chance of one
/// in four thousand million; they would then share arms, which is a worse experiment and no harm.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ExperimentKey(u32);

impl ExperimentKey {
    const BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;

    /// The key of the experiment called `id`.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self(id.bytes().fold(Self::BASIS, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(Self::PRIME)
        }))
    }

    /// The key that travelled as `bits`.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The key as it travels.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// The shares of requests in the arms of an experiment; together at most the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArmShares {
    fault: Share,
    control: Share,
}

/// Why shares cannot be those of arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("share and control are {fault} and {control} ten-thousandths; together they must be at most {max}", max = u16::from(Share::WHOLE))]
pub struct InvalidArmShares {
    fault: u16,
    control: u16,
}

impl ArmShares {
    /// All requests are untouched.
    pub(crate) const NONE: Self = Self {
        fault: Share::NONE,
        control: Share::NONE,
    };

    /// The shares of the arms [`Arm::Fault`] and [`Arm::Control`]; the rest is untouched.
    ///
    /// # Errors
    ///
    /// When they are more than the whole together.
    pub fn parse(fault: Share, control: Share) -> Result<Self, InvalidArmShares> {
        if u16::from(fault).saturating_add(control.into()) <= Share::WHOLE.into() {
            Ok(Self { fault, control })
        } else {
            Err(InvalidArmShares {
                fault: fault.into(),
                control: control.into(),
            })
        }
    }

    /// The share that meets the fault.
    #[must_use]
    pub const fn fault(self) -> Share {
        self.fault
    }

    /// The share that the fault is compared with.
    #[must_use]
    pub const fn control(self) -> Share {
        self.control
    }

    /// The arm of `draw`, uniform over `0..10_000`: first fault, then control, then untouched.
    #[must_use]
    pub fn arm(self, draw: u16) -> Arm {
        if self.fault.includes(draw) {
            Arm::Fault
        } else if draw < u16::from(self.fault) + u16::from(self.control) {
            Arm::Control
        } else {
            Arm::Untouched
        }
    }
}

/// The arms that a request came with, or goes on with. At most [`Arms::MAX`], one per experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arms {
    entries: [Option<(ExperimentKey, Arm)>; Self::MAX],
}

impl Arms {
    /// Experiments that one request remembers: each is more bytes on every hop.
    pub const MAX: usize = 4;
    /// Nothing remembered.
    pub const NONE: Self = Self {
        entries: [None; Self::MAX],
    };

    /// The arm in the experiment `key`, if it is remembered.
    #[must_use]
    pub fn of(&self, key: ExperimentKey) -> Option<Arm> {
        self.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, arm)| arm)
    }

    /// Remembers an arm. What is remembered already stays. False when there is no room.
    pub fn remember(&mut self, key: ExperimentKey, arm: Arm) -> bool {
        if self.of(key).is_some() {
            return true;
        }
        match self.entries.iter_mut().find(|entry| entry.is_none()) {
            Some(free) => {
                *free = Some((key, arm));
                true
            }
            None => false,
        }
    }

    /// All that is remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (ExperimentKey, Arm)> {
        self.entries.iter().copied().flatten()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.entries, [None, ..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(given: u16) -> Share {
        Share::try_from(given).unwrap()
    }

    /// Vectors of the authors: <http://www.isthe.com/chongo/src/fnv/test_fnv.c>.
    #[test]
    fn the_key_is_the_published_hash() {
        for (id, bits) in [
            ("", 0x811c_9dc5),
            ("a", 0xe40c_292c),
            ("foobar", 0xbf9c_f968),
        ] {
            assert_eq!(ExperimentKey::of(id).bits(), bits, "{id}");
        }
    }

    #[test]
    fn arms_lie_side_by_side() {
        let shares = ArmShares::parse(share(100), share(200)).unwrap();
        let arms = [0, 99, 100, 299, 300, 9_999].map(|draw| shares.arm(draw));
        use Arm::{Control, Fault, Untouched};
        assert_eq!(arms, [Fault, Fault, Control, Control, Untouched, Untouched]);
    }

    #[test]
    fn arms_are_at_most_the_whole() {
        assert!(ArmShares::parse(share(5_000), share(5_000)).is_ok());
        let error = ArmShares::parse(share(5_000), share(5_001)).unwrap_err();
        assert!(error.to_string().contains("5000 and 5001"), "{error}");
        assert!(ArmShares::parse(Share::WHOLE, Share::WHOLE).is_err());
    }

    #[test]
    fn the_first_arm_stays_and_the_fifth_finds_no_room() {
        let mut arms = Arms::default();
        assert!(arms.is_empty());
        let key = |number| ExperimentKey::from_bits(number);
        for number in 0..4 {
            assert!(arms.remember(key(number), Arm::Fault));
        }
        assert!(!arms.remember(key(4), Arm::Fault));
        assert!(arms.remember(key(3), Arm::Control), "is there already");
        assert_eq!(arms.of(key(3)), Some(Arm::Fault));
        assert_eq!(arms.of(key(4)), None);
        assert_eq!(arms.iter().count(), Arms::MAX);
        assert!(!arms.is_empty());
    }
}
