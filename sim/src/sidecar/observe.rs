//! What a sidecar reports, in the words of the control plane.

use sloop_controllers::{
    ArmCaller, ArmCounts, BreakerCause, BreakerChange, BreakerReading, BreakerState, FilterReading,
    ObjectiveCounts, Observation, ScopeCounts, ShadowCounts, SidecarReading,
};
use sloop_dataplane::breaker::{BreakerState as State, Cause};
use sloop_dataplane::fault::{ArmDelta, CallerDelta};
use sloop_dataplane::report::{BreakerDelta, FilterStatus, ObjectiveDelta, Report, ScopeDelta};
use sloop_model::Module;

use crate::SERVICE;

/// A report of `node`, as what the control plane takes it for.
pub(super) fn observation(node: &str, report: &Report) -> Observation {
    Observation {
        node: node.to_owned(),
        incarnation: report.incarnation,
        from: report.from,
        at: report.to,
        scopes: report.scopes.iter().map(scope_counts).collect(),
        sidecar: SidecarReading {
            service: SERVICE.to_owned(),
            filters: report.filters.iter().map(filter_reading).collect(),
        },
    }
}

fn filter_reading(status: &FilterStatus) -> FilterReading {
    FilterReading {
        side: status.side,
        module: Module::Answers,
        version: status.version.clone(),
        is_configured: true,
    }
}

fn scope_counts(delta: &ScopeDelta) -> ScopeCounts {
    let breaker = delta.breaker.as_ref();
    ScopeCounts {
        scope: delta.scope.clone(),
        requests: delta.requests,
        outcomes: delta.outcomes,
        objectives: delta.objectives.iter().map(objective_counts).collect(),
        refused: breaker.map_or(0, |breaker| breaker.refused),
        shadow_refused: breaker.map_or(0, |breaker| breaker.shadow_refused),
        shadow_refused_good: breaker.map_or(0, |breaker| breaker.shadow_refused_good),
        breaker: breaker.map(reading),
        latency: delta
            .latency
            .iter()
            .map(|(bucket, count)| (bucket.middle_us(), count))
            .collect(),
        arms: delta.arms.iter().map(arm_counts).collect(),
        shadows: ShadowCounts {
            shed: delta.shed.map_or(0, |shed| shed.counts.shadow_shed),
            shed_good: delta.shed.map_or(0, |shed| shed.counts.shadow_shed_good),
            denied: delta.shadow_denied,
            denied_good: delta.shadow_denied_good,
        },
    }
}

fn arm_counts(delta: &ArmDelta) -> ArmCounts {
    let latency = delta.latency.iter();
    ArmCounts {
        experiment: delta.experiment,
        arm: delta.arm,
        requests: delta.requests,
        outcomes: delta.outcomes,
        objectives: delta.objectives.iter().map(objective_counts).collect(),
        latency: latency
            .map(|(bucket, count)| (bucket.middle_us(), count))
            .collect(),
        retries: delta.retries,
        callers: delta.callers.iter().map(arm_caller).collect(),
    }
}

fn arm_caller(delta: &CallerDelta) -> ArmCaller {
    ArmCaller {
        caller: delta.caller.clone(),
        objectives: delta.objectives.clone(),
    }
}

fn objective_counts(delta: &ObjectiveDelta) -> ObjectiveCounts {
    ObjectiveCounts {
        id: delta.id.clone(),
        total: delta.total,
        good: delta.good,
    }
}

fn reading(delta: &BreakerDelta) -> BreakerReading {
    BreakerReading {
        state: state(delta.state),
        changes: delta
            .changes
            .iter()
            .map(|(to, at, cause)| BreakerChange {
                to: state(*to),
                at: *at,
                cause: match cause {
                    Cause::Failures => BreakerCause::Failures,
                    Cause::Slowness => BreakerCause::Slowness,
                    Cause::Fleet => BreakerCause::Fleet,
                    Cause::Time => BreakerCause::Time,
                    Cause::Recovered => BreakerCause::Recovered,
                },
            })
            .collect(),
    }
}

const fn state(state: State) -> BreakerState {
    match state {
        State::Closed => BreakerState::Closed,
        State::Open => BreakerState::Open,
        State::Probing => BreakerState::Probing,
        State::Ramping => BreakerState::Ramping,
    }
}
