//! What a request costs: calls into Envoy, values that come back, instructions.
//!
//! Exact, so the bounds are close: a change that goes beyond them must say why.

use serde_json::{Value, json};
use sloop_integration::latency::{EVERYTHING_ON, REFUSED};
use sloop_integration::wasm_host::{Cost, Request, Response, Stream, Vm};

use crate::language::{ask, ask_for_body, call, inbound, pay, started};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What is asked, and the most that it may cost: hostcalls, values returned, entries, instructions.
struct Case {
    name: &'static str,
    configuration: Value,
    request: Request,
    /// How the service answers.
    answer: fn(&mut Vm, Request, Response) -> Stream,
    most: [u64; 4],
}

fn cases() -> Vec<Case> {
    let guarded = json!({
        "objectives": [
            {"id": {"slo": "served", "index": 0}},
            {"id": {"slo": "fast", "index": 0}, "within_us": 250_000},
        ],
        "breaker": {"limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
    });
    let traced = || Request::get("/pay").header("traceparent", TRACEPARENT);
    let mut named = inbound(&json!([]));
    named["route_names"] = json!(true);
    let plain = || pay(&json!({}));
    let case = |name, configuration, request, most| Case {
        name,
        configuration,
        request,
        answer: ask_for_body,
        most,
    };
    // Compilers differ in their instructions, so that bound has a tenth to spare. The others are exact.
    vec![
        case("trace continued", plain(), traced(), [6, 2, 5, 5_000]),
        case(
            "trace begun",
            plain(),
            Request::get("/pay"),
            [6, 2, 5, 4_650],
        ),
        Case {
            answer: ask,
            ..case(
                "answered without a body",
                plain(),
                traced(),
                [6, 3, 3, 4_900],
            )
        },
        case(
            "guarded, two objectives",
            pay(&guarded),
            traced(),
            [6, 2, 5, 5_850],
        ),
        case(
            "given a deadline",
            pay(&json!({"deadline": {"limit_ms": 3_000, "expires_at_ms": u64::MAX}})),
            traced(),
            [7, 2, 5, 6_000],
        ),
        case(
            "everything on, nothing acts",
            all_on(),
            traced(),
            EVERYTHING_ON.most(),
        ),
        Case {
            // The filter answers, and nobody else is asked.
            answer: ask,
            ..case(
                "refused by a breaker",
                pay(&open()),
                traced(),
                REFUSED.most(),
            )
        },
        Case {
            answer: |vm, request, response| call(vm, request, response.grpc(0)),
            ..case("gRPC", plain(), traced(), [7, 3, 5, 5_350])
        },
        case(
            "by Envoy's route name",
            named,
            traced().route("pay"),
            [7, 3, 5, 5_550],
        ),
    ]
}

/// A breaker that was ordered to open, for longer than the test takes.
fn open() -> Value {
    json!({"breaker": {
        "limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 600_000, "open_max_ms": 600_000, "probes": 1,
        },
        "trip": {"id": 1, "until_ms": u64::MAX},
    }})
}

/// Every rule and reader that there is, and none that has anything to do.
fn all_on() -> Value {
    let mut configuration = pay(&json!({
        "criticality": "critical",
        "objectives": [
            {"id": {"slo": "served", "index": 0}},
            {"id": {"slo": "fast", "index": 0}, "within_us": 250_000},
        ],
        "deny": [{"id": "none", "match": {"path": {"prefix": "/admin"}}, "expires_at_ms": u64::MAX}],
        "breaker": {"limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
        "shed": {"limits": {"share_max": 5_000, "failed_max": 500}},
        "faults": [{"id": "none", "share": 0, "abort_status": 503, "expires_at_ms": u64::MAX}],
    }));
    configuration["trace"] = json!({"context": {"deadlines": "enforce"}});
    configuration["dimensions"] = json!({"caller": {"header": "x-caller"}});
    configuration["stats"] = json!({"enabled": true});
    configuration["spans"] = json!({"cluster": "otel", "sampling": 0});
    configuration
}

/// The cost of one request after many like it.
fn cost_of(case: &Case) -> Cost {
    let mut vm = started(&case.configuration);
    for _ in 0..10 {
        (case.answer)(&mut vm, case.request.clone(), Response::status(200));
    }
    let before = vm.cost();
    (case.answer)(&mut vm, case.request.clone(), Response::status(200));
    vm.cost().since(&before)
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "a table for people, shown with --nocapture"
)]
fn an_ordinary_request_costs_no_more_than_this() {
    println!(
        "{:<28} {:>6} {:>7} {:>8} {:>12}",
        "", "calls", "values", "entries", "instructions"
    );
    let mut dear = Vec::new();
    for case in cases() {
        let cost = cost_of(&case);
        let spent = [cost.calls(), cost.allocations, cost.entries, cost.fuel];
        let [calls, values, entries, fuel] = spent;
        println!(
            "{:<28} {calls:>6} {values:>7} {entries:>8} {fuel:>12}  {:?}",
            case.name, cost.hostcalls
        );
        if spent
            .iter()
            .zip(case.most)
            .any(|(spent, most)| *spent > most)
        {
            dear.push(case.name);
        }
    }
    assert!(dear.is_empty(), "dearer than allowed: {dear:?}");
}

#[test]
fn the_readme_says_what_a_request_costs() {
    let readme = include_str!("../../../filter/README.md");
    for Case { name, most, .. } in cases() {
        let [calls, values, entries, fuel] = most;
        let row = format!("| {name} | {calls} | {values} | {entries} | {fuel} |");
        assert!(readme.contains(&row), "{row}");
    }
}
