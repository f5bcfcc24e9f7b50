//! A request takes no memory in the steady state: what one needed is there for the next.
//!
//! Counted natively, by an allocator that counts; in the module the same code runs. What Envoy returns goes to an arena of the filter.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use core::time::Duration;

use sloop_dataplane::{
    Arrival, Begun, Claim, Ending, HeaderMap, Plane, Request, Verdict, serialised,
};
use sloop_model::{FilterConfig, Flags, Side, Time};

type Headers<'a> = &'a [(&'a str, &'a [u8])];

const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Between requests: ten seconds of them turn windows, and end some.
const APART: Duration = Duration::from_millis(10);
/// Latencies of requests, in turn.
const TOOK_MS: [u64; 4] = [1, 3, 20, 300];
/// Requests until all that is needed is there, and those that are counted.
const FIRST: u32 = 400;
const COUNTED: u32 = 1_000;

fn configured(of_all: &str, of_scope: &str) -> Plane {
    let json = format!(
        r#"{{"version": 1, "service": "payments", "side": "server"{of_all}, "scopes": [
            {{"service": "payments", "route": "charge", "match": [{{"path": {{"prefix": "/charge"}}}}]{of_scope}}}]}}"#
    );
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    let config = FilterConfig::parse(json.as_bytes()).unwrap();
    plane.configure(&config, Time::from_nanos(0));
    plane
}

/// The whole way of a request, as the filter goes it.
fn request(plane: &mut Plane, bytes: &[u8], number: u32) -> Verdict {
    let mut request = Request::unread(HeaderMap::new(bytes));
    plane.read_request(Side::Server, &mut request);
    let Claim::Scope(scope) = plane.claim(Side::Server, &request) else {
        panic!("the rule claims it");
    };
    let now = Time::from_nanos(0).after(APART * number);
    let arrival = Arrival {
        request: &request,
        context: 1,
        joined: None,
        now,
    };
    let begun = plane.begin(Side::Server, scope, &arrival, |_| ());
    let Begun {
        exchange, verdict, ..
    } = begun.unwrap();
    let ending = Ending {
        status: Some(200),
        flags: Flags::default(),
        grpc: None,
    };
    let took = TOOK_MS[number as usize % TOOK_MS.len()];
    plane.end(exchange, ending, now.after(Duration::from_millis(took)));
    verdict
}

/// How often memory was asked for by [`COUNTED`] requests after the first ones.
fn allocations(mut plane: Plane, headers: Headers<'_>) -> u64 {
    let bytes = serialised(headers);
    let first = allocation_counter::measure(|| {
        for number in 0..FIRST {
            request(&mut plane, &bytes, number);
        }
    });
    assert_ne!(first.count_total, 0, "what is there is taken at first");
    let counted = allocation_counter::measure(|| {
        for number in FIRST..FIRST + COUNTED {
            assert_eq!(request(&mut plane, &bytes, number), Verdict::Pass);
        }
    });
    counted.count_total
}

const ORDINARY: &str = r#","objectives": [{"id": {"slo": "up", "index": 0}}, {"id": {"slo": "fast", "index": 0}, "within_us": 250000}],
    "breaker": {"limits": {"window_ms": 1000, "calls_min": 20, "failed_max": 2000, "sigmas_hundredths": 300,
                "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000}},
    "faults": [{"id": "e", "share": 0, "abort_status": 503, "expires_at_ms": 4102444800000}]"#;

#[test]
fn an_ordinary_request_takes_no_memory() {
    let headers: Headers<'_> = &[
        (":path", b"/charge/17"),
        ("traceparent", PARENT),
        ("x-request-id", b"3f1b7a52-0c0e-4bb0-8a2e-6f8f3f6f8a11"),
    ];
    assert_eq!(allocations(configured("", ORDINARY), headers), 0);
    assert_eq!(allocations(configured("", ORDINARY), &headers[..1]), 0);
}

#[test]
fn neither_does_one_with_all_that_is_read_of_its_headers() {
    let all = r#","trace": {"context": {"deadlines": "enforce", "b3": "single"}},
        "dimensions": {"caller": {"header": "x-caller"}, "origin": {"baggage": "origin"}, "journey": {"baggage": "journey"}},
        "deny": [{"id": "admin", "match": {"path": {"prefix": "/admin"}}, "expires_at_ms": 4102444800000}]"#;
    let shed =
        format!(r#"{ORDINARY},"shed": {{"limits": {{"share_max": 5000, "failed_max": 500}}}}"#);
    let headers: Headers<'_> = &[
        (":path", b"/charge/17"),
        ("traceparent", PARENT),
        ("tracestate", b"sloop=1.c3,congo=t61rcWkgMzE"),
        ("baggage", b"origin=web,journey=checkout"),
        ("grpc-timeout", b"5S"),
        ("x-caller", b"cart"),
    ];
    assert_eq!(allocations(configured(all, &shed), headers), 0);
}

#[test]
fn nor_does_a_retry_that_a_budget_judges() {
    let budget = format!(r#"{ORDINARY},"retries": {{"limits": {{"share": 1000, "least": 3}}}}"#);
    for attempt in [b"1", b"2"] {
        let headers: Headers<'_> = &[(":path", b"/charge/17"), ("x-envoy-attempt-count", attempt)];
        assert_eq!(allocations(configured("", &budget), headers), 0);
    }
}
