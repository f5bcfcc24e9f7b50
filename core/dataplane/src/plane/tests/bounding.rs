//! Retry budgets where requests go out.

use super::*;
use crate::report::RetryDelta;

/// Two retries in a second may always be made, and one for ten first attempts.
const LIMITS: &str = r#""limits": {"share": 1000, "least": 2}"#;
const HEADER: &str = "x-envoy-max-retries";
const RETRIES: u32 = 2;

fn bounded(more: &str) -> String {
    outbound(&scope("a", &format!(r#""retries": {{{LIMITS}}}{more}"#)))
}

fn outbound(scopes: &str) -> String {
    config(scopes).replace(r#""side": "server""#, r#""side": "client""#)
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    retries: u32,
    /// Whether Envoy was asked for the attempts.
    is_asked: bool,
}

/// A request of which the attempt `good` is served, or none.
fn send(bench: &mut Bench, good: Option<u32>, millis: u64) -> Sent {
    let begun = bench.begin_with(Side::Client, "a", &[], millis);
    assert_eq!(begun.verdict, Verdict::Pass);
    let most = match bench.wrote(HEADER) {
        None => RETRIES,
        Some(most) => most.parse().unwrap(),
    };
    let mut exchange = begun.exchange;
    let retries = good.map_or(most, |good| most.min(good - 1));
    let is_good = good.is_some_and(|good| good - 1 <= most);
    let ending = Ending {
        status: Some(if is_good { 200 } else { 503 }),
        flags: if is_good {
            Flags::default()
        } else {
            Flags::RETRIED_OUT
        },
        grpc: None,
    };
    let is_asked = bench.plane.asks_attempts(&exchange, &ending);
    if is_asked {
        exchange.attempted(retries + 1);
    }
    let _ = bench.plane.end(exchange, ending, at(millis));
    Sent { retries, is_asked }
}

/// Retries that were made for `count` of them.
fn made(bench: &mut Bench, count: u32, good: Option<u32>, millis: u64) -> u32 {
    (0..count).map(|_| send(bench, good, millis).retries).sum()
}

#[test]
fn retries_in_vain_are_ruled_out_beyond_the_budget() {
    let mut bench = Bench::new(&bounded(""));
    // Six with two each until it is known; then two with one that a second gives and one that is owed.
    assert_eq!(made(&mut bench, 26, None, 0), 16);
    let delta = bench.scopes(1_000).remove(0);
    assert_eq!(delta.budget.refused, 18);
    assert_eq!(outcome(&delta, Outcome::ServerError), 26, "they went out");
    assert_eq!(outcome(&delta, Outcome::Shed), 0);
    assert_eq!(delta.retries, 0, "nobody asked to have them counted");
}

#[test]
fn nobody_asks_for_attempts_when_the_budget_has_ended() {
    let until = WALL + 1_000;
    let mut bench =
        Bench::new(&bounded("").replace(LIMITS, &format!(r#"{LIMITS}, "expires_at_ms": {until}"#)));
    assert!(send(&mut bench, None, 999).is_asked);
    assert!(!send(&mut bench, None, 1_000).is_asked);
}

#[test]
fn nobody_asks_for_attempts_while_all_is_well() {
    let mut bench = Bench::new(&bounded(""));
    let asked = |bench: &mut Bench, good| send(bench, good, 0).is_asked;
    assert!(!asked(&mut bench, Some(1)) && !asked(&mut bench, Some(2)));
    assert!(asked(&mut bench, None), "it failed");
    assert!(asked(&mut bench, Some(1)), "some were in vain");
    for _ in 0..2 {
        assert!(asked(&mut bench, Some(2)));
    }
    assert!(!asked(&mut bench, Some(2)), "as many helped");
}

#[test]
fn an_objective_about_some_requests_has_no_say_in_what_helps() {
    let origin = r#""dimensions": {"origin": {"baggage": "o"}}"#;
    let helped = |only: &str| {
        let objective = format!(
            r#", "objectives": [{{"id": {{"slo": "s", "index": 0}}, "bad": {{"status": [[200, 200]]}}{only}}}]"#
        );
        let mut bench = Bench::new(&and(&bounded(&objective), origin));
        // Answers are asked of from here on.
        send(&mut bench, None, 0);
        made(&mut bench, 40, Some(2), 0)
    };
    assert!(helped("") < 40, "all of them break it");
    assert_eq!(helped(r#", "only": {"origin": ["unknown"]}"#), 40);
}

const BREAKER: &str = r#", "breaker": {"limits": {"window_ms": 10000, "calls_min": 4, "failed_max": 5000,
    "open_ms": 1000, "open_max_ms": 10000, "probes": 1}}"#;

fn is_watching(bench: &mut Bench, exchange: &Exchange) -> bool {
    let budget = bench.plane.budget_of(exchange);
    budget.unwrap().is_watching()
}

#[test]
fn what_was_refused_here_is_not_asked_of() {
    let mut bench = Bench::new(&bounded(BREAKER));
    made(&mut bench, 4, None, 0);
    let begun = bench.begin_with(Side::Client, "a", &[], 0);
    assert!(matches!(begun.verdict, Verdict::Refuse { .. }), "open");
    let ending = Ending {
        status: Some(503),
        flags: Flags::default(),
        grpc: None,
    };
    assert!(
        is_watching(&mut bench, &begun.exchange),
        "some were in vain"
    );
    assert!(!bench.plane.asks_attempts(&begun.exchange, &ending));
    bench.end(begun.exchange, 503, 0);
}

#[test]
fn what_began_before_the_service_was_back_says_nothing_of_it() {
    let mut bench = Bench::new(&bounded(BREAKER));
    let old = (0..20).map(|_| bench.begin_with(Side::Client, "a", &[], 0).exchange);
    let old: Vec<_> = old.collect();
    made(&mut bench, 4, None, 0);
    assert_eq!(send(&mut bench, Some(1), 1_100).retries, 0, "it is back");
    for mut exchange in old {
        exchange.attempted(RETRIES + 1);
        bench.end(exchange, 504, 1_200);
    }
    let begun = bench.begin_with(Side::Client, "a", &[], 1_300);
    assert_eq!(begun.verdict, Verdict::Pass);
    assert_eq!(bench.wrote(HEADER), None);
    assert!(!is_watching(&mut bench, &begun.exchange));
    bench.end(begun.exchange, 200, 1_300);
}

#[test]
fn what_has_no_retries_is_not_asked_of() {
    let mut bench = Bench::new(&bounded(""));
    made(&mut bench, 100, None, 0);
    let sent = send(&mut bench, None, 0);
    assert_eq!(bench.written(), ["traceparent", HEADER]);
    let expected = Sent {
        retries: 0,
        is_asked: false,
    };
    assert_eq!(sent, expected);
}

#[test]
fn they_are_made_again_when_they_help_or_nobody_wants_one() {
    let mut bench = Bench::new(&bounded(""));
    made(&mut bench, 100, None, 0);
    for second in 1..=20 {
        made(&mut bench, 3, Some(2), second * 1_000);
    }
    assert_eq!(made(&mut bench, 100, Some(2), 30_000), 100);
    made(&mut bench, 100, None, 30_000);
    assert_eq!(made(&mut bench, 100, Some(1), 30_000), 0);
    send(&mut bench, None, 30_000);
    assert_eq!(bench.written(), ["traceparent"]);
}

#[test]
fn in_shadow_mode_it_only_counts_what_would_have_been() {
    let mode = r#", "mode": "shadow""#;
    let json = bounded("").replace(LIMITS, &format!("{LIMITS}{mode}"));
    let mut bench = Bench::new(&json);
    assert_eq!(made(&mut bench, 26, None, 0), 52);
    assert_eq!(made(&mut bench, 1, Some(2), 0), 1);
    assert_eq!(made(&mut bench, 1, Some(1), 0), 0);
    let budget = bench.scopes(1_000)[0].budget;
    assert_eq!(budget.refused, 0);
    // As where it acts, and one that was served well.
    assert_eq!((budget.shadow_refused, budget.shadow_refused_good), (19, 1));
}

#[test]
fn it_holds_where_requests_go_out_and_nowhere_else_and_expires() {
    let limit = format!(r#", "expires_at_ms": {}"#, WALL + 2_000);
    let json = bounded("").replace(LIMITS, &format!("{LIMITS}{limit}"));
    let mut bench = Bench::new(&json);
    made(&mut bench, 100, None, 0);
    assert_eq!(made(&mut bench, 1, None, 0), 0);
    assert_eq!(made(&mut bench, 1, None, 2_000), RETRIES);
    let mut bench = Bench::new(&outbound(&scope("a", "")));
    assert_eq!(made(&mut bench, 100, None, 0), 100 * RETRIES);
    assert_eq!(bench.scopes(1_000)[0].budget, RetryDelta::default());
}

#[test]
fn which_attempt_of_its_own_caller_it_is_does_not_matter() {
    let mut bench = Bench::new(&bounded(""));
    for _ in 0..100 {
        let begun = bench.begin_with(Side::Client, "a", &[("x-envoy-attempt-count", b"2")], 0);
        assert_eq!(begun.verdict, Verdict::Pass);
        bench.end(begun.exchange, 503, 0);
    }
    assert_eq!(made(&mut bench, 1, None, 0), RETRIES);
}

#[test]
fn what_is_gone_without_an_end_gives_back_what_it_took() {
    let mut bench = Bench::new(&bounded(""));
    made(&mut bench, 6, None, 0);
    for _ in 0..10 {
        let begun = bench.begin_with(Side::Client, "a", &[], 0);
        assert_eq!(bench.wrote(HEADER), None);
        bench.plane.abandon(begun.exchange, at(0));
    }
}

#[test]
fn where_attempts_are_counted_all_are() {
    let json = and(&bounded(""), r#""dimensions": {"attempts": true}"#);
    let mut bench = Bench::new(&json);
    assert_eq!(made(&mut bench, 5, Some(3), 0), 10);
    assert_eq!(bench.scopes(1_000)[0].retries, 10);
}
