//! What is read of SLOs only when somebody asks for metrics: how they stand.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use sloop_controllers::{
    Counts, ObjectiveStatus, PairStatus, SloIntent, SloStatus, objective_name,
};
use tokio::sync::watch;

use crate::engine::Shown;
use crate::labels::sanitized;

/// What has a series for each window of each objective.
pub(super) const BURN_RATE: &str = "slo_burn_rate";

/// Shows how each SLO stands. An SLO that is withdrawn is not shown any more.
pub fn observe_slos(meter: &Meter, shown: &watch::Receiver<Shown>) {
    type Observer<'a> = &'a dyn AsyncInstrument<f64>;
    type Gauge = (&'static str, &'static str, fn(Observer<'_>, &SloStatus));
    let gauges: [Gauge; 8] = [
        (
            "slo_info",
            "Labels of the SLO's document, with the prefix label_; always 1.",
            info,
        ),
        ("slo_mode", "1 for the mode that the SLO is in.", mode),
        (
            "slo_target",
            "The share of requests that must be good.",
            target,
        ),
        (
            "slo_window_requests",
            "Requests that the objective was about in the SLO's window, by whether they met it.",
            requests,
        ),
        (
            "slo_budget_left",
            "The share of the error budget that is left, at most 1; negative when overspent.",
            budget_left,
        ),
        (
            BURN_RATE,
            "How fast the error budget is spent: 1 is exactly as fast as allowed.",
            burn,
        ),
        (
            "slo_pair_burn_rate",
            "How fast the error budget is spent over both windows of a pair: the lower of the two.",
            pair_burn,
        ),
        (
            "slo_pair_burning",
            "1 where both windows of a pair surely burn faster than the SRE workbook allows, 0 where not both do.",
            pair_burning,
        ),
    ];
    for (gauge, description, observe) in gauges {
        let shown = shown.clone();
        meter
            .f64_observable_gauge(gauge)
            .with_description(description)
            .with_callback(move |observer| {
                let slos = Arc::clone(&shown.borrow().slos);
                slos.iter().for_each(|slo| observe(observer, slo));
            })
            .build();
    }
    observe_requests(meter, shown.clone());
}

/// Counts what entered the budgets. It is there, at zero, as soon as the SLO is, so that the first request is seen.
fn observe_requests(meter: &Meter, shown: watch::Receiver<Shown>) {
    meter
        .u64_observable_counter("slo_requests")
        .with_description(
            "Requests that entered an objective's budget since the process began, by whether they met it.",
        )
        .with_callback(move |observer| {
            let (slos, entered) = {
                let shown = shown.borrow();
                (Arc::clone(&shown.slos), Arc::clone(&shown.entered))
            };
            let slos = slos.iter();
            let all = slos.flat_map(|slo| slo.objectives.iter().map(move |it| (slo, it)));
            for ((slo, objective), entered) in all.zip(&*entered) {
                if objective.source.is_some() {
                    observe_entered(observer, (slo, objective), *entered);
                }
            }
        })
        .build();
}

fn observe_entered(
    observer: &dyn AsyncInstrument<u64>,
    (slo, objective): (&SloStatus, &ObjectiveStatus),
    entered: Counts,
) {
    for (result, count) in by_result(entered) {
        let mut labels = labels(slo, objective);
        labels.push(KeyValue::new("service", slo.service.as_str().to_owned()));
        labels.push(KeyValue::new("result", result));
        observer.observe(count, &labels);
    }
}

fn requests(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for objective in &slo.objectives {
        let Some(counts) = objective.counts else {
            continue;
        };
        for (result, count) in by_result(counts) {
            let mut labels = labels(slo, objective);
            labels.push(KeyValue::new("result", result));
            observer.observe(float(count), &labels);
        }
    }
}

const fn by_result(counts: Counts) -> [(&'static str, u64); 2] {
    [("good", counts.good), ("bad", counts.bad())]
}

fn info(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    let service = KeyValue::new("service", slo.service.as_str().to_owned());
    let labels = sanitized(&slo.labels).into_iter();
    let labels = labels.map(|(label, value)| KeyValue::new(format!("label_{label}"), value));
    let labels: Vec<KeyValue> = [name(slo), service].into_iter().chain(labels).collect();
    observer.observe(1.0, &labels);
}

fn mode(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    let mode = KeyValue::new("mode", word(&slo.mode));
    observer.observe(1.0, &[name(slo), mode]);
}

fn target(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for objective in &slo.objectives {
        observer.observe(objective.target, &labels(slo, objective));
    }
}

fn budget_left(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for objective in &slo.objectives {
        if let Some(budget) = &objective.budget {
            observer.observe(budget.left_share, &labels(slo, objective));
        }
    }
    let composite = slo.composite.as_ref();
    if let Some(left) = composite.and_then(|composite| composite.left_share) {
        observer.observe(left, &labels_of_all(slo));
    }
}

/// The burn rate of a window of so many milliseconds.
type Burn = (u64, Option<f64>);

/// Of each objective, and of the composite, its labels, burn rates and pairs of windows.
fn burns(slo: &SloStatus) -> Vec<(Vec<KeyValue>, Vec<Burn>, &[PairStatus])> {
    let objectives = slo.objectives.iter().map(|objective| {
        let burns = objective.burn.iter().map(|it| (it.window_ms, it.burn));
        (
            labels(slo, objective),
            burns.collect::<Vec<Burn>>(),
            &objective.pairs[..],
        )
    });
    let composite = slo.composite.iter().map(|composite| {
        let burns = composite.burn.iter().map(|it| (it.window_ms, it.burn));
        (
            labels_of_all(slo),
            burns.collect::<Vec<Burn>>(),
            &composite.pairs[..],
        )
    });
    objectives.chain(composite).collect()
}

fn burn(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for (labels, burns, _) in burns(slo) {
        for (window_ms, burn) in burns {
            if let Some(rate) = burn {
                let window = KeyValue::new("window", span(window_ms));
                observer.observe(rate, &with(&labels, window));
            }
        }
    }
}

/// What pairs of windows are called, fastest first: the same whatever the SLO's window is, which says how long they are.
const PAIRS: [&str; 4] = ["fastest", "fast", "slow", "slowest"];

fn pair_burn(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for (labels, burns, pairs) in burns(slo) {
        let rate = |window_ms: u64| {
            let mut burns = burns.iter();
            burns.find(|(known, _)| *known == window_ms)?.1
        };
        for (pair, name) in pairs.iter().zip(PAIRS) {
            if let Some((long, short)) = rate(pair.long_ms).zip(rate(pair.short_ms)) {
                let labels = with(&labels, KeyValue::new("pair", name));
                observer.observe(long.min(short), &labels);
            }
        }
    }
}

fn pair_burning(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for (labels, _, pairs) in burns(slo) {
        for (pair, name) in pairs.iter().zip(PAIRS) {
            if let Some(burning) = pair.burning {
                let labels = with(&labels, KeyValue::new("pair", name));
                observer.observe(f64::from(u8::from(burning)), &labels);
            }
        }
    }
}

fn with(labels: &[KeyValue], more: KeyValue) -> Vec<KeyValue> {
    let mut labels = labels.to_vec();
    labels.push(more);
    labels
}

fn name(slo: &SloStatus) -> KeyValue {
    KeyValue::new("slo", slo.name.as_str().to_owned())
}

fn labels(slo: &SloStatus, objective: &ObjectiveStatus) -> Vec<KeyValue> {
    vec![
        name(slo),
        KeyValue::new("objective", objective_name(objective.index)),
    ]
}

/// The labels of the composite: all objectives together.
fn labels_of_all(slo: &SloStatus) -> Vec<KeyValue> {
    vec![
        name(slo),
        KeyValue::new("objective", objective_name(SloIntent::COMPOSITE)),
    ]
}

/// The word that stands for a value in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Units of time in milliseconds, as Prometheus abbreviates them.
const UNITS: [(u64, &str); 5] = [
    (86_400_000, "d"),
    (3_600_000, "h"),
    (60_000, "m"),
    (1_000, "s"),
    (1, "ms"),
];

/// A span of time as people write it: `28d`, `5m`, `2d19h12m`. Prometheus reads it, too.
#[must_use]
pub fn span(millis: u64) -> String {
    in_units(millis, UNITS.len())
}

/// A span of time in its two largest units; the rest is left out.
#[must_use]
pub fn rough_span(millis: u64) -> String {
    in_units(millis, 2)
}

fn in_units(millis: u64, units_max: usize) -> String {
    let mut rest = millis;
    let mut text = String::new();
    let units = UNITS.into_iter().skip_while(|(unit, _)| millis < *unit);
    for (unit, letter) in units.take(units_max) {
        let count = rest / unit;
        rest %= unit;
        if 0 < count {
            text.push_str(&format!("{count}{letter}"));
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Exact up to 2^53, which is more requests than any window has.
fn float(count: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float; counts stay below 2^53"
    )]
    let float = count as f64;
    float
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_do() {
        for (millis, text) in [
            (10_000, "10s"),
            (300_000, "5m"),
            (3_600_000, "1h"),
            (2_419_200_000, "28d"),
            (90_000, "1m30s"),
            (241_920_000, "2d19h12m"),
            (86_400_001, "1d1ms"),
            (1, "1ms"),
            (0, "0s"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
    #[test]
    fn a_rough_span_has_two_units() {
        for (millis, text) in [
            (241_925_123, "2d19h"),
            (86_460_000, "1d"),
            (61_500, "1m1s"),
            (1_250, "1s250ms"),
            (0, "0s"),
        ] {
            assert_eq!(rough_span(millis), text);
        }
    }
}
