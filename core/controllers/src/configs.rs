//! From merged policies to what one filter is told.

use serde::{Deserialize, Serialize};
use sloop_model::{
    FILTER_CONFIG_VERSION, FilterConfig, Policy, ReportSettings, ServiceName, Side, TraceSettings,
};

use crate::RouteSet;

/// What every configuration says that no document does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigSettings {
    /// Where filters report to; nowhere when absent.
    pub report: Option<ReportSettings>,
    /// How traces are carried on.
    pub trace: TraceSettings,
}

/// A configuration, and what could not be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Passes [`FilterConfig::check`]. Its generation is 0: whoever pushes it counts.
    pub config: FilterConfig,
    /// What was left out and why, for people.
    pub left_out: Vec<String>,
}

/// What the filter of `service` on `side` must know.
#[must_use]
pub fn filter_config(
    service: &ServiceName,
    side: Side,
    _route_sets: &[RouteSet],
    _policies: &[Policy],
    settings: &ConfigSettings,
) -> Configured {
    Configured {
        config: FilterConfig {
            version: FILTER_CONFIG_VERSION,
            generation: 0,
            service: service.clone(),
            side,
            trace: settings.trace.clone(),
            report: settings.report.clone(),
            route_names: false,
            scopes: Vec::new(),
            optional: serde_json::Map::new(),
        },
        left_out: Vec::new(),
    }
}
