//! Breakers.

use crate::config::BreakerConfig;
use crate::json::{Fields, FromJson, Json, Problem};
use crate::{BreakerLimits, BreakerRule, Mode, Share, Trip};

impl FromJson for BreakerConfig {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let config = Self {
            mode: fields.or_default("mode")?,
            expires_at_ms: fields.optional("expires_at_ms")?,
            limits: fields.required("limits")?,
            trip: fields.optional("trip")?,
        };
        fields.end()?;
        Ok(config)
    }
}

impl FromJson for Mode {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Ok(match json.word(&["enforce", "shadow"])? {
            0 => Self::Enforce,
            _ => Self::Shadow,
        })
    }
}

impl FromJson for BreakerRule {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let limits = BreakerLimits::from_json(json)?;
        limits.try_into().map_err(Problem::invalid)
    }
}

impl FromJson for BreakerLimits {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let limits = Self {
            window_ms: fields.required("window_ms")?,
            calls_min: fields.required("calls_min")?,
            failed_max: fields.required("failed_max")?,
            slow_max: fields.optional("slow_max")?,
            slow_us: fields.optional("slow_us")?,
            sigmas_hundredths: fields.or_default("sigmas_hundredths")?,
            open_ms: fields.required("open_ms")?,
            open_max_ms: fields.required("open_max_ms")?,
            probes: fields.required("probes")?,
            ramp_ms: fields.or_default("ramp_ms")?,
        };
        fields.end()?;
        Ok(limits)
    }
}

impl FromJson for Trip {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let trip = Self {
            id: fields.required("id")?,
            until_ms: fields.required("until_ms")?,
        };
        fields.end()?;
        Ok(trip)
    }
}

impl FromJson for Share {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Self::try_from(u16::from_json(json)?).map_err(Problem::invalid)
    }
}
