//! Reports: durable before they are forgotten, and never counted twice.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};

use crate::language::{
    ask, bare_with, inbound, millis, next_report, paid, pay, push, reported, requests, started,
};

#[test]
fn nothing_is_reported_before_the_first_request() {
    let mut vm = started(&pay(&json!({})));
    vm.advance(millis(10_000));
    assert!(vm.calls().is_empty());
}

#[test]
fn the_same_report_is_repeated_until_it_is_acknowledged() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    let (call, first) = next_report(&mut vm);
    vm.fail(&call, 14);
    paid(&mut vm, 200);
    let again = reported(&mut vm);
    assert_eq!(again, first, "counts of the meantime wait for the next one");
    let next = reported(&mut vm);
    assert_eq!(next.incarnation, first.incarnation);
    assert_eq!((first.sequence, next.sequence), (1, 2));
    assert_eq!(requests(&next, "pay"), 1);
    assert_eq!(next.trouble.unwrap_or_default().reports_repeated, 1);
}

#[test]
fn while_a_report_is_under_way_no_other_is_sent() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    next_report(&mut vm);
    paid(&mut vm, 200);
    vm.advance(millis(4_000));
    assert_eq!(vm.calls().len(), 1);
}

#[test]
fn a_push_while_a_report_is_under_way_loses_and_doubles_nothing() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    let (_, first) = next_report(&mut vm);
    // Envoy ends the old root context, and with it the call.
    push(&mut vm, &pay(&json!({})));
    assert!(vm.calls().is_empty());
    let again = reported(&mut vm);
    assert_eq!(again.sequence, first.sequence);
    assert_eq!(requests(&again, "pay"), 1);
    paid(&mut vm, 200);
    let next = reported(&mut vm);
    assert_eq!((next.sequence, requests(&next, "pay")), (2, 1));
}

#[test]
fn a_cluster_that_is_not_there_costs_no_counts() {
    let mut configuration = pay(&json!({}));
    configuration["report"] = json!({"cluster": "gone"});
    let mut vm = started(&configuration);
    vm.remove_cluster("gone");
    paid(&mut vm, 200);
    vm.advance(millis(5_000));
    push(&mut vm, &pay(&json!({})));
    let report = reported(&mut vm);
    assert_eq!(requests(&report, "pay"), 1);
}

#[test]
fn two_vms_have_two_names() {
    let incarnation = |seed| {
        let mut vm = bare_with(seed);
        push(&mut vm, &pay(&json!({})));
        paid(&mut vm, 200);
        reported(&mut vm).incarnation
    };
    assert_ne!(incarnation(1), incarnation(2));
}

const ROUTES: usize = 1_000;

/// A sidecar of a thousand routes that tells callers apart and joins requests.
fn busy() -> Value {
    let scope = |route: usize| {
        json!({
            "service": "shop", "route": format!("r{route}"), "match": [{"path": {"exact": format!("/{route}")}}],
            "objectives": [{"id": {"slo": "up", "index": 0}}],
        })
    };
    let mut configuration = inbound(&(0..ROUTES).map(scope).collect());
    configuration["dimensions"] = json!({"caller": {"header": "x-caller"}, "values_max": 8});
    configuration["trace"] = json!({"context": {"join": {"reach": "sidecar"}}});
    configuration
}

/// A second of traffic on a fifth of the routes, each request of another caller and with another id. Nobody takes reports.
fn second_of_traffic(vm: &mut Vm, second: usize, sent: &mut BTreeMap<String, u64>) {
    for turn in 0..ROUTES / 5 {
        let number = second * (ROUTES / 5) + turn;
        let route = number % ROUTES;
        let request = Request::get(&format!("/{route}"))
            .header("x-caller", format!("caller-{number}"))
            .header("x-request-id", format!("{number:036}"));
        let status = if number.is_multiple_of(7) { 503 } else { 200 };
        ask(vm, request, Response::status(status));
        *sent.entry(format!("r{route}")).or_default() += 1;
    }
    for _ in 0..10 {
        vm.advance(millis(100));
        for call in vm.calls() {
            vm.fail(&call, 14);
        }
    }
}

/// In the first minute each route has had more callers than it tells apart.
#[test]
fn five_minutes_without_a_control_plane_cost_neither_counts_nor_memory() {
    let mut vm = started(&busy());
    let mut sent = BTreeMap::new();
    for second in 0..60 {
        second_of_traffic(&mut vm, second, &mut sent);
    }
    let after_a_minute = vm.memory();
    for second in 60..300 {
        second_of_traffic(&mut vm, second, &mut sent);
    }
    assert_eq!(vm.memory(), after_a_minute, "bytes of linear memory");
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    let all: u64 = sent.values().sum();
    for _ in 0..50 {
        for scope in reported(&mut vm).scopes {
            *counted.entry(scope.route).or_default() += scope.requests;
        }
        if all <= counted.values().sum() {
            break;
        }
    }
    assert_eq!(counted, sent);
}
