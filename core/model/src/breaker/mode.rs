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
}
