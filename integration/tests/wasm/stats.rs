//! Counts as Envoy's own statistics, by dimension and attempt in the report.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};
use sloop_xds_protos::report::v1::Dimension;

use crate::language::{
    INBOUND, OUTBOUND, ask, inbound, millis, paid, pay, push, reported, requests, scope, started,
};

fn shown(report: &Value) -> Vm {
    let mut configuration = pay(&json!({"objectives": [{"id": {"slo": "up", "index": 0}}]}));
    configuration["stats"] = json!({"enabled": true});
    if report.is_null() {
        configuration.as_object_mut().unwrap().remove("report");
    }
    started(&configuration)
}

/// The statistic of the route `pay`.
fn stat(vm: &Vm, labels: &str, name: &str) -> Option<i64> {
    let scope = "sloop_service=.=shop;.;sloop_route=.=pay;.;sloop_side=.=server;.;";
    vm.metric(&format!("{labels}{scope}{name}"))
}

#[test]
fn every_count_is_shown_once_with_and_without_reports() {
    for report in [Value::Null, json!(true)] {
        let mut vm = shown(&report);
        for round in 1..4 {
            for status in [200, 200, 500] {
                paid(&mut vm, status);
            }
            for _ in 0..6 {
                if !report.is_null() {
                    reported(&mut vm);
                    paid(&mut vm, 404);
                }
                vm.advance(millis(1_000));
            }
            let outcome = |name| stat(&vm, &format!("sloop_outcome=.={name};.;"), "sloop_requests");
            assert_eq!(outcome("success"), Some(2 * round), "{report}");
            assert_eq!(outcome("server_error"), Some(round), "{report}");
            let bad = "sloop_slo=.=up;.;sloop_objective=.=0;.;sloop_result=.=bad;.;";
            assert_eq!(stat(&vm, bad, "sloop_objective_requests"), Some(round));
        }
    }
}

/// Nothing else brings a tick then: no report, and no statistics.
#[test]
fn what_was_counted_before_they_were_switched_off_is_shown_soon() {
    let mut vm = shown(&Value::Null);
    paid(&mut vm, 200);
    let mut off = pay(&json!({}));
    off.as_object_mut().unwrap().remove("report");
    push(&mut vm, &off);
    vm.advance(millis(1_000));
    let success = "sloop_outcome=.=success;.;";
    assert_eq!(stat(&vm, success, "sloop_requests"), Some(1));
    assert_eq!(vm.tick_period(INBOUND), millis(0), "nothing is left to do");
}

#[test]
fn nothing_is_shown_unasked() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    vm.advance(millis(20_000));
    let calls = vm.cost().hostcalls;
    assert_eq!(calls.get("proxy_define_metric"), None);
    assert_eq!(calls.get("proxy_increment_metric"), None);
}

#[test]
fn requests_are_told_apart_by_who_sent_them_and_why() {
    let mut configuration = pay(&json!({}));
    configuration["dimensions"] = json!({
        "caller": {"xfcc": true}, "origin": {"baggage": "origin"},
        "journey": {"baggage": "journey"}, "version": "v2", "attempts": true,
    });
    let mut vm = started(&configuration);
    let request = Request::get("/pay")
        .header(
            "x-forwarded-client-cert",
            "By=spiffe://a/shop;URI=spiffe://a/cart",
        )
        .header("baggage", "origin=web,journey=checkout")
        .header("x-envoy-attempt-count", "2");
    ask(&mut vm, request, Response::status(200));
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    assert_eq!(report.filters[0].version, "v2");
    let counted = scope(&report, "pay").unwrap();
    assert_eq!(counted.retries, 1);
    let values = |dimension: Dimension| {
        let all = counted.dimensions.iter();
        let mut values: Vec<&str> = all
            .filter(|one| one.dimension() == dimension)
            .map(|one| one.value.as_str())
            .collect();
        values.sort_unstable();
        values
    };
    assert_eq!(values(Dimension::Caller), ["spiffe://a/cart", "unknown"]);
    assert_eq!(values(Dimension::Origin), ["unknown", "web"]);
    assert_eq!(values(Dimension::Journey), ["checkout", "unknown"]);
}

#[test]
fn outbound_attempts_are_those_of_envoy() {
    let mut configuration = inbound(&json!([{
        "service": "stock", "route": "all", "match": [{"path": {"prefix": "/"}}],
    }]));
    configuration["side"] = json!("client");
    configuration["dimensions"] = json!({"attempts": true});
    let mut vm = started(&pay(&json!({})));
    push(&mut vm, &configuration);
    vm.exchange(
        OUTBOUND,
        Request::get("/"),
        Response::status(200).attempts(3),
    );
    vm.exchange(OUTBOUND, Request::get("/"), Response::status(200));
    vm.exchange(
        INBOUND,
        Request::get("/pay"),
        Response::status(200).attempts(3),
    );
    let report = reported(&mut vm);
    assert_eq!(scope(&report, "all").unwrap().retries, 2);
    assert_eq!(requests(&report, "pay"), 1);
    assert_eq!(scope(&report, "pay").unwrap().retries, 0);
}
