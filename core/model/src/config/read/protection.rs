//! Breakers.

use crate::config::BreakerConfig;
use crate::json::{Fields, FromJson, Reader};
use crate::{
    BreakerLimits, BreakerManner, BreakerMode, BreakerRule, Judge, LateOutcomes, LostProbes, Mode,
    Pace, ProbeVerdict, Share, Threshold, Trip, Wake,
};

impl FromJson for BreakerConfig {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let config = Self {
            mode: fields.or_default("mode"),
            expires_at_ms: fields.optional("expires_at_ms"),
            limits: fields.required("limits"),
            trip: fields.optional("trip"),
        };
        fields.end();
        config
    }
}

impl FromJson for BreakerRule {
    fn from_json(reader: Reader<'_>) -> Self {
        let limits = BreakerLimits::from_json(reader);
        reader.valid(limits.try_into(), || Self::unread(limits))
    }
}

impl FromJson for BreakerLimits {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let limits = Self {
            window_ms: fields.optional("window_ms"),
            window_buckets: fields.optional("window_buckets"),
            window_calls: fields.optional("window_calls"),
            calls_min: fields.required("calls_min"),
            failed_max: fields.required("failed_max"),
            slow_max: fields.optional("slow_max"),
            slow_us: fields.optional("slow_us"),
            sigmas_hundredths: fields.or_default("sigmas_hundredths"),
            open_ms: fields.required("open_ms"),
            open_max_ms: fields.required("open_max_ms"),
            probes: fields.required("probes"),
            ramp_ms: fields.or_default("ramp_ms"),
            manner: fields.or_default("manner"),
        };
        fields.end();
        limits
    }
}

impl FromJson for BreakerManner {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let manner = Self {
            threshold: fields.or_default("threshold"),
            verdict: fields.or_default("verdict"),
            late: fields.or_default("late"),
            wake: fields.or_default("wake"),
            lost: fields.or_default("lost"),
            pace: fields.or_default("pace"),
            judge: fields.or_default("judge"),
        };
        fields.end();
        manner
    }
}

impl FromJson for Trip {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let trip = Self {
            id: fields.required("id"),
            until_ms: fields.required("until_ms"),
        };
        fields.end();
        trip
    }
}

impl FromJson for Share {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.valid(Self::try_from(u16::from_json(reader)), || Self::NONE)
    }
}

words! {
    BreakerMode: "enforce" => Enforce, "shadow" => Shadow, "metrics_only" => MetricsOnly, "disabled" => Disabled, "forced_open" => ForcedOpen;
    Mode: "enforce" => Enforce, "shadow" => Shadow;
    Threshold: "exceeded" => Exceeded, "reached" => Reached;
    ProbeVerdict: "first_failure" => FirstFailure, "ratio" => Ratio;
    LateOutcomes: "ignored" => Ignored, "counted" => Counted;
    Wake: "on_time" => OnTime, "on_request" => OnRequest;
    LostProbes: "replaced" => Replaced, "awaited" => Awaited;
    Pace: "time" => Time, "traffic" => Traffic;
    Judge: "outcomes" => Outcomes, "objectives" => Objectives, "both" => Both;
}
