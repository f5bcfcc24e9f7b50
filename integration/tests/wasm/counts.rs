//! Counts: every request once, on the right route, with the right outcome.

use serde_json::json;
use sloop_integration::wasm_host::{Request, Response};
use sloop_model::{LatencyBucket, LatencyCounts, Outcome};
use sloop_xds_protos::report::v1::Side;

use crate::language::{
    INBOUND, OUTBOUND, ask, inbound, millis, paid, pay, push, reported, requests, scope, started,
};

#[test]
fn requests_are_counted_by_route_and_outcome() {
    let mut vm = started(&pay(&json!({})));
    for status in [200, 200, 404, 500] {
        paid(&mut vm, status);
    }
    ask(&mut vm, Request::get("/elsewhere"), Response::status(200));
    let report = reported(&mut vm);
    assert_eq!(
        (report.node.as_str(), report.cluster.as_str()),
        ("node-1", "shop")
    );
    let paid = scope(&report, "pay").unwrap();
    assert_eq!((paid.service.as_str(), paid.side()), ("shop", Side::Server));
    assert_eq!(paid.requests, 4);
    assert_eq!(paid.outcomes, [2, 1, 1]);
    assert_eq!(requests(&report, "other"), 1);
}

#[test]
fn flags_and_grpc_decide_about_the_outcome() {
    let grpc = || Request::get("/pay").header("content-type", "application/grpc");
    for (request, response, expected) in [
        (
            Request::get("/pay"),
            Response::status(504).flags(4),
            Outcome::Timeout,
        ),
        (
            Request::get("/pay"),
            Response::status(503).flags(32),
            Outcome::ConnectFailure,
        ),
        (
            Request::get("/pay"),
            Response::status(200).flags(1 << 23),
            Outcome::Truncated,
        ),
        (
            Request::get("/pay"),
            Response::none().flags(1 << 28),
            Outcome::ClientCancel,
        ),
        (
            Request::get("/pay"),
            Response::status(101).flags(64),
            Outcome::Upgraded,
        ),
        (grpc(), Response::status(200).grpc(0), Outcome::Success),
        (grpc(), Response::status(200).grpc(14), Outcome::ServerError),
    ] {
        let mut vm = started(&pay(&json!({})));
        ask(&mut vm, request, response);
        let report = reported(&mut vm);
        let counted = &scope(&report, "pay").unwrap().outcomes;
        assert_eq!(counted.iter().sum::<u64>(), 1, "{expected:?}");
        assert_eq!(
            counted.get(expected.index()),
            Some(&1),
            "{expected:?}: {counted:?}"
        );
    }
}

#[test]
fn objectives_are_judged_by_status_and_by_exact_latency() {
    let mut vm = started(&pay(&json!({"objectives": [
        {"id": {"slo": "pay-served", "index": 0}},
        {"id": {"slo": "pay-fast", "index": 0}, "within_us": 250_000},
    ]})));
    for latency in [249, 250] {
        let exchange = vm.begin(INBOUND, Request::get("/pay"));
        vm.advance(millis(latency));
        vm.respond(exchange, Response::status(200));
        vm.end(exchange);
    }
    // What misses an objective is told at once; these two are in one report because they end at one moment.
    let slow = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(241));
    let failing = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(10));
    for (exchange, status) in [(slow, 200), (failing, 500)] {
        vm.respond(exchange, Response::status(status));
        vm.end(exchange);
    }
    let report = reported(&mut vm);
    let objectives = &scope(&report, "pay").unwrap().objectives;
    let judged: Vec<_> = objectives
        .iter()
        .map(|objective| (objective.slo.as_str(), objective.total, objective.good))
        .collect();
    assert_eq!(judged, [("pay-fast", 4, 2), ("pay-served", 4, 3)]);
    let buckets = scope(&report, "pay").unwrap().latency_buckets.clone();
    let latencies = LatencyCounts::try_from(buckets).unwrap();
    let in_bucket_of = |us, count| (LatencyBucket::of(us), count);
    let expected = [
        in_bucket_of(10_000, 1),
        in_bucket_of(249_000, 1),
        in_bucket_of(250_000, 2),
    ];
    assert_eq!(latencies.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn envoys_names_of_routes_are_used_where_no_rule_claims() {
    let mut configuration = inbound(&json!([]));
    configuration["route_names"] = json!(true);
    let mut vm = started(&configuration);
    for name in ["cart", "cart", "search"] {
        let request = Request::get("/").route(name);
        ask(&mut vm, request, Response::status(200));
    }
    ask(&mut vm, Request::get("/"), Response::status(200));
    let report = reported(&mut vm);
    let counted = ["cart", "search", "other"].map(|route| requests(&report, route));
    assert_eq!(counted, [2, 1, 1]);
}

#[test]
fn a_push_keeps_what_was_counted() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    let before = vm.begin(INBOUND, Request::get("/pay"));
    let mut pushed = pay(&json!({}));
    pushed["generation"] = json!(2);
    push(&mut vm, &pushed);
    vm.respond(before, Response::status(200));
    vm.end(before);
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    assert_eq!(requests(&report, "pay"), 3);
    assert_eq!(report.filters[0].generation, 2);
    assert_eq!(
        vm.roots(),
        1,
        "the old context is gone with its last request"
    );
}

#[test]
fn both_sides_share_one_memory_and_are_told_apart() {
    let mut vm = started(&pay(&json!({})));
    let mut outbound = pay(&json!({}));
    outbound["side"] = json!("client");
    push(&mut vm, &outbound);
    paid(&mut vm, 200);
    vm.exchange(OUTBOUND, Request::get("/pay"), Response::status(500));
    let report = reported(&mut vm);
    let mut seen: Vec<_> = report
        .scopes
        .iter()
        .map(|scope| (scope.side(), scope.outcomes.clone()))
        .collect();
    seen.sort_by_key(|(side, _)| *side as i32);
    assert_eq!(
        seen,
        [(Side::Server, vec![1]), (Side::Client, vec![0, 0, 1])]
    );
}

#[test]
fn requests_under_way_are_no_requests_yet() {
    let mut vm = started(&pay(&json!({})));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!((counted.requests, counted.in_flight), (1, 1));
    vm.respond(exchange, Response::status(200));
    vm.end(exchange);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!((counted.requests, counted.in_flight), (1, 0));
}
