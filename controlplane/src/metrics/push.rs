//! What becomes of pushes.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use sloop_model::Side;
use sloop_xds::Kind;

use super::counter::counter_by;
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
}

impl PushMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        Self {
            pushes: counter_by(
                meter,
                (
                    "pushes",
                    "Configurations of filters handed to the sidecars of a group.",
                ),
                "side",
                SIDES,
            ),
            withheld: counter_by(
                meter,
                (
                    "pushes_withheld",
                    "Configurations that the own check refused, so they did not leave, by what they are.",
                ),
                "what",
                SIDES.into_iter().chain([DECLARED]),
            ),
            acknowledged: counter_by(
                meter,
                (
                    "pushes_acknowledged",
                    "Configurations of filters that an Envoy accepted.",
                ),
                "side",
                SIDES,
            ),
            refused: counter_by(
                meter,
                (
                    "pushes_refused",
                    "Responses that an Envoy refused, by the type of what was in them.",
                ),
                "type",
                Kind::WORDS,
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
        }
    }

    /// A configuration of the filters of `side` was handed on.
    pub fn pushed(&self, side: Side) {
        self.pushes.add(1, &[KeyValue::new("side", word(side))]);
    }

    /// A configuration of the filters of `side` did not pass the own check; what is declared for a fleet where there is none.
    pub fn withheld(&self, side: Option<Side>) {
        let what = side.map_or(DECLARED, word);
        self.withheld.add(1, &[KeyValue::new("what", what)]);
    }

    /// An Envoy accepted a configuration of the filters of `side` that was pushed `took` ago, if that is known.
    pub fn acknowledged(&self, side: Side, took: Option<Duration>) {
        self.acknowledged
            .add(1, &[KeyValue::new("side", word(side))]);
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

    /// An Envoy refused a response with resources of this type.
    pub fn refused(&self, kind: &Kind) {
        self.refused.add(1, &[KeyValue::new("type", kind.word())]);
    }
}

/// The filters that are told, in words.
const SIDES: [&str; 2] = [word(Side::Server), word(Side::Client)];

/// What is declared for a fleet, in a word.
const DECLARED: &str = "declared";

const fn word(side: Side) -> &'static str {
    match side {
        Side::Server => "server",
        Side::Client => "client",
    }
}
