//! What is read of nodes only when somebody asks for metrics: who is connected, and how they stand.
//!
//! By group, of which the hub has a maximum (`groups` in *Limits*): one that is gone is not shown any more.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use sloop_xds::Kind;
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::Stage;
use tokio::sync::watch;

use crate::ads::Hub;
use crate::engine::Shown;

/// Shows how many nodes hold a stream, how they stand with what they should have, and what is tried.
pub fn observe_nodes(meter: &Meter, hub: &Hub, shown: watch::Receiver<Shown>) {
    type Observe = fn(&dyn AsyncInstrument<u64>, &Hub);
    type Gauge = (&'static str, &'static str, Observe);
    let gauges: [Gauge; 5] = [
        (
            "nodes_connected",
            "Nodes that hold a stream of discovery.",
            |observer, hub| observer.observe(count(hub.count_nodes()), &[]),
        ),
        (
            "nodes_behind",
            "Nodes on which not all that they should have is in force, by group.",
            behind,
        ),
        (
            "nodes_refusing",
            "Nodes that refuse something that they were sent, by group and the type of what they refuse.",
            refusing,
        ),
        (
            "rollouts_under_way",
            "1 for each group of nodes some of which try a change, 0 for others.",
            |observer, hub| stages(observer, hub, |stage| matches!(stage, Stage::Trying { .. })),
        ),
        (
            "rollouts_taken_back",
            "1 for each group of nodes for which what is declared was tried and taken back, 0 for others.",
            |observer, hub| stages(observer, hub, |stage| matches!(stage, Stage::RolledBack(_))),
        ),
    ];
    for (gauge, description, observe) in gauges {
        let hub = hub.clone();
        meter
            .u64_observable_gauge(gauge)
            .with_description(description)
            .with_callback(move |observer| observe(observer, &hub))
            .build();
    }
    meter
        .u64_observable_gauge("nodes_drifting")
        .with_description(
            "Nodes that report another configuration than they accepted last, by group.",
        )
        .with_callback(move |observer| {
            for (group, nodes) in &shown.borrow().drifting {
                observer.observe(count(*nodes), &[KeyValue::new("group", group.clone())]);
            }
        })
        .build();
}

fn behind(observer: &dyn AsyncInstrument<u64>, hub: &Hub) {
    let behind = hub.count_by(|node| [((), node.standing.behind_since().is_some())]);
    for (cohort, nodes) in behind {
        let nodes = nodes.into_values().sum();
        observer.observe(count(nodes), &[group(&cohort)]);
    }
}

fn refusing(observer: &dyn AsyncInstrument<u64>, hub: &Hub) {
    let refusing = hub.count_by(|node| {
        let types = node.types.iter();
        let refusing = types.map(|(url, status)| (Kind::of(url).word(), status.is_refusing));
        refusing.collect::<Vec<_>>()
    });
    for (cohort, types) in refusing {
        for (word, nodes) in types {
            observer.observe(count(nodes), &[group(&cohort), KeyValue::new("type", word)]);
        }
    }
}

fn stages(observer: &dyn AsyncInstrument<u64>, hub: &Hub, is_it: fn(&Stage) -> bool) {
    for (cohort, stage) in hub.stages() {
        observer.observe(u64::from(is_it(&stage)), &[group(&cohort)]);
    }
}

fn group(cohort: &Cohort) -> KeyValue {
    KeyValue::new("group", cohort.to_string())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
