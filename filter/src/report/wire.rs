//! Reports as protobuf.

use prost::Message;
use sloop_dataplane::breaker::{BreakerState, Cause};
use sloop_dataplane::fault::ArmDelta;
use sloop_dataplane::report::{
    BreakerDelta, DenyDelta, DimensionDelta, ObjectiveDelta, Report, ScopeDelta, ShedDelta, Trouble,
};
use sloop_dataplane::shed::FleetReading;
use sloop_model::{Arm, Dimension, DimensionValue, Scope, Side};
use sloop_xds_protos::report::v1 as wire;

use crate::host::Callback;

/// Whose reports these are.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) node: String,
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

/// What an answer says about the whole fleet. What cannot be read says nothing.
pub(super) fn readings(answer: &[u8], mut learn: impl FnMut(&Scope, FleetReading)) {
    let response = wire::ReportResponse::decode(answer).unwrap_or_default();
    for reading in response.readings {
        let side = match reading.side() {
            wire::Side::Server => Side::Server,
            wire::Side::Client => Side::Client,
            wire::Side::Unspecified => continue,
        };
        let (Ok(service), Ok(route)) = (reading.service.try_into(), reading.route.try_into())
        else {
            continue;
        };
        let scope = Scope {
            service,
            route,
            side,
        };
        let reading = FleetReading {
            requests: reading.requests,
            good: reading.good,
        };
        learn(&scope, reading);
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
        denials: report.denials.iter().map(denial).collect(),
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
        shed: delta.shed.as_ref().map(shed),
        shadow_denied: delta.shadow_denied,
        shadow_denied_good: delta.shadow_denied_good,
        arms: delta.arms.iter().map(arm).collect(),
    }
}

fn shed(delta: &ShedDelta) -> wire::ShedDelta {
    wire::ShedDelta {
        level: u16::from(delta.level).into(),
        shed: trimmed(delta.counts.shed.to_vec()),
        shadow_shed: delta.counts.shadow_shed,
        shadow_shed_good: delta.counts.shadow_shed_good,
        given_up: delta.counts.given_up,
    }
}

fn arm(delta: &ArmDelta) -> wire::ArmDelta {
    let arm = match delta.arm {
        Arm::Fault => wire::Arm::Fault,
        Arm::Control => wire::Arm::Control,
        // Nobody counts these apart.
        Arm::Untouched => wire::Arm::Unspecified,
    };
    wire::ArmDelta {
        experiment: delta.experiment.bits(),
        arm: arm.into(),
        requests: delta.requests,
        outcomes: trimmed(delta.outcomes.to_vec()),
        objectives: delta.objectives.iter().map(objective).collect(),
        latency_buckets: delta.latency.as_bytes().to_vec(),
    }
}

fn denial(delta: &DenyDelta) -> wire::DenyDelta {
    wire::DenyDelta {
        side: side(delta.side).into(),
        id: delta.id.clone().into(),
        refused: delta.counts.refused,
        shadow_refused: delta.counts.shadow_refused,
        over_share: delta.counts.over_share,
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
        late_passed: trouble.late_passed,
        faults_over_cap: trouble.faults_over_cap,
        spans_dropped: trouble.spans_dropped,
        spans_lost: trouble.spans_lost,
        boards_contended: trouble.boards_contended,
        ends_unseen: trouble.ends_unseen,
        arms_over_cap: trouble.arms_over_cap,
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
