//! By what else requests are told apart, from the headers to the report.

use sloop_model::{Dimension, DimensionValue, LatencyBucket};

use super::*;
use crate::Seen;

const DIMENSIONS: &str = r#""dimensions": {"caller": {"header": "x-caller"}, "journey": {"baggage": "j"},
    "version": "v2", "values_max": 2, "attempts": true}"#;

fn bench(dimensions: &str) -> Bench {
    let objective = r#""objectives": [{"id": {"slo": "up", "index": 0}}, {"id": {"slo": "fast", "index": 0}, "within_us": 10000}]"#;
    let json = config(&scope("a", objective));
    Bench::new(&json.replace(r#""scopes""#, &format!(r#"{dimensions}, "scopes""#)))
}

/// A request of `caller` that ended with `status` after `millis`.
fn asks(bench: &mut Bench, caller: &str, status: u16, millis: u64) {
    let headers: [(&str, &[u8]); 3] = [
        ("x-caller", caller.as_bytes()),
        ("x-envoy-attempt-count", b"2"),
        ("baggage", b"j=buy"),
    ];
    let begun = bench.begin_with(Side::Server, "a", &headers, 0);
    bench.end(begun.exchange, status, millis);
}

#[test]
fn callers_are_told_apart_with_their_objectives() {
    let mut bench = bench(DIMENSIONS);
    asks(&mut bench, "shop", 200, 5);
    asks(&mut bench, "shop", 500, 5);
    asks(&mut bench, "admin", 200, 50);
    asks(&mut bench, "third", 404, 5);
    let report = bench.report(1_000).unwrap();
    let version = report.filters[0]
        .version
        .as_ref()
        .map(DimensionValue::as_str);
    assert_eq!(version, Some("v2"));
    assert_eq!(report.trouble.values_over_cap, 1);
    let delta = &report.scopes[0];
    assert_eq!(delta.retries, 4);
    let slos: Vec<_> = delta
        .objectives
        .iter()
        .map(|one| one.id.slo.as_str())
        .collect();
    assert_eq!(slos, ["fast", "up"]);
    let rows: Vec<_> = delta
        .dimensions
        .iter()
        .map(|row| {
            (
                row.dimension,
                row.value.as_str(),
                row.classes,
                row.objectives.clone(),
            )
        })
        .collect();
    let expected = [
        (
            Dimension::Caller,
            "other",
            [0, 1, 0, 0, 0],
            vec![(1, 1), (1, 1)],
        ),
        (
            Dimension::Caller,
            "shop",
            [1, 0, 1, 0, 0],
            vec![(2, 1), (2, 1)],
        ),
        (
            Dimension::Caller,
            "admin",
            [1, 0, 0, 0, 0],
            vec![(1, 0), (1, 1)],
        ),
        (
            Dimension::Journey,
            "buy",
            [2, 1, 1, 0, 0],
            vec![(4, 2), (4, 3)],
        ),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn what_is_reported_is_not_reported_again() {
    let mut bench = bench(DIMENSIONS);
    asks(&mut bench, "shop", 200, 5);
    bench.scopes(1_000);
    asks(&mut bench, "shop", 200, 5);
    let delta = &bench.scopes(3_000)[0];
    let sums: Vec<u64> = delta
        .dimensions
        .iter()
        .map(|row| row.classes.iter().sum())
        .collect();
    assert_eq!(sums, [1, 1]);
    assert_eq!(delta.dimensions[0].objectives, [(1, 1), (1, 1)]);
}

#[test]
fn objectives_that_change_places_keep_their_callers() {
    let mut bench = bench(DIMENSIONS);
    asks(&mut bench, "shop", 500, 5);
    let swapped = r#""objectives": [{"id": {"slo": "fast", "index": 0}, "within_us": 10000}, {"id": {"slo": "new", "index": 0}}, {"id": {"slo": "up", "index": 0}}]"#;
    let json = config(&scope("a", swapped));
    bench.configure(
        &json.replace(r#""scopes""#, &format!(r#"{DIMENSIONS}, "scopes""#)),
        10,
    );
    asks(&mut bench, "shop", 200, 5);
    let delta = &bench.scopes(1_000)[0];
    let slos: Vec<_> = delta
        .objectives
        .iter()
        .map(|one| one.id.slo.as_str())
        .collect();
    assert_eq!(slos, ["fast", "new", "up"]);
    assert_eq!(delta.dimensions[0].value.as_str(), "shop");
    assert_eq!(delta.dimensions[0].objectives, [(2, 1), (1, 1), (2, 1)]);
}

#[test]
fn without_dimensions_nothing_is_counted_by_them() {
    let mut bench = bench(r#""stats": {}"#);
    assert_eq!(bench.plane.dimensions(Side::Server), None);
    let (mut exchange, _) = bench.begin("a", 0);
    let seen = Seen {
        caller: Some(b"shop"),
        ..Seen::default()
    };
    bench.plane.describe(&mut exchange, &seen);
    bench.end(exchange, 200, 5);
    assert_eq!(bench.scopes(1_000)[0].dimensions, []);
}

#[test]
fn attempts_of_the_client_side_count_beyond_the_first() {
    let mut bench = bench(DIMENSIONS);
    for attempts in [0, 1, 3] {
        let (mut exchange, _) = bench.begin("a", 0);
        exchange.attempted(attempts);
        bench.end(exchange, 200, 5);
    }
    assert_eq!(bench.scopes(1_000)[0].retries, 2);
}

#[test]
fn a_scope_that_went_leaves_its_callers_to_the_rest() {
    let mut bench = bench(DIMENSIONS);
    asks(&mut bench, "shop", 200, 5);
    for number in 0..1_100 {
        let json = config(&scope(&format!("x{number}"), ""));
        bench.configure(
            &json.replace(r#""scopes""#, &format!(r#"{DIMENSIONS}, "scopes""#)),
            10,
        );
        bench.request(&format!("x{number}"), 200, 10);
    }
    let scopes = bench.scopes(1_000);
    let other = scopes
        .iter()
        .find(|one| one.scope.route.as_str() == "other")
        .unwrap();
    let mut rows = other.dimensions.iter();
    let shop = rows.find(|row| row.value.as_str() == "shop").unwrap();
    assert_eq!(shop.classes, [1, 0, 0, 0, 0]);
}

mod statistics {
    use std::collections::BTreeMap;

    use super::*;

    const STATS: &str = r#""stats": {"enabled": true}"#;

    /// What Envoy's counters have after the deltas that are due at `millis`.
    fn sums(bench: &mut Bench, sums: &mut BTreeMap<String, u64>, millis: u64) -> usize {
        let deltas = bench.plane.stat_deltas(at(millis));
        let calls = deltas.len();
        for delta in deltas {
            // As if Envoy were asked each time.
            let name = delta.name.expect("Envoy gave no number");
            *sums.entry(name).or_default() += delta.by;
        }
        calls
    }

    fn with(reports: bool) -> Bench {
        let mut json = config(&scope(
            "a",
            r#""objectives": [{"id": {"slo": "up", "index": 0}}]"#,
        ));
        json = json.replace(r#""scopes""#, &format!(r#"{STATS}, "scopes""#));
        if !reports {
            json = json.replace(r#""report": {"cluster": "c", "interval_ms": 1000},"#, "");
        }
        Bench::new(&json)
    }

    #[test]
    fn all_requests_are_shown_whether_or_not_they_are_reported() {
        for reports in [true, false] {
            let mut bench = with(reports);
            let mut seen = BTreeMap::new();
            for second in 0..60 {
                bench.request("a", if second % 2 == 0 { 200 } else { 500 }, second * 1_000);
                if let Some(report) = bench.report(second * 1_000 + 999) {
                    bench.plane.acknowledge(report.sequence);
                }
                sums(&mut bench, &mut seen, second * 1_000 + 999);
            }
            sums(&mut bench, &mut seen, 100_000);
            let of = |name: &str| -> u64 {
                seen.iter()
                    .filter(|(known, _)| known.ends_with(name))
                    .map(|(_, sum)| sum)
                    .sum()
            };
            assert_eq!(of(";.;sloop_requests"), 60, "reports: {reports}");
            assert_eq!(of(";.;sloop_objective_requests"), 60);
            assert_eq!(of("sloop_latency_microseconds_count"), 60);
        }
    }

    #[test]
    fn they_are_shown_every_five_seconds_from_the_first_request_on() {
        let mut bench = with(false);
        assert_eq!(bench.plane.wake_at(), None);
        bench.request("a", 200, 1_000);
        assert_eq!(bench.plane.wake_at(), Some(at(6_000)));
        assert_eq!(bench.plane.stat_deltas(at(5_999)), []);
        assert_ne!(bench.plane.stat_deltas(at(6_000)), []);
        assert_eq!(bench.plane.wake_at(), Some(at(11_000)));
        assert_eq!(bench.plane.stat_deltas(at(11_000)), [], "nothing happened");
    }

    #[test]
    fn what_was_counted_before_they_were_switched_off_is_shown_once() {
        let mut bench = with(false);
        bench.request("a", 200, 1_000);
        bench.configure(&config(""), 2_000);
        assert_ne!(bench.plane.stat_deltas(at(2_100)), []);
        bench.request("a", 200, 3_000);
        assert_eq!(bench.plane.stat_deltas(at(60_000)), []);
    }

    #[test]
    fn what_was_counted_before_they_were_switched_off_is_shown_although_nothing_else_is_due() {
        let off = r#"{"version": 1, "service": "shop", "side": "server"}"#;
        let on = off.replace("\"side\"", &format!("{STATS}, \"side\""));
        let mut bench = Bench::new(&on);
        bench.request("a", 200, 1_000);
        bench.configure(off, 2_000);
        assert!(bench.plane.wake_at().is_some_and(|due| due <= at(2_000)));
        assert_ne!(bench.plane.stat_deltas(at(2_100)), []);
        assert_eq!(bench.plane.wake_at(), None);
    }

    #[test]
    fn what_was_counted_while_they_were_off_is_not_shown_when_they_are_on() {
        let on = config(&scope(
            "a",
            r#""objectives": [{"id": {"slo": "up", "index": 0}}]"#,
        ));
        let on = on.replace(r#""scopes""#, &format!(r#"{STATS}, "scopes""#));
        let off = on.replace(r#""enabled": true"#, r#""enabled": false"#);
        let mut bench = Bench::new(&off);
        // Before they were ever on, and after they were.
        for from in [0, 300_000] {
            for second in 0..100 {
                let now = from + second * 1_000;
                bench.request("a", 200, now);
                // The last ones are not reported yet.
                if second < 90
                    && let Some(report) = bench.report(now + 999)
                {
                    bench.plane.acknowledge(report.sequence);
                }
            }
            bench.configure(&on, from + 110_000);
            bench.request("a", 200, from + 111_000);
            let deltas = bench.plane.stat_deltas(at(from + 120_000));
            let by: Vec<u64> = deltas
                .iter()
                .filter(|delta| !delta.name.as_ref().unwrap().ends_with("_sum"))
                .map(|delta| delta.by)
                .collect();
            assert!(3 < by.len() && by.iter().all(|by| *by == 1), "{deltas:?}");
            bench.configure(&off, from + 130_000);
        }
    }

    #[test]
    fn spans_that_were_dropped_while_they_were_off_are_not_shown_when_they_are_on() {
        let spans =
            r#""spans": {"cluster": "o", "sampling": 10000, "queue_max": 16, "batch_max": 16}"#;
        let on = and(&and(&config(""), spans), STATS);
        let off = on.replace(r#""enabled": true"#, r#""enabled": false"#);
        let ask = |bench: &mut Bench, millis: u64| {
            for _ in 0..100 {
                let (exchange, _) = bench.begin("a", millis);
                if let Some(kept) = bench.end_kept(exchange, 200, millis) {
                    bench.plane.keep(&kept, HeaderMap::new(b""), b"");
                }
            }
        };
        let shown = |bench: &mut Bench, millis: u64| {
            bench.scopes(millis);
            let mut seen = BTreeMap::new();
            sums(bench, &mut seen, millis + 10_000);
            let dropped = seen
                .iter()
                .filter(|(name, _)| name.contains("spans_dropped"));
            dropped.map(|(_, sum)| sum).sum::<u64>()
        };
        let mut bench = Bench::new(&off);
        ask(&mut bench, 0);
        bench.configure(&on, 5_000);
        assert_eq!(shown(&mut bench, 6_000), 0);
        ask(&mut bench, 20_000);
        assert_eq!(shown(&mut bench, 21_000), 100, "there was no room left");
    }

    #[test]
    fn off_is_off() {
        let mut bench = Bench::new(&config(""));
        bench.request("a", 200, 0);
        assert_eq!(bench.plane.stat_deltas(at(60_000)), []);
        assert_eq!(
            bench.scopes(60_000)[0].latency.iter().collect::<Vec<_>>(),
            [(LatencyBucket::of(0), 1)]
        );
    }

    #[test]
    fn a_name_is_given_until_envoy_gave_a_number() {
        let mut bench = with(false);
        bench.request("a", 200, 0);
        for delta in bench.plane.stat_deltas(at(5_000)) {
            assert!(delta.name.is_some());
            bench
                .plane
                .stats()
                .defined(delta.metric, delta.metric + 100);
        }
        bench.request("a", 200, 6_000);
        let deltas = bench.plane.stat_deltas(at(10_000));
        assert!(!deltas.is_empty() && deltas.iter().all(|delta| delta.name.is_none()));
        assert_eq!(
            bench.plane.stats().id(deltas[0].metric),
            Some(deltas[0].metric + 100)
        );
    }
}
