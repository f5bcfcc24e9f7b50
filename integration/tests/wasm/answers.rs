//! Faults on responses and on bodies, in the module that touches them.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Exchange, Half, Request, Response, Stream, Vm};
use sloop_model::Outcome;

use crate::language::{INBOUND, answering, bare, millis, pay, push, reported, scope};

fn faulty(vm: &Vm, fault: &Value) -> Value {
    let mut whole = json!({
        "id": "trial", "share": 10_000, "expires_at_ms": vm.wall_ms() + 60_000,
    });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(fault.as_object().unwrap().clone());
    pay(&json!({"faults": [whole]}))
}

fn with(fault: &Value) -> Vm {
    let mut vm = answering(&pay(&json!({})));
    let configuration = faulty(&vm, fault);
    push(&mut vm, &configuration);
    vm
}

fn on_response(what: &Value) -> Vm {
    let mut fault = json!({"side_of_exchange": "response"});
    let fields = fault.as_object_mut().unwrap();
    fields.extend(what.as_object().unwrap().clone());
    with(&fault)
}

/// A request whose response has come, but for its body.
fn responding(vm: &mut Vm) -> Exchange {
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    let response = Response::status(200).header("x-old", "1");
    vm.respond_with_body(exchange, response);
    exchange
}

fn ended(vm: &mut Vm, exchange: Exchange) -> Stream {
    let ended = vm.end(exchange);
    assert_eq!(ended.misuse(), [""; 0]);
    assert!(ended.times_sent() <= 1 && ended.times_answered() <= 1);
    ended
}

/// The filter is at rest, and nothing that it calls fails.
fn is_at_rest(vm: &mut Vm) {
    vm.advance(millis(3_000));
    assert!(millis(100) <= vm.tick_period(INBOUND));
}

#[test]
fn headers_of_a_response_are_changed() {
    let mut vm = on_response(&json!({"headers": {"set": [["x-new", "2"]], "remove": ["x-old"]}}));
    let exchange = responding(&mut vm);
    vm.last_part(exchange, Half::Response, b"body");
    let ended = ended(&mut vm, exchange);
    assert_eq!(ended.received("x-new").as_deref(), Some("2"));
    assert_eq!(ended.received("x-old"), None);
    assert_eq!(ended.passed(Half::Response), b"body");
}

#[test]
fn a_response_is_held_and_sent_once() {
    let mut vm = on_response(&json!({"delay_ms": 200}));
    let exchange = responding(&mut vm);
    assert_eq!(vm.stream(exchange).times_sent(), 1, "the service was asked");
    vm.part(exchange, Half::Response, b"one ");
    vm.last_part(exchange, Half::Response, b"two");
    vm.advance(millis(195));
    assert!(vm.stream(exchange).is_response_paused());
    vm.advance(millis(10));
    assert_eq!(vm.stream(exchange).times_answered(), 1);
    vm.tick();
    let ended = ended(&mut vm, exchange);
    assert_eq!(ended.passed(Half::Response), b"one two");
    assert!(ended.is_over(Half::Response));
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!((counted.delayed, counted.aborted), (1, 0));
    assert_eq!(counted.outcomes[Outcome::Success.index()], 1);
    is_at_rest(&mut vm);
}

#[test]
fn an_abort_takes_the_place_of_the_response() {
    let mut vm = on_response(&json!({"abort_status": 418}));
    let exchange = responding(&mut vm);
    let ended = ended(&mut vm, exchange);
    assert_eq!(ended.times_sent(), 1);
    assert_eq!(ended.reply().unwrap().status, 418);
    assert_eq!(ended.received("x-sloop-verdict").as_deref(), Some("fault"));
    assert!(
        ended.received("traceresponse").is_some(),
        "the caller is told its trace"
    );
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!(counted.aborted, 1);
    assert_eq!(counted.outcomes[Outcome::Faulted.index()], 1);
}

#[test]
fn an_abort_may_follow_the_delay_of_a_response() {
    let mut vm = on_response(&json!({"delay_ms": 100, "abort_grpc_status": 14}));
    let exchange = responding(&mut vm);
    vm.advance(millis(110));
    let reply = vm.stream(exchange).reply().unwrap().clone();
    assert_eq!((reply.status, reply.grpc_status), (200, 14));
    vm.tick();
    ended(&mut vm, exchange);
}

#[test]
fn a_response_is_reset() {
    let mut vm = on_response(&json!({"reset": true}));
    let exchange = responding(&mut vm);
    assert!(ended(&mut vm, exchange).is_closed());
}

#[test]
fn a_client_that_leaves_while_its_response_is_held_is_forgotten() {
    let mut vm = on_response(&json!({"delay_ms": 200}));
    let exchange = responding(&mut vm);
    vm.advance(millis(50));
    ended(&mut vm, exchange);
    is_at_rest(&mut vm);
    let report = reported(&mut vm);
    assert_eq!(report.trouble.unwrap_or_default().hostcalls_failed, 0);
}

#[test]
fn a_response_is_let_go_when_the_fault_expires_or_is_withdrawn() {
    for is_withdrawn in [false, true] {
        let mut vm = answering(&pay(&json!({})));
        let fault = json!({
            "side_of_exchange": "response", "delay_ms": 9_000, "abort_status": 503,
            "expires_at_ms": vm.wall_ms() + 500,
        });
        let configuration = faulty(&vm, &fault);
        push(&mut vm, &configuration);
        let exchange = responding(&mut vm);
        if is_withdrawn {
            push(&mut vm, &pay(&json!({})));
        } else {
            vm.advance(millis(490));
            assert!(vm.stream(exchange).is_response_paused());
        }
        vm.advance(millis(30));
        assert_eq!(vm.stream(exchange).times_answered(), 1);
        assert!(ended(&mut vm, exchange).reply().is_none());
    }
}

#[test]
fn a_fault_that_expires_before_the_response_does_nothing() {
    let mut vm = answering(&pay(&json!({})));
    let expires_at = vm.wall_ms() + 500;
    let fault =
        json!({"side_of_exchange": "response", "abort_status": 503, "expires_at_ms": expires_at});
    let configuration = faulty(&vm, &fault);
    push(&mut vm, &configuration);
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(1_100));
    vm.respond(exchange, Response::status(200));
    assert!(ended(&mut vm, exchange).reply().is_none());
}

#[test]
fn a_body_is_truncated_and_its_length_not_told() {
    for half in [Half::Request, Half::Response] {
        let (mut vm, exchange) = spoilt(half, &json!({"truncate_after_bytes": 5}));
        vm.part(exchange, half, b"123");
        vm.part(exchange, half, b"456");
        vm.last_part(exchange, half, b"789");
        let ended = ended(&mut vm, exchange);
        assert_eq!(ended.passed(half), b"12345");
        assert!(ended.is_over(half), "it ends properly");
        let length = match half {
            Half::Request => ended.sent("content-length"),
            Half::Response => ended.received("content-length"),
        };
        assert_eq!(length, None);
    }
}

/// An exchange under a fault on the body of this half, which has not come.
fn spoilt(half: Half, body: &Value) -> (Vm, Exchange) {
    match half {
        Half::Request => {
            let mut vm = with(&json!({"body": body}));
            let request = Request::get("/pay").header("content-length", "9");
            let exchange = vm.begin_with_body(INBOUND, request);
            (vm, exchange)
        }
        Half::Response => {
            let mut vm = on_response(&json!({"body": body}));
            let exchange = responding(&mut vm);
            (vm, exchange)
        }
    }
}

#[test]
fn a_share_of_a_body_is_changed() {
    for half in [Half::Request, Half::Response] {
        let (mut vm, exchange) = spoilt(half, &json!({"corrupt": 1_000}));
        vm.part(exchange, half, &[b'x'; 64]);
        vm.last_part(exchange, half, &[b'x'; 36]);
        let ended = ended(&mut vm, exchange);
        let changed = ended.passed(half).iter().filter(|byte| **byte != b'x');
        assert_eq!((changed.count(), ended.passed(half).len()), (10, 100));
    }
}

#[test]
fn a_body_is_cut_and_what_came_before_arrives() {
    for half in [Half::Request, Half::Response] {
        let (mut vm, exchange) = spoilt(half, &json!({"cut_after_bytes": 5}));
        vm.part(exchange, half, b"12345678");
        assert!(!vm.stream(exchange).is_closed(), "or Envoy would drop them");
        vm.last_part(exchange, half, b"9");
        vm.advance(millis(10));
        let ended = ended(&mut vm, exchange);
        assert_eq!(ended.passed(half), b"12345");
        assert!(ended.is_closed() && !ended.is_over(half));
        let report = reported(&mut vm);
        let counted = scope(&report, "pay").unwrap();
        assert_eq!(counted.outcomes[Outcome::Faulted.index()], 1);
    }
}

#[test]
fn a_body_that_comes_as_one_piece_with_its_end_is_cut_too() {
    let (mut vm, exchange) = spoilt(Half::Response, &json!({"cut_after_bytes": 5}));
    vm.last_part(exchange, Half::Response, b"12345678");
    vm.advance(millis(10));
    let ended = ended(&mut vm, exchange);
    assert!(ended.is_closed() && !ended.is_over(Half::Response));
}

#[test]
fn a_slow_body_keeps_its_pace_and_loses_nothing() {
    for half in [Half::Request, Half::Response] {
        let (mut vm, exchange) = spoilt(half, &json!({"bytes_per_second": 1_000}));
        let passed = |vm: &Vm| vm.stream(exchange).passed(half).len();
        vm.part(exchange, half, &[1; 100]);
        vm.advance(millis(95));
        assert_eq!(passed(&vm), 0);
        vm.advance(millis(10));
        assert_eq!(passed(&vm), 100);
        // Together, while the first is held.
        vm.part(exchange, half, &[2; 100]);
        vm.advance(millis(50));
        vm.part(exchange, half, &[3; 100]);
        vm.advance(millis(140));
        assert_eq!(passed(&vm), 100);
        vm.advance(millis(10));
        assert_eq!(passed(&vm), 300);
        // Later than the pace asks for.
        vm.advance(millis(500));
        vm.part(exchange, half, &[4; 100]);
        vm.advance(millis(5));
        assert_eq!(passed(&vm), 400);
        vm.last_part(exchange, half, &[5; 2]);
        is_at_rest(&mut vm);
        let ended = ended(&mut vm, exchange);
        let whole = [&[1; 100][..], &[2; 100], &[3; 100], &[4; 100], &[5; 2]].concat();
        assert_eq!(ended.passed(half), whole);
        assert!(ended.is_over(half));
    }
}

#[test]
fn trailers_wait_for_the_body_before_them() {
    let (mut vm, exchange) = spoilt(Half::Response, &json!({"bytes_per_second": 1_000}));
    vm.part(exchange, Half::Response, &[1; 100]);
    vm.trailers(exchange, Half::Response);
    vm.advance(millis(95));
    assert!(!vm.stream(exchange).is_over(Half::Response));
    vm.advance(millis(10));
    assert!(vm.stream(exchange).is_over(Half::Response));
    vm.tick();
    ended(&mut vm, exchange);
}

#[test]
fn a_slow_body_is_cut_where_it_should_be() {
    let body = json!({"bytes_per_second": 1_000, "cut_after_bytes": 150});
    let (mut vm, exchange) = spoilt(Half::Response, &body);
    vm.part(exchange, Half::Response, &[1; 100]);
    vm.advance(millis(110));
    vm.part(exchange, Half::Response, &[2; 100]);
    vm.advance(millis(50));
    let ended = ended(&mut vm, exchange);
    assert_eq!(ended.passed(Half::Response).len(), 150);
    assert!(ended.is_closed());
    is_at_rest(&mut vm);
}

#[test]
fn a_client_that_leaves_during_a_slow_body_is_forgotten() {
    let (mut vm, exchange) = spoilt(Half::Response, &json!({"bytes_per_second": 10}));
    vm.part(exchange, Half::Response, &[1; 100]);
    vm.advance(millis(1_000));
    ended(&mut vm, exchange);
    is_at_rest(&mut vm);
    let report = reported(&mut vm);
    assert_eq!(report.trouble.unwrap_or_default().hostcalls_failed, 0);
}

#[test]
fn a_push_lets_go_of_a_slow_body_and_of_what_comes_behind() {
    let (mut vm, exchange) = spoilt(Half::Response, &json!({"bytes_per_second": 10}));
    vm.part(exchange, Half::Response, &[1; 100]);
    push(&mut vm, &pay(&json!({})));
    vm.advance(millis(5));
    vm.part(exchange, Half::Response, &[2; 100]);
    vm.advance(millis(5));
    // Envoy would lose what comes behind something that was let go, unless it is held until the next tick.
    vm.last_part(exchange, Half::Response, &[3; 100]);
    vm.advance(millis(5));
    assert_eq!(ended(&mut vm, exchange).passed(Half::Response).len(), 300);
}

#[test]
fn a_delay_comes_before_what_spoils_the_body() {
    let mut vm = on_response(&json!({"delay_ms": 100, "body": {"truncate_after_bytes": 2}}));
    let exchange = responding(&mut vm);
    vm.last_part(exchange, Half::Response, b"1234");
    vm.advance(millis(110));
    let ended = ended(&mut vm, exchange);
    assert_eq!(
        (ended.passed(Half::Response), ended.times_answered()),
        (&b"12"[..], 1)
    );
}

#[test]
fn an_exchange_without_such_a_fault_pays_for_the_entries_alone() {
    let mut vm = answering(&pay(&json!({})));
    let exchange = responding(&mut vm);
    let before = vm.cost();
    vm.part(exchange, Half::Response, &[1; 100]);
    vm.last_part(exchange, Half::Response, &[1; 100]);
    let cost = vm.cost().since(&before);
    // The clock, at the end.
    assert_eq!((cost.entries, cost.calls(), cost.allocations), (2, 1, 0));
    assert!(cost.fuel < 400, "{}", cost.fuel);
    ended(&mut vm, exchange);
}

#[test]
fn the_module_that_leaves_answers_alone_refuses_such_faults() {
    for (what, field) in [
        (json!({"body": {"corrupt": 1}}), "scopes[0].faults[0].body"),
        (
            json!({"side_of_exchange": "response", "delay_ms": 1}),
            "scopes[0].faults[0].side_of_exchange",
        ),
    ] {
        let mut vm = bare();
        let configuration = faulty(&vm, &what);
        assert!(!vm.configure(INBOUND, &configuration.to_string()));
        let log = vm.take_log().join(" ");
        assert!(
            log.contains(field) && log.contains("sloop_filter_answers.wasm"),
            "{log}"
        );
    }
}
