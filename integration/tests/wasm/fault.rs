//! Faults: a share of requests meets them, and they end by themselves.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};
use sloop_model::Outcome;

use crate::language::{INBOUND, ask, millis, paid, pay, push, reported, scope, started};

fn faulty(vm: &mut Vm, fault: &Value) {
    let mut whole = json!({
        "id": "trial", "share": 10_000, "expires_at_ms": vm.wall_ms() + 60_000,
    });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(fault.as_object().unwrap().clone());
    push(vm, &pay(&json!({"faults": [whole]})));
}

fn with(fault: &Value) -> Vm {
    let mut vm = started(&pay(&json!({})));
    faulty(&mut vm, fault);
    vm
}

#[test]
fn an_abort_answers_in_place_of_the_service() {
    let mut vm = with(&json!({"abort_status": 418}));
    let aborted = paid(&mut vm, 200);
    assert_eq!(aborted.times_sent(), 0);
    let reply = aborted.reply().unwrap();
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (418, "sloop_fault_abort")
    );
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!(counted.aborted, 1);
    assert_eq!(counted.outcomes.get(Outcome::Faulted.index()), Some(&1));
}

#[test]
fn a_delay_holds_the_request_and_sends_it_once() {
    let mut vm = with(&json!({"delay_ms": 200}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    assert!(vm.stream(exchange).is_paused());
    vm.advance(millis(195));
    assert!(vm.stream(exchange).is_paused());
    vm.advance(millis(10));
    assert!(!vm.stream(exchange).is_paused());
    // Whatever ticks come later: a request that is resumed twice is sent twice.
    vm.tick();
    vm.advance(millis(3_000));
    vm.respond(exchange, Response::status(200));
    let ended = vm.end(exchange);
    assert_eq!(
        (ended.times_sent(), ended.misuse()),
        (1, [""; 0].as_slice())
    );
}

#[test]
fn a_delayed_abort_is_answered_after_the_delay() {
    let mut vm = with(&json!({"delay_ms": 100, "abort_status": 503}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    assert!(vm.stream(exchange).reply().is_none());
    vm.advance(millis(110));
    assert_eq!(vm.stream(exchange).reply().unwrap().status, 503);
    vm.tick();
    let ended = vm.end(exchange);
    assert_eq!(
        (ended.times_sent(), ended.misuse()),
        (0, [""; 0].as_slice())
    );
}

#[test]
fn a_client_that_leaves_during_a_delay_is_forgotten() {
    let mut vm = with(&json!({"delay_ms": 200}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(50));
    let ended = vm.end(exchange);
    assert_eq!(ended.times_sent(), 0);
    vm.advance(millis(1_000));
    assert_eq!(
        paid(&mut vm, 200).times_sent(),
        0,
        "the next one waits for its own"
    );
}

#[test]
fn a_push_during_a_delay_does_not_strand_the_request() {
    let mut vm = with(&json!({"delay_ms": 200}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    push(&mut vm, &pay(&json!({})));
    vm.advance(millis(300));
    assert!(!vm.stream(exchange).is_paused());
    vm.respond(exchange, Response::status(200));
    let ended = vm.end(exchange);
    assert_eq!(
        (ended.times_sent(), ended.misuse()),
        (1, [""; 0].as_slice())
    );
}

#[test]
fn a_fault_ends_with_its_lease() {
    let mut vm = started(&pay(&json!({})));
    let expires_at = vm.wall_ms() + 2_000;
    faulty(
        &mut vm,
        &json!({"abort_status": 503, "expires_at_ms": expires_at}),
    );
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(3_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "nobody pushed anything");
}

#[test]
fn a_fault_that_is_over_when_it_arrives_does_nothing() {
    let mut vm = started(&pay(&json!({})));
    let past = vm.wall_ms() - 1;
    faulty(
        &mut vm,
        &json!({"abort_status": 503, "expires_at_ms": past}),
    );
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
}

#[test]
fn a_share_meets_about_that_share_and_the_same_trace_the_same_fate() {
    let mut vm = with(&json!({"abort_status": 503, "share": 2_500}));
    let mut fates = Vec::new();
    for index in 0..400 {
        let trace = format!("00-{:032x}-b7ad6b7169203331-01", trace_id(index));
        let fate = || Request::get("/pay").header("traceparent", &trace);
        let first = ask(&mut vm, fate(), Response::status(200)).times_sent();
        let again = ask(&mut vm, fate(), Response::status(200)).times_sent();
        assert_eq!(first, again, "{trace}");
        fates.push(first);
    }
    let met = fates.iter().filter(|sent| **sent == 0).count();
    // 400 draws at a quarter have a standard deviation of 8.7; these are five of them.
    assert!((57..=143).contains(&met), "{met} of 400");
}

/// Ids as a good generator makes them: multiples of a large odd number.
fn trace_id(index: u128) -> u128 {
    (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}
