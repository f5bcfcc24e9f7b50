//! Breakers as the configuration wants them.

use super::*;
use crate::breaker::{BreakerState, Cause};

/// A breaker that opens at the fourth failure, for a second.
fn guarded(more: &str) -> String {
    config(&scope("a", &breaker(more)))
}

fn breaker(more: &str) -> String {
    format!(
        r#""breaker": {{"limits": {{"window_ms": 1000, "calls_min": 4, "failed_max": 5000, "slow_max": 5000,
            "slow_us": 50000, "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}{more}}}"#
    )
}

fn fail(bench: &mut Bench, times: u32, millis: u64) {
    for _ in 0..times {
        bench.request("a", 503, millis);
    }
}

const REFUSED: Verdict = Verdict::Refuse {
    retry_after_seconds: 1,
};

#[test]
fn it_opens_refuses_and_recovers() {
    let mut bench = Bench::new(&guarded(""));
    fail(&mut bench, 4, 0);
    assert_eq!(bench.request("a", 503, 10), REFUSED);
    assert_eq!(bench.request("b", 200, 10), Verdict::Pass);
    assert_eq!(bench.request("a", 200, 1_000), Verdict::Pass);
    let scopes = bench.scopes(1_000);
    let breaker = scopes[0].breaker.as_ref().unwrap();
    assert_eq!((breaker.state, breaker.refused), (BreakerState::Closed, 1));
    let changes: Vec<_> = breaker.changes.iter().map(|change| change.0).collect();
    assert_eq!(
        changes,
        [
            BreakerState::Open,
            BreakerState::Probing,
            BreakerState::Closed
        ]
    );
    assert_eq!(breaker.changes[0].1, WallTime::from_millis(WALL));
    assert_eq!(outcome(&scopes[0], Outcome::Refused), 1);
}

#[test]
fn the_wait_that_it_names_is_rounded_up() {
    let json = guarded("").replace("\"open_ms\": 1000", "\"open_ms\": 1001");
    let mut bench = Bench::new(&json);
    fail(&mut bench, 4, 0);
    let refused = |retry_after_seconds| Verdict::Refuse {
        retry_after_seconds,
    };
    assert_eq!(bench.request("a", 503, 0), refused(2));
    assert_eq!(bench.request("a", 503, 1_000), refused(1));
}

#[test]
fn a_change_is_told_soon() {
    let mut bench = Bench::new(&guarded(""));
    bench.request("a", 200, 0);
    assert_eq!(bench.plane.wake_at(), Some(at(5)), "the other workers");
    assert!(bench.plane.shares(at(5)));
    assert_eq!(bench.plane.wake_at(), Some(at(1_000)), "the report");
    bench.request("a", 200, 6);
    assert_eq!(bench.plane.wake_at(), Some(at(105)), "not all the time");
    assert!(bench.plane.shares(at(105)));
    fail(&mut bench, 4, 110);
    assert!(bench.plane.wake_at().unwrap() <= at(160));
}

#[test]
fn only_a_request_that_plans_something_moves_the_timer_when_it_begins() {
    let mut bench = Bench::new(&guarded(""));
    bench.request("a", 200, 0);
    assert!(bench.plane.take_planned(), "reports, and the other workers");
    bench.request("a", 200, 1);
    assert!(!bench.plane.take_planned());
    assert!(bench.plane.shares(at(5)));
    bench.request("a", 200, 6);
    assert!(bench.plane.take_planned(), "there is news again");
}

#[test]
fn a_request_that_plans_something_moves_the_timer_when_it_ends() {
    let mut bench = Bench::new(&guarded(""));
    bench.request("a", 200, 0);
    assert!(bench.plane.shares(at(5)));
    let (exchange, _) = bench.begin("a", 6);
    assert!(bench.plane.take_planned(), "it began");
    bench.end(exchange, 200, 7);
    assert!(!bench.plane.take_planned(), "the others know soon anyway");
    let (exchange, _) = bench.begin("a", 8);
    assert!(!bench.plane.take_planned());
    bench.end(exchange, 503, 9);
    assert!(bench.plane.take_planned(), "a report is due sooner");
}

/// A tenth passes at first: what a breaker draws is drawn.
#[test]
fn a_ramp_lets_pass_a_share() {
    let mut bench =
        Bench::new(&guarded("").replace("\"probes\": 1", "\"probes\": 1, \"ramp_ms\": 10000"));
    fail(&mut bench, 4, 0);
    assert_eq!(bench.request("a", 200, 1_000), Verdict::Pass, "the probe");
    let passed = (0..1_000).filter(|_| bench.request("a", 200, 1_010) == Verdict::Pass);
    let passed = passed.count();
    assert!((50..=200).contains(&passed), "{passed} of 1,000");
}

#[test]
fn shadow_refuses_nobody_and_learns_as_if_it_did() {
    let mut bench = Bench::new(&guarded(r#", "mode": "shadow""#));
    fail(&mut bench, 4, 0);
    assert_eq!(bench.request("a", 200, 10), Verdict::Pass);
    assert_eq!(bench.request("a", 503, 20), Verdict::Pass);
    // Only the probe counts; it fails, so the shadow stays open twice as long.
    bench.request("a", 503, 1_000);
    bench.request("a", 200, 2_000);
    let scopes = bench.scopes(2_000);
    let breaker = scopes[0].breaker.as_ref().unwrap();
    assert_eq!(breaker.state, BreakerState::Open);
    assert_eq!((breaker.refused, breaker.shadow_refused), (0, 3));
    assert_eq!(breaker.shadow_refused_good, 2);
    assert_eq!(outcome(&scopes[0], Outcome::Refused), 0);
}

#[test]
fn a_push_keeps_the_state() {
    let mut bench = Bench::new(&guarded(""));
    fail(&mut bench, 4, 0);
    bench.configure(
        &guarded("").replace("\"generation\": 1", "\"generation\": 2"),
        10,
    );
    assert_eq!(bench.request("a", 503, 10), REFUSED);
    bench.configure(
        &guarded(&format!(r#", "expires_at_ms": {}"#, WALL + 9_000)),
        20,
    );
    assert_eq!(bench.request("a", 503, 20), REFUSED);
    assert_eq!(bench.report(1_000).unwrap().filters[0].generation, 1);
}

#[test]
fn without_a_lease_it_lets_go_by_itself() {
    let mut bench = Bench::new(&guarded(&format!(r#", "expires_at_ms": {}"#, WALL + 500)));
    fail(&mut bench, 4, 0);
    assert_eq!(bench.request("a", 503, 499), REFUSED);
    fail(&mut bench, 10, 500);
    assert_eq!(bench.request("a", 503, 500), Verdict::Pass);
    let scopes = bench.scopes(1_000);
    let breaker = scopes[0].breaker.as_ref().unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
    assert_eq!(breaker.changes.last().unwrap().2, Cause::Time);
}

#[test]
fn a_configuration_without_it_lets_go() {
    let mut bench = Bench::new(&guarded(""));
    fail(&mut bench, 4, 0);
    bench.configure(&config(&scope("a", "")), 10);
    assert_eq!(bench.request("a", 503, 10), Verdict::Pass);
}

#[test]
fn an_order_is_obeyed_once() {
    let order = |id: u64, until: u64| {
        guarded(&format!(
            r#", "trip": {{"id": {id}, "until_ms": {}}}"#,
            WALL + until
        ))
    };
    let mut bench = Bench::new(&order(7, 5_000));
    assert_eq!(bench.request("a", 200, 0), REFUSED);
    assert_eq!(bench.request("a", 200, 1_000), Verdict::Pass);
    bench.configure(&order(7, 9_000), 1_100);
    assert_eq!(bench.request("a", 200, 1_100), Verdict::Pass);
    bench.configure(&config(&scope("a", "")), 1_200);
    bench.configure(&order(7, 9_000), 1_300);
    assert_eq!(
        bench.request("a", 200, 1_300),
        Verdict::Pass,
        "not after a pause either"
    );
    bench.configure(&order(6, 9_000), 1_400);
    assert_eq!(
        bench.request("a", 200, 1_400),
        Verdict::Pass,
        "an older one"
    );
    bench.configure(&order(8, 1_400), 1_400);
    assert_eq!(bench.request("a", 200, 1_400), Verdict::Pass, "too late");
    bench.configure(&order(9, 9_000), 1_500);
    assert_eq!(bench.request("a", 200, 1_500), REFUSED);
}

#[test]
fn our_own_delay_proves_no_slowness() {
    let fault = format!(
        r#""faults": [{{"id": "e", "share": 10000, "delay_ms": 100, "expires_at_ms": {}}}], "breaker""#,
        WALL + 60_000
    );
    let mut bench = Bench::new(&guarded("").replace("\"breaker\"", &fault));
    for turn in 0..10 {
        let begin = turn * 200;
        let (exchange, _) = bench.begin("a", begin);
        assert_eq!(bench.plane.release(at(begin + 100)).len(), 1);
        bench.end(exchange, 200, begin + 150);
    }
    assert_eq!(bench.begin("a", 2_000).1, Verdict::Hold);
    let scopes = bench.scopes(2_000);
    assert!(
        scopes[0]
            .latency
            .iter()
            .all(|(bucket, _)| 149_000 <= bucket.highest_us())
    );
}

#[test]
fn an_operator_may_force_it_open_or_take_it_out() {
    let ends = WALL + 3_600_000;
    let mode = |mode: &str| guarded(&format!(r#", "mode": "{mode}", "expires_at_ms": {ends}"#));
    let mut bench = Bench::new(&mode("forced_open"));
    let refused = Verdict::Refuse {
        retry_after_seconds: 4,
    };
    assert_eq!(bench.request("a", 200, 0), refused);
    assert_eq!(bench.request("a", 200, 1_000_000), refused);
    for harmless in ["metrics_only", "disabled"] {
        bench.configure(&mode(harmless), 1_000_000);
        fail(&mut bench, 10, 1_000_000);
        assert_eq!(
            bench.request("a", 503, 1_000_000),
            Verdict::Pass,
            "{harmless}"
        );
    }
    bench.configure(&mode("enforce"), 1_000_000);
    fail(&mut bench, 4, 1_000_000);
    assert_eq!(bench.request("a", 503, 1_000_000), REFUSED);
}

#[test]
fn a_probe_whose_answer_begins_well_need_not_end() {
    let mut bench = Bench::new(&guarded(""));
    fail(&mut bench, 4, 0);
    assert!(!bench.plane.has_probes());
    let (mut probe, verdict) = bench.begin("a", 1_000);
    assert_eq!(verdict, Verdict::Pass);
    assert!(probe.is_probe() && bench.plane.has_probes());
    bench
        .plane
        .hear_probe(&mut probe, (503, b"sorry"), at(1_010));
    assert!(probe.is_probe(), "its end may say more");
    assert_eq!(bench.request("a", 200, 1_020), REFUSED);
    bench
        .plane
        .hear_probe(&mut probe, (101, b"hello"), at(1_030));
    assert!(!probe.is_probe() && !bench.plane.has_probes());
    fail(&mut bench, 3, 1_040);
    // It counted when it began, and so no more.
    bench.end(probe, 503, 1_050);
    assert_eq!(bench.request("a", 200, 1_060), Verdict::Pass);
}

#[test]
fn a_probe_that_is_no_stream_is_judged_by_its_end() {
    let mut bench = Bench::new(&guarded(""));
    fail(&mut bench, 4, 0);
    let (mut probe, _) = bench.begin("a", 1_000);
    for part in [&b""[..], b"{\"id\"", b": 1}\r\n"] {
        bench.plane.hear_probe(&mut probe, (200, part), at(1_010));
        assert!(probe.is_probe(), "it may yet hang, or break off: {part:?}");
    }
    bench.end(probe, 200, 1_060);
    let refused = bench.request("a", 200, 1_070);
    assert!(matches!(refused, Verdict::Refuse { .. }), "{refused:?}");
}

#[test]
fn a_stream_of_events_has_answered_when_it_began() {
    for begins in [&b"data: "[..], b"event:", b"id: 1\n", b"retry:", b": ping"] {
        let mut bench = Bench::new(&guarded(""));
        fail(&mut bench, 4, 0);
        let (mut probe, _) = bench.begin("a", 1_000);
        bench.plane.hear_probe(&mut probe, (200, b""), at(1_005));
        assert!(probe.is_probe());
        bench.plane.hear_probe(&mut probe, (200, begins), at(1_010));
        assert!(!probe.is_probe() && !bench.plane.has_probes());
        assert_eq!(bench.request("a", 200, 1_020), Verdict::Pass);
        bench.end(probe, 200, 60_000);
    }
}

/// It decides as one that acts.
#[test]
fn a_probe_of_a_breaker_in_shadow_is_heard_as_well() {
    let mut bench = Bench::new(&guarded(r#", "mode": "shadow""#));
    fail(&mut bench, 4, 0);
    let (mut probe, _) = bench.begin("a", 1_000);
    bench.plane.hear_probe(&mut probe, (200, b"{}"), at(1_010));
    assert!(probe.is_probe());
    bench.end(probe, 503, 1_020);
    // In the memory of the one of before.
    let (mut probe, _) = bench.begin("a", 4_000);
    bench
        .plane
        .hear_probe(&mut probe, (200, b"data: "), at(4_010));
    assert!(!probe.is_probe() && !bench.plane.has_probes());
    bench.end(probe, 200, 4_020);
}

#[test]
fn a_probe_whose_answer_begins_too_late_is_slow() {
    let mut bench = Bench::new(&guarded(""));
    fail(&mut bench, 4, 0);
    let grpc = [("content-type", &b"application/grpc"[..])];
    let mut probe = bench.begin_with(Side::Server, "a", &grpc, 1_000).exchange;
    bench
        .plane
        .hear_probe(&mut probe, (200, b"\0\0\0"), at(1_051));
    bench.end(probe, 200, 1_060);
    let refused = bench.request("a", 200, 1_070);
    assert!(matches!(refused, Verdict::Refuse { .. }), "{refused:?}");
    assert!(!bench.plane.has_probes());
}

#[test]
fn probes_are_looked_for_until_each_is_over() {
    let json = guarded("").replace(r#""probes": 1"#, r#""probes": 3"#);
    let mut bench = Bench::new(&json);
    fail(&mut bench, 4, 0);
    let probes = [0; 3].map(|_| bench.begin("a", 1_000).0);
    let [one, other, last] = probes;
    bench.end(one, 200, 1_010);
    bench.plane.abandon(other, at(1_010));
    assert!(bench.plane.has_probes());
    bench.end(last, 503, 1_020);
    assert!(!bench.plane.has_probes());
}

#[test]
fn a_probe_that_is_gone_without_an_end_gives_its_permission_back() {
    let json = guarded("").replace(
        r#""probes": 1"#,
        r#""probes": 1, "manner": {"lost": "awaited"}"#,
    );
    let mut bench = Bench::new(&json);
    fail(&mut bench, 4, 0);
    let (probe, verdict) = bench.begin("a", 1_000);
    assert_eq!(verdict, Verdict::Pass);
    let refused = bench.request("a", 200, 60_000);
    assert!(matches!(refused, Verdict::Refuse { .. }), "{refused:?}");
    bench.plane.abandon(probe, at(60_000));
    assert_eq!(
        bench.request("a", 200, 60_000),
        Verdict::Pass,
        "the next one"
    );
    let delta = bench.scopes(60_000).remove(0);
    assert_eq!(delta.breaker.unwrap().state, BreakerState::Closed);
    assert_eq!(delta.in_flight, 0);
}
