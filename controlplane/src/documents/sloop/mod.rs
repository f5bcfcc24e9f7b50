//! The kinds of `sloop.dev/v1`: routes by name, what our own controllers do, and what fleets of Envoys run with.
//!
//! Values that the filter knows, too (`limits`, `match`, `fault`), have the names
//! that its configuration gives them.

mod access_rule;
pub(super) mod chaos_experiment;
mod circuit_breaker;
mod deny_rule;
pub(super) mod envoy_resource;
mod expiry;
mod fault_injection;
mod filter_settings;
mod load_shedding;
mod part;
mod route_set;
mod target;

pub(super) use circuit_breaker::DeclaredBreaker;
pub(super) use target::{read_route, read_side};

use sloop_model::WallTime;

use super::document::Body;
use super::metadata::{self, Metadata};
use super::reader::Fields;

/// The kinds, as documents name them.
pub(super) const KINDS: &[&str] = &[
    "RouteSet",
    "FilterSettings",
    "CircuitBreaker",
    "LoadShedding",
    "DenyRule",
    "FaultInjection",
    "EnvoyResource",
    "ChaosExperiment",
    "AccessRule",
];

/// Reads what follows the metadata of a document of `kind`, seen at `now`.
pub(super) fn read(
    kind: &str,
    document: &Fields<'_>,
    metadata: &Metadata<'_>,
    now: WallTime,
) -> Option<Body> {
    metadata::refuse_ours(metadata);
    match kind {
        "RouteSet" => route_set::read(document, metadata).map(Body::RouteSet),
        "CircuitBreaker" => circuit_breaker::read(document, metadata, now)
            .map(|breaker| Body::CircuitBreaker(Box::new(breaker))),
        "EnvoyResource" => envoy_resource::read(document, metadata)
            .map(|declared| Body::EnvoyResource(Box::new(declared))),
        "ChaosExperiment" => chaos_experiment::read(document, metadata, now)
            .map(|experiment| Body::ChaosExperiment(Box::new(experiment))),
        "AccessRule" => access_rule::read(document, metadata).map(Body::AccessRule),
        "FilterSettings" => filter_settings::read(document, metadata)
            .map(|settings| Body::FilterSettings(Box::new(settings))),
        "LoadShedding" => {
            load_shedding::read(document, metadata).map(|shed| Body::LoadShedding(Box::new(shed)))
        }
        "DenyRule" => {
            deny_rule::read(document, metadata, now).map(|rule| Body::DenyRule(Box::new(rule)))
        }
        _ => fault_injection::read(document, metadata, now)
            .map(|fault| Body::FaultInjection(Box::new(fault))),
    }
}

#[cfg(test)]
mod tests;
