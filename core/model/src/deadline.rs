//! Until when the answers to a scope's requests are of use.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Mode, WallTime};

/// A deadline for the requests of a scope.
///
/// A request that says no deadline, or a later one, gets this one, and it goes on
/// with the request in `tracestate`. A request whose deadline has passed when it
/// comes is refused. Nothing that is under way is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeadlineConfig {
    /// Whether it gives deadlines and refuses what is late, or only counts what is.
    #[serde(default)]
    pub mode: Mode,
    /// When the filter drops it by itself; never when absent, which suits a file that a person keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<WallTime>,
    /// How long after its arrival the answer to a request is of use.
    pub limit_ms: DeadlineLimit,
}

/// How long an answer is of use, in milliseconds, 1 to 600,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "How long an answer is of use, in milliseconds.")
)]
#[cfg_attr(feature = "schema", schemars(extend("minimum" = 1, "maximum" = 600_000)))]
#[serde(try_from = "u32", into = "u32")]
pub struct DeadlineLimit(u32);

/// Why a number is not a [`DeadlineLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit_ms is {given}; it must be from 1 to {max}", max = DeadlineLimit::MAX.0)]
pub struct InvalidDeadline {
    given: u64,
}

impl DeadlineLimit {
    /// Nobody waits longer; as long as an `x-request-id` is remembered at the most.
    pub const MAX: Self = Self(600_000);

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u32 {
        self.0
    }

    /// The same as a length of time.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl TryFrom<u64> for DeadlineLimit {
    type Error = InvalidDeadline;

    fn try_from(given: u64) -> Result<Self, InvalidDeadline> {
        match u32::try_from(given) {
            Ok(millis @ 1..) if millis <= Self::MAX.0 => Ok(Self(millis)),
            Ok(_) | Err(_) => Err(InvalidDeadline { given }),
        }
    }
}

impl TryFrom<u32> for DeadlineLimit {
    type Error = InvalidDeadline;

    fn try_from(given: u32) -> Result<Self, InvalidDeadline> {
        Self::try_from(u64::from(given))
    }
}

impl From<DeadlineLimit> for u32 {
    fn from(limit: DeadlineLimit) -> Self {
        limit.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_bounds_and_says_so() {
        for (given, error) in [
            (0_u64, Some("limit_ms is 0; it must be from 1 to 600000")),
            (1, None),
            (600_000, None),
            (
                600_001,
                Some("limit_ms is 600001; it must be from 1 to 600000"),
            ),
            (
                1 << 32,
                Some("limit_ms is 4294967296; it must be from 1 to 600000"),
            ),
        ] {
            let made = DeadlineLimit::try_from(given);
            assert_eq!(made.err().map(|it| it.to_string()).as_deref(), error);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = r#"{"mode":"shadow","expires_at_ms":7,"limit_ms":3000}"#;
        let config: DeadlineConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.limit_ms.length(), Duration::from_secs(3));
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let short: DeadlineConfig = serde_json::from_str(r#"{"limit_ms":1}"#).unwrap();
        assert_eq!((short.mode, short.expires_at_ms), (Mode::Enforce, None));
        for bad in [
            "{}",
            r#"{"limit_ms":0}"#,
            r#"{"limit_ms":600001}"#,
            r#"{"limit_ms":1,"x":1}"#,
        ] {
            assert!(
                serde_json::from_str::<DeadlineConfig>(bad).is_err(),
                "{bad}"
            );
        }
    }
}
