//! Experiments: whom they reach, and what is counted of them.

use super::*;
use sloop_model::Arm;

fn fault(more: &str) -> String {
    format!(
        r#"{{"id": "e", "seed": 7, {more}, "expires_at_ms": {}}}"#,
        WALL + 60_000
    )
}

fn with(faults: &str) -> String {
    config(&scope("a", &format!(r#""faults": [{faults}]"#)))
}

fn verdict(bench: &mut Bench, headers: &[(&str, &[u8])]) -> Verdict {
    let begun = bench.begin_with(Side::Server, "a", headers, 0);
    bench.end(begun.exchange, 200, 0);
    begun.verdict
}

const ABORTED: Verdict = Verdict::End(FaultEnding::Abort { status: 503 });

#[test]
fn it_is_chosen_by_header_caller_and_criticality() {
    let parent: (&str, &[u8]) = (
        "traceparent",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    type Headers<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(&str, Headers<'_>, Headers<'_>); 3] = [
        (
            r#""match": {"headers": [{"name": "x-user", "exact": "eve"}]}"#,
            &[("x-user", b"eve")],
            &[("x-user", b"ann")],
        ),
        (
            r#""caller": ["cart"]"#,
            &[("x-caller", b"cart")],
            &[("x-caller", b"shop")],
        ),
        (
            r#""criticality": ["sheddable"]"#,
            &[parent, ("tracestate", b"sloop=1.c0")],
            &[parent],
        ),
    ];
    for (reach, met, missed) in cases {
        let rule = fault(&format!(r#""share": 10000, "abort_status": 503, {reach}"#));
        let caller = r#""dimensions": {"caller": {"header": "x-caller"}}"#;
        let mut bench = Bench::new(&and(&with(&rule), caller));
        assert_eq!(verdict(&mut bench, met), ABORTED, "{reach}");
        assert_eq!(verdict(&mut bench, missed), Verdict::Pass, "{reach}");
    }
}

#[test]
fn a_request_may_ask_for_its_own_fault() {
    let rule = fault(r#""share": 10000, "by_header": true"#);
    let mut bench = Bench::new(&with(&rule));
    assert_eq!(verdict(&mut bench, &[]), Verdict::Pass);
    let asked: [(&str, &[u8]); 1] = [("x-envoy-fault-abort-request", b"503")];
    assert_eq!(verdict(&mut bench, &asked), ABORTED);
    let asked: [(&str, &[u8]); 1] = [("x-envoy-fault-delay-request", b"100")];
    let begun = bench.begin_with(Side::Server, "a", &asked, 0);
    assert_eq!(begun.verdict, Verdict::Hold);
    assert_eq!(bench.plane.release(at(100)).len(), 1);
    bench.end(begun.exchange, 200, 100);
}

#[test]
fn a_share_of_sidecars_takes_part() {
    let rule = fault(r#""share": 10000, "abort_status": 503, "sidecars": 5000"#);
    let mut taking_part = 0;
    for node in 0..100 {
        let mut bench = Bench::new(&config(""));
        bench.plane.name(format!("node-{node}").as_bytes());
        bench.configure(&with(&rule), 0);
        taking_part += u32::from(verdict(&mut bench, &[]) == ABORTED);
    }
    assert!((30..70).contains(&taking_part), "{taking_part}");
}

#[test]
fn no_more_than_its_maximum_are_touched_at_a_time() {
    let rule = fault(r#""share": 10000, "delay_ms": 100, "active_max": 2"#);
    let mut bench = Bench::new(&with(&rule));
    let began: Vec<_> = (0..3).map(|_| bench.begin("a", 0)).collect();
    let verdicts: Vec<_> = began.iter().map(|(_, verdict)| *verdict).collect();
    assert_eq!(verdicts, [Verdict::Hold, Verdict::Hold, Verdict::Pass]);
    for (exchange, _) in began {
        bench.end(exchange, 200, 10);
    }
    assert_eq!(bench.begin("a", 20).1, Verdict::Hold, "they are over");
    assert_eq!(bench.report(1_000).unwrap().trouble.faults_over_cap, 1);
}

/// As it is in a busy moment: a cap may not take those requests out of one arm that the other keeps.
#[test]
fn what_a_cap_keeps_out_stays_in_its_arm_and_unchanged() {
    let rule = fault(
        r#""share": 9999, "control": 1, "headers": {"set": [["x-a", "b"]]}, "active_max": 1"#,
    );
    let mut bench = Bench::new(&with(&rule));
    let (first, _) = bench.begin("a", 0);
    assert_eq!(bench.wrote("x-a"), Some("b"));
    let (second, _) = bench.begin("a", 0);
    assert_eq!(bench.wrote("x-a"), None);
    bench.end(first, 200, 10);
    bench.end(second, 200, 10);
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.trouble.faults_over_cap, 1);
    let arms = &report.scopes[0].arms;
    assert_eq!((arms[0].arm, arms[0].requests), (Arm::Fault, 2));
}

#[test]
fn both_arms_are_counted_and_travel_with_the_trace() {
    let rule = fault(r#""share": 5000, "control": 5000, "abort_status": 503"#);
    let mut bench = Bench::new(&with(&rule));
    let mut control = None;
    for _ in 0..100 {
        bench.request("a", 200, 0);
        control = control.or(bench.wrote("tracestate").map(str::to_owned));
    }
    let scopes = bench.scopes(1_000);
    let arms: Vec<_> = scopes[0].arms.iter().map(|one| one.arm).collect();
    assert_eq!(arms, [Arm::Fault, Arm::Control]);
    assert_eq!(
        scopes[0].arms.iter().map(|one| one.requests).sum::<u64>(),
        100
    );
    assert_eq!(scopes[0].arms[0].requests, scopes[0].aborted);
    // `sloop=1.e` and eight digits of the experiment, then the arm.
    let control = control.unwrap();
    assert!(
        control.starts_with("sloop=1.e") && control.ends_with('c'),
        "{control}"
    );

    // Whatever this sidecar would draw: the arm that it came with holds.
    for (state, expected) in [
        (control.clone(), Verdict::Pass),
        (format!("{}f", control.trim_end_matches('c')), ABORTED),
    ] {
        for trace in 1..50 {
            let parent = format!("00-{trace:032x}-b7ad6b7169203331-01");
            let headers = [
                ("traceparent", parent.as_bytes()),
                ("tracestate", state.as_bytes()),
            ];
            assert_eq!(verdict(&mut bench, &headers), expected, "{state}");
        }
    }
}

#[test]
fn callers_of_an_arm_are_told_apart_where_they_have_names() {
    let rule = fault(r#""share": 5000, "control": 5000, "headers": {"set": [["x-a", "b"]]}"#);
    let objectives = r#""objectives": [{"id": {"slo": "fast", "index": 0}, "within_us": 1000}]"#;
    let scope = scope("a", &format!(r#""faults": [{rule}], {objectives}"#));
    let dimensions =
        r#""dimensions": {"caller": {"header": "x-caller"}, "journey": {"baggage": "journey"}}"#;
    let mut bench = Bench::new(&and(&config(&scope), dimensions));
    for number in 0..120 {
        let name: &[u8] = [b"cart".as_slice(), b"shop", b""][number % 3];
        verdict(
            &mut bench,
            &[("x-caller", name), ("baggage", b"journey=pay")],
        );
    }
    let scopes = bench.scopes(1_000);
    let mut sums = BTreeMap::new();
    for arm in &scopes[0].arms {
        let mut of_arm = 0;
        for one in &arm.callers {
            let [(total, good)] = one.objectives[..] else {
                panic!("one objective: {one:?}")
            };
            assert_eq!(good, total, "{one:?}");
            *sums.entry(one.caller.as_str().to_owned()).or_insert(0) += total;
            of_arm += total;
        }
        assert!(of_arm < arm.objectives[0].total, "some have no name");
    }
    let both = [("cart".to_owned(), 40), ("shop".to_owned(), 40)];
    assert_eq!(sums.into_iter().collect::<Vec<_>>(), both);
    // What was reported is not reported again.
    verdict(&mut bench, &[("x-caller", b"cart")]);
    let scopes = bench.scopes(2_000);
    let [arm] = &scopes[0].arms[..] else {
        panic!("one request is in one arm")
    };
    assert_eq!(arm.callers.len(), 1);
    assert_eq!(arm.callers[0].objectives[0].0, 1);
}

#[test]
fn a_caller_too_many_in_an_arm_has_no_name_there() {
    let rule = fault(r#""share": 5000, "control": 5000, "headers": {"set": [["x-a", "b"]]}"#);
    let objectives = r#""objectives": [{"id": {"slo": "fast", "index": 0}, "within_us": 1000}]"#;
    let scope = scope("a", &format!(r#""faults": [{rule}], {objectives}"#));
    let dimensions = r#""dimensions": {"caller": {"header": "x-caller"}, "values_max": 64}"#;
    let mut bench = Bench::new(&and(&config(&scope), dimensions));
    for number in 0..640 {
        let name = format!("caller-{}", number % 64);
        verdict(&mut bench, &[("x-caller", name.as_bytes())]);
    }
    let scopes = bench.scopes(1_000);
    for arm in &scopes[0].arms {
        assert!(arm.callers.len() <= crate::fault::ArmDelta::CALLERS_MAX);
        assert!(8 < arm.callers.len(), "{}", arm.callers.len());
    }
    assert_eq!(scopes[0].requests, 640);
}

/// The scope has forty callers, and the experiment is about those that came last.
#[test]
fn the_callers_of_an_arm_are_those_that_had_requests_in_it() {
    let rule = fault(
        r#""share": 5000, "control": 5000, "headers": {"set": [["x-a", "b"]]},
        "match": {"headers": [{"name": "x-user", "exact": "eve"}]}"#,
    );
    let objectives = r#""objectives": [{"id": {"slo": "fast", "index": 0}, "within_us": 1000}]"#;
    let scope = scope("a", &format!(r#""faults": [{rule}], {objectives}"#));
    let dimensions = r#""dimensions": {"caller": {"header": "x-caller"}, "values_max": 64}"#;
    let mut bench = Bench::new(&and(&config(&scope), dimensions));
    for number in 0..400 {
        let caller = number % 40;
        let name = format!("caller-{caller}");
        let user: &[u8] = if caller < 36 { b"ann" } else { b"eve" };
        verdict(
            &mut bench,
            &[("x-caller", name.as_bytes()), ("x-user", user)],
        );
    }
    let scopes = bench.scopes(1_000);
    let mut sums = BTreeMap::new();
    for arm in &scopes[0].arms {
        for one in &arm.callers {
            let name = one.caller.as_str().to_owned();
            *sums.entry(name).or_insert(0) += one.objectives[0].0;
        }
    }
    let expected = (36..40).map(|caller| (format!("caller-{caller}"), 10));
    assert_eq!(
        sums.into_iter().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
}

#[test]
fn whom_nothing_could_hold_stays_in_its_arm() {
    let rule = fault(r#""share": 9999, "control": 1, "delay_ms": 100"#);
    let mut bench = Bench::new(&with(&rule));
    let mut held = Vec::new();
    while held.len() < Plane::HELD_MAX {
        let (exchange, verdict) = bench.begin("a", 0);
        if verdict == Verdict::Hold {
            held.push(exchange);
        } else {
            bench.end(exchange, 200, 0);
        }
    }
    let (exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Pass);
    assert!(bench.wrote("tracestate").unwrap().ends_with('f'));
    bench.end(exchange, 200, 0);
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.trouble.delays_over_cap, 1);
    let touched = |arm: &&crate::fault::ArmDelta| arm.arm == Arm::Fault;
    let touched: Vec<_> = report.scopes[0].arms.iter().filter(touched).collect();
    assert_eq!(touched[0].requests, 1, "the others are under way");
    for exchange in held {
        bench.plane.abandon(exchange, at(1_000));
    }
}

#[test]
fn a_caller_that_leaves_while_held_proves_no_slowness() {
    let more = r#""breaker": {"limits": {"window_ms": 1000, "calls_min": 4, "failed_max": 5000, "slow_max": 5000,
        "slow_us": 50000, "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;
    let rule = fault(r#""share": 10000, "delay_ms": 500"#);
    let mut bench = Bench::new(&config(&scope(
        "a",
        &format!(r#""faults": [{rule}], {more}"#),
    )));
    for turn in 0..10 {
        let (exchange, verdict) = bench.begin("a", turn * 100);
        assert_eq!(verdict, Verdict::Hold);
        let ending = Ending {
            flags: Flags::CANCELLED,
            ..Ending::default()
        };
        bench.plane.end(exchange, ending, at(turn * 100 + 90));
    }
    let delta = bench.scopes(1_000).remove(0);
    assert_eq!(outcome(&delta, Outcome::ClientCancel), 10);
    assert!(delta.breaker.unwrap().changes.is_empty());
}

/// Envoy's own timers do not wait for filters: a route's `max_stream_duration`, a stream's idle time.
#[test]
fn what_envoy_ends_while_it_is_held_is_no_failure_of_the_service() {
    let more = r#""breaker": {"limits": {"window_ms": 1000, "calls_min": 4, "failed_max": 5000,
        "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;
    let rule = fault(r#""share": 10000, "delay_ms": 500"#);
    let mut bench = Bench::new(&config(&scope(
        "a",
        &format!(r#""faults": [{rule}], {more}"#),
    )));
    for turn in 0..10 {
        let (exchange, verdict) = bench.begin("a", turn * 100);
        assert_eq!(verdict, Verdict::Hold);
        let ending = Ending {
            status: Some(504),
            flags: Flags::LATE,
            ..Ending::default()
        };
        bench.plane.end(exchange, ending, at(turn * 100 + 90));
    }
    let delta = bench.scopes(1_000).remove(0);
    assert_eq!(outcome(&delta, Outcome::Timeout), 10, "what callers saw");
    assert!(delta.breaker.unwrap().changes.is_empty());
    // Who does not connect, or answers before all was sent, has failed.
    let (failing, verdict) = bench.begin("a", 1_000);
    assert_eq!(verdict, Verdict::Hold);
    let others = [(); 3].map(|()| bench.begin("a", 1_000).0);
    for exchange in others.into_iter().chain([failing]) {
        let ending = Ending {
            status: Some(503),
            flags: Flags::UNCONNECTED,
            ..Ending::default()
        };
        bench.plane.end(exchange, ending, at(1_010));
    }
    let delta = bench.scopes(2_000).remove(0);
    assert_eq!(delta.breaker.unwrap().changes.len(), 1);
}

#[test]
fn a_fault_for_a_version_meets_only_sidecars_of_it() {
    let rule = fault(r#""share": 10000, "abort_status": 503, "version": ["v2"]"#);
    let aborted = |bench: &mut Bench, config: &str| {
        bench.configure(config, 0);
        verdict(bench, &[]) == ABORTED
    };
    let bare = with(&rule);
    let mut bench = Bench::new(&bare);
    assert_eq!(verdict(&mut bench, &[]), Verdict::Pass);
    bench.plane.name_version(b"v2");
    assert!(aborted(&mut bench, &bare), "as Envoy's node says");
    let other = and(&bare, r#""dimensions": {"version": "v1"}"#);
    assert!(
        !aborted(&mut bench, &other),
        "the configuration knows better"
    );
    bench.plane.name_version(b"");
    assert!(aborted(&mut bench, &bare), "nothing is said");
}
