//! The filter's configuration: the same JSON in an Envoy file, in Istio's
//! `pluginConfig` and in what the control plane pushes.
//!
//! Rule for readers of another age: `version` says which rules apply. Fields
//! that this reader does not know are errors, because an unknown rule must not
//! be half obeyed; whatever an older reader may ignore goes below `optional`,
//! where nothing is an error. A reader that refuses a configuration keeps the
//! one that it had.

mod error;
mod read;

use serde::{Deserialize, Serialize};

use crate::breaker::{BreakerMode, BreakerRule};
use crate::dimensions::DimensionSettings;
use crate::json::{self, Json};
use crate::stats::StatsSettings;
use crate::{
    ContextSettings, Criticality, DeadlineConfig, DenyRule, FaultRule, Objective, RequestMatch,
    RetryConfig, RouteName, ServiceName, ShedConfig, Side, SpanSettings, TraceOwner, Trip,
    WallTime,
};

pub use error::ConfigError;

/// The version that this crate reads and writes.
pub const FILTER_CONFIG_VERSION: u32 = 1;

/// Everything that one filter needs to know.
///
/// Scopes are tried in their order; the first whose `match` fits a request
/// claims it. What none claims goes to the route that Envoy chose
/// (`xds.route_name`) when `route_names` is set, else to the route `other`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// Which rules it follows: [`FILTER_CONFIG_VERSION`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FILTER_CONFIG_VERSION)))]
    #[cfg_attr(feature = "schema", schemars(description = "Which rules it follows."))]
    pub version: u32,
    /// Grows with each push. Envoy ignores a push of equal content after a refusal, so content must differ.
    #[serde(default)]
    pub generation: u64,
    /// The service that this sidecar belongs to.
    pub service: ServiceName,
    /// Which way requests go through this filter.
    pub side: Side,
    /// How traces are carried on.
    #[serde(default)]
    pub trace: TraceSettings,
    /// Where counts go; nowhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportSettings>,
    /// Where spans go, and which; none are made when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spans: Option<SpanSettings>,
    /// By what else than routes requests are told apart; by nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<DimensionSettings>,
    /// Whether counts become statistics of Envoy.
    #[serde(default, skip_serializing_if = "StatsSettings::is_default")]
    pub stats: StatsSettings,
    /// Whether requests that no `match` claims are told apart by Envoy's route names.
    #[serde(default)]
    pub route_names: bool,
    /// Requests that are refused because of what they are, on every route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = DenyRule::MAX)))]
    pub deny: Vec<DenyRule>,
    /// Routes, and what holds on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::SCOPES_MAX)))]
    pub scopes: Vec<ScopeConfig>,
    /// Whatever an older reader may ignore. This one ignores all of it.
    #[serde(default, skip_serializing)]
    pub optional: Ignored,
}

/// An object that is not looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ignored {}

/// How traces are carried on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TraceSettings {
    /// When answers carry `traceresponse`. Absent: the default, of a module that touches answers; never, of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<TraceResponse>,
    /// What else travels with a request, and how.
    #[serde(default, skip_serializing_if = "ContextSettings::is_default")]
    pub context: ContextSettings,
}

/// When answers carry `traceresponse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TraceResponse {
    /// Where the trace began: the caller cannot know its id otherwise.
    #[default]
    Origin,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where counts go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportSettings {
    /// The Envoy cluster of the control plane.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub cluster: String,
    /// Time between reports in milliseconds, 100 to 60,000.
    #[serde(default = "ReportSettings::interval_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 100, max = 60_000)))]
    pub interval_ms: u32,
}

impl ReportSettings {
    /// Bytes of scopes in one report; more are told in several. Thousands of ordinary scopes, and more than
    /// one can have. The control plane takes several times as much, so that what is beside scopes fits, too.
    pub const BYTES_MAX: usize = 512 * 1024;

    const fn interval_default() -> u32 {
        1_000
    }
}

/// One route of one service, and what holds on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScopeConfig {
    /// The service that the requests are for.
    pub service: ServiceName,
    /// The route. With `route_names`, also what Envoy calls it.
    pub route: RouteName,
    /// Which requests; any of them fits. Empty: only by Envoy's name, or as the route `other`.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = FilterConfig::MATCHES_MAX)))]
    pub matches: Vec<RequestMatch>,
    /// What to count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = FilterConfig::OBJECTIVES_MAX)))]
    pub objectives: Vec<Objective>,
    /// How much its requests matter, where they do not say so themselves. They carry it on, in `tracestate`.
    /// When absent they count as `critical`, and carry nothing on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,
    /// Whether no deny rule looks at its requests, also none beside the scopes: they only ask whether anybody is there.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub spared: bool,
    /// Requests that are refused because of what they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = DenyRule::MAX)))]
    pub deny: Vec<DenyRule>,
    /// The breaker, if one guards it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerConfig>,
    /// Shedding, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedConfig>,
    /// A deadline for its requests, if they are given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineConfig>,
    /// The retry budget, if retries are bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetryConfig>,
    /// Faults to inject; the first that chooses a request wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = FilterConfig::FAULTS_MAX)))]
    pub faults: Vec<FaultRule>,
}

/// A breaker on a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// What it may do: refuse, only count, or neither.
    #[serde(default)]
    pub mode: BreakerMode,
    /// When the filter drops it by itself; never when absent, which suits a file that a person keeps. Modes
    /// that overrule it ([`BreakerMode::is_forced`]) need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<WallTime>,
    /// When it opens and closes.
    pub limits: BreakerRule,
    /// An order to open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip: Option<Trip>,
}

impl FilterConfig {
    /// Scopes in one configuration: each costs up to 5 KiB per worker once it has traffic.
    pub const SCOPES_MAX: usize = 1_024;
    /// Alternatives in one scope's `match`.
    pub const MATCHES_MAX: usize = 64;
    /// Objectives on one scope: all are judged on every request.
    pub const OBJECTIVES_MAX: usize = 32;
    /// Faults on one scope: all may be drawn on every request.
    pub const FAULTS_MAX: usize = 16;

    /// Reads and checks a configuration.
    ///
    /// The answer depends on `json` alone: Envoy remembers a refusal, and a
    /// reader that changes its mind would have every later push refused.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let json = Json::parse(json)?;
        // Before all else: what has another version may look different everywhere.
        check_version(read::version(&json)?)?;
        let config: Self = json::read(&json)?;
        config.check()?;
        Ok(config)
    }

    /// The field that asks for something that only the module that touches answers can do.
    #[must_use]
    pub fn asks_for_answers(&self) -> Option<String> {
        match self.trace.respond {
            Some(TraceResponse::Origin | TraceResponse::Always) => {
                return Some("trace.respond".to_owned());
            }
            Some(TraceResponse::Never) | None => {}
        }
        self.scopes.iter().enumerate().find_map(|(scope, config)| {
            let mut faults = config.faults.iter().enumerate();
            faults.find_map(|(fault, rule)| {
                let field = rule.effect().asks_for_answers()?;
                Some(format!("scopes[{scope}].faults[{fault}].{field}"))
            })
        })
    }

    /// Checks what the types alone do not hold. [`FilterConfig::parse`] has done it.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_version(self.version)?;
        if let Some(report) = &self.report {
            if report.cluster.is_empty() {
                return Err(ConfigError::Cluster);
            }
            if !(100..=60_000).contains(&report.interval_ms) {
                return Err(ConfigError::Interval {
                    given: report.interval_ms,
                });
            }
        }
        if let Some(spans) = &self.spans {
            spans.check().map_err(ConfigError::Spans)?;
            match self.trace.context.owner {
                TraceOwner::Sloop => {}
                TraceOwner::Envoy => return Err(ConfigError::SpansWithoutIds),
            }
        }
        if let Some(dimensions) = &self.dimensions {
            dimensions.check()?;
        }
        self.stats.check()?;
        at_most("scopes", self.scopes.len(), Self::SCOPES_MAX)?;
        let denied = self.scopes.iter().map(|scope| scope.deny.len());
        at_most(
            "deny",
            denied.sum::<usize>() + self.deny.len(),
            DenyRule::MAX,
        )?;
        // Sorted: a set of the standard library is more code than all that is done with it.
        let mut seen = Vec::with_capacity(self.scopes.len());
        for (index, scope) in self.scopes.iter().enumerate() {
            let name = (&scope.service, &scope.route);
            match seen.binary_search(&name) {
                Err(at) => seen.insert(at, name),
                Ok(_) => {
                    return Err(ConfigError::Duplicate {
                        index,
                        service: scope.service.clone(),
                        route: scope.route.clone(),
                    });
                }
            }
            scope.check(index)?;
        }
        Ok(())
    }
}

impl ScopeConfig {
    fn check(&self, scope: usize) -> Result<(), ConfigError> {
        for (field, given, max) in [
            ("match", self.matches.len(), FilterConfig::MATCHES_MAX),
            (
                "objectives",
                self.objectives.len(),
                FilterConfig::OBJECTIVES_MAX,
            ),
            ("faults", self.faults.len(), FilterConfig::FAULTS_MAX),
        ] {
            at_most(&format!("scopes[{scope}].{field}"), given, max)?;
        }
        if let Some(breaker) = &self.breaker
            && breaker.mode.is_forced()
            && breaker.expires_at_ms.is_none()
        {
            return Err(ConfigError::Endless {
                scope,
                mode: breaker.mode,
            });
        }
        for (index, one) in self.matches.iter().enumerate() {
            one.check().map_err(|source| ConfigError::Match {
                scope,
                index,
                source,
            })?;
        }
        for (index, objective) in self.objectives.iter().enumerate() {
            let mut before = self.objectives.iter().take(index);
            if let Some(first) = before.position(|other| other.id == objective.id) {
                return Err(ConfigError::DuplicateObjective {
                    scope,
                    index,
                    first,
                    slo: objective.id.slo.clone(),
                    objective: objective.id.index,
                });
            }
            objective
                .check()
                .map_err(|(field, source)| ConfigError::Selector {
                    scope,
                    index,
                    field,
                    source,
                })?;
        }
        Ok(())
    }
}

const fn check_version(given: u32) -> Result<(), ConfigError> {
    if given == FILTER_CONFIG_VERSION {
        Ok(())
    } else {
        Err(ConfigError::Version { given })
    }
}

fn at_most(path: &str, given: usize, max: usize) -> Result<(), ConfigError> {
    if given <= max {
        Ok(())
    } else {
        Err(ConfigError::TooMany {
            path: path.to_owned(),
            given,
            max,
        })
    }
}

#[cfg(test)]
mod tests;
