//! Objectives that are about some requests only: whose, by which method, from which origin.

use super::*;
use crate::span::Reasons;
use sloop_model::{Arm, Dimension};

/// One value of each dimension has a row; the others share one.
const DIMENSIONS: &str = r#""dimensions": {"caller": {"header": "x-caller"}, "origin": {"baggage": "o"}, "values_max": 1}"#;

/// A scope with an objective for each of `only`, the first of index 0.
fn choosing(only: &[&str], more: &str) -> Bench {
    let objectives: Vec<String> = (0..)
        .zip(only)
        .map(|(index, only)| format!(r#"{{"id": {{"slo": "s", "index": {index}}}{only}}}"#))
        .collect();
    let objectives = format!(r#""objectives": [{}]{more}"#, objectives.join(", "));
    Bench::new(&and(&config(&scope("a", &objectives)), DIMENSIONS))
}

fn only(what: &str) -> String {
    format!(r#", "only": {{{what}}}"#)
}

/// A request by this method, of this caller, from this origin; each may be empty for none.
fn begin(bench: &mut Bench, (method, caller, origin): (&str, &str, &str), millis: u64) -> Begun {
    let baggage = format!("x=y,o={origin}");
    let mut headers: Vec<(&str, &[u8])> = vec![(":method", method.as_bytes())];
    if !caller.is_empty() {
        headers.push(("x-caller", caller.as_bytes()));
    }
    if !origin.is_empty() {
        headers.push(("baggage", baggage.as_bytes()));
    }
    bench.begin_with(Side::Server, "a", &headers, millis)
}

fn asks(bench: &mut Bench, who: (&str, &str, &str), status: u16) {
    let begun = begin(bench, who, 0);
    bench.end(begun.exchange, status, 1);
}

/// Total and good by the objective's index; those that counted nothing are left out.
fn totals(bench: &mut Bench) -> Vec<(u32, u64, u64)> {
    let scopes = bench.scopes(1_000);
    let objectives = scopes[0].objectives.iter();
    objectives
        .map(|delta| (delta.id.index, delta.total, delta.good))
        .collect()
}

#[test]
fn each_objective_counts_its_own_requests_and_no_cap_takes_any() {
    let mut bench = choosing(
        &[
            "",
            &only(r#""caller": ["shop"]"#),
            &only(r#""caller": ["late", "admin"]"#),
            &only(r#""method": ["GET"]"#),
            &only(r#""origin": ["app"]"#),
            &only(r#""method": ["POST"], "caller": ["shop"], "origin": ["app"]"#),
            &only(r#""caller": ["unknown"]"#),
            &only(r#""caller": ["nobody"]"#),
        ],
        "",
    );
    asks(&mut bench, ("GET", "first", ""), 200);
    for _ in 0..3 {
        asks(&mut bench, ("POST", "shop", "app"), 200);
    }
    asks(&mut bench, ("GET", "shop", "web"), 500);
    asks(&mut bench, ("POST", "late", "app"), 500);
    asks(&mut bench, ("POST", "admin", ""), 200);
    asks(&mut bench, ("DELETE", "", ""), 200);
    assert_eq!(
        totals(&mut bench),
        [
            (0, 8, 6),
            (1, 4, 3),
            (2, 2, 1),
            (3, 2, 1),
            (4, 4, 3),
            (5, 3, 3),
            (6, 1, 1),
        ]
    );
}

#[test]
fn rows_of_a_value_count_for_an_objective_what_it_is_about() {
    let mut bench = choosing(&["", &only(r#""method": ["GET"]"#)], "");
    asks(&mut bench, ("GET", "shop", ""), 200);
    asks(&mut bench, ("POST", "shop", ""), 500);
    let scopes = bench.scopes(1_000);
    let rows = scopes[0].dimensions.iter();
    let callers = rows.filter(|row| row.dimension == Dimension::Caller);
    let objectives: Vec<_> = callers.map(|row| row.objectives.clone()).collect();
    assert_eq!(objectives, [[(2, 1), (1, 1)]]);
}

#[test]
fn who_is_asked_nothing_is_counted_by_no_name() {
    let json = format!(
        r#""objectives": [{{"id": {{"slo": "s", "index": 0}}{}}}, {{"id": {{"slo": "s", "index": 1}}{}}}]"#,
        only(r#""caller": ["shop", "unknown"]"#),
        only(r#""method": ["GET"]"#),
    );
    let mut bench = Bench::new(&config(&scope("a", &json)));
    asks(&mut bench, ("GET", "shop", ""), 200);
    assert_eq!(totals(&mut bench), [(1, 1, 1)]);
}

const BREAKER: &str = r#", "breaker": {"limits": {"window_ms": 1000, "calls_min": 4, "failed_max": 5000, "open_ms": 1000,
    "open_max_ms": 4000, "probes": 1, "manner": {"judge": "objectives"}}}"#;

/// Whether ten failed requests of this caller open the breaker.
fn opens(bench: &mut Bench, caller: &str) -> bool {
    !(0..10).all(|_| {
        let begun = begin(bench, ("GET", caller, ""), 0);
        bench.end(begun.exchange, 503, 1);
        begun.verdict == Verdict::Pass
    })
}

#[test]
fn a_breaker_judges_by_an_objective_what_that_is_about() {
    let guards = r#", "only": {"caller": ["shop"]}, "guards": "enforce""#;
    assert!(opens(&mut choosing(&[guards], BREAKER), "shop"));
    assert!(!opens(&mut choosing(&[guards], BREAKER), "admin"));
    // Beside one that is about all, all count.
    let both = [guards, r#", "guards": "enforce""#];
    assert!(opens(&mut choosing(&both, BREAKER), "admin"));
}

#[test]
fn one_that_only_counts_has_no_say_in_what_a_breaker_does() {
    let counts = only(r#""caller": ["shop"]"#);
    let bad = r#", "bad": {"status": [[500, 500]]}, "guards": "enforce""#;
    assert!(!opens(&mut choosing(&[&counts, bad], BREAKER), "shop"));
}

/// How many of 40 retries of `shop` pass that are served well, but break an objective about requests `only` of some.
fn retries_passed(only: &str) -> usize {
    let more = r#", "retries": {"limits": {"share": 1000, "least": 2}}"#;
    let slow = format!(r#", "bad": {{"status": [[200, 200]]}}{only}"#);
    let mut bench = choosing(&[&slow], more);
    let retry: [(&str, &[u8]); 3] = [
        (":method", b"GET"),
        ("x-caller", b"shop"),
        ("x-envoy-attempt-count", b"2"),
    ];
    let passed = (0..40).filter(|_| {
        let begun = bench.begin_with(Side::Server, "a", &retry, 0);
        bench.end(begun.exchange, 200, 0);
        begun.verdict == Verdict::Pass
    });
    passed.count()
}

#[test]
fn one_about_some_requests_has_no_say_in_which_retries_pass() {
    assert_eq!(retries_passed(""), 11, "all of them break it");
    assert_eq!(retries_passed(&only(r#""caller": ["shop"]"#)), 40);
    assert_eq!(retries_passed(&only(r#""method": ["GET"]"#)), 40);
}

#[test]
fn a_request_that_none_is_about_is_kept_when_the_service_failed() {
    let spans = r#""spans": {"cluster": "o", "sampling": 0}"#;
    let objective = only(r#""caller": ["shop"]"#) + r#", "bad": {"status": [[400, 499]]}"#;
    let objective = format!(r#""objectives": [{{"id": {{"slo": "s", "index": 0}}{objective}}}]"#);
    let json = and(&and(&config(&scope("a", &objective)), DIMENSIONS), spans);
    let mut bench = Bench::new(&json);
    let mut why = |caller: &str, status: u16| {
        let begun = begin(&mut bench, ("GET", caller, ""), 0);
        let kept = bench.end_kept(begun.exchange, status, 1);
        kept.map(|kept| kept.span.reasons)
    };
    assert_eq!(why("shop", 404), Some(Reasons::OBJECTIVE));
    assert_eq!(why("shop", 503), None, "the objective says what is bad");
    assert_eq!(why("admin", 404), None);
    assert_eq!(why("admin", 503), Some(Reasons::OBJECTIVE));
}

#[test]
fn arms_of_an_experiment_count_for_an_objective_what_it_is_about() {
    let faults = format!(
        r#", "faults": [{{"id": "e", "seed": 7, "share": 9999, "control": 1, "headers": {{"set": [["x-a", "b"]]}}, "expires_at_ms": {}}}]"#,
        WALL + 60_000
    );
    let mut bench = choosing(&[&only(r#""caller": ["shop"]"#), ""], &faults);
    asks(&mut bench, ("GET", "shop", ""), 200);
    asks(&mut bench, ("GET", "admin", ""), 500);
    let scopes = bench.scopes(1_000);
    let arm = &scopes[0].arms[0];
    assert_eq!((arm.arm, arm.requests), (Arm::Fault, 2));
    let counted: Vec<_> = arm
        .objectives
        .iter()
        .map(|delta| (delta.id.index, delta.total, delta.good))
        .collect();
    assert_eq!(counted, [(0, 1, 1), (1, 2, 1)]);
}

#[test]
fn a_request_is_about_what_held_when_it_began() {
    let of = |caller: &str| {
        let only = only(&format!(r#""caller": ["{caller}"]"#));
        format!(r#""objectives": [{{"id": {{"slo": "s", "index": 0}}{only}}}]"#)
    };
    let mut bench = Bench::new(&and(&config(&scope("a", &of("shop"))), DIMENSIONS));
    let begun = begin(&mut bench, ("GET", "shop", ""), 0);
    bench.configure(&and(&config(&scope("a", &of("admin"))), DIMENSIONS), 1);
    bench.end(begun.exchange, 200, 2);
    asks(&mut bench, ("GET", "shop", ""), 200);
    asks(&mut bench, ("GET", "admin", ""), 500);
    assert_eq!(totals(&mut bench), [(0, 2, 1)]);
}
