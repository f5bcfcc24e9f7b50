//! Why a configuration is refused.

use super::FILTER_CONFIG_VERSION;
use crate::dimensions::InvalidDimensions;
use crate::json::{InvalidSyntax, Problem};
use crate::matcher::InvalidMatch;
use crate::objective::InvalidSelector;
use crate::stats::InvalidStats;
use crate::{BreakerMode, InvalidSpans, RouteName, ServiceName, SloName};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON.
    #[error(transparent)]
    Syntax(#[from] InvalidSyntax),
    /// Not of the right shape, or a value out of its bounds.
    #[error(transparent)]
    Unreadable(#[from] Problem),
    /// Written for another reader.
    #[error("version: is {given}; this filter reads version {known}", known = FILTER_CONFIG_VERSION)]
    Version {
        /// As given.
        given: u32,
    },
    /// Too many of something for a hot path.
    #[error("{path}: has {given} entries; it may have at most {max}")]
    TooMany {
        /// The field.
        path: String,
        /// As given.
        given: usize,
        /// The bound.
        max: usize,
    },
    /// The same scope twice.
    #[error("scopes[{index}]: {service} {route} is there already")]
    Duplicate {
        /// Position of the second one.
        index: usize,
        /// Its service.
        service: ServiceName,
        /// Its route.
        route: RouteName,
    },
    /// A breaker that is overruled for ever.
    #[error("scopes[{scope}].breaker.expires_at_ms: is missing; {mode} must end by itself", mode = mode.name())]
    Endless {
        /// Position of the scope.
        scope: usize,
        /// What was wanted of the breaker.
        mode: BreakerMode,
    },
    /// The same objective twice on one scope, which would count every request twice.
    #[error(
        "scopes[{scope}].objectives[{index}].id: {slo} {objective} is that of scopes[{scope}].objectives[{first}], too"
    )]
    DuplicateObjective {
        /// Position of the scope.
        scope: usize,
        /// Position of the second one in it.
        index: usize,
        /// Position of the first one in it.
        first: usize,
        /// Its SLO.
        slo: SloName,
        /// Its position in that.
        objective: u32,
    },
    /// A match that cannot be.
    #[error("scopes[{scope}].match[{index}]: {source}")]
    Match {
        /// Position of the scope.
        scope: usize,
        /// Position of the match in it.
        index: usize,
        /// What is wrong with it.
        source: InvalidMatch,
    },
    /// A selector that cannot be.
    #[error("scopes[{scope}].objectives[{index}].{field}: {source}")]
    Selector {
        /// Position of the scope.
        scope: usize,
        /// Position of the objective in it.
        index: usize,
        /// Which selector.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidSelector,
    },
    /// Dimensions that cannot be.
    #[error(transparent)]
    Dimensions(#[from] InvalidDimensions),
    /// Statistics that cannot be.
    #[error(transparent)]
    Stats(#[from] InvalidStats),
    /// The interval of reports is out of its bounds.
    #[error("report.interval_ms: is {given}; it must be from 100 to 60000")]
    Interval {
        /// As given.
        given: u32,
    },
    /// The cluster of reports has no name.
    #[error("report.cluster: is empty; name the Envoy cluster of the control plane")]
    Cluster,
    /// Spans whose ids nobody is told.
    #[error(
        "spans: need trace.context.owner to be sloop; with envoy nobody is told the ids of these spans"
    )]
    SpansWithoutIds,
    /// Settings of spans that cannot be.
    #[error("spans.{0}")]
    Spans(#[source] InvalidSpans),
}
