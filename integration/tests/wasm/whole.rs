//! Answers that went through whole, and those that did not: both count as what they were.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Exchange, Half, Request, Response, Vm};
use sloop_model::{Flags, Outcome};

use crate::language::{
    INBOUND, answering, ask, ask_for_body, call, millis, pay, reported, scope, started,
};

/// Both modules.
fn vms(configuration: &Value) -> [Vm; 2] {
    [started(configuration), answering(configuration)]
}

fn counts_as(vm: &mut Vm, expected: Outcome) {
    let report = reported(vm);
    let counted = &scope(&report, "pay").unwrap().outcomes;
    assert_eq!(counted.iter().sum::<u64>(), 1, "{counted:?}");
    assert_eq!(
        counted.get(expected.index()),
        Some(&1),
        "{expected:?}: {counted:?}"
    );
}

/// How many values were returned in one exchange.
fn values(vm: &mut Vm, exchange: impl FnOnce(&mut Vm)) -> u64 {
    let before = vm.cost();
    exchange(vm);
    vm.cost().since(&before).allocations
}

/// An answer whose end has gone by, of a request that is not over.
fn answered(vm: &mut Vm, response: Response) -> Exchange {
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    vm.respond_with_body(exchange, response);
    vm.part(exchange, Half::Response, b"{}");
    vm.last_part(exchange, Half::Response, b"");
    exchange
}

#[test]
fn a_whole_answer_is_not_asked_for_flags() {
    for mut vm in vms(&pay(&json!({}))) {
        let asked = values(&mut vm, |vm| {
            ask_for_body(vm, Request::get("/pay"), Response::status(200));
        });
        assert_eq!(asked, 2, "headers and status");
        counts_as(&mut vm, Outcome::Success);
    }
}

#[test]
fn a_whole_grpc_answer_ends_with_its_trailers() {
    for mut vm in vms(&pay(&json!({}))) {
        let asked = values(&mut vm, |vm| {
            call(vm, Request::get("/pay"), Response::status(200).grpc(14));
        });
        assert_eq!(asked, 4, "headers, both statuses, and whose the second is");
        counts_as(&mut vm, Outcome::ServerError);
    }
}

/// As Envoy's own are, to which `local_reply_config` can give any status.
#[test]
fn an_answer_in_one_part_is_asked_whose_it_is() {
    for (flags, expected) in [
        (Flags::LATE, Outcome::Timeout),
        (Flags::UNCONNECTED, Outcome::ConnectFailure),
        (Flags::NOWHERE, Outcome::NoHealthyUpstream),
        (Flags::default(), Outcome::Success),
    ] {
        for bytes in [&b"sorry"[..], b""] {
            for mut vm in vms(&pay(&json!({}))) {
                let response = Response::status(200).flags(flags.0);
                let exchange = vm.begin(INBOUND, Request::get("/pay"));
                if bytes.is_empty() {
                    vm.respond(exchange, response);
                } else {
                    vm.respond_with_body(exchange, response);
                    vm.last_part(exchange, Half::Response, bytes);
                }
                vm.end(exchange);
                counts_as(&mut vm, expected);
            }
        }
    }
}

#[test]
fn the_last_of_several_parts_may_bring_bytes() {
    for mut vm in vms(&pay(&json!({}))) {
        let asked = values(&mut vm, |vm| {
            let exchange = vm.begin(INBOUND, Request::get("/pay"));
            vm.respond_with_body(exchange, Response::status(200));
            vm.part(exchange, Half::Response, b"one");
            vm.last_part(exchange, Half::Response, b"two");
            vm.end(exchange);
        });
        assert_eq!(asked, 2, "headers and status");
        counts_as(&mut vm, Outcome::Success);
    }
}

#[test]
fn an_answer_that_breaks_off_is_truncated() {
    for parts in 0..3 {
        for mut vm in vms(&pay(&json!({}))) {
            let exchange = vm.begin(INBOUND, Request::get("/pay"));
            vm.respond_with_body(exchange, Response::status(200).flags(1 << 23));
            for _ in 0..parts {
                vm.part(exchange, Half::Response, b"part");
            }
            vm.end(exchange);
            counts_as(&mut vm, Outcome::Truncated);
        }
    }
}

#[test]
fn a_client_that_leaves_after_the_last_part_has_left() {
    for mut vm in vms(&pay(&json!({}))) {
        let exchange = answered(&mut vm, Response::status(200).flags(Flags::CANCELLED.0));
        vm.advance(millis(2));
        vm.end(exchange);
        counts_as(&mut vm, Outcome::ClientCancel);
    }
}

#[test]
fn an_answer_says_nothing_about_another_one() {
    for mut vm in vms(&pay(&json!({}))) {
        let one = answered(&mut vm, Response::status(200).flags(Flags::CANCELLED.0));
        let other = vm.begin(INBOUND, Request::get("/other"));
        vm.respond_with_body(other, Response::status(200));
        vm.last_part(other, Half::Response, b"");
        vm.end(one);
        vm.end(other);
        counts_as(&mut vm, Outcome::ClientCancel);
    }
}

/// Envoy's own answers end like those of a service.
#[test]
fn errors_are_asked_whose_they_are() {
    for (status, flags, expected) in [
        (404, Flags::NOWHERE, Outcome::NoHealthyUpstream),
        (503, Flags::UNCONNECTED, Outcome::ConnectFailure),
        (503, Flags::BROKEN, Outcome::UpstreamReset),
        (504, Flags::LATE, Outcome::Timeout),
        (503, Flags::default(), Outcome::ServerError),
    ] {
        for mut vm in vms(&pay(&json!({}))) {
            let response = Response::status(status).flags(flags.0);
            ask_for_body(&mut vm, Request::get("/pay"), response);
            counts_as(&mut vm, expected);
        }
    }
}

#[test]
fn answers_without_a_body_are_asked_for_flags() {
    for (response, expected) in [
        (Response::status(204), Outcome::Success),
        (
            Response::status(200).flags(Flags::CANCELLED.0),
            Outcome::ClientCancel,
        ),
    ] {
        for mut vm in vms(&pay(&json!({}))) {
            let asked = values(&mut vm, |vm| {
                ask(vm, Request::get("/pay"), response.clone());
            });
            assert_eq!(asked, 3, "headers, status and flags");
            counts_as(&mut vm, expected);
        }
    }
}

/// They have the status 200, and are headers alone.
#[test]
fn envoys_own_answers_to_grpc_keep_their_flags() {
    for (flags, expected) in [
        (Flags::LATE, Outcome::Timeout),
        (Flags::UNCONNECTED, Outcome::ConnectFailure),
        (Flags::NOWHERE, Outcome::NoHealthyUpstream),
    ] {
        for mut vm in vms(&pay(&json!({}))) {
            let request = Request::get("/pay").header("content-type", "application/grpc");
            let response = Response::status(200).grpc(14).flags(flags.0);
            ask(&mut vm, request, response);
            counts_as(&mut vm, expected);
        }
    }
}

/// Anybody may call a request gRPC, and Envoy gives each answer to it a gRPC status.
#[test]
fn an_answer_that_is_no_grpc_has_no_grpc_status() {
    for (status, expected) in [
        (200, Outcome::Success),
        (400, Outcome::ClientError),
        (404, Outcome::ClientError),
        (429, Outcome::ClientError),
        (503, Outcome::ServerError),
    ] {
        for content_type in [None, Some("text/html"), Some("application/grpc-web")] {
            for mut vm in vms(&pay(&json!({}))) {
                let request = Request::get("/pay").header("content-type", "application/grpc");
                let response = Response::status(status);
                let response = match content_type {
                    Some(content_type) => response.header("content-type", content_type),
                    None => response,
                };
                ask_for_body(&mut vm, request, response);
                counts_as(&mut vm, expected);
            }
        }
    }
}

#[test]
fn an_objective_that_selects_by_flags_gets_them() {
    let delayed = 1 << 9;
    for mut vm in vms(&pay(&json!({"objectives": [
        {"id": {"slo": "undelayed", "index": 0}, "bad": {"flags": delayed}},
    ]}))) {
        for flags in [0, delayed] {
            let response = Response::status(200).flags(flags);
            ask_for_body(&mut vm, Request::get("/pay"), response);
        }
        let report = reported(&mut vm);
        let objective = &scope(&report, "pay").unwrap().objectives[0];
        assert_eq!((objective.total, objective.good), (2, 1));
    }
}
