//! How breakers stand, and what they refused, by scope.
//!
//! Unlike what else filters do to requests this is shown by route: an open breaker is news of one. Routes are names of
//! the configuration, and only scopes with a breaker are shown, of which there is a maximum.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use sloop_controllers::BreakerState;
use tokio::sync::watch;

use crate::engine::{BreakerCounts, Shown};

/// Shows, for each scope that has breakers, how many are in each state and what they refused.
pub fn observe_breakers(meter: &Meter, shown: watch::Receiver<Shown>) {
    let of_states = shown.clone();
    meter
        .u64_observable_gauge("breakers")
        .with_description("Breakers, one for each worker of a sidecar, by state.")
        .with_callback(move |observer| each(&of_states, |one| states(observer, one)))
        .build();
    meter
        .u64_observable_counter("requests_refused")
        .with_description(
            "Requests that breakers refused, or would have refused in shadow mode, as filters report them.",
        )
        .with_callback(move |observer| each(&shown, |one| refused(observer, one)))
        .build();
}

fn each(shown: &watch::Receiver<Shown>, observe: impl FnMut(&BreakerCounts)) {
    let breakers = Arc::clone(&shown.borrow().breakers);
    breakers.iter().for_each(observe);
}

fn states(observer: &dyn AsyncInstrument<u64>, one: &BreakerCounts) {
    for (state, count) in one.states {
        observer.observe(count.into(), &labels(one, ("state", word(state))));
    }
}

fn refused(observer: &dyn AsyncInstrument<u64>, one: &BreakerCounts) {
    for (result, count) in [
        ("refused", one.refused),
        ("shadow_refused", one.shadow_refused),
    ] {
        observer.observe(count, &labels(one, ("result", result)));
    }
}

fn labels(one: &BreakerCounts, (name, value): (&'static str, &'static str)) -> [KeyValue; 4] {
    let scope = &one.scope;
    [
        KeyValue::new("service", scope.service.as_str().to_owned()),
        KeyValue::new("route", scope.route.as_str().to_owned()),
        KeyValue::new("side", scope.side.to_string()),
        KeyValue::new(name, value),
    ]
}

const fn word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::Probing => "probing",
        BreakerState::Ramping => "ramping",
    }
}
