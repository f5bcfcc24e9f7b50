//! What is read only when somebody asks for metrics: how SLOs stand, who is connected.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use sloop_controllers::{ObjectiveStatus, SloStatus};
use sloop_xds::rollout::Stage;
use tokio::sync::watch;

use crate::ads::Hub;

/// How SLOs stood at the last step.
type Slos = watch::Receiver<Arc<[SloStatus]>>;

/// Shows how many nodes hold a stream, how they stand with what they should have, and what is tried.
pub fn observe_nodes(meter: &Meter, hub: &Hub) {
    type Gauge = (&'static str, &'static str, fn(&Hub) -> usize);
    let gauges: [Gauge; 5] = [
        (
            "nodes_connected",
            "Nodes that hold a stream of discovery.",
            Hub::count_nodes,
        ),
        (
            "nodes_behind",
            "Nodes on which not all that they should have is in force.",
            |hub| hub.count_nodes_that(|node| node.standing.behind_since().is_some()),
        ),
        (
            "nodes_refusing",
            "Nodes that refuse something that they were sent.",
            |hub| hub.count_nodes_that(|node| node.types.values().any(|it| it.is_refusing)),
        ),
        (
            "rollouts_under_way",
            "Groups of nodes some of which try a change.",
            |hub| count(hub, |stage| matches!(stage, Stage::Trying { .. })),
        ),
        (
            "rollouts_taken_back",
            "Groups of nodes for which what is declared was tried and taken back.",
            |hub| count(hub, |stage| matches!(stage, Stage::RolledBack(_))),
        ),
    ];
    for (gauge, description, read) in gauges {
        let hub = hub.clone();
        meter
            .u64_observable_gauge(gauge)
            .with_description(description)
            .with_callback(move |observer| {
                observer.observe(u64::try_from(read(&hub)).unwrap_or(u64::MAX), &[]);
            })
            .build();
    }
}

fn count(hub: &Hub, is_it: fn(&Stage) -> bool) -> usize {
    hub.stages().values().filter(|stage| is_it(stage)).count()
}

/// Shows how each SLO stands. An SLO that is withdrawn is not shown any more.
pub fn observe_slos(meter: &Meter, slos: &Slos) {
    type Observer<'a> = &'a dyn AsyncInstrument<f64>;
    type Gauge = (&'static str, &'static str, fn(Observer<'_>, &SloStatus));
    let gauges: [Gauge; 5] = [
        (
            "slo_mode",
            "1 for the mode that the SLO is in.",
            |observer, slo| {
                let mode = KeyValue::new("mode", word(&slo.mode));
                observer.observe(1.0, &[name(slo), mode]);
            },
        ),
        (
            "slo_target",
            "The share of requests that must be good.",
            |observer, slo| {
                for objective in &slo.objectives {
                    observer.observe(objective.target, &labels(slo, objective));
                }
            },
        ),
        (
            "slo_window_requests",
            "Requests that the objective was about in the SLO's window, by whether they met it.",
            requests,
        ),
        (
            "slo_budget_left",
            "The share of the error budget that is left, at most 1; negative when overspent.",
            |observer, slo| {
                for objective in &slo.objectives {
                    if let Some(budget) = &objective.budget {
                        observer.observe(budget.left_share, &labels(slo, objective));
                    }
                }
            },
        ),
        (
            "slo_burn_rate",
            "How fast the error budget is spent: 1 is exactly as fast as allowed.",
            burn,
        ),
    ];
    for (gauge, description, observe) in gauges {
        let slos = slos.clone();
        meter
            .f64_observable_gauge(gauge)
            .with_description(description)
            .with_callback(move |observer| {
                let slos = Arc::clone(&slos.borrow());
                slos.iter().for_each(|slo| observe(observer, slo));
            })
            .build();
    }
}

fn requests(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for objective in &slo.objectives {
        let Some(counts) = objective.counts else {
            continue;
        };
        let bad = counts.total.saturating_sub(counts.good);
        for (result, count) in [("good", counts.good), ("bad", bad)] {
            let mut labels = labels(slo, objective);
            labels.push(KeyValue::new("result", result));
            observer.observe(float(count), &labels);
        }
    }
}

fn burn(observer: &dyn AsyncInstrument<f64>, slo: &SloStatus) {
    for objective in &slo.objectives {
        for burn in &objective.burn {
            if let Some(rate) = burn.burn {
                let mut labels = labels(slo, objective);
                labels.push(KeyValue::new("window", span(burn.window_ms)));
                observer.observe(rate, &labels);
            }
        }
    }
}

fn name(slo: &SloStatus) -> KeyValue {
    KeyValue::new("slo", slo.name.as_str().to_owned())
}

fn labels(slo: &SloStatus, objective: &ObjectiveStatus) -> Vec<KeyValue> {
    vec![
        name(slo),
        KeyValue::new("objective", objective.index.to_string()),
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
