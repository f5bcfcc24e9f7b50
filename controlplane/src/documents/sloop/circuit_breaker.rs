//! The kind `CircuitBreaker`: a breaker with limits of one's own choice.

use sloop_controllers::CircuitBreakerIntent;
use sloop_model::{BreakerLimits, BreakerManner, BreakerRule, InvalidBreaker, Mode};

use super::super::metadata::Metadata;
use super::super::reader::{At, Bounds, Fields};
use super::target::{self, read_share};

/// Reads a circuit breaker.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<CircuitBreakerIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["service", "route", "side", "mode", "limits"])?;
    let target = target::read(&fields);
    let mode = fields
        .get("mode")
        .map(|at| at.word(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)]));
    let limits = fields.required("limits").and_then(|at| read_limits(&at));
    let target = target?;
    Some(CircuitBreakerIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        mode: mode.unwrap_or(Some(Mode::Enforce))?,
        limits: limits?,
    })
}

fn read_limits(at: &At<'_>) -> Option<BreakerRule> {
    let fields = at.fields(&[
        "window_ms",
        "calls_min",
        "failed_max",
        "slow_max",
        "slow_us",
        "sigmas_hundredths",
        "open_ms",
        "open_max_ms",
        "probes",
        "ramp_ms",
    ])?;
    let window_ms = needed(&fields, "window_ms");
    let calls_min = needed(&fields, "calls_min");
    let failed_max = fields.required("failed_max").and_then(|at| read_share(&at));
    let slow_max = fields.get("slow_max").map(|at| read_share(&at));
    let slow_us = fields.get("slow_us").map(|at| at.whole());
    let sigmas_hundredths = fields.get("sigmas_hundredths").map(|at| at.whole());
    let open_ms = needed(&fields, "open_ms");
    let open_max_ms = needed(&fields, "open_max_ms");
    let probes = needed(&fields, "probes");
    let ramp_ms = fields.get("ramp_ms").map(|at| at.whole());
    let limits = BreakerLimits {
        window_ms: Some(window_ms?),
        window_buckets: None,
        window_calls: None,
        calls_min: calls_min?,
        failed_max: failed_max?,
        slow_max: slow_max.map_or(Some(None), |read| read.map(Some))?,
        slow_us: slow_us.map_or(Some(None), |read| read.map(Some))?,
        sigmas_hundredths: sigmas_hundredths.unwrap_or(Some(0))?,
        open_ms: open_ms?,
        open_max_ms: open_max_ms?,
        probes: probes?,
        ramp_ms: ramp_ms.unwrap_or(Some(0))?,
        manner: BreakerManner::default(),
    };
    match BreakerRule::try_from(limits) {
        Ok(rule) => Some(rule),
        Err(error) => {
            let field = field_of(error);
            fields.get(field).as_ref().unwrap_or(at).refuse(error);
            None
        }
    }
}

fn needed<T: TryFrom<i64> + Bounds>(fields: &Fields<'_>, name: &str) -> Option<T> {
    fields.required(name)?.whole()
}

const fn field_of(error: InvalidBreaker) -> &'static str {
    match error {
        InvalidBreaker::OutOfRange { field, .. }
        | InvalidBreaker::Window { field, .. }
        | InvalidBreaker::NeverOpens { field }
        | InvalidBreaker::AlwaysOpens { field } => field,
        InvalidBreaker::HalfSlow { given } => given,
    }
}
