//! What travels with a request besides its trace.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Stream, Vm};
use sloop_model::Outcome;

use crate::language::{OUTBOUND, ask, inbound, millis, pay, push, reported, scope, started};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn carrying(context: &Value) -> Vm {
    let mut configuration = pay(&json!({}));
    configuration["trace"] = json!({"context": context});
    let mut vm = started(&configuration);
    let mut client = inbound(&json!([]));
    client["side"] = json!("client");
    client["trace"] = json!({"context": context});
    push(&mut vm, &client);
    vm
}

fn traced(state: &str) -> Request {
    Request::get("/pay")
        .header("traceparent", TRACEPARENT)
        .header("tracestate", state)
}

fn writes(vm: &mut Vm, request: Request) -> (Stream, u64) {
    let before = vm.cost();
    let ended = ask(vm, request, Response::status(200));
    let spent = vm.cost().since(&before).hostcalls;
    let names = [
        "proxy_replace_header_map_value",
        "proxy_remove_header_map_value",
        "proxy_add_header_map_value",
    ];
    let writes = names.iter().filter_map(|name| spent.get(name)).sum();
    (ended, writes)
}

#[test]
fn a_late_request_is_refused_in_the_words_of_its_protocol() {
    let mut vm = carrying(&json!({"deadlines": "enforce"}));
    let (late, written) = writes(&mut vm, traced("sloop=1.d0-0"));
    assert_eq!((late.times_sent(), written), (0, 0));
    let reply = late.reply().unwrap();
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (504, "sloop_deadline_passed")
    );
    assert_eq!(late.received("x-sloop-verdict").unwrap(), "deadline_passed");
    let grpc = traced("sloop=1.d0-0").header("content-type", "application/grpc");
    let late = ask(&mut vm, grpc, Response::status(200));
    assert_eq!(late.reply().unwrap().grpc_status, 4);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!(
        counted.outcomes.get(Outcome::DeadlinePassed.index()),
        Some(&2)
    );
}

#[test]
fn a_late_request_that_passes_is_counted() {
    let mut vm = carrying(&json!({"deadlines": "carry"}));
    let (late, written) = writes(&mut vm, traced("sloop=1.d0-0"));
    assert_eq!((late.times_sent(), written), (1, 2));
    assert_eq!(reported(&mut vm).trouble.unwrap().late_passed, 1);
}

#[test]
fn a_deadline_runs_down_from_hop_to_hop() {
    let mut vm = carrying(&json!({"deadlines": "enforce"}));
    let timeout = Request::get("/pay").header("grpc-timeout", "100m");
    let entered = vm.begin(crate::language::INBOUND, timeout);
    let copied = |vm: &Vm| {
        let mut onward = Request::get("/stock");
        for name in ["traceparent", "tracestate"] {
            onward = onward.header(name, vm.stream(entered).sent(name).unwrap());
        }
        onward
    };
    let left = |state: &str| {
        let (_, field) = state.split_once(".d").unwrap();
        u32::from_str_radix(field.split('-').next().unwrap(), 16).unwrap()
    };
    assert_eq!(left(&vm.stream(entered).sent("tracestate").unwrap()), 100);
    vm.advance(millis(60));
    let onward = copied(&vm);
    let sent = vm.exchange(OUTBOUND, onward, Response::status(200));
    assert_eq!(left(&sent.sent("tracestate").unwrap()), 40);
    vm.advance(millis(40));
    let onward = copied(&vm);
    let late = vm.exchange(OUTBOUND, onward, Response::status(200));
    assert_eq!(late.reply().unwrap().status, 504);
    vm.respond(entered, Response::status(200));
    vm.end(entered);
}

#[test]
fn a_rule_gives_a_deadline_and_refuses_what_comes_after_one() {
    let mut vm = started(&pay(&json!({"deadline": {"limit_ms": 3_000}})));
    let (given, written) = writes(&mut vm, Request::get("/pay"));
    assert_eq!(written, 2, "the trace, and what is left");
    let state = given.sent("tracestate").unwrap();
    assert!(state.starts_with("sloop=1.dbb8-"), "{state}");
    let (late, written) = writes(&mut vm, traced("sloop=1.d0-0"));
    assert_eq!((late.times_sent(), written), (0, 0));
    assert_eq!(late.reply().unwrap().status, 504);

    let shadow = json!({"deadline": {"mode": "shadow", "limit_ms": 3_000}});
    let mut vm = started(&pay(&shadow));
    let (late, written) = writes(&mut vm, traced("sloop=1.d0-0"));
    assert_eq!((late.times_sent(), written), (1, 1));
    assert_eq!(reported(&mut vm).trouble.unwrap().late_passed, 1);
}

#[test]
fn what_did_not_change_is_not_written() {
    let mut vm = carrying(&json!({}));
    let (ended, written) = writes(&mut vm, traced("sloop=1.c3.k.e0badcafef,congo=1"));
    assert_eq!(written, 1);
    let state = ended.sent("tracestate").unwrap();
    assert_eq!(state, "sloop=1.c3.k.e0badcafef,congo=1");
    let (_, written) = writes(&mut vm, Request::get("/pay"));
    assert_eq!(written, 1);
}

#[test]
fn envoys_own_trace_is_left_alone() {
    let mut vm = carrying(&json!({"owner": "envoy"}));
    let (ended, written) = writes(&mut vm, traced("congo=1"));
    assert_eq!(written, 0);
    assert_eq!(ended.sent("traceparent").unwrap(), TRACEPARENT);
}

#[test]
fn b3_comes_in_and_goes_out() {
    let mut vm = carrying(&json!({"b3": "single"}));
    let single = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
    let ended = ask(
        &mut vm,
        Request::get("/pay").header("b3", single),
        Response::status(200),
    );
    let traceparent = ended.sent("traceparent").unwrap();
    assert_eq!(traceparent.get(3..35), single.get(..32), "the same trace");
    let sent = ended.sent("b3").unwrap();
    assert_eq!(sent.get(33..49), traceparent.get(36..52), "the same span");

    let mut vm = carrying(&json!({"b3": "multi"}));
    let ended = ask(&mut vm, traced("congo=1"), Response::status(200));
    assert_eq!(
        ended.sent("x-b3-traceid").as_deref(),
        TRACEPARENT.get(3..35)
    );
}

#[test]
fn where_nobody_is_believed_the_member_goes() {
    let mut vm = carrying(&json!({"member": "discard"}));
    let ended = ask(&mut vm, traced("sloop=1.c3"), Response::status(200));
    assert_eq!(ended.sent("tracestate"), None);
}
