//! The kind `ChaosExperiment`.

use serde_json::{Value, json};
use sloop_controllers::ChaosIntent;

use super::super::sloop::chaos_experiment::{BURNING, DAYS, ENDS, NOT_HERE};
use super::filter_parts::Parts;
use super::own_kinds::targeted;
use super::{object, optional, or_null, reference, text};

pub(super) fn experiment(parts: &Parts) -> Value {
    let share = || reference("share");
    let whole = || json!({"type": ["integer", "null"], "minimum": 0});
    let hypothesis = object(
        &["slo"],
        &[
            ("slo", text()),
            ("objective", whole()),
            ("tolerance", or_null(share())),
        ],
    );
    let fault = parts.own("FaultRule", NOT_HERE, &[]);
    let abort = object(
        &[],
        &[("burning", words(BURNING)), ("bad", or_null(share()))],
    );
    let length = json!({
        "type": "string", "pattern": "^[0-9]+[smh]$",
        "description": "A whole number and one of s, m, h, as 90s.",
    });
    object(
        &["hypothesis", "targets", "faults", "duration", "budget"],
        &[
            ("hypothesis", some(hypothesis, ChaosIntent::HYPOTHESES_MAX)),
            (
                "targets",
                some(targeted(&[], &[]), ChaosIntent::TARGETS_MAX),
            ),
            (
                "choose",
                json!({"anyOf": [whole(), {"type": "string", "pattern": "%$"}]}),
            ),
            ("faults", some(fault, ChaosIntent::FAULTS_MAX)),
            ("control", or_null(share())),
            ("duration", length),
            ("budget", share()),
            ("abort", or_null(abort)),
            ("ends", words(ENDS)),
            ("schedule", or_null(schedule())),
            ("seed", whole()),
        ],
    )
}

fn schedule() -> Value {
    let time = || optional(json!({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{1,2}$"}));
    let days: Vec<&str> = DAYS.iter().map(|(name, _)| *name).collect();
    let moments = json!({
        "type": ["array", "null"], "maxItems": ChaosIntent::MOMENTS_MAX,
        "items": {"type": "string", "description": "A moment, as 2026-01-31T12:30:00Z."},
    });
    let in_calendar = object(
        &[],
        &[
            ("at", moments),
            (
                "days",
                json!({"type": ["array", "null"], "items": {"enum": days}, "maxItems": DAYS.len()}),
            ),
            ("from", time()),
            ("to", time()),
            ("zone", optional(text())),
        ],
    );
    json!({"anyOf": [{"enum": ["asked", "once"]}, in_calendar]})
}

/// A list that may not be empty.
fn some(items: Value, max: usize) -> Value {
    json!({"type": "array", "items": items, "minItems": 1, "maxItems": max})
}

/// One of these words, or nothing.
fn words<T>(words: &[(&str, T)]) -> Value {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    optional(json!({"enum": words}))
}
