//! What clients and Envoy may throw at the filter: nothing of it ends the VM.

use proptest::prelude::{ProptestConfig, any, prop, proptest};
use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};

use crate::language::{
    INBOUND, ask, bare, millis, next_report, paid, pay, push, reported, requests, started,
};

#[test]
fn every_byte_may_stand_in_every_header_that_is_read() {
    let mut vm = started(&pay(&json!({})));
    for name in [
        ":path",
        ":authority",
        ":method",
        "traceparent",
        "tracestate",
        "content-type",
        "x",
    ] {
        for byte in 0..=u8::MAX {
            let value = [b'/', byte, b'0'];
            let request = Request::get("/pay").header(name, value);
            ask(&mut vm, request, Response::status(200));
        }
    }
    let passed = Request::get("/pay").header("x", [0xff, 0xfe]);
    let ended = ask(&mut vm, passed, Response::status(200));
    let mut headers = ended.request_headers().iter();
    assert!(headers.any(|header| *header == (b"x".to_vec(), vec![0xff, 0xfe])));
}

/// Everything that reads headers, and everything that writes them.
fn all_at_once(vm: &Vm) -> Value {
    let expires = vm.wall_ms() + 600_000;
    let mut configuration = pay(&json!({
        "objectives": [{"id": {"slo": "up", "index": 0}}],
        "breaker": {"limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
        "shed": {"limits": {"share_max": 9_000, "failed_max": 100}},
        "faults": [
            {"id": "asked", "share": 5_000, "by_header": true, "expires_at_ms": expires},
            {"id": "told", "share": 5_000, "control": 5_000, "caller": ["cart"],
             "headers": {"set": [["x-fault", "1"]]}, "expires_at_ms": expires},
        ],
        "deny": [{
            "id": "wild", "caller": "wild", "match": {"headers": [{"name": "x-user", "exact": "eve"}]},
            "expires_at_ms": expires,
        }],
    }));
    configuration["dimensions"] = json!({
        "caller": {"xfcc": true}, "origin": {"baggage": "o"}, "journey": {"baggage": "j"}, "attempts": true,
    });
    configuration["spans"] = json!({"cluster": "otel"});
    configuration["stats"] = json!({"enabled": true});
    configuration["trace"] = json!({"context": {
        "b3": "multi", "deadlines": "enforce", "join": {"reach": "sidecar"},
    }});
    configuration
}

const READ: [&str; 16] = [
    ":path",
    ":authority",
    ":method",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-request-id",
    "grpc-timeout",
    "x-envoy-expected-rq-timeout-ms",
    "x-forwarded-client-cert",
    "x-envoy-attempt-count",
    "x-envoy-fault-delay-request",
    "user-agent",
    "x-user",
];

#[test]
fn with_everything_on_every_byte_may_stand_everywhere() {
    let mut vm = bare();
    let configuration = all_at_once(&vm);
    push(&mut vm, &configuration);
    for name in READ {
        for byte in 0..=u8::MAX {
            let value = [b'1', byte, b'-', byte];
            let exchange = vm.begin(INBOUND, Request::get("/pay").header(name, value));
            assert_eq!(vm.end(exchange).misuse(), [""; 0]);
        }
        vm.advance(millis(500));
    }
}

#[test]
fn with_everything_on_headers_may_be_as_long_and_as_many_as_envoy_lets_them() {
    let mut vm = bare();
    let configuration = all_at_once(&vm);
    push(&mut vm, &configuration);
    let long = |name: &str, part: &str| {
        Request::get("/pay").header(name, part.repeat(100_000 / part.len()))
    };
    let mut requests: Vec<Request> = READ.iter().map(|name| long(name, "x")).collect();
    requests.push(long("tracestate", "a=1,"));
    requests.push(long("baggage", "o=web,"));
    requests.push(long("x-forwarded-client-cert", "URI=\"\\\"a\",;"));
    requests.push(Request::of(
        (0..1_000)
            .map(|n: usize| (READ[n % READ.len()].into(), n.to_string().into_bytes()))
            .collect(),
    ));
    for request in requests {
        let exchange = vm.begin(INBOUND, request);
        assert_eq!(vm.end(exchange).misuse(), [""; 0]);
        vm.advance(millis(100));
    }
}

#[test]
fn headers_may_be_missing_repeated_empty_and_long() {
    let mut vm = started(&pay(&json!({})));
    let many = (0..1_000).map(|n| (format!("x-{n}").into_bytes(), vec![b'v'; 50]));
    let traceparents = vec![(b"traceparent".to_vec(), b"00-".to_vec()); 100];
    for headers in [Vec::new(), many.collect(), traceparents] {
        ask(&mut vm, Request::of(headers), Response::status(200));
    }
    let long = "/pay".repeat(20_000);
    ask(&mut vm, Request::get(&long), Response::status(200));
    for name in [":path", ":authority", ":method"] {
        ask(
            &mut vm,
            Request::get("/pay").without(name),
            Response::status(200),
        );
        let empty = Request::get("/pay").header(name, "");
        ask(&mut vm, empty, Response::status(200));
    }
}

#[test]
fn an_end_without_a_beginning_is_counted_and_no_request() {
    let mut vm = started(&pay(&json!({})));
    let unseen = vm.begin_unseen(INBOUND, Request::get("/pay"));
    vm.end(unseen);
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    assert_eq!(requests(&report, "pay"), 1);
    assert_eq!(report.trouble.unwrap().ends_without_beginning, 1);
}

#[test]
fn an_answer_without_a_request_is_borne() {
    let mut vm = started(&pay(&json!({})));
    let unseen = vm.begin_unseen(INBOUND, Request::get("/pay"));
    vm.respond(unseen, Response::status(200));
    vm.end(unseen);
    let silent = vm.begin(INBOUND, Request::get("/pay"));
    vm.end(silent);
}

#[test]
fn nonsense_about_the_end_is_borne() {
    let mut vm = started(&pay(&json!({})));
    let odd = Response::none().header(":status", "999999").flags(u64::MAX);
    ask(&mut vm, Request::get("/pay"), odd.grpc(i64::MIN));
    let grpc = Request::get("/pay").header("content-type", "application/grpc");
    ask(&mut vm, grpc, Response::status(200).grpc(-1));
    assert_eq!(requests(&reported(&mut vm), "pay"), 2);
}

#[test]
fn answers_to_reports_may_be_anything() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    let (call, _) = next_report(&mut vm);
    vm.answer(&call, b"\xff\xff\xff\xff");
    vm.answer(&call, b"");
    vm.fail(&call, 99);
    paid(&mut vm, 200);
    assert_eq!(requests(&reported(&mut vm), "pay"), 1);
}

#[test]
fn clocks_may_be_set() {
    let mut vm = started(&pay(&json!({})));
    for by in [-86_400_000_000, 172_800_000_000, -90_000_000_000] {
        vm.set_wall_clock_by(by);
        paid(&mut vm, 200);
        vm.advance(millis(50));
    }
    assert_eq!(requests(&reported(&mut vm), "pay"), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_configuration_ends_the_vm(configuration in prop::collection::vec(any::<char>(), 0..200)) {
        let mut vm = bare();
        let configuration: String = configuration.into_iter().collect();
        vm.configure(INBOUND, &configuration);
    }

    #[test]
    fn no_request_ends_the_vm(
        headers in prop::collection::vec(
            (prop::sample::select(vec![":path", "traceparent", "content-type", "x"]),
             prop::collection::vec(any::<u8>(), 0..80)),
            0..8,
        )
    ) {
        let mut vm = started(&pay(&json!({})));
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        ask(&mut vm, Request::of(headers), Response::status(200));
    }
}
