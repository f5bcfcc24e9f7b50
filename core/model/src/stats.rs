//! Whether counts become statistics of Envoy.

use serde::{Deserialize, Serialize};

/// Counts as Envoy's own statistics, for people without our control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatsSettings {
    /// Whether there are any.
    #[serde(default)]
    pub enabled: bool,
    /// Statistics that one VM defines, 16 to 65,536. Envoy never forgets one, so there must
    /// be an end; what is beyond is not shown, and counted as trouble.
    #[serde(default = "StatsSettings::metrics_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 16, max = 65_536)))]
    pub metrics_max: u32,
}

impl Default for StatsSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            metrics_max: Self::metrics_default(),
        }
    }
}

/// Why statistics cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStats {
    /// The cap is out of its bounds.
    #[error("stats.metrics_max: is {given}; it must be from 16 to 65536")]
    Metrics {
        /// As given.
        given: u32,
    },
}

impl StatsSettings {
    /// About 100 routes with an objective each. One costs Envoy a few hundred bytes.
    pub(crate) const fn metrics_default() -> u32 {
        4_096
    }

    /// Whether nothing was said.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what the types alone do not hold.
    ///
    /// # Errors
    ///
    /// When the cap is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidStats> {
        if (16..=65_536).contains(&self.metrics_max) {
            Ok(())
        } else {
            Err(InvalidStats::Metrics {
                given: self.metrics_max,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_unless_said_and_within_bounds() {
        let read = |json: &str| serde_json::from_str::<StatsSettings>(json).unwrap();
        assert_eq!(read("{}"), StatsSettings::default());
        assert!(!read("{}").enabled && read(r#"{"enabled": true}"#).enabled);
        for (given, is_good) in [(15, false), (16, true), (65_536, true), (65_537, false)] {
            let settings = read(&format!(r#"{{"metrics_max": {given}}}"#));
            assert_eq!(settings.check().is_ok(), is_good, "{given}");
        }
        let error = read(r#"{"metrics_max": 1}"#).check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "stats.metrics_max: is 1; it must be from 16 to 65536"
        );
    }
}
