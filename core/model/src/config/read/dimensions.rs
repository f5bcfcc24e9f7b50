//! By what requests are told apart, and statistics of Envoy.

use crate::json::{Fields, FromJson, Json, Problem};
use crate::{BaggageSource, CallerSource, DimensionSettings, DimensionValue, StatsSettings, Yes};

impl FromJson for DimensionSettings {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let settings = Self {
            caller: fields.optional("caller")?,
            origin: fields.optional("origin")?,
            journey: fields.optional("journey")?,
            version: fields.optional("version")?,
            values_max: fields.or("values_max", Self::values_default())?,
            attempts: fields.or_default("attempts")?,
        };
        fields.end()?;
        Ok(settings)
    }
}

impl FromJson for CallerSource {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let header = fields.optional("header")?.map(Self::Header);
        let xfcc = fields.optional("xfcc")?.map(Self::Xfcc);
        fields.end()?;
        match (header, xfcc) {
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) | (Some(_), Some(_)) => Err(json.is_not("one of header and xfcc")),
        }
    }
}

impl FromJson for Yes {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        match bool::from_json(json)? {
            true => Ok(Self),
            false => Err(json.is_not("true, or left out")),
        }
    }
}

impl FromJson for BaggageSource {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let source = Self {
            baggage: fields.required("baggage")?,
        };
        fields.end()?;
        Ok(source)
    }
}

impl FromJson for DimensionValue {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Self::try_from(json.text()?.to_owned()).map_err(Problem::invalid)
    }
}

impl FromJson for StatsSettings {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let settings = Self {
            enabled: fields.or_default("enabled")?,
            metrics_max: fields.or("metrics_max", Self::metrics_default())?,
        };
        fields.end()?;
        Ok(settings)
    }
}
