//! Where spans go, and which.

use serde::{Deserialize, Serialize};

use crate::Share;

/// Where spans go, and which. Absent from a configuration, no span is made and nothing is spent on them.
///
/// Whatever the share is, requests that matter are kept: those that broke an
/// objective, that a breaker, shedding or a fault touched, or that were marked
/// to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpanSettings {
    /// The Envoy cluster of a collector that takes OTLP over gRPC.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub cluster: String,
    /// The share of traces that are kept whatever happens in them. The whole by default, none for only what matters.
    #[serde(default = "SpanSettings::sampling_default")]
    pub sampling: Share,
    /// What traces that begin here tell the services behind.
    #[serde(default)]
    pub sampled_flag: SampledFlag,
    /// How long a span waits for others to be sent with, in milliseconds, 100 to 60,000.
    #[serde(default = "SpanSettings::interval_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 100, max = 60_000)))]
    pub interval_ms: u32,
    /// Spans that may wait in one worker, 1 to 4,096. Each takes about 300 bytes, at most 1,900.
    #[serde(default = "SpanSettings::queue_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = Self::QUEUE_MAX)))]
    pub queue_max: u32,
    /// Spans in one request to the collector, 1 to 1,024; a batch is sent at once when so many wait.
    #[serde(default = "SpanSettings::batch_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = Self::BATCH_MAX)))]
    pub batch_max: u32,
}

/// When the `traceparent` of a trace that begins here carries the flag `sampled`.
///
/// Programs behind that follow their parent record what carries the flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SampledFlag {
    /// Always: spans of ours switch nobody off.
    #[default]
    Always,
    /// For the share that is kept here: what is recorded behind is the same share.
    Decided,
}

/// Why settings of spans are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpans {
    /// Nobody to send them to.
    #[error("cluster: is empty; name the Envoy cluster of the collector")]
    Cluster,
    /// A number out of its bounds.
    #[error("{field}: is {given}; it must be from {min} to {max}")]
    Bounds {
        /// Which.
        field: &'static str,
        /// As given.
        given: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// A batch that can never be full.
    #[error("batch_max: is {batch}; it must be at most queue_max, which is {queue}")]
    BatchOverQueue {
        /// As given.
        batch: u32,
        /// As given, or the default.
        queue: u32,
    },
}

impl SpanSettings {
    /// The most spans that may wait: at their largest they take 8 MB.
    pub const QUEUE_MAX: u32 = 4_096;
    /// The most spans in one request: at their largest they stay below the 4 MiB that gRPC servers take.
    pub const BATCH_MAX: u32 = 1_024;

    pub(crate) const fn sampling_default() -> Share {
        Share::WHOLE
    }

    pub(crate) const fn interval_default() -> u32 {
        1_000
    }

    pub(crate) const fn queue_default() -> u32 {
        512
    }

    pub(crate) const fn batch_default() -> u32 {
        256
    }

    /// Checks what the types alone do not hold.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidSpans> {
        if self.cluster.is_empty() {
            return Err(InvalidSpans::Cluster);
        }
        for (field, given, min, max) in [
            ("interval_ms", self.interval_ms, 100, 60_000),
            ("queue_max", self.queue_max, 1, Self::QUEUE_MAX),
            ("batch_max", self.batch_max, 1, Self::BATCH_MAX),
        ] {
            if !(min..=max).contains(&given) {
                return Err(InvalidSpans::Bounds {
                    field,
                    given,
                    min,
                    max,
                });
            }
        }
        if self.queue_max < self.batch_max {
            return Err(InvalidSpans::BatchOverQueue {
                batch: self.batch_max,
                queue: self.queue_max,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FilterConfig;

    fn parsed(spans: &str) -> Result<Option<SpanSettings>, String> {
        let json =
            format!(r#"{{"version": 1, "service": "a", "side": "server", "spans": {spans}}}"#);
        FilterConfig::parse(json.as_bytes())
            .map(|config| config.spans)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_cluster_is_enough() {
        let settings = parsed(r#"{"cluster": "otel"}"#).unwrap().unwrap();
        assert_eq!(
            settings,
            SpanSettings {
                cluster: "otel".to_owned(),
                sampling: Share::WHOLE,
                sampled_flag: SampledFlag::Always,
                interval_ms: 1_000,
                queue_max: 512,
                batch_max: 256,
            }
        );
    }

    #[test]
    fn none_are_made_unless_asked_for() {
        let json = br#"{"version": 1, "service": "a", "side": "server"}"#;
        let config = FilterConfig::parse(json).unwrap();
        assert_eq!(config.spans, None);
        assert!(!serde_json::to_string(&config).unwrap().contains("spans"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = r#"{"cluster":"otel","sampling":100,"sampled_flag":"decided","interval_ms":5000,"queue_max":2048,"batch_max":1024}"#;
        let settings = parsed(written).unwrap().unwrap();
        assert_eq!(serde_json::to_string(&settings).unwrap(), written);
    }

    #[test]
    fn bounds_hold_on_both_sides() {
        for (fields, expected) in [
            (r#""interval_ms": 100"#, None),
            (r#""interval_ms": 60000"#, None),
            (
                r#""interval_ms": 99"#,
                Some("spans.interval_ms: is 99; it must be from 100 to 60000"),
            ),
            (
                r#""interval_ms": 60001"#,
                Some("spans.interval_ms: is 60001; it must be from 100 to 60000"),
            ),
            (r#""queue_max": 4096"#, None),
            (
                r#""queue_max": 4097"#,
                Some("spans.queue_max: is 4097; it must be from 1 to 4096"),
            ),
            (
                r#""queue_max": 0"#,
                Some("spans.queue_max: is 0; it must be from 1 to 4096"),
            ),
            (r#""queue_max": 256"#, None),
            (
                r#""queue_max": 255"#,
                Some("spans.batch_max: is 256; it must be at most queue_max, which is 255"),
            ),
            (r#""queue_max": 1, "batch_max": 1"#, None),
            (
                r#""batch_max": 0"#,
                Some("spans.batch_max: is 0; it must be from 1 to 1024"),
            ),
            (
                r#""queue_max": 4096, "batch_max": 1025"#,
                Some("spans.batch_max: is 1025; it must be from 1 to 1024"),
            ),
        ] {
            let given = parsed(&format!(r#"{{"cluster": "otel", {fields}}}"#));
            assert_eq!(given.err().as_deref(), expected, "{fields}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        for (spans, expected) in [
            (
                r#"{"cluster": ""}"#,
                "spans.cluster: is empty; name the Envoy cluster of the collector",
            ),
            (
                r#"{"cluster": "otel", "sampling": 10001}"#,
                "spans.sampling: share is 10001 ten-thousandths; it must be at most 10000",
            ),
            (
                r#"{"cluster": "otel", "share": 1}"#,
                "spans: has an unknown field \"share\"",
            ),
            (r#"{"sampling": 1}"#, "spans: has no cluster"),
        ] {
            let refusal = parsed(spans).unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
