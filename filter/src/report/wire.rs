//! Reports as protobuf.

use prost::Message;
use sloop_dataplane::breaker::{BreakerState, Cause};
use sloop_dataplane::report::{BreakerDelta, ObjectiveDelta, Report, ScopeDelta, Trouble};
use sloop_model::Side;
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
            })
            .collect(),
        trouble: Some(trouble(&report.trouble)),
    }
    .encode_to_vec()
}

fn scope(delta: &ScopeDelta) -> wire::ScopeDelta {
    let mut outcomes = delta.outcomes.to_vec();
    let used = outcomes.iter().rposition(|count| *count != 0);
    outcomes.truncate(used.map_or(0, |last| last + 1));
    wire::ScopeDelta {
        service: delta.scope.service.as_str().to_owned(),
        route: delta.scope.route.as_str().to_owned(),
        side: side(delta.scope.side).into(),
        requests: delta.requests,
        outcomes,
        objectives: delta.objectives.iter().map(objective).collect(),
        latency: histogram(&delta.latency),
        in_flight: delta.in_flight,
        breaker: delta.breaker.as_ref().map(breaker),
        delayed: delta.delayed,
        aborted: delta.aborted,
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

fn histogram(latency: &[(u64, u64)]) -> Option<wire::Histogram> {
    let mut previous = 0;
    let mut pairs = Vec::with_capacity(2 * latency.len());
    for (value, count) in latency {
        pairs.extend([value - previous, *count]);
        previous = *value;
    }
    (!pairs.is_empty()).then_some(wire::Histogram { pairs })
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
