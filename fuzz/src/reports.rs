//! Reports, as anybody who is let in may send them.

use std::mem::size_of;

use prost::Message;
use sloop_controlplane::ingest::{Report, SCOPES_MAX, weigh};
use sloop_xds_protos::report::v1 as wire;

/// What is weighed is at least what it takes, and what is read is bounded.
pub fn check(data: &[u8]) {
    let weight = weigh(data);
    let Ok(request) = wire::ReportRequest::decode(data) else {
        return;
    };
    let weight = weight.expect("what can be decoded can be weighed");
    let taken = taken(&request);
    assert!(taken <= weight, "{taken} bytes weigh {weight}");
    let given = request.scopes.len();
    let Ok(report) = Report::try_from(request) else {
        return;
    };
    assert!(report.scopes.len() <= SCOPES_MAX);
    assert_eq!(report.scopes.len(), report.details.len());
    let dropped = usize::try_from(report.scopes_dropped).expect("no more than there were");
    assert_eq!(report.scopes.len() + dropped, given);
    assert!(report.node.len() <= 1_024 && report.group.len() <= 1_024);
    assert!(!report.node.is_empty() && !report.group.is_empty());
}

/// Bytes that a decoded report takes, as far as lists and texts go.
fn taken(request: &wire::ReportRequest) -> usize {
    let texts = request.node.len() + request.cluster.len();
    let scopes: usize = request.scopes.iter().map(scope).sum();
    let denials: usize = request.denials.iter().map(|one| one.id.len() + size_of::<wire::DenyDelta>()).sum();
    let filters: usize = request.filters.iter().map(|one| one.version.len() + size_of::<wire::FilterStatus>()).sum();
    size_of::<wire::ReportRequest>() + texts + scopes + denials + filters
}

fn scope(scope: &wire::ScopeDelta) -> usize {
    let texts = scope.service.len() + scope.route.len() + scope.latency_buckets.len();
    let objectives: usize = scope.objectives.iter().map(objective).sum();
    let older = scope.latency.as_ref().map_or(0, |it| size_of::<u64>() * it.pairs.len());
    let changes = scope.breaker.as_ref().map_or(0, |it| it.changes.len()) * size_of::<wire::BreakerChange>();
    let dimensions: usize = scope.dimensions.iter().map(dimension).sum();
    let arms: usize = scope.arms.iter().map(arm).sum();
    let shed = scope.shed.as_ref().map_or(0, |it| size_of::<u64>() * it.shed.len());
    let numbers = size_of::<u64>() * scope.outcomes.len();
    size_of::<wire::ScopeDelta>() + texts + objectives + older + changes + dimensions + arms + shed + numbers
}

fn objective(objective: &wire::ObjectiveDelta) -> usize {
    size_of::<wire::ObjectiveDelta>() + objective.slo.len()
}

fn dimension(dimension: &wire::DimensionDelta) -> usize {
    let numbers = dimension.classes.len() + dimension.objectives.len();
    size_of::<wire::DimensionDelta>() + dimension.value.len() + size_of::<u64>() * numbers
}

fn arm(arm: &wire::ArmDelta) -> usize {
    let objectives: usize = arm.objectives.iter().map(objective).sum();
    let numbers = size_of::<u64>() * arm.outcomes.len();
    size_of::<wire::ArmDelta>() + objectives + numbers + arm.latency_buckets.len()
}
