//! Root contexts come and go; the VM stays.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response};

use crate::language::{
    INBOUND, OUTBOUND, bare, call_to, inbound, millis, next_report, paid, pay, push, reported,
    requests, scope, started,
};

fn outbound() -> Value {
    let mut configuration = inbound(&json!([{
        "service": "stock", "route": "all", "match": [{"path": {"prefix": "/"}}],
    }]));
    configuration["side"] = json!("client");
    configuration
}

#[test]
fn many_pushes_to_one_side_do_not_make_the_other_blind() {
    let mut vm = started(&outbound());
    for generation in 0..200 {
        let mut configuration = pay(&json!({}));
        configuration["generation"] = json!(generation);
        push(&mut vm, &configuration);
    }
    vm.exchange(OUTBOUND, Request::get("/"), Response::status(200));
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    assert_eq!((requests(&report, "all"), requests(&report, "pay")), (1, 1));
}

#[test]
fn only_the_last_root_context_ticks() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    assert_ne!(vm.tick_period(INBOUND), millis(0));
    push(&mut vm, &outbound());
    assert_eq!(vm.tick_period(INBOUND), millis(0));
    assert_ne!(vm.tick_period(OUTBOUND), millis(0));
    let waiting = vm.begin(INBOUND, Request::get("/pay"));
    push(&mut vm, &pay(&json!({})));
    assert_eq!(vm.roots(), 3, "an old one lives on with its request");
    assert_eq!(vm.tick_period(OUTBOUND), millis(0));
    assert_ne!(vm.tick_period(INBOUND), millis(0));
    vm.tick();
    assert_eq!(vm.tick_period(OUTBOUND), millis(0));
    assert_ne!(vm.tick_period(INBOUND), millis(0));
    vm.respond(waiting, Response::status(200));
    vm.end(waiting);
    assert_eq!(vm.roots(), 2);
    assert_eq!(requests(&reported(&mut vm), "pay"), 2);
}

#[test]
fn when_a_listener_is_removed_another_one_takes_the_timer() {
    let mut vm = started(&pay(&json!({})));
    push(&mut vm, &outbound());
    vm.exchange(OUTBOUND, Request::get("/"), Response::status(200));
    paid(&mut vm, 200);
    assert_ne!(vm.tick_period(OUTBOUND), millis(0));
    vm.remove(OUTBOUND);
    for _ in 0..40 {
        paid(&mut vm, 200);
        vm.advance(millis(100));
    }
    assert_ne!(vm.tick_period(INBOUND), millis(0));
    let report = reported(&mut vm);
    assert_eq!(requests(&report, "all"), 1);
    assert!(1 < requests(&report, "pay"));
}

#[test]
fn a_report_that_went_with_its_listener_is_sent_again() {
    let mut vm = started(&pay(&json!({})));
    push(&mut vm, &outbound());
    paid(&mut vm, 200);
    let (_, first) = next_report(&mut vm);
    vm.remove(OUTBOUND);
    assert_eq!(call_to(&vm, "sloop"), None);
    for _ in 0..100 {
        paid(&mut vm, 200);
        vm.advance(millis(100));
        if call_to(&vm, "sloop").is_some() {
            break;
        }
    }
    let again = reported(&mut vm);
    assert_eq!(again.sequence, first.sequence);
    assert_eq!(requests(&again, "pay"), 1);
}

#[test]
fn a_delay_outlives_the_listener_whose_timer_it_was() {
    let mut vm = bare();
    let fault = json!({"faults": [{
        "id": "slow", "share": 10_000, "delay_ms": 200, "expires_at_ms": vm.wall_ms() + 60_000,
    }]});
    push(&mut vm, &pay(&fault));
    push(&mut vm, &outbound());
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    assert!(vm.stream(exchange).is_paused());
    vm.remove(OUTBOUND);
    // Whatever comes next finds the timer gone.
    for _ in 0..50 {
        vm.advance(millis(100));
        let other = vm.begin(INBOUND, Request::get("/other"));
        vm.respond(other, Response::status(200));
        vm.end(other);
    }
    assert!(!vm.stream(exchange).is_paused());
    vm.respond(exchange, Response::status(200));
    assert_eq!(vm.end(exchange).times_sent(), 1);
}

#[test]
fn requests_that_vanish_without_a_word_are_forgotten() {
    let mut vm = bare();
    let fault = json!({"faults": [{
        "id": "slow", "share": 5_000, "delay_ms": 200, "expires_at_ms": vm.wall_ms() + 60_000,
    }]});
    push(&mut vm, &pay(&fault));
    for _ in 0..200 {
        let exchange = vm.begin(INBOUND, Request::get("/pay"));
        vm.vanish(exchange);
    }
    let living = vm.begin(INBOUND, Request::get("/other"));
    let mut unseen = 0;
    for _ in 0..60 {
        paid(&mut vm, 200);
        vm.advance(millis(1_000));
        unseen += reported(&mut vm).trouble.unwrap_or_default().ends_unseen;
    }
    assert_eq!(unseen, 200);
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    assert_eq!(scope(&report, "pay").unwrap().in_flight, 0);
    assert_eq!(scope(&report, "other").unwrap().in_flight, 1);
    vm.respond(living, Response::status(200));
    vm.end(living);
}
