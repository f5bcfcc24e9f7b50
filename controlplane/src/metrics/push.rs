//! What becomes of pushes.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use super::counter::{counter, counter_by};
use super::instruments::seconds;

/// What publishing measures.
#[derive(Clone, Debug)]
pub struct PushMetrics {
    pushes: Counter<u64>,
    withheld: Counter<u64>,
    acknowledged: Counter<u64>,
    refused: Counter<u64>,
    acknowledge: Histogram<f64>,
    effect: Histogram<f64>,
    rollouts: Counter<u64>,
    drifting: Gauge<u64>,
}

impl PushMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        Self {
            pushes: counter(
                meter,
                "pushes",
                "Configurations handed to the sidecars of a group.",
            ),
            withheld: counter(
                meter,
                "pushes_withheld",
                "Configurations that the own check refused, so they did not leave.",
            ),
            acknowledged: counter(
                meter,
                "pushes_acknowledged",
                "Configurations that an Envoy accepted.",
            ),
            refused: counter(
                meter,
                "pushes_refused",
                "Configurations that an Envoy refused.",
            ),
            acknowledge: seconds(
                meter,
                "push.acknowledge.duration",
                "Time from a push to an Envoy's acknowledgement of it.",
            ),
            effect: seconds(
                meter,
                "push.effect.duration",
                "Time from when a node should have something until all of it was in force.",
            ),
            rollouts: counter_by(
                meter,
                (
                    "rollouts",
                    "Changes that went to a few nodes first, by what became of them.",
                ),
                "result",
                ["trying", "finished", "rolled_back"],
            ),
            drifting: meter
                .u64_gauge("nodes_drifting")
                .with_description(
                    "Nodes that report another configuration than they accepted last.",
                )
                .build(),
        }
    }

    /// So many nodes run with something else than they accepted.
    pub fn drift(&self, nodes: usize) {
        self.drifting
            .record(u64::try_from(nodes).unwrap_or(u64::MAX), &[]);
    }

    /// A configuration was handed on.
    pub fn pushed(&self) {
        self.pushes.add(1, &[]);
    }

    /// A configuration did not pass the own check.
    pub fn withheld(&self) {
        self.withheld.add(1, &[]);
    }

    /// An Envoy accepted a configuration that was pushed `took` ago, if that is known.
    pub fn acknowledged(&self, took: Option<Duration>) {
        self.acknowledged.add(1, &[]);
        if let Some(took) = took {
            self.acknowledge.record(took.as_secs_f64(), &[]);
        }
    }

    /// All that a node should have is in force, `took` after it should have it.
    pub fn in_force(&self, took: Duration) {
        self.effect.record(took.as_secs_f64(), &[]);
    }

    /// A change went to more nodes, was finished or was taken back.
    pub fn rollout(&self, result: &'static str) {
        self.rollouts.add(1, &[KeyValue::new("result", result)]);
    }

    /// An Envoy refused a configuration.
    pub fn refused(&self) {
        self.refused.add(1, &[]);
    }
}
