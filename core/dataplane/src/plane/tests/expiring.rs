//! Everything that can do harm expires by itself, by the wall clock, and what it did until then is told.

use super::*;
use sloop_model::Share;

const HOUR: u64 = 3_600_000;

/// A rule that refuses everything, and one of a scope of its own, until then.
fn denying(until: u64) -> String {
    let rule = |id: &str| {
        format!(
            r#"{{"id": "{id}", "match": {{"path": {{"prefix": "/"}}}}, "share_max": 10000, "expires_at_ms": {until}}}"#
        )
    };
    let scoped = scope("a", &format!(r#""deny": [{}]"#, rule("s")));
    and(&config(&scoped), &format!(r#""deny": [{}]"#, rule("d")))
}

/// Sheds half of everything until then.
fn shedding(until: u64) -> String {
    config(&scope(
        "a",
        &format!(
            r#""shed": {{"expires_at_ms": {until},
                "limits": {{"share_min": 5000, "share_max": 9000, "floor": 10, "failed_max": 100}}}}"#
        ),
    ))
}

fn is_denied(bench: &mut Bench, millis: u64) -> bool {
    let begun = bench.begin_with(Side::Server, "a", &[(":path", b"/a")], millis);
    let verdict = begun.verdict;
    bench.end(begun.exchange, 200, millis);
    matches!(verdict, Verdict::Block { .. })
}

/// How many of a hundred requests are shed, one every hundredth of a second.
fn shed(bench: &mut Bench, millis: u64) -> u64 {
    let verdicts = (0..100).map(|turn| bench.request("a", 200, millis + turn * 10));
    verdicts.fold(0, |count, verdict| {
        count + u64::from(verdict == Verdict::Shed)
    })
}

fn set_clock(bench: &mut Bench, millis: u64, wall: u64) {
    bench.plane.sync(at(millis), WallTime::from_millis(wall));
}

#[test]
fn a_clock_that_is_set_forward_ends_deny_rules_at_once() {
    let mut bench = Bench::new(&denying(WALL + HOUR));
    assert!(is_denied(&mut bench, 1_000));
    set_clock(&mut bench, 2_000, WALL + HOUR);
    assert!(!is_denied(&mut bench, 2_000));
    let refused = |denial: &crate::report::DenyDelta| denial.counts.refused;
    let report = bench.report(3_000).unwrap();
    assert_eq!(report.denials.iter().map(refused).sum::<u64>(), 1, "told");
}

#[test]
fn a_clock_that_is_set_back_gives_deny_rules_the_time_that_they_had() {
    let mut bench = Bench::new(&denying(WALL + HOUR));
    set_clock(&mut bench, 2_000, WALL - 600_000);
    assert!(is_denied(&mut bench, HOUR + 600_000));
    assert!(!is_denied(&mut bench, HOUR + 602_000));
}

#[test]
fn a_rule_that_was_pushed_before_the_clock_was_right_ends_when_it_says() {
    let mut bench = Bench::new(&denying(WALL + HOUR));
    // As on a machine whose clock is set by the network after its start.
    let mut early = Plane::new([1, 2, 3, 4, 0]);
    early.sync(at(0), WallTime::from_millis(0));
    std::mem::swap(&mut bench.plane, &mut early);
    bench.configure(&denying(WALL + HOUR), 0);
    set_clock(&mut bench, 1_000, WALL);
    assert!(is_denied(&mut bench, HOUR));
    assert!(!is_denied(&mut bench, HOUR + 1_000));
}

#[test]
fn a_clock_that_is_slewed_moves_expiries_by_a_second_at_most() {
    let mut bench = Bench::new(&denying(WALL + HOUR));
    for minute in 1..=50 {
        // A tenth of a second each minute.
        let millis = minute * 60_000;
        set_clock(&mut bench, millis, WALL + millis + minute * 100);
    }
    assert!(is_denied(&mut bench, HOUR - 6_001));
    assert!(!is_denied(&mut bench, HOUR - 4_000));
}

#[test]
fn a_clock_that_is_set_forward_ends_shedding_at_once() {
    let mut bench = Bench::new(&shedding(WALL + HOUR));
    shed(&mut bench, 0);
    shed(&mut bench, 1_000);
    assert!(30 < shed(&mut bench, 2_000));
    set_clock(&mut bench, 3_000, WALL + HOUR);
    assert_eq!(shed(&mut bench, 3_000), 0);
}

#[test]
fn a_clock_that_is_set_back_gives_shedding_the_time_that_it_had() {
    let mut bench = Bench::new(&shedding(WALL + 3_500));
    set_clock(&mut bench, 0, WALL - 10_000);
    for second in 0..12 {
        shed(&mut bench, second * 1_000);
    }
    assert!(30 < shed(&mut bench, 12_000));
    assert_eq!(shed(&mut bench, 13_500), 0);
}

#[test]
fn the_wall_clock_is_looked_at_each_minute_while_something_expires() {
    let quiet = |json: &str| {
        let json = json.replace(r#""report": {"cluster": "c", "interval_ms": 1000}, "#, "");
        let mut bench = Bench::new(&json);
        assert_eq!(bench.plane.wake_at(), None, "nobody asked for anything yet");
        bench.request("a", 200, 10);
        bench.plane.wake_at()
    };
    let endless = scope(
        "a",
        r#""shed": {"limits": {"share_max": 5000, "failed_max": 100}}"#,
    );
    assert_eq!(quiet(&config("")), None);
    assert_eq!(quiet(&config(&endless)), None);
    let fault = r#""faults": [{"id": "f", "share": 0, "reset": true, "expires_at_ms": 1}]"#;
    let breaker = r#""breaker": {"expires_at_ms": 1, "limits": {"window_ms": 1000, "calls_min": 4,
        "failed_max": 5000, "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;
    for expiring in [
        denying(WALL),
        shedding(WALL),
        config(&scope("a", fault)),
        config(&scope("a", breaker)),
    ] {
        assert_eq!(quiet(&expiring), Some(at(60_000)));
    }
    // What is late, or was remembered too long ago, is so by the wall clock, too.
    let trace = |context: &str| {
        and(
            &config(""),
            &format!(r#""trace": {{"context": {{{context}}}}}"#),
        )
    };
    assert_eq!(quiet(&trace(r#""deadlines": "ignore""#)), None);
    let limited = scope("a", r#""deadline": {"limit_ms": 1000}"#);
    for timed in [
        trace(r#""deadlines": "carry""#),
        trace(r#""deadlines": "enforce""#),
        trace(r#""join": {}"#),
        config(&limited),
    ] {
        assert_eq!(quiet(&timed), Some(at(60_000)), "{timed}");
    }
}

#[test]
fn what_was_shed_is_told_although_shedding_is_withdrawn() {
    let mut bench = Bench::new(&shedding(WALL + HOUR));
    let count = shed(&mut bench, 0) + shed(&mut bench, 1_000) + shed(&mut bench, 2_000);
    assert!(30 < count);
    bench.configure(&config(&scope("a", "")), 3_000);
    assert_eq!(shed(&mut bench, 3_000), 0);
    let delta = bench.scopes(4_000).remove(0);
    let told = delta.shed.unwrap();
    assert_eq!(told.level, Share::NONE);
    assert_eq!(told.counts.shed.iter().sum::<u64>(), count);
    assert_eq!(outcome(&delta, Outcome::Shed), count);
    bench.request("a", 200, 4_100);
    assert_eq!(bench.scopes(5_000)[0].shed, None, "it is over");
}

#[test]
fn requests_of_an_earlier_shedding_are_not_counted_off_a_later_one() {
    let limits = r#""limits": {"share_max": 9000, "in_flight_max": 4, "floor": 10}"#;
    let json = config(&scope("a", &format!(r#""shed": {{{limits}}}"#)));
    let mut bench = Bench::new(&json);
    let early: Vec<_> = (0..3).map(|_| bench.begin("a", 0).0).collect();
    bench.configure(&config(&scope("a", "")), 10);
    let (between, _) = bench.begin("a", 20);
    let in_flight = |bench: &mut Bench| {
        let id = bench.claim(Side::Server, "a").unwrap();
        let entry = bench.plane.server.entry(id).unwrap();
        entry.shedder.as_ref().map(|shedder| shedder.in_flight())
    };
    bench.scopes(1_000);
    assert_eq!(in_flight(&mut bench), Some(3), "kept until they are over");
    bench.configure(&json, 1_010);
    let late: Vec<_> = (0..2).map(|_| bench.begin("a", 1_020).0).collect();
    for exchange in early {
        bench.end(exchange, 200, 1_030);
    }
    assert_eq!(in_flight(&mut bench), Some(2));
    bench.end(between, 200, 1_040);
    assert_eq!(in_flight(&mut bench), Some(2), "it was never counted");
    for exchange in late {
        bench.end(exchange, 200, 1_050);
    }
    assert_eq!(in_flight(&mut bench), Some(0));
}

#[test]
fn a_clock_that_is_set_forward_lets_go_of_what_faults_hold() {
    let ends = WALL + HOUR;
    let fault = format!(
        r#""faults": [{{"id": "slow", "share": 10000, "delay_ms": 9000, "abort_status": 503, "expires_at_ms": {ends}}}]"#
    );
    let mut bench = Bench::new(&config(&scope("a", &fault)));
    let (exchange, verdict) = bench.begin("a", 1_000);
    assert_eq!(verdict, Verdict::Hold);
    set_clock(&mut bench, 2_000, ends);
    let released = bench.plane.release(at(2_000));
    assert_eq!(released[0].release, Release::Continue);
    bench.end(exchange, 200, 2_010);
}
