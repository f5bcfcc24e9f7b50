//! Joining by `x-request-id`, within a worker and across workers.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};

use crate::language::{INBOUND, OUTBOUND, bare, beside, inbound, millis, push};

/// Both filters, joining so.
fn configured(vm: &mut Vm, join: &Value) {
    for side in ["server", "client"] {
        let mut configuration = inbound(&json!([]));
        configuration["side"] = json!(side);
        if !join.is_null() {
            configuration["trace"] = json!({"context": {"join": join}});
        }
        push(vm, &configuration);
    }
}

/// The trace that a request is sent on in. All requests here have the same `x-request-id`.
fn trace(vm: &mut Vm, root_id: &str) -> String {
    let ended = vm.exchange(root_id, Request::get("/"), Response::status(200));
    ended.sent("traceparent").unwrap()[3..35].to_owned()
}

fn shared_calls(vm: &Vm) -> u64 {
    let calls = vm.cost().hostcalls;
    let names = ["proxy_get_shared_data", "proxy_set_shared_data"];
    names.iter().filter_map(|name| calls.get(name)).sum()
}

#[test]
fn a_worker_joins_what_it_saw_itself() {
    let mut vm = bare();
    configured(&mut vm, &json!({"expires_ms": 1_000}));
    let before = shared_calls(&vm);
    let entered = trace(&mut vm, INBOUND);
    vm.advance(millis(900));
    assert_eq!(trace(&mut vm, OUTBOUND), entered);
    vm.advance(millis(100));
    assert_ne!(trace(&mut vm, OUTBOUND), entered, "expired");
    assert_eq!(shared_calls(&vm), before);
}

#[test]
fn workers_of_a_sidecar_join_what_another_saw() {
    let mut vm = bare();
    let mut other = beside(&vm, 2);
    for worker in [&mut vm, &mut other] {
        configured(worker, &json!({"expires_ms": 1_000, "reach": "sidecar"}));
    }
    let entered = trace(&mut vm, INBOUND);
    other.advance(millis(900));
    assert_eq!(trace(&mut other, OUTBOUND), entered);
    other.advance(millis(100));
    assert_ne!(trace(&mut other, OUTBOUND), entered, "expired");
}

#[test]
fn workers_that_do_not_share_join_nothing() {
    let mut vm = bare();
    let mut other = beside(&vm, 2);
    for worker in [&mut vm, &mut other] {
        configured(worker, &json!({"expires_ms": 1_000}));
    }
    let entered = trace(&mut vm, INBOUND);
    assert_ne!(trace(&mut other, OUTBOUND), entered);
}

#[test]
fn without_shared_data_a_request_passes_all_the_same() {
    let mut vm = bare();
    vm.forbid_shared_data();
    configured(&mut vm, &json!({"reach": "sidecar"}));
    let entered = trace(&mut vm, INBOUND);
    assert_eq!(trace(&mut vm, OUTBOUND), entered, "its own it knows");
}

#[test]
fn nobody_joins_who_was_not_asked_to() {
    let mut vm = bare();
    configured(&mut vm, &Value::Null);
    let before = shared_calls(&vm);
    let entered = trace(&mut vm, INBOUND);
    assert_ne!(trace(&mut vm, OUTBOUND), entered);
    assert_eq!(shared_calls(&vm), before);
}
