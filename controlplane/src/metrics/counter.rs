//! Counters that are there from the beginning, at zero.
//!
//! Prometheus' `increase` and `rate` compare samples: a counter that first appears with 1 never rose, and an
//! alert for the first time that something happens would stay silent. So what a counter can say is said before it happens.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

/// A counter without labels.
pub(super) fn counter(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
) -> Counter<u64> {
    let counter = meter.u64_counter(name).with_description(description);
    let counter = counter.build();
    counter.add(0, &[]);
    counter
}

/// A counter whose label is one of these words.
pub(super) fn counter_by(
    meter: &Meter,
    (name, description): (&'static str, &'static str),
    label: &'static str,
    words: impl IntoIterator<Item = &'static str>,
) -> Counter<u64> {
    let counter = meter.u64_counter(name).with_description(description);
    let counter = counter.build();
    for word in words {
        counter.add(0, &[KeyValue::new(label, word)]);
    }
    counter
}
