//! Retry budgets.

use super::*;
use crate::report::RetryDelta;

const ATTEMPT: &str = "x-envoy-attempt-count";

/// Two retries in a second always pass, and one for ten first attempts.
const LIMITS: &str = r#""limits": {"share": 1000, "least": 2}"#;

fn bounded(more: &str) -> String {
    config(&scope("a", &format!(r#""retries": {{{LIMITS}{more}}}"#)))
}

/// An attempt that the service answers with `status`.
fn attempt(bench: &mut Bench, number: &str, status: u16, millis: u64) -> Verdict {
    let begun = bench.begin_with(Side::Server, "a", &[(ATTEMPT, number.as_bytes())], millis);
    if begun.verdict == Verdict::RefuseRetry {
        assert_eq!(bench.written(), [""; 0]);
    }
    bench.end(begun.exchange, status, millis);
    begun.verdict
}

/// How many of `count` second attempts are refused.
fn refused(bench: &mut Bench, count: usize, status: u16, millis: u64) -> usize {
    let attempts = (0..count).map(|_| attempt(bench, "2", status, millis));
    attempts.filter(|it| *it == Verdict::RefuseRetry).count()
}

#[test]
fn retries_in_vain_are_refused_beyond_the_budget_and_first_attempts_never() {
    let mut bench = Bench::new(&bounded(""));
    // Two pass as time gives them, and nine more until it is known.
    assert_eq!(refused(&mut bench, 40, 500, 0), 29);
    for number in ["1", "", "x"] {
        for _ in 0..10 {
            assert_eq!(attempt(&mut bench, number, 500, 0), Verdict::Pass);
        }
    }
    assert_eq!(refused(&mut bench, 10, 500, 0), 7, "thirty allow for three");
    assert_eq!(refused(&mut bench, 10, 500, 1_000), 8);
    let delta = bench.scopes(1_000).remove(0);
    assert_eq!(delta.budget.refused, 44);
    assert_eq!(
        outcome(&delta, Outcome::Shed),
        44,
        "which no objective counts"
    );
    assert_eq!(delta.retries, 60, "all that came");
    assert_eq!((delta.requests, delta.shed), (90, None));
}

#[test]
fn retries_that_are_served_well_all_pass_again() {
    let mut bench = Bench::new(&bounded(""));
    refused(&mut bench, 100, 500, 0);
    for second in 1..=4 {
        assert_eq!(refused(&mut bench, 3, 200, second * 1_000), 1);
    }
    assert_eq!(
        refused(&mut bench, 100, 200, 5_000),
        0,
        "two more, and ten were good"
    );
}

#[test]
fn what_a_fault_made_of_a_retry_says_nothing() {
    let fault = format!(
        r#""faults": [{{"id": "e", "share": 10000, "headers": {{"set": [["x", "y"]]}}, "expires_at_ms": {}}}]"#,
        WALL + 60_000
    );
    let scope = scope("a", &format!(r#""retries": {{{LIMITS}}}, {fault}"#));
    let mut bench = Bench::new(&config(&scope));
    assert_eq!(refused(&mut bench, 40, 500, 0), 0);
}

#[test]
fn whoever_went_away_from_a_retry_had_no_use_of_it() {
    let mut bench = Bench::new(&bounded(""));
    for _ in 0..20 {
        let begun = bench.begin_with(Side::Server, "a", &[(ATTEMPT, b"3")], 0);
        let gone = Ending {
            flags: Flags::CANCELLED,
            ..Ending::default()
        };
        let _ = bench.plane.end(begun.exchange, gone, at(0));
    }
    assert_eq!(refused(&mut bench, 5, 200, 0), 5);
}

#[test]
fn what_failed_was_in_vain_whatever_objectives_call_bad() {
    let objectives =
        r#", "objectives": [{"id": {"slo": "s", "index": 0}, "bad": {"status": [[500, 500]]}}]"#;
    let json = config(&scope(
        "a",
        &format!(r#""retries": {{{LIMITS}}}{objectives}"#),
    ));
    let mut bench = Bench::new(&json);
    assert_eq!(refused(&mut bench, 40, 503, 0), 29);
}

#[test]
fn while_the_scope_sheds_only_the_least_pass() {
    let shed = r#", "shed": {"limits": {"share_min": 5000, "share_max": 9000, "failed_max": 100}}"#;
    let json = config(&scope("a", &format!(r#""retries": {{{LIMITS}}}{shed}"#)));
    let mut bench = Bench::new(&json);
    assert_eq!(
        refused(&mut bench, 10, 200, 0),
        8,
        "although they would help"
    );
    let json = json.replace(r#""shed": {"#, r#""shed": {"mode": "shadow", "#);
    bench.configure(&json, 0);
    assert_eq!(refused(&mut bench, 10, 200, 0), 0, "a shadow sheds nothing");
}

#[test]
fn in_shadow_mode_it_only_counts() {
    let mut bench = Bench::new(&bounded(r#", "mode": "shadow""#));
    assert_eq!(refused(&mut bench, 15, 500, 0), 0);
    assert_eq!(refused(&mut bench, 1, 200, 0), 0);
    let budget = bench.scopes(1_000)[0].budget;
    let expected = RetryDelta {
        refused: 0,
        shadow_refused: 5,
        shadow_refused_good: 1,
    };
    assert_eq!(budget, expected);
}

#[test]
fn it_expires_by_itself_and_a_push_leaves_what_it_learnt() {
    let until =
        |seconds: u64| bounded(&format!(r#", "expires_at_ms": {}"#, WALL + seconds * 1_000));
    let mut bench = Bench::new(&until(60));
    refused(&mut bench, 100, 500, 0);
    bench.configure(&until(2), 10);
    assert_eq!(refused(&mut bench, 5, 500, 10), 5);
    assert_eq!(refused(&mut bench, 5, 500, 1_999), 3);
    assert_eq!(refused(&mut bench, 5, 500, 2_000), 0);
    assert_eq!(bench.scopes(3_000)[0].budget.refused, 89 + 8);
}

#[test]
fn without_a_budget_nothing_is_asked_of_attempts() {
    let mut bench = Bench::new(&config(&scope("a", "")));
    assert_eq!(refused(&mut bench, 100, 500, 0), 0);
    let delta = bench.scopes(1_000).remove(0);
    assert_eq!((delta.retries, delta.budget), (0, RetryDelta::default()));
}

#[test]
fn the_budget_of_one_scope_counts_no_retries_of_others() {
    let scopes = [
        scope("a", &format!(r#""retries": {{{LIMITS}}}"#)),
        scope("b", ""),
    ];
    let retries = |dimensions| {
        let json = and(&config(&scopes.join(", ")), dimensions);
        let mut bench = Bench::new(&json);
        for route in ["a", "b"] {
            let begun = bench.begin_with(Side::Server, route, &[(ATTEMPT, b"2")], 0);
            bench.end(begun.exchange, 200, 0);
        }
        let scopes = bench.scopes(1_000);
        let counts = scopes
            .iter()
            .map(|it| (it.scope.route.as_str().to_owned(), it.retries));
        counts.collect::<Vec<_>>()
    };
    let with = |b| [("a".to_owned(), 1), ("b".to_owned(), b)];
    assert_eq!(retries(r#""dimensions": {"version": "v1"}"#), with(0));
    assert_eq!(retries(r#""dimensions": {"attempts": true}"#), with(1));
}

#[test]
fn when_the_breaker_finds_the_service_back_what_was_in_vain_is_forgotten() {
    let breaker = r#", "breaker": {"limits": {"window_ms": 1000, "calls_min": 30, "failed_max": 5000,
        "open_ms": 1000, "open_max_ms": 10000, "probes": 1}}"#;
    let json = config(&scope("a", &format!(r#""retries": {{{LIMITS}}}{breaker}"#)));
    let mut bench = Bench::new(&json);
    assert_eq!(refused(&mut bench, 40, 500, 0), 29);
    let firsts = (0..40).map(|_| attempt(&mut bench, "1", 500, 0));
    assert!(firsts.last().is_some_and(|it| it != Verdict::Pass), "open");
    assert_eq!(attempt(&mut bench, "1", 200, 1_100), Verdict::Pass);
    assert_eq!(refused(&mut bench, 10, 200, 1_100), 0);
}

#[test]
fn retries_that_came_before_the_service_was_back_say_nothing_of_it() {
    let breaker = r#", "breaker": {"limits": {"window_ms": 10000, "calls_min": 4, "failed_max": 5000,
        "open_ms": 1000, "open_max_ms": 10000, "probes": 1}}"#;
    let json = config(&scope("a", &format!(r#""retries": {{{LIMITS}}}{breaker}"#)));
    let mut bench = Bench::new(&json);
    let old = (0..20).map(|_| bench.begin_with(Side::Server, "a", &[(ATTEMPT, b"2")], 0));
    let old: Vec<_> = old.map(|begun| begun.exchange).collect();
    let firsts = (0..5).map(|_| attempt(&mut bench, "1", 500, 0));
    assert!(firsts.last().is_some_and(|it| it != Verdict::Pass), "open");
    assert_eq!(attempt(&mut bench, "1", 200, 1_100), Verdict::Pass);
    for exchange in old {
        bench.end(exchange, 504, 1_200);
    }
    assert_eq!(refused(&mut bench, 10, 200, 1_200), 0);
}
