//! Reports go out once at a time, and again when they are lost.

use super::*;

#[test]
fn without_traffic_there_is_nothing_to_wake_for() {
    let mut bench = Bench::new(&config(""));
    assert_eq!(bench.plane.wake_at(), None);
    bench.request("a", 200, 100);
    assert_eq!(bench.plane.wake_at(), Some(at(1_100)));
    assert_eq!(bench.report(1_099), None);
    assert!(bench.report(1_100).is_some());
}

#[test]
fn without_a_place_to_report_to_counts_only_add_up() {
    let json = config("").replace(
        "\"report\": {\"cluster\": \"c\", \"interval_ms\": 1000},",
        "",
    );
    let mut bench = Bench::new(&json);
    bench.request("a", 200, 0);
    assert_eq!(bench.plane.wake_at(), None);
    assert_eq!(bench.report(10_000), None);
    bench.configure(&config(""), 10_000);
    assert_eq!(routes(&bench.scopes(10_000)), [("a", 1)]);
}

#[test]
fn one_is_under_way_at_a_time() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    let first = bench.report(1_000).unwrap();
    bench.request("a", 200, 1_500);
    assert_eq!(bench.report(2_500), None);
    bench.plane.acknowledge(first.sequence);
    let second = bench.report(2_500).unwrap();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert_eq!(first.incarnation, second.incarnation);
    assert_eq!(first.to, second.from);
    assert_eq!(routes(&second.scopes), [("a", 1)]);
}

/// When reports are made, in milliseconds, when each is acknowledged at once and requests of `status` come
/// every `gap` milliseconds from one second after the first on.
fn reported(status: u16, gap: u64, until: u64) -> Vec<u64> {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    let mut made = Vec::new();
    for ms in 1..=until {
        if 1_500 <= ms && (ms - 1_500).is_multiple_of(gap) {
            bench.request("a", status, ms);
        }
        if let Some(report) = bench.report(ms) {
            bench.plane.acknowledge(report.sequence);
            made.push(ms);
        }
    }
    made
}

#[test]
fn what_is_bad_is_told_at_once_and_then_every_tenth_of_a_second() {
    assert_eq!(reported(200, 10, 4_000), [1_000, 2_000, 3_000, 4_000]);
    let bad = reported(500, 10, 2_000);
    assert_eq!(bad, [1_000, 1_505, 1_605, 1_705, 1_805, 1_905]);
    let rare = reported(500, 10_000, 4_000);
    assert_eq!(rare, [1_000, 1_505, 2_505, 3_505], "one is told once");
}

#[test]
fn lasting_trouble_is_told_less_often() {
    let made = reported(500, 10, 60_000);
    let within = |from: u64, to: u64| made.iter().filter(|ms| (from..to).contains(ms)).count();
    assert_eq!(
        within(1_500, 11_500),
        100,
        "every tenth of a second at first"
    );
    let later = within(50_000, 60_000);
    assert!((20..=35).contains(&later), "{later} in ten seconds");
}

#[test]
fn a_lost_report_is_sent_again_as_it_was() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    let first = bench.report(1_000).unwrap();
    bench.request("a", 500, 1_500);
    bench.plane.lose(first.sequence, at(1_500));
    assert_eq!(bench.report(2_499), None);
    assert_eq!(bench.report(2_500), Some(first.clone()));
    bench.plane.acknowledge(first.sequence);
    let second = bench.report(2_500).unwrap();
    assert_eq!(routes(&second.scopes), [("a", 1)]);
    assert_eq!(second.trouble.reports_repeated, 1);
}

#[test]
fn a_report_whose_sender_is_gone_is_sent_by_another() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    let first = bench.report(1_000).unwrap();
    bench.plane.lose_sender(8, at(1_010));
    assert_eq!(bench.report(1_010), None, "somebody else's sender");
    bench.plane.lose_sender(9, at(1_010));
    assert_eq!(bench.plane.report(10, at(1_010)).cloned(), Some(first));
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    let first = bench.report(1_000).unwrap();
    assert_eq!(bench.report(6_999), None);
    assert_eq!(bench.report(7_000), Some(first));
}

#[test]
fn a_late_or_repeated_acknowledgement_changes_nothing() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    let first = bench.report(1_000).unwrap();
    bench.plane.acknowledge(first.sequence);
    bench.request("a", 200, 1_500);
    let second = bench.report(2_000).unwrap();
    bench.plane.acknowledge(first.sequence);
    bench.plane.lose(first.sequence, at(2_000));
    assert_eq!(bench.report(2_500), None);
    bench.plane.acknowledge(second.sequence);
    assert_eq!(bench.scopes(3_000), []);
}

#[test]
fn requests_under_way_are_shown_until_they_are_gone() {
    let mut bench = Bench::new(&config(""));
    let (exchange, _) = bench.begin("a", 0);
    assert_eq!(bench.scopes(1_000)[0].in_flight, 1);
    assert_eq!(bench.scopes(2_000)[0].in_flight, 1);
    bench.plane.abandon(exchange, at(2_500));
    let scopes = bench.scopes(3_000);
    assert_eq!((scopes[0].in_flight, scopes[0].requests), (0, 0));
    assert_eq!(bench.scopes(4_000), []);
}

#[test]
fn trouble_is_told_once() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    bench.plane.end_without_beginning();
    bench.plane.trouble().configs_refused += 1;
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.trouble.ends_without_beginning, 1);
    assert_eq!(report.trouble.configs_refused, 1);
    bench.plane.acknowledge(report.sequence);
    assert_eq!(bench.report(2_000).unwrap().trouble, Trouble::default());
}

/// A configuration of `count` scopes, each of a route with a long name.
fn of_scopes(count: usize) -> String {
    let scope = |number: usize| {
        let name = format!("{number:04}{}", "x".repeat(200));
        format!(
            r#"{{"service": "s", "route": "{name}", "match": [{{"path": {{"exact": "/{number}"}}}}]}}"#
        )
    };
    config(&(0..count).map(scope).collect::<Vec<_>>().join(","))
}

#[test]
fn what_is_too_large_for_one_report_is_told_in_several() {
    const SCOPES: usize = 1_000;
    let mut bench = Bench::new(&of_scopes(SCOPES));
    for number in 0..SCOPES {
        bench.request(&number.to_string(), 200, 0);
    }
    bench.plane.trouble().configs_refused += 1;
    let mut parts = vec![bench.report(1_000).unwrap()];
    loop {
        let last = parts.last().unwrap().sequence;
        if last == 2 {
            // Any of them may be lost, and is sent again as it was.
            bench.plane.lose(last, at(1_000));
            assert_eq!(bench.report(2_000).as_ref(), parts.last());
        }
        // What happens meanwhile is for a later one.
        bench.request("0", 200, 1_000);
        bench.plane.acknowledge(last);
        match bench.report(2_000) {
            Some(part) if part.to == parts[0].to => parts.push(part),
            later => {
                assert_eq!(later.unwrap().from, parts[0].to);
                break;
            }
        }
    }
    assert!(1 < parts.len());
    let scopes: Vec<_> = parts.iter().flat_map(|part| routes(&part.scopes)).collect();
    assert_eq!(scopes.len(), SCOPES);
    assert!(scopes.is_sorted());
    assert!(scopes.iter().all(|(_, requests)| *requests == 1));
    for (part, sequence) in parts.iter().zip(1..) {
        assert_eq!(part.sequence, sequence);
        assert_eq!((part.from, part.to), (parts[0].from, parts[0].to));
        let bytes = part
            .encode("node", "cluster", sloop_model::Module::Requests)
            .len();
        assert!(bytes < 2 * ReportSettings::BYTES_MAX, "{bytes} bytes");
        let is_first = sequence == 1;
        assert_eq!(part.trouble.configs_refused, u64::from(is_first));
        assert_eq!(part.filters.len(), 1);
    }
}

/// From trace ids everything that the generator made can be worked out.
#[test]
fn under_which_name_a_vm_reports_is_not_known_from_its_trace_ids() {
    let of = |secret| {
        let mut bench = Bench::new(&config(""));
        bench.plane = Plane::new([1, 2, 3, 4, secret]);
        bench.configure(&config(""), 0);
        bench.request("a", 200, 10);
        let traceparent = bench.wrote("traceparent").unwrap().to_owned();
        (traceparent, bench.report(5_000).unwrap().incarnation)
    };
    let (one, other) = (of(7), of(8));
    assert_eq!(one.0, other.0);
    assert_ne!(one.1, other.1);
}
