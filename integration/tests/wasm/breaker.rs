//! The breaker: refuses, says why, and lets go again.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};
use sloop_model::Outcome;

use crate::language::{INBOUND, ask, millis, paid, pay, push, reported, scope, started};

fn limits() -> Value {
    json!({
        "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
        "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
    })
}

fn guarded(mode: &str) -> Value {
    pay(&json!({"breaker": {"mode": mode, "limits": limits()}}))
}

fn tripped(mode: &str) -> Vm {
    let mut vm = started(&guarded(mode));
    for _ in 0..10 {
        paid(&mut vm, 500);
    }
    vm
}

#[test]
fn it_refuses_with_503_and_says_when_to_come_back() {
    let mut vm = tripped("enforce");
    let refused = paid(&mut vm, 200);
    assert_eq!(refused.times_sent(), 0);
    let reply = refused.reply().unwrap();
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (503, "sloop_breaker_open")
    );
    let seconds: u64 = refused.received("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert_eq!(
        refused.received("x-sloop-verdict").as_deref(),
        Some("refused")
    );
}

#[test]
fn grpc_is_refused_in_its_own_words() {
    let mut vm = tripped("enforce");
    let request = Request::get("/pay").header("content-type", "application/grpc");
    let refused = ask(&mut vm, request, Response::status(200));
    assert_eq!(refused.reply().unwrap().grpc_status, 14);
}

#[test]
fn other_routes_pass() {
    let mut vm = tripped("enforce");
    let passed = ask(&mut vm, Request::get("/other"), Response::status(200));
    assert_eq!(passed.times_sent(), 1);
}

#[test]
fn it_probes_and_closes() {
    let mut vm = tripped("enforce");
    vm.advance(millis(1_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "a probe");
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "closed");
}

#[test]
fn refusals_are_counted_apart_and_changes_reported() {
    let mut vm = tripped("enforce");
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    let breaker = counted.breaker.as_ref().unwrap();
    assert!(1 <= breaker.refused);
    assert_eq!(
        counted.outcomes.get(Outcome::Refused.index()),
        Some(&breaker.refused)
    );
    assert!(!breaker.changes.is_empty());
}

#[test]
fn in_shadow_mode_it_only_counts() {
    let mut vm = tripped("shadow");
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
    let report = reported(&mut vm);
    let breaker = scope(&report, "pay").unwrap().breaker.clone().unwrap();
    assert_eq!(breaker.refused, 0);
    assert!(1 <= breaker.shadow_refused);
}

#[test]
fn a_push_does_not_close_it() {
    let mut vm = tripped("enforce");
    let mut pushed = guarded("enforce");
    pushed["generation"] = json!(2);
    push(&mut vm, &pushed);
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
}

#[test]
fn a_push_without_it_ends_it() {
    let mut vm = tripped("enforce");
    push(&mut vm, &pay(&json!({})));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
}

#[test]
fn it_ends_with_its_policy() {
    let mut vm = started(&pay(&json!({})));
    let expires = vm.wall_ms() + 3_000;
    let long = json!({
        "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
        "open_ms": 600_000, "open_max_ms": 600_000, "probes": 1,
    });
    let breaker = json!({"limits": long, "expires_at_ms": expires});
    push(&mut vm, &pay(&json!({"breaker": breaker})));
    for _ in 0..10 {
        paid(&mut vm, 500);
    }
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(4_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "nobody pushed anything");
}

#[test]
fn an_order_opens_it_once() {
    let mut vm = started(&guarded("enforce"));
    let until = vm.wall_ms() + 60_000;
    let ordered = |generation| {
        let mut configuration =
            pay(&json!({"breaker": {"limits": limits(), "trip": {"id": 7, "until_ms": until}}}));
        configuration["generation"] = json!(generation);
        configuration
    };
    push(&mut vm, &ordered(2));
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(1_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "a probe");
    push(&mut vm, &ordered(3));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "the same order again");
}

#[test]
fn a_request_that_never_ends_does_not_keep_it_open() {
    let mut vm = tripped("enforce");
    vm.advance(millis(1_100));
    let lost = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(60_000));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "another probe");
    vm.respond(lost, Response::status(500));
    vm.end(lost);
}
