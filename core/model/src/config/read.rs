//! How a configuration is read. One file for each part that has rules of its own.

/// Reads enums whose variants are words.
macro_rules! words {
    ($($type:ident: $($word:literal => $variant:ident),+;)+) => {$(
        impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
                const VALUES: &[$type] = &[$($type::$variant),+];
                let index = json.word(&[$($word),+])?;
                VALUES.get(index).copied().ok_or_else(|| json.is_not("a word"))
            }
        }
    )+};
}

mod context;
mod dimensions;
mod faults;
mod matches;
mod objectives;
mod protection;
mod refusals;
mod spans;

use super::{FilterConfig, Ignored, ReportSettings, ScopeConfig, TraceResponse, TraceSettings};
use crate::json::{Fields, FromJson, Json, Problem};
use crate::{Criticality, RouteName, ServiceName, Side, SloName, WallTime};

/// The version of a configuration, whatever else is in it.
pub(super) fn version(json: &Json<'_>) -> Result<u32, Problem> {
    Fields::of(json)?.required("version")
}

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
            dimensions: fields.optional("dimensions")?,
            stats: fields.or_default("stats")?,
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

words! {
    TraceResponse: "origin" => Origin, "always" => Always, "never" => Never;
    Criticality: "sheddable" => Sheddable, "sheddable_plus" => SheddablePlus, "critical" => Critical, "critical_plus" => CriticalPlus;
    Side: "server" => Server, "client" => Client;
}
