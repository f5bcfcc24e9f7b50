//! What an operator wants of a breaker as a whole.

use serde::{Deserialize, Serialize};

use crate::Mode;

/// What a breaker may do.
///
/// | mode | counts outcomes | changes its state | refuses |
/// |---|---|---|---|
/// | `enforce` | yes | yes | as its state says |
/// | `shadow` | yes | yes | nothing; what it would have refused is counted |
/// | `metrics_only` | yes | no, it stays closed | nothing |
/// | `disabled` | no | no, it stays closed | nothing |
/// | `forced_open` | no | no, it stays open | everything |
///
/// Orders to open ([`super::Trip`]) and what other workers decided mean
/// something to the first two only. Leaving `forced_open` for them begins with
/// probes; leaving the others, closed and without memory.
///
/// `disabled` and `forced_open` are a person's word against what the breaker
/// would do ([`BreakerMode::is_forced`]): they take its protection or the whole
/// route away, so whoever says them says until when.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "What a breaker may do."))]
#[serde(rename_all = "snake_case")]
pub enum BreakerMode {
    /// Decide and act.
    #[default]
    Enforce,
    /// Decide and count, do not act.
    Shadow,
    /// Count outcomes, decide nothing.
    MetricsOnly,
    /// Do nothing.
    Disabled,
    /// Refuse everything.
    ForcedOpen,
}

impl BreakerMode {
    /// Whether it overrules the breaker, and so must end by itself.
    #[must_use]
    pub const fn is_forced(self) -> bool {
        match self {
            Self::Disabled | Self::ForcedOpen => true,
            Self::Enforce | Self::Shadow | Self::MetricsOnly => false,
        }
    }

    /// The name in documents and configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::MetricsOnly => "metrics_only",
            Self::Disabled => "disabled",
            Self::ForcedOpen => "forced_open",
        }
    }
}

impl From<Mode> for BreakerMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Shadow => Self::Shadow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_of_any_rule_is_one_of_a_breaker_with_the_same_name() {
        for mode in [Mode::Enforce, Mode::Shadow] {
            let name = serde_json::to_string(&mode).unwrap();
            let read: BreakerMode = serde_json::from_str(&name).unwrap();
            assert_eq!(read, BreakerMode::from(mode));
        }
        let last: BreakerMode = serde_json::from_str("\"forced_open\"").unwrap();
        assert_eq!(last, BreakerMode::ForcedOpen);
    }

    #[test]
    fn names_are_those_that_are_read() {
        for mode in [
            BreakerMode::Enforce,
            BreakerMode::Shadow,
            BreakerMode::MetricsOnly,
            BreakerMode::Disabled,
            BreakerMode::ForcedOpen,
        ] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
        }
    }
}
