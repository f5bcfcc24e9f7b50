//! Breakers and shedding that judge by objectives.

use super::*;
use crate::breaker::BreakerState;

/// Four requests are enough; slow, where that is judged, is above 50 ms.
const LIMITS: &str = r#""window_ms": 1000, "calls_min": 4, "failed_max": 5000, "open_ms": 1000, "open_max_ms": 4000, "probes": 1"#;
const SLOW: &str = r#", "slow_max": 5000, "slow_us": 50000"#;

/// A scope whose breaker judges by `judge`, with one objective for each of `objectives`.
fn judged(judge: &str, slow: &str, objectives: &[&str]) -> Bench {
    let objectives: Vec<String> = (0..)
        .zip(objectives)
        .map(|(index, more)| format!(r#"{{"id": {{"slo": "s", "index": {index}}}{more}}}"#))
        .collect();
    Bench::new(&config(&scope(
        "a",
        &format!(
            r#""objectives": [{}], "breaker": {{"limits": {{{LIMITS}{slow}, "manner": {{"judge": "{judge}"}}}}}}"#,
            objectives.join(", ")
        ),
    )))
}

/// That of an SLO that acts and calls `bad` bad.
fn guarding(bad: &str) -> String {
    format!(r#", "bad": {bad}, "guards": "enforce""#)
}

fn by_objective(bad: &str) -> Bench {
    judged("objectives", "", &[&guarding(bad)])
}

/// A request that takes so many milliseconds and then ends like that; whether it was let pass.
fn ends(bench: &mut Bench, (status, flags): (u16, Flags), took: u64, millis: u64) -> bool {
    let (exchange, verdict) = bench.begin("a", millis);
    let ending = Ending {
        status: Some(status),
        flags,
        grpc: None,
    };
    let _ = bench.plane.end(exchange, ending, at(millis + took));
    verdict == Verdict::Pass
}

/// Whether ten requests, each of which ends like that, open the breaker.
fn opens(bench: &mut Bench, ending: (u16, Flags), took: u64) -> bool {
    !(0..10).all(|_| ends(bench, ending, took, 0))
}

const fn status(status: u16) -> (u16, Flags) {
    (status, Flags(0))
}

const TIMEOUT: (u16, Flags) = (504, Flags::LATE);

#[test]
fn failures_that_the_objective_does_not_count_open_nothing() {
    let bad = r#"{"status": [[500, 500]]}"#;
    assert!(!opens(&mut by_objective(bad), status(503), 1));
    assert!(opens(&mut by_objective(bad), status(500), 1));
    let bad = r#"{"outcome": ["timeout"]}"#;
    assert!(!opens(&mut by_objective(bad), status(503), 1));
    assert!(opens(&mut by_objective(bad), TIMEOUT, 1));
}

#[test]
fn callers_mistakes_that_the_objective_counts_open_it() {
    let bad = r#"{"status": [[400, 499]]}"#;
    assert!(opens(&mut by_objective(bad), status(429), 1));
    assert!(!opens(&mut by_objective(bad), status(503), 1));
    assert!(!opens(&mut by_objective(bad), status(200), 1));
}

#[test]
fn it_opens_as_before_where_objectives_have_no_say() {
    let bad = guarding(r#"{"status": [[400, 499]]}"#);
    let by_outcomes = || judged("outcomes", "", &[&bad]);
    assert!(!opens(&mut by_outcomes(), status(429), 1));
    assert!(opens(&mut by_outcomes(), status(503), 1));
}

#[test]
fn slowness_that_the_objective_calls_bad_opens_it_and_failures_it_does_not() {
    let slow = || {
        judged(
            "objectives",
            SLOW,
            &[&guarding(r#"{"slower_than_us": 50000}"#)],
        )
    };
    assert!(opens(&mut slow(), status(200), 51));
    assert!(!opens(&mut slow(), status(200), 50));
    assert!(!opens(&mut slow(), status(503), 1));
}

#[test]
fn what_is_slow_and_bad_for_that_alone_is_slow_and_has_not_failed() {
    let bad = guarding(r#"{"slower_than_us": 50000}"#);
    let mut bench = judged("objectives", SLOW, &[&bad]);
    opens(&mut bench, status(200), 51);
    let scopes = bench.scopes(1_000);
    let changes = &scopes[0].breaker.as_ref().unwrap().changes;
    assert_eq!(changes[0].2, crate::breaker::Cause::Slowness);
}

#[test]
fn what_no_objective_counts_says_nothing() {
    let only_writes = r#", "total": {"status": [[200, 299], [500, 500]]}, "guards": "enforce""#;
    let mut bench = judged("objectives", "", &[only_writes]);
    assert!(!opens(&mut bench, status(503), 1));
    // Three that count are not four, whatever else there was.
    assert!((0..3).all(|_| ends(&mut bench, status(500), 1, 10)));
    assert!(ends(&mut bench, status(500), 1, 10));
    assert!(!ends(&mut bench, status(200), 1, 12));
}

#[test]
fn a_probe_that_says_nothing_is_followed_by_another_one() {
    let counted = r#", "total": {"status": [[200, 299], [500, 500]]}, "guards": "enforce""#;
    let mut bench = judged("objectives", "", &[counted]);
    assert!(opens(&mut bench, status(500), 0));
    assert!(ends(&mut bench, status(503), 1, 1_001));
    assert!(ends(&mut bench, status(200), 1, 1_003));
    let scopes = bench.scopes(2_000);
    let breaker = scopes[0].breaker.as_ref().unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
}

#[test]
fn one_of_several_is_enough_and_those_that_only_count_have_no_say() {
    let (client, server) = (
        guarding(r#"{"status": [[400, 499]]}"#),
        guarding(r#"{"status": [[500, 500]]}"#),
    );
    let both = || judged("objectives", "", &[&client, &server]);
    assert!(opens(&mut both(), status(404), 1));
    assert!(opens(&mut both(), status(500), 1));
    assert!(!opens(&mut both(), status(503), 1));
    let monitored = r#", "bad": {"status": [[503, 503]]}"#;
    let mut bench = judged("objectives", "", &[&client, monitored]);
    assert!(!opens(&mut bench, status(503), 1));
}

#[test]
fn beside_an_slo_about_outcomes_both_have_a_say() {
    let client = guarding(r#"{"status": [[400, 499]]}"#);
    let both = || judged("both", "", &[&client, ""]);
    assert!(opens(&mut both(), status(404), 1));
    assert!(opens(&mut both(), status(503), 1));
    assert!(!opens(&mut both(), status(200), 1));
}

#[test]
fn where_no_objective_guards_outcomes_decide() {
    for objectives in [&[][..], &[r#", "bad": {"status": [[400, 499]]}"#]] {
        let new = || judged("objectives", "", objectives);
        assert!(opens(&mut new(), status(503), 1));
        assert!(!opens(&mut new(), status(404), 1));
    }
}

#[test]
fn own_answers_and_what_callers_gave_up_never_count() {
    let own = guarding(r#"{"outcome": ["refused", "client_cancel"], "status": [[200, 599]]}"#);
    let mut bench = judged("objectives", "", &[&own]);
    let cancelled = (200, Flags::CANCELLED);
    assert!(!opens(&mut bench, cancelled, 1));
    assert!(opens(&mut bench, status(503), 1));
    // Refused are the others, and the wait is not any longer for it.
    assert!((0..100).all(|_| !ends(&mut bench, status(503), 0, 10)));
    assert!(ends(&mut bench, status(503), 1, 1_001));
}

#[test]
fn it_closes_when_the_objective_is_met() {
    let mut bench = by_objective(r#"{"status": [[400, 499]]}"#);
    assert!(opens(&mut bench, status(429), 1));
    // Not served, and good all the same.
    assert!(ends(&mut bench, status(503), 1, 1_010));
    assert!(ends(&mut bench, status(503), 1, 1_020));
    let scopes = bench.scopes(2_000);
    let breaker = scopes[0].breaker.as_ref().unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
}

/// The share that is shed after a second in which every request ends like that.
fn shed(judge: &str, ending: (u16, Flags)) -> u16 {
    let bad = guarding(r#"{"status": [[400, 499]]}"#);
    let mut bench = Bench::new(&config(&scope(
        "a",
        &format!(
            r#""objectives": [{{"id": {{"slo": "s", "index": 0}}{bad}}}],
            "shed": {{"limits": {{"share_max": 9000, "failed_max": 500, "judge": "{judge}"}}}}"#
        ),
    )));
    for millis in 0..900 {
        ends(&mut bench, ending, 0, millis);
    }
    let scopes = bench.scopes(1_000);
    u16::from(scopes[0].shed.as_ref().unwrap().level)
}

#[test]
fn shedding_begins_for_what_the_objective_calls_bad() {
    assert!(0 < shed("objectives", status(429)));
    assert_eq!(shed("objectives", status(503)), 0);
    assert_eq!(shed("outcomes", status(429)), 0);
    assert!(0 < shed("outcomes", status(503)));
}
