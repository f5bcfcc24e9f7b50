//! How a configuration is read. One file for each part that has rules of its own.

/// Reads enums whose variants are words.
macro_rules! words {
    ($($type:ident: $first:literal => $default:ident $(, $word:literal => $variant:ident)+;)+) => {$(
        impl FromJson for $type {
            fn from_json(reader: Reader<'_>) -> Self {
                const VALUES: &[$type] = &[$type::$default, $($type::$variant),+];
                let index = reader.word(&[$first, $($word),+]);
                VALUES.get(index).copied().unwrap_or($type::$default)
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
use crate::json::{self, Fields, FromJson, Json, Problem, Reader};
use crate::names;
use crate::{Criticality, RouteName, ServiceName, Side, SloName, WallTime};

/// The version of a configuration, whatever else is in it.
pub(super) fn version(json: &Json<'_>) -> Result<u32, Problem> {
    json::read_by(json, |reader| Fields::of(reader).required("version"))
}

impl FromJson for FilterConfig {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let config = Self {
            version: fields.required("version"),
            generation: fields.or_default("generation"),
            service: fields.required("service"),
            side: fields.required("side"),
            trace: fields.or_default("trace"),
            report: fields.optional("report"),
            spans: fields.optional("spans"),
            dimensions: fields.optional("dimensions"),
            stats: fields.or_default("stats"),
            route_names: fields.or_default("route_names"),
            deny: fields.or_default("deny"),
            scopes: fields.or_default("scopes"),
            optional: fields.or_default("optional"),
        };
        fields.end();
        config
    }
}

impl FromJson for Ignored {
    fn from_json(reader: Reader<'_>) -> Self {
        if !matches!(reader.json(), Json::Object(_)) {
            reader.wants("an object");
        }
        Self {}
    }
}

impl FromJson for TraceSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let settings = Self {
            respond: fields.optional("respond"),
            context: fields.or_default("context"),
        };
        fields.end();
        settings
    }
}

impl FromJson for ReportSettings {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let settings = Self {
            cluster: fields.required("cluster"),
            interval_ms: fields.or("interval_ms", Self::interval_default()),
        };
        fields.end();
        settings
    }
}

impl FromJson for ScopeConfig {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let scope = Self {
            service: fields.required("service"),
            route: fields.required("route"),
            matches: fields.or_default("match"),
            objectives: fields.or_default("objectives"),
            criticality: fields.optional("criticality"),
            spared: fields.or_default("spared"),
            deny: fields.or_default("deny"),
            breaker: fields.optional("breaker"),
            shed: fields.optional("shed"),
            deadline: fields.optional("deadline"),
            retries: fields.optional("retries"),
            faults: fields.or_default("faults"),
        };
        fields.end();
        scope
    }
}

impl FromJson for WallTime {
    fn from_json(reader: Reader<'_>) -> Self {
        Self::from_millis(u64::from_json(reader))
    }
}

macro_rules! name {
    ($($name:ty),+) => {$(
        impl FromJson for $name {
            fn from_json(reader: Reader<'_>) -> Self {
                let text = names::checked(reader.text().to_owned());
                Self::trusted(reader.valid(text, String::new))
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
