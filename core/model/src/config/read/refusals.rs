//! Shedding and deny rules.

use crate::json::{Fields, FromJson, Json, Problem};
use crate::{ClassShares, DenyRule, DenyWritten, Share, ShedConfig, ShedLimits, ShedRule};

impl FromJson for ShedConfig {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let config = Self {
            mode: fields.or_default("mode")?,
            expires_at_ms: fields.optional("expires_at_ms")?,
            limits: fields.required("limits")?,
        };
        fields.end()?;
        Ok(config)
    }
}

impl FromJson for ShedRule {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let limits = ShedLimits::from_json(json)?;
        limits.try_into().map_err(Problem::invalid)
    }
}

impl FromJson for ShedLimits {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let limits = Self {
            share_min: fields.or("share_min", Share::NONE)?,
            share_max: fields.required("share_max")?,
            floor: fields.or("floor", Self::floor_default())?,
            slow_us: fields.optional("slow_us")?,
            slow_max: fields.optional("slow_max")?,
            failed_max: fields.optional("failed_max")?,
            in_flight_max: fields.optional("in_flight_max")?,
            class_max: fields.or_default("class_max")?,
        };
        fields.end()?;
        Ok(limits)
    }
}

impl FromJson for ClassShares {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let shares = Self {
            sheddable: fields.or("sheddable", Share::WHOLE)?,
            sheddable_plus: fields.or("sheddable_plus", Share::WHOLE)?,
            critical: fields.or("critical", Share::WHOLE)?,
            critical_plus: fields.or("critical_plus", Share::WHOLE)?,
        };
        fields.end()?;
        Ok(shares)
    }
}

impl FromJson for DenyRule {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let written = DenyWritten::from_json(json)?;
        written.try_into().map_err(Problem::invalid)
    }
}

impl FromJson for DenyWritten {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let written = Self {
            id: fields.required("id")?,
            mode: fields.or_default("mode")?,
            matches: fields.optional("match")?,
            caller: fields.optional("caller")?,
            status: fields.or("status", Self::status_default())?,
            share_max: fields.or("share_max", Self::share_max_default())?,
            expires_at_ms: fields.required("expires_at_ms")?,
        };
        fields.end()?;
        Ok(written)
    }
}
