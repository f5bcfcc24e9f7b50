//! A whole request in the Wasm host: the module that ships, and all that crosses between it and its host.
//!
//! The host is the one of the tests, which counts and keeps what it sees, and counts fuel. So the numbers are for comparing
//! one row with another, and a commit with the one before; what a request costs in Envoy is measured in Envoy.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use sloop_integration::module_path;
use sloop_integration::wasm_host::{Half, Module, Request, Response, Vm};

const INBOUND: &str = "sloop-inbound";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A route with these rules.
fn pay(rules: Value) -> Value {
    let mut scope =
        json!({"service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}]});
    for (name, rule) in rules.as_object().into_iter().flatten() {
        scope[name] = rule.clone();
    }
    json!({"version": 1, "service": "shop", "side": "server", "report": {"cluster": "sloop"}, "scopes": [scope]})
}

/// What an SLO brings to a route, and a fault that is armed and not drawn.
fn ordinary() -> Value {
    json!({
        "objectives": [
            {"id": {"slo": "served", "index": 0}},
            {"id": {"slo": "fast", "index": 0}, "within_us": 250_000},
        ],
        "breaker": {"limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
        "faults": [{"id": "none", "share": 0, "abort_status": 503, "expires_at_ms": u64::MAX}],
    })
}

/// A request that is answered with a body, in one part and with an end of its own.
fn ask(vm: &mut Vm, request: &Request) {
    let exchange = vm.begin(INBOUND, request.clone());
    vm.respond_with_body(exchange, Response::status(200));
    vm.part(exchange, Half::Response, b"{}");
    vm.last_part(exchange, Half::Response, b"");
    black_box(vm.end(exchange));
}

fn requests(criterion: &mut Criterion) {
    let module = Module::load_to_measure(&module_path()).unwrap();
    let begun = Request::get("/pay");
    let continued = Request::get("/pay").header("traceparent", TRACEPARENT);
    for (name, configuration, request) in [
        ("trace begun", pay(json!({})), &begun),
        ("trace continued", pay(json!({})), &continued),
        ("ordinary", pay(ordinary()), &continued),
    ] {
        let mut vm = Vm::start(&module, 1).unwrap();
        assert!(vm.configure(INBOUND, &configuration.to_string()));
        criterion.bench_function(&format!("request in the host, {name}"), |bencher| {
            bencher.iter(|| ask(&mut vm, black_box(request)));
        });
    }
    // The share of the host alone: a filter that is not configured asks for nothing.
    let mut vm = Vm::start(&module, 1).unwrap();
    let nowhere = json!({"version": 1, "service": "shop", "side": "client"});
    assert!(vm.configure("sloop-outbound", &nowhere.to_string()));
    criterion.bench_function("request in the host, not seen by the filter", |bencher| {
        bencher.iter(|| {
            let exchange = vm.begin_unseen("sloop-outbound", continued.clone());
            black_box(vm.end(exchange));
        });
    });
}

criterion_group!(all, requests);
criterion_main!(all);
