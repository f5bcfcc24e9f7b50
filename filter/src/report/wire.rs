//! Reports as protobuf.

use prost::Message;
use sloop_dataplane::breaker::{BreakerState, Cause};
use sloop_dataplane::report::{
    BreakerDelta, DimensionDelta, ObjectiveDelta, Report, ScopeDelta, Trouble,
};
use sloop_model::{Dimension, DimensionValue, Side};
use sloop_xds_protos::report::v1 as wire;

use crate::host::Callback;

/// Whose reports these are.
#[derive(Debug)]
pub(super) struct Identity {
    node: String,
    cluster: String,
}

impl Identity {
    /// The names that Envoy was started with. Empty when it was started without.
    pub(super) fn of_envoy(callback: &Callback) -> Self {
        let text = |path| {
            let bytes = callback.property(path).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        Self {
            node: text(b"xds\0node\0id"),
            cluster: text(b"xds\0node\0cluster"),
        }
    }
}

/// The report as bytes; the same bytes for the same report.
pub(super) fn encode(report: &Report, identity: &Identity) -> Vec<u8> {
    wire::ReportRequest {
        node: identity.node.clone(),
        cluster: identity.cluster.clone(),
        incarnation: report.incarnation,
        sequence: report.sequence,
        from_ms: report.from.as_millis(),
        to_ms: report.to.as_millis(),
        scopes: report.scopes.iter().map(scope).collect(),
        filters: report
            .filters
            .iter()
            .map(|filter| wire::FilterStatus {
                side: side(filter.side).into(),
                generation: filter.generation,
                applied_at_ms: filter.applied_at.as_millis(),
                version: filter
                    .version
                    .as_ref()
                    .map_or("", DimensionValue::as_str)
                    .to_owned(),
            })
            .collect(),
        trouble: Some(trouble(&report.trouble)),
    }
    .encode_to_vec()
}

fn scope(delta: &ScopeDelta) -> wire::ScopeDelta {
    wire::ScopeDelta {
        service: delta.scope.service.as_str().to_owned(),
        route: delta.scope.route.as_str().to_owned(),
        side: side(delta.scope.side).into(),
        requests: delta.requests,
        outcomes: trimmed(delta.outcomes.to_vec()),
        objectives: delta.objectives.iter().map(objective).collect(),
        latency: None,
        in_flight: delta.in_flight,
        breaker: delta.breaker.as_ref().map(breaker),
        delayed: delta.delayed,
        aborted: delta.aborted,
        latency_buckets: delta.latency.as_bytes().to_vec(),
        retries: delta.retries,
        dimensions: delta.dimensions.iter().map(dimension).collect(),
    }
}

/// Without the zeros at the end.
fn trimmed(mut counts: Vec<u64>) -> Vec<u64> {
    let used = counts.iter().rposition(|count| *count != 0);
    counts.truncate(used.map_or(0, |last| last + 1));
    counts
}

fn dimension(delta: &DimensionDelta) -> wire::DimensionDelta {
    let objectives = delta
        .objectives
        .iter()
        .flat_map(|(total, good)| [*total, *good]);
    wire::DimensionDelta {
        dimension: match delta.dimension {
            Dimension::Caller => wire::Dimension::Caller,
            Dimension::Origin => wire::Dimension::Origin,
            Dimension::Journey => wire::Dimension::Journey,
        }
        .into(),
        value: delta.value.as_str().to_owned(),
        classes: trimmed(delta.classes.to_vec()),
        objectives: trimmed(objectives.collect()),
    }
}

fn objective(delta: &ObjectiveDelta) -> wire::ObjectiveDelta {
    wire::ObjectiveDelta {
        slo: delta.id.slo.as_str().to_owned(),
        objective: delta.id.index,
        total: delta.total,
        good: delta.good,
    }
}

fn breaker(delta: &BreakerDelta) -> wire::BreakerDelta {
    let changes = delta
        .changes
        .iter()
        .map(|(to, at, why)| wire::BreakerChange {
            to: state(*to).into(),
            at_ms: at.as_millis(),
            cause: cause(*why).into(),
        });
    wire::BreakerDelta {
        state: state(delta.state).into(),
        changes: changes.collect(),
        refused: delta.refused,
        shadow_refused: delta.shadow_refused,
        shadow_refused_good: delta.shadow_refused_good,
    }
}

const fn trouble(trouble: &Trouble) -> wire::Trouble {
    wire::Trouble {
        routes_over_cap: trouble.routes_over_cap,
        ends_without_beginning: trouble.ends_without_beginning,
        hostcalls_failed: trouble.hostcalls_failed,
        configs_refused: trouble.configs_refused,
        reports_repeated: trouble.reports_repeated,
        delays_over_cap: trouble.delays_over_cap,
        requests_over_cap: trouble.requests_over_cap,
        values_over_cap: trouble.values_over_cap,
        stats_over_cap: trouble.stats_over_cap,
    }
}

const fn side(side: Side) -> wire::Side {
    match side {
        Side::Server => wire::Side::Server,
        Side::Client => wire::Side::Client,
    }
}

const fn state(state: BreakerState) -> wire::BreakerState {
    match state {
        BreakerState::Closed => wire::BreakerState::Closed,
        BreakerState::Open => wire::BreakerState::Open,
        BreakerState::Probing => wire::BreakerState::Probing,
        BreakerState::Ramping => wire::BreakerState::Ramping,
    }
}

const fn cause(cause: Cause) -> wire::BreakerCause {
    match cause {
        Cause::Failures => wire::BreakerCause::Failures,
        Cause::Slowness => wire::BreakerCause::Slowness,
        Cause::Fleet => wire::BreakerCause::Fleet,
        Cause::Time => wire::BreakerCause::Time,
        Cause::Recovered => wire::BreakerCause::Recovered,
    }
}
