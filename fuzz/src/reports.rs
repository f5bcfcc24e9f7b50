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

/// Bytes that a decoded report takes, as far as lists and texts go: what they have room for, which grows by doubling.
fn taken(request: &wire::ReportRequest) -> usize {
    let texts = request.node.capacity() + request.cluster.capacity();
    let scopes: usize = request.scopes.iter().map(scope).sum();
    let denials: usize = request.denials.iter().map(|one| one.id.capacity()).sum();
    let filters: usize = request
        .filters
        .iter()
        .map(|one| one.version.capacity())
        .sum();
    let lists = room(&request.scopes) + room(&request.denials) + room(&request.filters);
    size_of::<wire::ReportRequest>() + texts + scopes + denials + filters + lists
}

/// Bytes that a list has room for.
fn room<T>(list: &Vec<T>) -> usize {
    size_of::<T>() * list.capacity()
}

fn scope(scope: &wire::ScopeDelta) -> usize {
    let texts =
        scope.service.capacity() + scope.route.capacity() + scope.latency_buckets.capacity();
    let objectives: usize = scope.objectives.iter().map(objective).sum();
    let older = scope.latency.as_ref().map_or(0, |it| room(&it.pairs));
    let changes = scope.breaker.as_ref().map_or(0, |it| room(&it.changes));
    let dimensions: usize = scope.dimensions.iter().map(dimension).sum();
    let arms: usize = scope.arms.iter().map(arm).sum();
    let shed = scope.shed.as_ref().map_or(0, |it| room(&it.shed));
    let lists = room(&scope.objectives)
        + room(&scope.dimensions)
        + room(&scope.arms)
        + room(&scope.outcomes);
    texts + objectives + older + changes + dimensions + arms + shed + lists
}

fn objective(objective: &wire::ObjectiveDelta) -> usize {
    objective.slo.capacity()
}

fn dimension(dimension: &wire::DimensionDelta) -> usize {
    dimension.value.capacity() + room(&dimension.classes) + room(&dimension.objectives)
}

fn arm(arm: &wire::ArmDelta) -> usize {
    let objectives: usize = arm.objectives.iter().map(objective).sum();
    let callers = arm.callers.iter();
    let callers: usize = callers
        .map(|one| one.value.capacity() + room(&one.objectives))
        .sum();
    let lists = room(&arm.objectives) + room(&arm.outcomes) + room(&arm.callers);
    objectives + callers + lists + arm.latency_buckets.capacity()
}
