//! Reports as protobuf, and what is heard in answer to them.
//!
//! The messages are those of `sloop/report/v1/report.proto`, with its field
//! numbers. The tests read what is written here with the types that are
//! generated from it, and write with these types what is read here.

use sloop_model::{Arm, Dimension, DimensionValue, Module, RouteName, Scope, ServiceName, Side};

use super::{
    BreakerDelta, DenyDelta, DimensionDelta, FilterStatus, ObjectiveDelta, Report, ScopeDelta,
    ShedDelta, Trouble,
};
use crate::breaker::{BreakerState, Cause};
use crate::fault::ArmDelta;
use crate::protobuf::{self, Value, Writer};
use crate::shed::FleetReading;

/// Most reports of a few scopes fit, so that it rarely moves.
const BYTES: usize = 1_024;

impl Report {
    /// The name of the service that takes reports, and of its method.
    pub const SERVICE: &str = "sloop.report.v1.ReportService";
    /// See [`Report::SERVICE`].
    pub const METHOD: &str = "Report";

    /// The report of the sidecar that Envoy calls `node`, in `cluster`, which runs `module`, as a
    /// `ReportRequest`. The same bytes for the same report.
    #[must_use]
    pub fn encode(&self, node: &str, cluster: &str, module: Module) -> Vec<u8> {
        let mut writer = Writer::with_capacity(BYTES);
        writer.text(1, node);
        writer.text(2, cluster);
        if self.incarnation != 0 {
            writer.fixed64(3, self.incarnation);
        }
        writer.count(4, self.sequence);
        writer.count(5, self.from.as_millis());
        writer.count(6, self.to.as_millis());
        for delta in &self.scopes {
            let open = writer.open(7);
            scope(&mut writer, delta);
            writer.close(open);
        }
        for status in &self.filters {
            let open = writer.open(8);
            filter(&mut writer, status, module);
            writer.close(open);
        }
        let open = writer.open(9);
        trouble(&mut writer, &self.trouble);
        writer.close(open);
        for delta in &self.denials {
            let open = writer.open(10);
            denial(&mut writer, delta);
            writer.close(open);
        }
        writer.into_bytes()
    }
}

fn scope(writer: &mut Writer, delta: &ScopeDelta) {
    writer.text(1, delta.scope.service.as_str());
    writer.text(2, delta.scope.route.as_str());
    writer.count(3, side(delta.scope.side));
    writer.count(4, delta.requests);
    writer.counts(5, &delta.outcomes);
    for one in &delta.objectives {
        objective(writer, 6, one);
    }
    writer.count(8, delta.in_flight.into());
    if let Some(delta) = &delta.breaker {
        let open = writer.open(9);
        breaker(writer, delta);
        writer.close(open);
    }
    writer.count(10, delta.delayed);
    writer.count(11, delta.aborted);
    bytes(writer, 12, delta.latency.as_bytes());
    writer.count(13, delta.retries);
    for delta in &delta.dimensions {
        let open = writer.open(14);
        dimension(writer, delta);
        writer.close(open);
    }
    if let Some(delta) = &delta.shed {
        let open = writer.open(15);
        shed(writer, delta);
        writer.close(open);
    }
    writer.count(16, delta.shadow_denied);
    writer.count(17, delta.shadow_denied_good);
    for delta in &delta.arms {
        let open = writer.open(18);
        arm(writer, delta);
        writer.close(open);
    }
    writer.count(19, delta.budget.refused);
    writer.count(20, delta.budget.shadow_refused);
    writer.count(21, delta.budget.shadow_refused_good);
}

fn objective(writer: &mut Writer, field: u32, delta: &ObjectiveDelta) {
    let open = writer.open(field);
    writer.text(1, delta.id.slo.as_str());
    writer.count(2, delta.id.index.into());
    writer.count(3, delta.total);
    writer.count(4, delta.good);
    writer.close(open);
}

fn breaker(writer: &mut Writer, delta: &BreakerDelta) {
    writer.count(1, state(delta.state));
    for (to, at, why) in &delta.changes {
        let open = writer.open(2);
        writer.count(1, state(*to));
        writer.count(2, at.as_millis());
        writer.count(3, cause(*why));
        writer.close(open);
    }
    writer.count(3, delta.refused);
    writer.count(4, delta.shadow_refused);
    writer.count(5, delta.shadow_refused_good);
}

fn dimension(writer: &mut Writer, delta: &DimensionDelta) {
    let which = match delta.dimension {
        Dimension::Caller => 1,
        Dimension::Origin => 2,
        Dimension::Journey => 3,
    };
    writer.count(1, which);
    writer.text(2, delta.value.as_str());
    writer.counts(3, &delta.classes);
    totals(writer, 4, &delta.objectives);
}

fn shed(writer: &mut Writer, delta: &ShedDelta) {
    writer.count(1, u16::from(delta.level).into());
    writer.counts(2, &delta.counts.shed);
    writer.count(3, delta.counts.shadow_shed);
    writer.count(4, delta.counts.shadow_shed_good);
    writer.count(5, delta.counts.given_up);
}

fn arm(writer: &mut Writer, delta: &ArmDelta) {
    let which = match delta.arm {
        Arm::Fault => 1,
        Arm::Control => 2,
        // Nobody counts these apart.
        Arm::Untouched => 0,
    };
    let experiment = delta.experiment.bits();
    if experiment != 0 {
        writer.fixed32(1, experiment);
    }
    writer.count(2, which);
    writer.count(3, delta.requests);
    writer.counts(4, &delta.outcomes);
    for one in &delta.objectives {
        objective(writer, 5, one);
    }
    bytes(writer, 6, delta.latency.as_bytes());
    writer.count(7, delta.retries);
    for one in &delta.callers {
        let open = writer.open(8);
        writer.text(1, one.caller.as_str());
        totals(writer, 2, &one.objectives);
        writer.close(open);
    }
}

/// Pairs of total and good.
fn totals(writer: &mut Writer, field: u32, objectives: &[(u64, u64)]) {
    let pairs = objectives.iter();
    let numbers: Vec<u64> = pairs.flat_map(|(total, good)| [*total, *good]).collect();
    writer.counts(field, &numbers);
}

fn filter(writer: &mut Writer, status: &FilterStatus, module: Module) {
    writer.count(1, side(status.side));
    writer.count(2, status.generation);
    writer.count(3, status.applied_at.as_millis());
    let version = status.version.as_ref();
    writer.text(4, version.map_or("", DimensionValue::as_str));
    writer.count(
        5,
        match module {
            Module::Requests => 1,
            Module::Answers => 2,
        },
    );
}

fn denial(writer: &mut Writer, delta: &DenyDelta) {
    writer.count(1, side(delta.side));
    writer.text(2, &delta.id);
    writer.count(3, delta.counts.refused);
    writer.count(4, delta.counts.shadow_refused);
    writer.count(5, delta.counts.over_share);
}

fn trouble(writer: &mut Writer, trouble: &Trouble) {
    // In the order of their fields, which begin with 1.
    for (field, count) in (1..).zip([
        trouble.routes_over_cap,
        trouble.ends_without_beginning,
        trouble.hostcalls_failed,
        trouble.configs_refused,
        trouble.reports_repeated,
        trouble.delays_over_cap,
        trouble.values_over_cap,
        trouble.stats_over_cap,
        trouble.requests_over_cap,
        trouble.late_passed,
        trouble.faults_over_cap,
        trouble.spans_dropped,
        trouble.spans_lost,
        trouble.boards_contended,
        trouble.ends_unseen,
        trouble.arms_over_cap,
    ]) {
        writer.count(field, count);
    }
}

fn bytes(writer: &mut Writer, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        writer.bytes(field, bytes);
    }
}

/// The number of a side, in reports and in what answers them.
const fn side(side: Side) -> u64 {
    match side {
        Side::Server => SERVER,
        Side::Client => CLIENT,
    }
}

const SERVER: u64 = 1;
const CLIENT: u64 = 2;

const fn state(state: BreakerState) -> u64 {
    match state {
        BreakerState::Closed => 1,
        BreakerState::Open => 2,
        BreakerState::Probing => 3,
        BreakerState::Ramping => 4,
    }
}

const fn cause(cause: Cause) -> u64 {
    match cause {
        Cause::Failures => 1,
        Cause::Slowness => 2,
        Cause::Fleet => 3,
        Cause::Time => 4,
        Cause::Recovered => 5,
    }
}

/// Gives `learn` what a `ReportResponse` says about the whole fleet. A reading that cannot be read says
/// nothing, nor does what comes after bytes that are no message.
pub fn readings(mut answer: &[u8], learn: &mut dyn FnMut(&Scope, FleetReading)) {
    while let Some(field) = protobuf::next(&mut answer) {
        if let (1, Value::Bytes(reading)) = field
            && let Some((scope, reading)) = reading_of(reading)
        {
            learn(&scope, reading);
        }
    }
}

/// A `ScopeReading`.
fn reading_of(mut message: &[u8]) -> Option<(Scope, FleetReading)> {
    let (mut service, mut route, mut from) = (&[][..], &[][..], None);
    let mut reading = FleetReading {
        requests: 0,
        good: 0,
    };
    while let Some(field) = protobuf::next(&mut message) {
        match field {
            (1, Value::Bytes(name)) => service = name,
            (2, Value::Bytes(name)) => route = name,
            (3, Value::Number(SERVER)) => from = Some(Side::Server),
            (3, Value::Number(CLIENT)) => from = Some(Side::Client),
            (3, Value::Number(_)) => from = None,
            (4, Value::Number(count)) => reading.requests = count,
            (5, Value::Number(count)) => reading.good = count,
            _ => {}
        }
    }
    if !message.is_empty() {
        return None;
    }
    let scope = Scope {
        service: ServiceName::try_from(core::str::from_utf8(service).ok()?).ok()?,
        route: RouteName::try_from(core::str::from_utf8(route).ok()?).ok()?,
        side: from?,
    };
    Some((scope, reading))
}

#[cfg(test)]
mod tests;
