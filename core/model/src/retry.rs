//! How many retries a service answers, or is sent, while they do not help it.

use serde::{Deserialize, Serialize};

use crate::{Mode, Share, WallTime};

/// A retry budget on a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Whether it acts or only counts.
    #[serde(default)]
    pub mode: Mode,
    /// When the filter drops it by itself; never when absent, which suits a file that a person keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<WallTime>,
    /// How many.
    pub limits: RetryRule,
}

/// The limits of a retry budget, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = ""))]
#[serde(try_from = "RetryLimits", into = "RetryLimits")]
pub struct RetryRule {
    limits: RetryLimits,
}

/// The limits of a retry budget, as they are written down.
///
/// They bind while retries do not help: then each first attempt allows for a
/// `share` of a retry, and `least` retries pass in each second all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryLimits {
    /// Retries for each first attempt.
    pub share: Share,
    /// Retries per second and worker that always pass, 1 to 1,000, so that a quiet service is tried again, too.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000)))]
    pub least: u32,
}

/// Why limits of a retry budget cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("least is {given}; it must be from {min} to {max}", min = RetryLimits::LEAST_MIN, max = RetryLimits::LEAST_MAX)]
pub struct InvalidRetries {
    given: u32,
}

impl RetryLimits {
    /// With none, nobody would find out that retries help again.
    pub const LEAST_MIN: u32 = 1;
    /// More is what a worker serves, and so no bound.
    pub const LEAST_MAX: u32 = 1_000;
}

impl TryFrom<RetryLimits> for RetryRule {
    type Error = InvalidRetries;

    fn try_from(limits: RetryLimits) -> Result<Self, InvalidRetries> {
        if (RetryLimits::LEAST_MIN..=RetryLimits::LEAST_MAX).contains(&limits.least) {
            Ok(Self { limits })
        } else {
            Err(InvalidRetries {
                given: limits.least,
            })
        }
    }
}

impl From<RetryRule> for RetryLimits {
    fn from(rule: RetryRule) -> Self {
        rule.limits
    }
}

impl RetryRule {
    /// Stands for what cannot be read.
    pub(crate) const fn unread(limits: RetryLimits) -> Self {
        Self { limits }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &RetryLimits {
        &self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds_and_say_so() {
        let rule = |least| {
            RetryRule::try_from(RetryLimits {
                share: Share::NONE,
                least,
            })
        };
        assert!(rule(1).is_ok() && rule(1_000).is_ok());
        for given in [0, 1_001] {
            assert_eq!(
                rule(given).unwrap_err().to_string(),
                format!("least is {given}; it must be from 1 to 1000")
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = r#"{"mode":"shadow","expires_at_ms":7,"limits":{"share":1000,"least":3}}"#;
        let config: RetryConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let short = r#"{"limits":{"share":2000,"least":1}}"#;
        let config: RetryConfig = serde_json::from_str(short).unwrap();
        assert_eq!((config.mode, config.expires_at_ms), (Mode::Enforce, None));
        for bad in [
            r#"{"limits":{"share":10001,"least":1}}"#,
            r#"{"limits":{"share":1}}"#,
            r#"{"limits":{"share":1,"least":1,"x":1}}"#,
        ] {
            assert!(serde_json::from_str::<RetryConfig>(bad).is_err(), "{bad}");
        }
    }
}
