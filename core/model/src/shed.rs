//! How much load may be shed, and when.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Criticality, Judge, Mode, Share, WallTime};

/// Shedding on a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ShedConfig {
    /// Whether it sheds or only counts.
    #[serde(default)]
    pub mode: Mode,
    /// When the filter drops it by itself; never when absent, which suits a file that a person keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<WallTime>,
    /// How much, and when.
    pub limits: ShedRule,
}

/// The limits of shedding on one scope, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = ""))]
#[serde(try_from = "ShedLimits", into = "ShedLimits")]
pub struct ShedRule {
    limits: ShedLimits,
}

/// The limits of shedding on one scope, as they are written down.
///
/// The objective is missed while surely more than `slow_max` of the requests
/// take longer than `slow_us`, or surely more than `failed_max` fail, or more
/// than `in_flight_max` are under way. Then a share of the requests is shed,
/// between `share_min` and `share_max` of all, the least critical first. At
/// least one of the three must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ShedLimits {
    /// The share of all requests that is shed whatever is measured. At most `share_max`.
    #[serde(default = "none", skip_serializing_if = "is_none")]
    pub share_min: Share,
    /// The largest share of all requests that is shed. Positive.
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 1)))]
    pub share_max: Share,
    /// The share of each class that always passes, so that there is something to measure: 10 to 10,000.
    #[serde(default = "ShedLimits::floor_default")]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 10)))]
    pub floor: Share,
    /// What is slow: a latency above this, in microseconds, 100 to 60,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 100, max = 60_000_000)))]
    pub slow_us: Option<u64>,
    /// The share that may be slow. Needs `slow_us`; below the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("maximum" = 9_999)))]
    pub slow_max: Option<Share>,
    /// The share that may fail. Below the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("maximum" = 9_999)))]
    pub failed_max: Option<Share>,
    /// Requests that may be under way at a time in one worker. Positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub in_flight_max: Option<u32>,
    /// Narrower bounds for classes.
    #[serde(default, skip_serializing_if = "ClassShares::is_whole")]
    pub class_max: ClassShares,
    /// By what a request is bad; what is too slow is so by `slow_us` alone.
    #[serde(default, skip_serializing_if = "Judge::is_default")]
    pub judge: Judge,
}

/// The largest share of each class that may be shed; the whole where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClassShares {
    /// Of `sheddable` requests.
    pub sheddable: Share,
    /// Of `sheddable_plus` requests.
    pub sheddable_plus: Share,
    /// Of `critical` requests.
    pub critical: Share,
    /// Of `critical_plus` requests.
    pub critical_plus: Share,
}

/// Why limits of shedding cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShed {
    /// A number is out of its range.
    #[error("{field} is {given}; it must be from {from} to {to}")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// As given.
        given: u64,
        /// Smallest that is allowed.
        from: u64,
        /// Largest that is allowed.
        to: u64,
    },
    /// One of two that belong together is missing.
    #[error("slow_us and slow_max belong together; only {given} is given")]
    HalfSlow {
        /// The one that is there.
        given: &'static str,
    },
    /// Nothing says when to shed.
    #[error("no objective; give slow_us with slow_max, failed_max or in_flight_max")]
    NoObjective,
}

impl ShedLimits {
    /// One in a hundred: at 100 requests per second, one a second still measures.
    pub(crate) const fn floor_default() -> Share {
        Share::HUNDREDTH
    }
}

const fn none() -> Share {
    Share::NONE
}

fn is_none(share: &Share) -> bool {
    *share == Share::NONE
}

impl ClassShares {
    /// Nothing said of any class.
    pub const WHOLE: Self = Self {
        sheddable: Share::WHOLE,
        sheddable_plus: Share::WHOLE,
        critical: Share::WHOLE,
        critical_plus: Share::WHOLE,
    };

    /// The share of `class`.
    #[must_use]
    pub const fn of(&self, class: Criticality) -> Share {
        match class {
            Criticality::Sheddable => self.sheddable,
            Criticality::SheddablePlus => self.sheddable_plus,
            Criticality::Critical => self.critical,
            Criticality::CriticalPlus => self.critical_plus,
        }
    }

    fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }
}

impl Default for ClassShares {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl TryFrom<ShedLimits> for ShedRule {
    type Error = InvalidShed;

    fn try_from(limits: ShedLimits) -> Result<Self, InvalidShed> {
        let share = |share: Share| u64::from(u16::from(share));
        let (whole, below) = (share(Share::WHOLE), share(Share::WHOLE) - 1);
        let optional = |given: Option<Share>| given.map_or(0, share);
        for (field, given, from, to) in [
            ("share_max", share(limits.share_max), 1, whole),
            (
                "share_min",
                share(limits.share_min),
                0,
                share(limits.share_max),
            ),
            ("floor", share(limits.floor), 10, whole),
            ("slow_us", limits.slow_us.unwrap_or(100), 100, 60_000_000),
            ("slow_max", optional(limits.slow_max), 0, below),
            ("failed_max", optional(limits.failed_max), 0, below),
            (
                "in_flight_max",
                limits.in_flight_max.unwrap_or(1).into(),
                1,
                u64::from(u32::MAX),
            ),
        ] {
            if !(from..=to).contains(&given) {
                return Err(InvalidShed::OutOfRange {
                    field,
                    given,
                    from,
                    to,
                });
            }
        }
        match (limits.slow_us, limits.slow_max) {
            (Some(_), None) => return Err(InvalidShed::HalfSlow { given: "slow_us" }),
            (None, Some(_)) => return Err(InvalidShed::HalfSlow { given: "slow_max" }),
            (None, None) if limits.failed_max.is_none() && limits.in_flight_max.is_none() => {
                return Err(InvalidShed::NoObjective);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        Ok(Self { limits })
    }
}

impl From<ShedRule> for ShedLimits {
    fn from(rule: ShedRule) -> Self {
        rule.limits
    }
}

impl ShedRule {
    /// Stands for what cannot be read.
    pub(crate) const fn unread(limits: ShedLimits) -> Self {
        Self { limits }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &ShedLimits {
        &self.limits
    }

    /// What is slow, and the share that may be.
    #[must_use]
    pub fn slow(&self) -> Option<(Share, Duration)> {
        let slow = Duration::from_micros(self.limits.slow_us?);
        Some((self.limits.slow_max?, slow))
    }

    /// The largest share of `class` that may be shed: all but the floor, if nothing narrower is said.
    #[must_use]
    pub fn class_max(&self, class: Criticality) -> Share {
        self.limits
            .class_max
            .of(class)
            .min(self.limits.floor.rest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(ten_thousandths: u16) -> Share {
        Share::try_from(ten_thousandths).unwrap()
    }

    fn limits() -> ShedLimits {
        ShedLimits {
            share_min: Share::NONE,
            share_max: share(6_000),
            floor: share(100),
            slow_us: Some(250_000),
            slow_max: Some(share(100)),
            failed_max: None,
            in_flight_max: None,
            class_max: ClassShares::WHOLE,
            judge: Judge::Outcomes,
        }
    }

    #[test]
    fn limits_have_bounds_and_say_so() {
        assert!(ShedRule::try_from(limits()).is_ok());
        for (bad, error) in [
            (
                ShedLimits {
                    share_max: Share::NONE,
                    ..limits()
                },
                "share_max is 0; it must be from 1 to 10000",
            ),
            (
                ShedLimits {
                    share_min: share(6_001),
                    ..limits()
                },
                "share_min is 6001; it must be from 0 to 6000",
            ),
            (
                ShedLimits {
                    floor: share(9),
                    ..limits()
                },
                "floor is 9; it must be from 10 to 10000",
            ),
            (
                ShedLimits {
                    slow_us: Some(99),
                    ..limits()
                },
                "slow_us is 99; it must be from 100 to 60000000",
            ),
            (
                ShedLimits {
                    slow_max: Some(Share::WHOLE),
                    ..limits()
                },
                "slow_max is 10000; it must be from 0 to 9999",
            ),
            (
                ShedLimits {
                    in_flight_max: Some(0),
                    ..limits()
                },
                "in_flight_max is 0; it must be from 1 to 4294967295",
            ),
            (
                ShedLimits {
                    slow_us: None,
                    ..limits()
                },
                "slow_us and slow_max belong together; only slow_max is given",
            ),
            (
                ShedLimits {
                    slow_us: None,
                    slow_max: None,
                    ..limits()
                },
                "no objective; give slow_us with slow_max, failed_max or in_flight_max",
            ),
        ] {
            assert_eq!(ShedRule::try_from(bad).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = r#"{"mode":"shadow","expires_at_ms":7,"limits":{"share_max":6000,"floor":100,"slow_us":250000,"slow_max":100,"class_max":{"sheddable":10000,"sheddable_plus":10000,"critical":10000,"critical_plus":0}}}"#;
        let config: ShedConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let rule = config.limits;
        assert_eq!(rule.class_max(Criticality::CriticalPlus), Share::NONE);
        assert_eq!(rule.class_max(Criticality::Sheddable), share(9_900));
        let short = r#"{"limits":{"share_max":6000,"failed_max":100}}"#;
        let config: ShedConfig = serde_json::from_str(short).unwrap();
        assert_eq!(config.mode, Mode::Enforce);
        assert_eq!(config.limits.limits().floor, share(100));
        assert!(serde_json::from_str::<ShedConfig>(r#"{"limits":{"share_max":1,"x":1}}"#).is_err());
    }
}
