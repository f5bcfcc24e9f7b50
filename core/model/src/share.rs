//! Parts of a whole, as integers.

use serde::{Deserialize, Serialize};

/// A share of a whole, `0..=10_000` ten-thousandths.
///
/// An integer, so that policies can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "Ten-thousandths of a whole: 2000 is 20 %.")
)]
#[cfg_attr(feature = "schema", schemars(title = "A share, in ten-thousandths"))]
#[cfg_attr(feature = "schema", schemars(extend("maximum" = 10_000)))]
#[serde(try_from = "u16", into = "u16")]
pub struct Share(u16);

/// Why a number is not a [`Share`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("share is {given} ten-thousandths; it must be at most {max}", max = Share::WHOLE.0)]
pub struct InvalidShare {
    given: u16,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(10_000);
    /// None of it.
    pub const NONE: Self = Self(0);
    /// One in two.
    pub const HALF: Self = Self(5_000);
    /// One in a hundred.
    pub const HUNDREDTH: Self = Self(100);

    /// Whether `draw`, uniform over `0..10_000`, falls inside this share.
    #[must_use]
    pub const fn includes(self, draw: u16) -> bool {
        draw < self.0
    }

    /// What is left of the whole without this share.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::WHOLE.0.saturating_sub(self.0))
    }

    /// `part / whole` compared to this share without rounding: is it larger?
    #[must_use]
    pub const fn exceeded_by(self, part: u64, whole: u64) -> bool {
        (part as u128) * (Self::WHOLE.0 as u128) > (self.0 as u128) * (whole as u128)
    }

    /// The share as a fraction, `0.0..=1.0`, for formulas and for people.
    #[must_use]
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE.0)
    }

    /// The share nearest to `fraction`; what lies outside `0.0..=1.0` is held at the bound.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held between 0 and 10,000 first; NaN becomes 0"
    )]
    pub fn nearest(fraction: f64) -> Self {
        Self(
            (fraction * f64::from(Self::WHOLE.0))
                .round()
                .clamp(0.0, 10_000.0) as u16,
        )
    }
}

impl TryFrom<u16> for Share {
    type Error = InvalidShare;

    fn try_from(given: u16) -> Result<Self, InvalidShare> {
        if given <= Self::WHOLE.0 {
            Ok(Self(given))
        } else {
            Err(InvalidShare { given })
        }
    }
}

impl From<Share> for u16 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// The share of requests that must be good: an objective's target, `0..1`, in billionths.
///
/// Finer than [`Share`], because targets such as 99.9995 % are common. The
/// whole is not a target: it leaves no error budget (OpenSLO asks for less than 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "u32", into = "u32")]
pub struct Target(u32);

/// Why a number is not a [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("target is {given}; it must be at least 0 and below 1")]
pub struct InvalidTarget {
    given: f64,
}

impl Target {
    /// How many parts the whole has.
    pub const WHOLE: u32 = 1_000_000_000;

    /// The target as a fraction, `0.0..1.0`.
    #[must_use]
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// The share of requests that may be bad, `0.0..=1.0` but never 0.
    #[must_use]
    pub fn budget_fraction(self) -> f64 {
        f64::from(Self::WHOLE - self.0) / f64::from(Self::WHOLE)
    }

    /// How many of `total` requests may be bad, in billionths of a request, exactly.
    #[must_use]
    pub const fn allowed_bad_billionths(self, total: u64) -> u128 {
        (total as u128) * ((Self::WHOLE - self.0) as u128)
    }

    /// The target nearest to `fraction`.
    ///
    /// # Errors
    ///
    /// When it is not a number in `0.0..1.0` after rounding to billionths.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie in 0..WHOLE first"
    )]
    pub fn parse(fraction: f64) -> Result<Self, InvalidTarget> {
        let billionths = (fraction * f64::from(Self::WHOLE)).round();
        if (0.0..f64::from(Self::WHOLE)).contains(&billionths) {
            Ok(Self(billionths as u32))
        } else {
            Err(InvalidTarget { given: fraction })
        }
    }
}

impl TryFrom<u32> for Target {
    type Error = InvalidTarget;

    fn try_from(billionths: u32) -> Result<Self, InvalidTarget> {
        if billionths < Self::WHOLE {
            Ok(Self(billionths))
        } else {
            Err(InvalidTarget {
                given: f64::from(billionths) / f64::from(Self::WHOLE),
            })
        }
    }
}

impl From<Target> for u32 {
    fn from(target: Target) -> Self {
        target.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_ends_at_the_whole() {
        assert_eq!(Share::try_from(10_000), Ok(Share::WHOLE));
        assert!(Share::try_from(10_001).is_err());
        assert_eq!(Share::nearest(f64::NAN), Share::NONE);
        assert_eq!(Share::nearest(1.5), Share::WHOLE);
        assert_eq!(Share::WHOLE.rest(), Share::NONE);
        assert_eq!(Share::HUNDREDTH.rest(), Share(9_900));
    }

    #[test]
    fn exactly_the_share_does_not_exceed_it() {
        let twentieth = Share::try_from(500).unwrap();
        assert!(!twentieth.exceeded_by(5, 100));
        assert!(twentieth.exceeded_by(6, 100));
        assert!(!twentieth.exceeded_by(0, 0));
    }

    #[test]
    fn a_target_leaves_a_budget() {
        assert!(Target::parse(1.0).is_err());
        assert!(
            Target::parse(0.999_999_999_9).is_err(),
            "rounds to the whole"
        );
        assert!(Target::parse(-0.1).is_err());
        assert!(Target::parse(f64::NAN).is_err());
        let three_nines = Target::parse(0.999).unwrap();
        assert_eq!(three_nines.allowed_bad_billionths(1_000), 1_000_000_000);
    }
}
