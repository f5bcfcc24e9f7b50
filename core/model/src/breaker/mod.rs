//! When a breaker opens, and how it closes again.

mod manner;
mod mode;

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Share, WallTime};

pub use manner::{
    BreakerManner, Judge, LateOutcomes, LostProbes, Pace, ProbeVerdict, Threshold, Wake,
};
pub use mode::BreakerMode;

/// The limits of one breaker, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = ""))]
#[serde(try_from = "BreakerLimits", into = "BreakerLimits")]
pub struct BreakerRule {
    limits: BreakerLimits,
    window: BreakerWindow,
}

/// The requests by which a breaker judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BreakerWindow {
    /// Those that ended in the last while.
    Time {
        /// How long, 100 ms to 10 min.
        length: Duration,
        /// In how many parts it is cut, 1 to 120. The oldest is forgotten as a whole.
        buckets: u32,
    },
    /// The last ones, 1 to 10,000, however long ago.
    Calls(u32),
}

/// The limits of one breaker, as they are written down.
///
/// It opens when, of the requests in its window, at least `calls_min` ended,
/// and of these surely more than `failed_max` failed or surely more than
/// `slow_max` took longer than `slow_us`. "Surely" is the lower end of Wilson's
/// score interval (Wilson 1927) at `sigmas_hundredths / 100` standard
/// deviations; with 0 it is the plain ratio.
///
/// The window is the last `window_ms`, or else the last `window_calls`
/// requests, which then hold `calls_min` down if it is more.
///
/// It stays open for `open_ms`, twice as long after each failed attempt to
/// close, up to `open_max_ms`; then lets `probes` requests through; and when
/// all of them were served lets a growing share through over `ramp_ms`.
/// `manner` says how, where there is more than one right way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BreakerLimits {
    /// The window in milliseconds, 100 to 600,000. Either this or `window_calls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 100, max = TEN_MINUTES)))]
    pub window_ms: Option<u32>,
    /// The parts of the window in time, 1 to 120 and none shorter than 1 ms; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = BUCKETS_MAX)))]
    pub window_buckets: Option<u32>,
    /// The window in requests, 1 to 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = CALLS_MAX)))]
    pub window_calls: Option<u32>,
    /// Fewest ended requests in the window to judge by, 1 to 1,000,000.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
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
    #[cfg_attr(feature = "schema", schemars(range(max = 1_000)))]
    pub sigmas_hundredths: u16,
    /// How long it stays open at first, in milliseconds, 10 to 600,000.
    #[cfg_attr(feature = "schema", schemars(range(min = 10, max = TEN_MINUTES)))]
    pub open_ms: u32,
    /// How long it stays open at most, in milliseconds, `open_ms` to 600,000. `open_ms` itself for no back-off.
    #[cfg_attr(feature = "schema", schemars(range(min = 10, max = TEN_MINUTES)))]
    pub open_max_ms: u32,
    /// Requests that may probe at a time, 1 to 1,000; with several workers, shared among them.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000)))]
    pub probes: u32,
    /// How long the share of admitted requests grows from the probes to all, in milliseconds, at most 600,000; 0 for at once.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(max = TEN_MINUTES)))]
    pub ramp_ms: u32,
    /// How it goes about it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub manner: BreakerManner,
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
    /// No window, two windows, or parts of one that is not cut.
    #[error(
        "{field} is {problem}; a window is window_ms, with window_buckets or without, or else window_calls"
    )]
    Window {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
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
    /// Everything reaches nothing, so it would open without a reason.
    #[error("{field} is 0, which everything reaches; it must be at least 1")]
    AlwaysOpens {
        /// Which share.
        field: &'static str,
    },
}

/// Ten: an outage is forgotten to within a tenth of the window.
const BUCKETS_DEFAULT: u32 = 10;
const BUCKETS_MAX: u32 = 120;
/// Two bits each: 2.5 KB per scope and worker.
const CALLS_MAX: u32 = 10_000;
/// Longer than anybody waits for a breaker.
const TEN_MINUTES: u32 = 600_000;

impl TryFrom<BreakerLimits> for BreakerRule {
    type Error = InvalidBreaker;

    fn try_from(limits: BreakerLimits) -> Result<Self, InvalidBreaker> {
        let window = limits.window()?;
        let sigmas = u32::from(limits.sigmas_hundredths);
        within("calls_min", limits.calls_min, 1, 1_000_000)?;
        within("sigmas_hundredths", sigmas, 0, 1_000)?;
        within("open_ms", limits.open_ms, 10, TEN_MINUTES)?;
        within(
            "open_max_ms",
            limits.open_max_ms,
            limits.open_ms,
            TEN_MINUTES,
        )?;
        within("probes", limits.probes, 1, 1_000)?;
        within("ramp_ms", limits.ramp_ms, 0, TEN_MINUTES)?;
        match (limits.slow_max, limits.slow_us) {
            (Some(_), None) => return Err(InvalidBreaker::HalfSlow { given: "slow_max" }),
            (None, Some(_)) => return Err(InvalidBreaker::HalfSlow { given: "slow_us" }),
            (Some(share), Some(_)) => can_open("slow_max", share, limits.manner.threshold)?,
            (None, None) => {}
        }
        can_open("failed_max", limits.failed_max, limits.manner.threshold)?;
        Ok(Self { limits, window })
    }
}

impl BreakerLimits {
    fn window(&self) -> Result<BreakerWindow, InvalidBreaker> {
        let wrong = |field, problem| Err(InvalidBreaker::Window { field, problem });
        match (self.window_ms, self.window_calls, self.window_buckets) {
            (Some(_), Some(_), _) => wrong("window_calls", "given beside window_ms"),
            (None, None, _) => wrong("window_ms", "missing"),
            (None, Some(_), Some(_)) => wrong("window_buckets", "given without window_ms"),
            (None, Some(calls), None) => {
                within("window_calls", calls, 1, CALLS_MAX).map(BreakerWindow::Calls)
            }
            (Some(millis), None, buckets) => {
                within("window_ms", millis, 100, TEN_MINUTES)?;
                let buckets = buckets.unwrap_or(BUCKETS_DEFAULT);
                Ok(BreakerWindow::Time {
                    length: Duration::from_millis(u64::from(millis)),
                    buckets: within("window_buckets", buckets, 1, BUCKETS_MAX.min(millis))?,
                })
            }
        }
    }
}

impl From<BreakerRule> for BreakerLimits {
    fn from(rule: BreakerRule) -> Self {
        rule.limits
    }
}

impl BreakerRule {
    /// Stands for what cannot be read.
    pub(crate) const fn unread(limits: BreakerLimits) -> Self {
        let window = BreakerWindow::Calls(1);
        Self { limits, window }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &BreakerLimits {
        &self.limits
    }

    /// The requests to judge by.
    #[must_use]
    pub const fn window(&self) -> BreakerWindow {
        self.window
    }

    /// Fewest ended requests to judge by. A window in requests never holds more than its size.
    #[must_use]
    pub fn calls_min(&self) -> u32 {
        match self.window {
            BreakerWindow::Time { .. } => self.limits.calls_min,
            BreakerWindow::Calls(calls) => self.limits.calls_min.min(calls),
        }
    }

    /// What is slow.
    #[must_use]
    pub fn slow(&self) -> Option<(Share, Duration)> {
        let slow = Duration::from_micros(self.limits.slow_us?);
        Some((self.limits.slow_max?, slow))
    }
}

/// `given`, if it lies in its range.
fn within(field: &'static str, given: u32, from: u32, to: u32) -> Result<u32, InvalidBreaker> {
    if (from..=to).contains(&given) {
        Ok(given)
    } else {
        Err(InvalidBreaker::OutOfRange {
            field,
            given,
            from,
            to,
        })
    }
}

const fn can_open(
    field: &'static str,
    share: Share,
    threshold: Threshold,
) -> Result<(), InvalidBreaker> {
    match (share, threshold) {
        (Share::WHOLE, Threshold::Exceeded) => Err(InvalidBreaker::NeverOpens { field }),
        (Share::NONE, Threshold::Reached) => Err(InvalidBreaker::AlwaysOpens { field }),
        (_, Threshold::Exceeded | Threshold::Reached) => Ok(()),
    }
}

fn is_default(manner: &BreakerManner) -> bool {
    *manner == BreakerManner::default()
}

/// An order to open: every breaker of the scope opens once for it, as if it had tripped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// Grows with each order. A breaker obeys an order once.
    pub id: u64,
    /// From then on the order means nothing to a breaker that has not seen it.
    pub until_ms: WallTime,
}

#[cfg(test)]
mod tests;
