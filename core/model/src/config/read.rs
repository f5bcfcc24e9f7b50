//! How a configuration is read. One file for each part that has rules of its own.

mod context;
mod faults;
mod matches;
mod objectives;
mod protection;
mod refusals;
mod spans;

use super::{FilterConfig, Ignored, ReportSettings, ScopeConfig, TraceResponse, TraceSettings};
use crate::json::{Fields, FromJson, Json, Problem};
use crate::{Criticality, RouteName, ServiceName, Side, SloName, WallTime};

impl FromJson for FilterConfig {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let config = Self {
            version: fields.required("version")?,
            generation: fields.or_default("generation")?,
            service: fields.required("service")?,
            side: fields.required("side")?,
            trace: fields.or_default("trace")?,
            report: fields.optional("report")?,
            spans: fields.optional("spans")?,
            route_names: fields.or_default("route_names")?,
            deny: fields.or_default("deny")?,
            scopes: fields.or_default("scopes")?,
            optional: fields.or_default("optional")?,
        };
        fields.end()?;
        Ok(config)
    }
}

impl FromJson for Ignored {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        json.members().map(|_| Self {})
    }
}

impl FromJson for TraceSettings {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let settings = Self {
            respond: fields.optional("respond")?,
            context: fields.or_default("context")?,
        };
        fields.end()?;
        Ok(settings)
    }
}

impl FromJson for TraceResponse {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Ok(match json.word(&["origin", "always", "never"])? {
            0 => Self::Origin,
            1 => Self::Always,
            _ => Self::Never,
        })
    }
}

impl FromJson for ReportSettings {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let settings = Self {
            cluster: fields.required("cluster")?,
            interval_ms: fields.or("interval_ms", Self::interval_default())?,
        };
        fields.end()?;
        Ok(settings)
    }
}

impl FromJson for ScopeConfig {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let scope = Self {
            service: fields.required("service")?,
            route: fields.required("route")?,
            matches: fields.or_default("match")?,
            objectives: fields.or_default("objectives")?,
            criticality: fields.optional("criticality")?,
            deny: fields.or_default("deny")?,
            breaker: fields.optional("breaker")?,
            shed: fields.optional("shed")?,
            faults: fields.or_default("faults")?,
        };
        fields.end()?;
        Ok(scope)
    }
}

impl FromJson for Criticality {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let words = &["sheddable", "sheddable_plus", "critical", "critical_plus"];
        Ok(match json.word(words)? {
            0 => Self::Sheddable,
            1 => Self::SheddablePlus,
            2 => Self::Critical,
            _ => Self::CriticalPlus,
        })
    }
}

impl FromJson for Side {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        Ok(match json.word(&["server", "client"])? {
            0 => Self::Server,
            _ => Self::Client,
        })
    }
}

impl FromJson for WallTime {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        u64::from_json(json).map(Self::from_millis)
    }
}

macro_rules! name {
    ($($name:ty),+) => {$(
        impl FromJson for $name {
            fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
                Self::try_from(json.text()?).map_err(Problem::invalid)
            }
        }
    )+};
}
name!(ServiceName, RouteName, SloName);
