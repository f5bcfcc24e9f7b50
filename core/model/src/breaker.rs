//! When a breaker opens, and how it closes again.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Share, WallTime};

/// The limits of one breaker, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "BreakerLimits", into = "BreakerLimits")]
pub struct BreakerRule {
    limits: BreakerLimits,
}

/// The limits of one breaker, as they are written down.
///
/// It opens when, within the last `window_ms`, at least `calls_min` requests
/// ended, and of these surely more than `failed_max` failed or surely more than
/// `slow_max` took longer than `slow_us`. "Surely" is the lower end of Wilson's
/// score interval (Wilson 1927) at `sigmas_hundredths / 100` standard
/// deviations; with 0 it is the plain ratio.
///
/// It stays open for `open_ms`, twice as long after each failed attempt to
/// close, up to `open_max_ms`; then lets `probes` requests through; and when
/// all of them were served lets a growing share through over `ramp_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerLimits {
    /// The window in milliseconds, 100 to 600,000.
    pub window_ms: u32,
    /// Fewest ended requests in the window to judge by, 1 to 1,000,000.
    pub calls_min: u32,
    /// Opens when more than this share failed. Below the whole.
    pub failed_max: Share,
    /// Opens when more than this share was slow. Needs `slow_us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_max: Option<Share>,
    /// What is slow: a latency above this, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_us: Option<u64>,
    /// Confidence in hundredths of a standard deviation, 0 to 1,000.
    #[serde(default)]
    pub sigmas_hundredths: u16,
    /// How long it stays open at first, in milliseconds, 10 to 600,000.
    pub open_ms: u32,
    /// How long it stays open at most, in milliseconds, `open_ms` to 600,000.
    pub open_max_ms: u32,
    /// Requests that may probe at a time, 1 to 1,000.
    pub probes: u32,
    /// How long the share of admitted requests grows from the probes to all, in milliseconds, at most 600,000; 0 for at once.
    #[serde(default)]
    pub ramp_ms: u32,
}

/// Why limits cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBreaker {
    /// A number is out of its range.
    #[error("{field} is {given}; it must be from {from} to {to}")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// As given.
        given: u32,
        /// Smallest that is allowed.
        from: u32,
        /// Largest that is allowed.
        to: u32,
    },
    /// One of two that belong together is missing.
    #[error("slow_max and slow_us belong together; only {given} is given")]
    HalfSlow {
        /// The one that is there.
        given: &'static str,
    },
    /// Nothing exceeds the whole, so it would never open.
    #[error("{field} is the whole, which nothing exceeds; it must be below 10000")]
    NeverOpens {
        /// Which share.
        field: &'static str,
    },
}

impl TryFrom<BreakerLimits> for BreakerRule {
    type Error = InvalidBreaker;

    fn try_from(limits: BreakerLimits) -> Result<Self, InvalidBreaker> {
        let ten_minutes = 600_000;
        for (field, given, from, to) in [
            ("window_ms", limits.window_ms, 100, ten_minutes),
            ("calls_min", limits.calls_min, 1, 1_000_000),
            (
                "sigmas_hundredths",
                u32::from(limits.sigmas_hundredths),
                0,
                1_000,
            ),
            ("open_ms", limits.open_ms, 10, ten_minutes),
            (
                "open_max_ms",
                limits.open_max_ms,
                limits.open_ms,
                ten_minutes,
            ),
            ("probes", limits.probes, 1, 1_000),
            ("ramp_ms", limits.ramp_ms, 0, ten_minutes),
        ] {
            if !(from..=to).contains(&given) {
                return Err(InvalidBreaker::OutOfRange {
                    field,
                    given,
                    from,
                    to,
                });
            }
        }
        match (limits.slow_max, limits.slow_us) {
            (Some(_), None) => return Err(InvalidBreaker::HalfSlow { given: "slow_max" }),
            (None, Some(_)) => return Err(InvalidBreaker::HalfSlow { given: "slow_us" }),
            (Some(Share::WHOLE), Some(_)) => {
                return Err(InvalidBreaker::NeverOpens { field: "slow_max" });
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if limits.failed_max == Share::WHOLE {
            return Err(InvalidBreaker::NeverOpens {
                field: "failed_max",
            });
        }
        Ok(Self { limits })
    }
}

impl From<BreakerRule> for BreakerLimits {
    fn from(rule: BreakerRule) -> Self {
        rule.limits
    }
}

impl BreakerRule {
    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &BreakerLimits {
        &self.limits
    }

    /// What is slow.
    #[must_use]
    pub fn slow(&self) -> Option<(Share, Duration)> {
        let slow = Duration::from_micros(self.limits.slow_us?);
        Some((self.limits.slow_max?, slow))
    }
}

/// An order to open: every breaker of the scope opens once for it, as if it had tripped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// Grows with each order. A breaker obeys an order once.
    pub id: u64,
    /// From then on the order means nothing to a breaker that has not seen it.
    pub until_ms: WallTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn limits() -> BreakerLimits {
        BreakerLimits {
            window_ms: 1_000,
            calls_min: 10,
            failed_max: Share::try_from(5_000).unwrap(),
            slow_max: None,
            slow_us: None,
            sigmas_hundredths: 300,
            open_ms: 1_000,
            open_max_ms: 10_000,
            probes: 5,
            ramp_ms: 2_000,
        }
    }

    #[test]
    fn limits_have_bounds_and_say_so() {
        assert!(BreakerRule::try_from(limits()).is_ok());
        let error = BreakerRule::try_from(BreakerLimits {
            probes: 0,
            ..limits()
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "probes is 0; it must be from 1 to 1000");
        for bad in [
            BreakerLimits {
                open_max_ms: 999,
                ..limits()
            },
            BreakerLimits {
                failed_max: Share::WHOLE,
                ..limits()
            },
            BreakerLimits {
                slow_us: Some(1),
                ..limits()
            },
        ] {
            assert!(BreakerRule::try_from(bad).is_err(), "{bad:?}");
        }
    }
}
