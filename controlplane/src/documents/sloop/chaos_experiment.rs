//! The kind `ChaosExperiment`: faults for some requests, none for others beside them, and what must hold.

mod fault;
mod schedule;

use core::time::Duration;
use std::collections::BTreeSet;

use sloop_controllers::{
    AbortConditions, ChaosIntent, ChaosSpec, ChaosTarget, Ends, Hypothesis, Speed,
};
use sloop_model::{Share, WallTime};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields, quoted};
use super::super::tree::Value;
use super::target::{self, read_share};

pub(in crate::documents) use fault::NOT_HERE;
pub(in crate::documents) use schedule::DAYS;

const FIELDS: &[&str] = &[
    "hypothesis",
    "targets",
    "choose",
    "faults",
    "control",
    "duration",
    "budget",
    "abort",
    "ends",
    "schedule",
    "seed",
];
/// How fast budgets may be spent before an experiment is stopped.
pub(in crate::documents) const BURNING: &[(&str, Option<Speed>)] = &[
    ("slow", Some(Speed::Slow)),
    ("fast", Some(Speed::Fast)),
    ("page", Some(Speed::Page)),
    ("now", Some(Speed::Now)),
    ("never", None),
];
/// When an experiment ends.
pub(in crate::documents) const ENDS: &[(&str, Ends)] = &[
    ("when_decided", Ends::WhenDecided),
    ("at_its_time", Ends::AtItsTime),
];
/// The share of the control arm, where none is given: as large as the arm of the fault usually is.
const CONTROL: f64 = 0.1;

/// Reads an experiment, seen at `now`.
pub(super) fn read(
    document: &Fields<'_>,
    metadata: &Metadata<'_>,
    now: WallTime,
) -> Option<ChaosIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(FIELDS)?;
    let seed = optional(&fields, "seed", 0, |at| at.whole());
    let hypothesis = list(
        &fields,
        "hypothesis",
        ChaosIntent::HYPOTHESES_MAX,
        read_hypothesis,
    );
    let targets = list(&fields, "targets", ChaosIntent::TARGETS_MAX, read_target);
    let faults = list(&fields, "faults", ChaosIntent::FAULTS_MAX, fault::read);
    let targets = targets.as_deref();
    let choose = optional(&fields, "choose", None, |at| {
        read_choose(at, targets?).map(Some)
    });
    let control = optional(&fields, "control", Share::nearest(CONTROL), read_share);
    let lasting_ms = fields.required("duration").and_then(|at| read_length(&at));
    let budget = fields.required("budget").and_then(|at| read_share(&at));
    let abort = optional(&fields, "abort", AbortConditions::default(), read_abort);
    let ends = optional(&fields, "ends", Ends::default(), |at| at.word(ENDS));
    let seed = seed?;
    let lasting = lasting_ms?;
    let schedule = match fields.get("schedule") {
        Some(at) => schedule::read(&at, now, lasting, seed),
        None => Some(sloop_controllers::ChaosSchedule::Asked),
    };
    let spec = ChaosSpec {
        name: metadata.name.clone(),
        hypothesis: hypothesis?,
        faults: faults?,
        targets: targets?.to_vec(),
        choose: choose?,
        control: control?,
        lasting_ms: u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX),
        budget: budget?,
        abort: abort?,
        ends: ends?,
        schedule: schedule?,
        seed,
        asked_at: None,
        stopped_at: None,
        ran_at: None,
        trial_at: None,
    };
    match ChaosIntent::try_from(spec) {
        Ok(intent) => Some(intent),
        Err(error) => {
            let field = match error.field() {
                "lasting_ms" => "duration",
                "name" => {
                    document.at().sink().refuse(metadata.name_spot.says(error));
                    return None;
                }
                field => field,
            };
            fields
                .get(field)
                .as_ref()
                .unwrap_or(fields.at())
                .refuse(error);
            None
        }
    }
}

/// The field `name`, or `default` when it is left out. `None` after a complaint.
fn optional<T>(
    fields: &Fields<'_>,
    name: &str,
    default: T,
    read: impl FnOnce(&At<'_>) -> Option<T>,
) -> Option<T> {
    match fields.get(name) {
        Some(at) => read(&at),
        None => Some(default),
    }
}

/// All items of the list `name`, which must be there. `None` after a complaint about any.
fn list<T>(
    fields: &Fields<'_>,
    name: &str,
    max: usize,
    read: impl Fn(&At<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let items = fields.required(name)?.items(max)?;
    let all: Vec<Option<T>> = items.iter().map(read).collect();
    all.into_iter().collect()
}

fn read_hypothesis(at: &At<'_>) -> Option<Hypothesis> {
    let fields = at.fields(&["slo", "objective", "tolerance"])?;
    let slo = fields.required("slo").and_then(|at| at.parse());
    let objective = optional(&fields, "objective", 0, |at| at.whole());
    let tolerance = optional(&fields, "tolerance", None, |at| read_share(at).map(Some));
    Some(Hypothesis {
        slo: slo?,
        objective: objective?,
        tolerance: tolerance?,
    })
}

fn read_target(at: &At<'_>) -> Option<ChaosTarget> {
    let target = target::read(&at.fields(&["service", "route", "side"])?)?;
    Some(ChaosTarget {
        service: target.service,
        route: target.route,
        side: target.side,
    })
}

/// How many of the targets' services: a number, or a share of them that is rounded up.
fn read_choose(at: &At<'_>, targets: &[ChaosTarget]) -> Option<u16> {
    let Value::Text(_) = at.node().value else {
        return at.whole();
    };
    let share = u32::from(u16::from(read_share(at)?));
    let services: BTreeSet<_> = targets.iter().map(|target| &target.service).collect();
    let services = u32::try_from(services.len()).unwrap_or(u32::MAX);
    let chosen = share.saturating_mul(services).div_ceil(10_000);
    u16::try_from(chosen).ok()
}

fn read_abort(at: &At<'_>) -> Option<AbortConditions> {
    let fields = at.fields(&["burning", "bad"])?;
    let burning = optional(
        &fields,
        "burning",
        AbortConditions::default().burning,
        |at| at.word(BURNING),
    );
    let bad_max = optional(&fields, "bad", None, |at| read_share(at).map(Some));
    Some(AbortConditions {
        burning: burning?,
        bad_max: bad_max?,
    })
}

/// A whole number and a unit, as `90s`, `10m` or `1h`: OpenSLO's shorthand has nothing below a minute.
fn read_length(at: &At<'_>) -> Option<Duration> {
    let text = at.text()?;
    let length = length(text);
    if length.is_none() {
        at.refuse(format!(
            "is {}; it must be a whole number and one of s, m, h, as in \"90s\"",
            quoted(text)
        ));
    }
    length
}

fn length(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u32 = is_number.then(|| digits.parse().ok())??;
    Some(Duration::from_secs(u64::from(count) * seconds))
}

#[cfg(test)]
mod tests;
