//! What filters did to requests on purpose, over all services.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use sloop_model::Criticality;

use super::counter::{counter, counter_by};
use crate::ingest::Report;

/// Counts what reports say was done. Labels are words of fixed lists: routes and rules are in the API.
#[derive(Clone, Debug)]
pub(super) struct EffectMetrics {
    faulted: Counter<u64>,
    shed: Counter<u64>,
    denied: Counter<u64>,
    retries: Counter<u64>,
    retries_refused: Counter<u64>,
}

impl EffectMetrics {
    /// Creates the instruments.
    pub(super) fn register(meter: &Meter) -> Self {
        let classes = Criticality::ALL.iter().map(|class| class.name());
        Self {
            faulted: counter_by(
                meter,
                (
                    "requests_faulted",
                    "Requests that faults held back or ended, as filters report them.",
                ),
                "effect",
                ["delayed", "aborted"],
            ),
            shed: counter_by(
                meter,
                (
                    "requests_shed",
                    "Requests that were shed, by criticality, or would have been in shadow mode.",
                ),
                "class",
                classes.chain(["shadow"]),
            ),
            denied: counter_by(
                meter,
                (
                    "requests_denied",
                    "Requests that fitted a deny rule, by what became of them.",
                ),
                "result",
                ["refused", "shadow_refused", "over_share"],
            ),
            retries: counter(
                meter,
                "request_retries",
                "Attempts beyond the first, where filters count them.",
            ),
            retries_refused: counter_by(
                meter,
                (
                    "request_retries_refused",
                    "Retries beyond their budget, by what became of them.",
                ),
                "result",
                ["refused", "shadow_refused"],
            ),
        }
    }

    /// A report was counted.
    pub(super) fn add(&self, report: &Report) {
        for details in &report.details {
            let effects = &details.effects;
            add(&self.faulted, effects.delayed, "effect", "delayed");
            add(&self.faulted, effects.aborted, "effect", "aborted");
            if let Some(shed) = &effects.shed {
                for (class, count) in Criticality::ALL.iter().zip(shed.by_class) {
                    add(&self.shed, count, "class", class.name());
                }
                add(&self.shed, shed.shadow, "class", "shadow");
            }
            let (refused, shadow) = (effects.retries.refused, effects.retries.shadow);
            add(&self.retries_refused, refused, "result", "refused");
            add(&self.retries_refused, shadow, "result", "shadow_refused");
            if 0 < details.retries {
                self.retries.add(details.retries, &[]);
            }
        }
        for denied in &report.denials {
            add(&self.denied, denied.refused, "result", "refused");
            add(
                &self.denied,
                denied.shadow_refused,
                "result",
                "shadow_refused",
            );
            add(&self.denied, denied.over_share, "result", "over_share");
        }
    }
}

fn add(counter: &Counter<u64>, count: u64, label: &'static str, value: &'static str) {
    if 0 < count {
        counter.add(count, &[KeyValue::new(label, value)]);
    }
}
