use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::metrics::InstrumentKind;
use tokio::sync::watch;

use super::*;
use crate::ads::{AdsLimits, Hub};
use crate::engine::Shown;

/// The names of all metrics that the components register, as Prometheus has them, without the prefix.
fn registered() -> BTreeSet<String> {
    let names = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&names);
    let note = move |instrument: &Instrument| {
        let mut name = instrument.name().replace('.', "_");
        if instrument.unit() == "s" {
            name.push_str("_seconds");
        }
        let is_counter = matches!(
            instrument.kind(),
            InstrumentKind::Counter | InstrumentKind::ObservableCounter
        );
        if is_counter {
            name.push_str("_total");
        }
        noted.lock().unwrap().insert(name);
        None
    };
    let exporter = opentelemetry_prometheus::exporter().with_registry(Registry::new());
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter.build().unwrap())
        .with_view(note)
        .build();
    let meter = provider.meter("sloop");
    let hub = Hub::new(AdsLimits::default(), crate::clock::wall);
    drop(AlertMetrics::register(&meter));
    drop(DoorMetrics::register(&meter, "grpc"));
    drop(DocumentMetrics::register(&meter));
    drop(IngestMetrics::register(&meter));
    drop(LoadMetrics::register(&meter));
    drop(PushMetrics::register(&meter));
    drop(StepMetrics::register(&meter));
    let shown = watch::Sender::<Shown>::default();
    observe_nodes(&meter, &hub, shown.subscribe());
    observe_slos(&meter, &shown.subscribe());
    observe_breakers(&meter, shown.subscribe());
    let names = names.lock().unwrap();
    names.clone()
}

/// What stands in `text` after our prefix, without what histograms add.
fn named_in(text: &str) -> BTreeSet<String> {
    let after = text.split("sloop_controlplane_").skip(1);
    let names = after.filter_map(|rest| {
        let end = |letter: char| !(letter.is_ascii_lowercase() || letter == '_');
        rest.split(end).next()
    });
    names
        .filter(|name| !name.is_empty())
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned())
        .collect()
}

#[test]
fn every_metric_that_rules_and_dashboard_name_exists() {
    let registered = registered();
    for text in [
        include_str!("../../monitoring/rules.yaml"),
        include_str!("../../monitoring/dashboard.json"),
    ] {
        let named = named_in(text);
        assert!(10 < named.len(), "{named:?}");
        let missing: Vec<_> = named.difference(&registered).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[test]
fn the_page_for_people_lists_exactly_what_there_is() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    let listed: BTreeSet<String> = cells
        .flat_map(|cell| cell.split("`, `"))
        .map(|name| name.split(['{', '`']).next().unwrap().to_owned())
        .collect();
    assert_eq!(listed, registered());
}

/// What a metric shows of which so many series are observed.
fn shown(name: &'static str, series: i64) -> usize {
    let telemetry = Telemetry::begin().unwrap();
    let meter = telemetry.meter();
    let gauge = meter.u64_observable_gauge(name);
    let observed = gauge.with_callback(move |observer| {
        for number in 0..series {
            observer.observe(1, &[opentelemetry::KeyValue::new("slo", number)]);
        }
    });
    let _shown = observed.build();
    let text = telemetry.render().unwrap();
    let start = format!("sloop_controlplane_{name}{{");
    text.lines().filter(|line| line.starts_with(&start)).count()
}

#[test]
fn a_metric_may_have_as_many_series_as_there_are_objectives() {
    assert_eq!(shown("things", 3_000), 3_000);
    assert_eq!(shown(observed::BURN_RATE, 111_000), 111_000);
}

/// The library makes room for all that there may be at once, for each metric.
#[test]
fn what_is_counted_by_words_has_room_for_words() {
    let telemetry = Telemetry::begin().unwrap();
    let counter = telemetry.meter().u64_counter("things").build();
    for number in 0..3_000 {
        counter.add(1, &[opentelemetry::KeyValue::new("word", number)]);
    }
    assert!(telemetry.render().unwrap().contains("otel_metric_overflow"));
}
