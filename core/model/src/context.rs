//! How a request's context is read and passed on: `trace.context` of the configuration.
//!
//! Everything beyond `traceparent` is off by default, because each header that
//! is written costs as much as all that is computed.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// How a request's context is read and passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContextSettings {
    /// Who writes `traceparent`.
    #[serde(default)]
    pub owner: TraceOwner,
    /// Which B3 headers are written besides. B3 is always read when there is no `traceparent`.
    #[serde(default)]
    pub b3: B3Output,
    /// What is believed of `sloop=` in `tracestate`.
    #[serde(default)]
    pub member: MemberTrust,
    /// What is done about deadlines.
    #[serde(default)]
    pub deadlines: DeadlineMode,
    /// How requests of applications that forward only `x-request-id` are joined; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinSettings>,
}

impl ContextSettings {
    /// Whether nothing differs from the default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who writes `traceparent`. There must be one owner only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TraceOwner {
    /// This filter.
    #[default]
    Sloop,
    /// Envoy's own tracer, which overwrites it whenever the listener has `tracing`.
    Envoy,
}

/// Which B3 headers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum B3Output {
    /// None. Those that came in pass as they are.
    #[default]
    None,
    /// `b3`.
    Single,
    /// `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and their kin: at least three writes per request.
    Multi,
}

/// What is believed of `sloop=` in `tracestate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemberTrust {
    /// All of it: callers are sidecars like this one.
    #[default]
    Trust,
    /// Nothing, and it is not passed on: for the edge, where anyone may claim to be critical.
    Discard,
}

/// What is done about deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeadlineMode {
    /// Nothing: neither read nor changed.
    #[default]
    Ignore,
    /// What is left is passed on in `tracestate`, one more header write per request that has a deadline.
    Carry,
    /// Passed on, and a request whose deadline has passed is refused.
    Enforce,
}

/// How requests are joined by `x-request-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "JoinWritten", into = "JoinWritten")]
pub struct JoinSettings {
    entries: u32,
    expires_ms: u32,
    reach: JoinReach,
}

/// [`JoinSettings`] as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JoinWritten {
    /// Requests that are remembered per worker, 4 to 65,536.
    #[serde(default = "JoinWritten::entries_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 4, max = 65_536)))]
    pub entries: u32,
    /// How long one is remembered, in milliseconds, 100 to 600,000.
    #[serde(default = "JoinWritten::expires_ms_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 100, max = 600_000)))]
    pub expires_ms: u32,
    /// Whether a request is found by other workers.
    #[serde(default)]
    pub reach: JoinReach,
}

/// Who finds a remembered request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JoinReach {
    /// The worker that saw it.
    #[default]
    Worker,
    /// All workers of the sidecar, through Envoy's shared data: one write per inbound request, and one
    /// value returned per outbound request that its own worker does not know.
    Sidecar,
}

/// Why requests cannot be joined so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJoin {
    /// Too few to find anything, or too many for a sidecar's memory.
    #[error("entries is {given}; it must be from 4 to 65536")]
    Entries {
        /// As given.
        given: u32,
    },
    /// Too short for any request, or longer than anyone waits.
    #[error("expires_ms is {given}; it must be from 100 to 600000")]
    Expiry {
        /// As given, in milliseconds.
        given: u32,
    },
}

impl JoinWritten {
    /// 20 seconds of a worker at 50 requests a second; about 100 KiB.
    pub(crate) const fn entries_default() -> u32 {
        1_024
    }

    /// Twice Envoy's default route timeout: what takes longer than that has given up.
    pub(crate) const fn expires_ms_default() -> u32 {
        30_000
    }
}

impl JoinSettings {
    /// Stands for what cannot be read.
    pub(crate) const fn unread() -> Self {
        Self {
            entries: JoinWritten::entries_default(),
            expires_ms: JoinWritten::expires_ms_default(),
            reach: JoinReach::Worker,
        }
    }

    /// Requests that are remembered per worker, 4 to 65,536.
    #[must_use]
    pub const fn entries(self) -> u32 {
        self.entries
    }

    /// How long one is remembered, 100 ms to 10 min.
    #[must_use]
    pub const fn expiry(self) -> Duration {
        Duration::from_millis(self.expires_ms as u64)
    }

    /// Who finds it.
    #[must_use]
    pub const fn reach(self) -> JoinReach {
        self.reach
    }
}

impl TryFrom<JoinWritten> for JoinSettings {
    type Error = InvalidJoin;

    fn try_from(written: JoinWritten) -> Result<Self, InvalidJoin> {
        let JoinWritten {
            entries,
            expires_ms,
            reach,
        } = written;
        if !(4..=65_536).contains(&entries) {
            Err(InvalidJoin::Entries { given: entries })
        } else if !(100..=600_000).contains(&expires_ms) {
            Err(InvalidJoin::Expiry { given: expires_ms })
        } else {
            Ok(Self {
                entries,
                expires_ms,
                reach,
            })
        }
    }
}

impl From<JoinSettings> for JoinWritten {
    fn from(settings: JoinSettings) -> Self {
        Self {
            entries: settings.entries,
            expires_ms: settings.expires_ms,
            reach: settings.reach,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ContextSettings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_that_costs_is_on_by_default() {
        let settings = read("{}").unwrap();
        assert_eq!(settings, ContextSettings::default());
        assert_eq!(settings.b3, B3Output::None);
        assert_eq!(settings.deadlines, DeadlineMode::Ignore);
        assert_eq!(settings.join, None);
    }

    #[test]
    fn everything_survives_writing_and_reading() {
        let settings = read(
            r#"{"owner": "envoy", "b3": "multi", "member": "discard", "deadlines": "enforce",
                "join": {"entries": 4, "expires_ms": 600000, "reach": "sidecar"}}"#,
        )
        .unwrap();
        let join = settings.join.unwrap();
        assert_eq!(join.expiry(), Duration::from_secs(600));
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(read(&written).unwrap(), settings);
    }

    #[test]
    fn bounds_hold_on_both_sides() {
        for (json, expected) in [
            (r#"{"join": {}}"#, None),
            (r#"{"join": {"entries": 65536}}"#, None),
            (
                r#"{"join": {"entries": 3}}"#,
                Some("entries is 3; it must be from 4 to 65536"),
            ),
            (r#"{"join": {"entries": 65537}}"#, Some("entries is 65537")),
            (r#"{"join": {"expires_ms": 100}}"#, None),
            (
                r#"{"join": {"expires_ms": 99}}"#,
                Some("expires_ms is 99; it must be from 100 to 600000"),
            ),
            (
                r#"{"join": {"expires_ms": 600001}}"#,
                Some("expires_ms is 600001"),
            ),
            (r#"{"origins": "a"}"#, Some("unknown field `origins`")),
            (r#"{"b3": "double"}"#, Some("unknown variant `double`")),
        ] {
            match (read(json), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => {
                    assert!(error.contains(expected), "{json}: {error}");
                }
                (answer, expected) => panic!("{json}: {answer:?}, not {expected:?}"),
            }
        }
    }
}
