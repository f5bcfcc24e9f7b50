//! What a request costs: calls into Envoy, values that come back, instructions.
//!
//! Exact, so the bounds are close: a change that goes beyond them must say why.

use serde_json::{Value, json};
use sloop_integration::latency::{EVERYTHING_ON, REFUSED};
use sloop_integration::wasm_host::{Cost, Request, Response, Stream, Vm};

use crate::language::{
    OUTBOUND, ask, ask_for_body, beside, call, inbound, pay, push, started, whole_of,
};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What is asked, and the most that it may cost: hostcalls, values returned, entries, instructions.
struct Case {
    name: &'static str,
    configuration: Value,
    request: Request,
    /// Where it is asked.
    begin: fn(&Value) -> Vm,
    /// How the service answers.
    answer: fn(&mut Vm, Request, Response) -> Stream,
    most: [u64; 4],
    /// Calls by [`KINDS`], and bytes: not bounds, but what it is.
    kinds: [u64; KINDS.len()],
    bytes: u64,
}

/// Kinds of calls, as the table has them. A call of another kind fails: properties that no row has, randomness, metrics,
/// timers, logs.
const KINDS: [(&str, &[&str]); 7] = [
    ("clock", &["clock_time_get"]),
    ("header maps", &["proxy_get_header_map_pairs"]),
    ("single headers", &["proxy_get_header_map_value"]),
    ("properties", &["proxy_get_property"]),
    (
        "header writes",
        &[
            "proxy_replace_header_map_value",
            "proxy_remove_header_map_value",
            "proxy_add_header_map_value",
        ],
    ),
    (
        "shared data",
        &["proxy_get_shared_data", "proxy_set_shared_data"],
    ),
    ("answers", &["proxy_send_local_response"]),
];

// Compilers differ in their instructions, so that bound has a tenth to spare. The others are exact.
fn cases() -> Vec<Case> {
    let groups = [passed(), ruled(), asked_more(), joined(), sent_out()];
    groups.into_iter().flatten().collect()
}

/// A case of an inbound request that is answered with a body.
fn case(
    name: &'static str,
    configuration: Value,
    request: Request,
    most: [u64; 4],
    (kinds, bytes): ([u64; KINDS.len()], u64),
) -> Case {
    Case {
        name,
        configuration,
        request,
        begin: started,
        answer: ask_for_body,
        most,
        kinds,
        bytes,
    }
}

fn plain() -> Value {
    pay(&json!({}))
}

fn traced() -> Request {
    Request::get("/pay").header("traceparent", TRACEPARENT)
}

/// Traces alone.
fn passed() -> Vec<Case> {
    vec![
        case(
            "trace continued",
            plain(),
            traced(),
            [6, 2, 5, 4_350],
            ([3, 1, 1, 0, 1, 0, 0], 353),
        ),
        case(
            "trace begun",
            plain(),
            Request::get("/pay"),
            [6, 2, 5, 4_050],
            ([3, 1, 1, 0, 1, 0, 0], 277),
        ),
        Case {
            answer: ask,
            ..case(
                "answered without a body",
                plain(),
                traced(),
                [6, 3, 3, 4_300],
                ([2, 1, 1, 1, 1, 0, 0], 375),
            )
        },
    ]
}

/// Rules.
fn ruled() -> Vec<Case> {
    vec![
        case(
            "guarded, two objectives",
            pay(&guarded()),
            traced(),
            [6, 2, 5, 5_150],
            ([3, 1, 1, 0, 1, 0, 0], 353),
        ),
        case(
            "ordinary: guarded, a fault armed",
            pay(&ordinary()),
            traced(),
            [6, 2, 5, 5_300],
            ([3, 1, 1, 0, 1, 0, 0], 353),
        ),
        case(
            "ordinary, health checks set apart",
            probed(),
            traced(),
            [6, 2, 5, 7_450],
            ([3, 1, 1, 0, 1, 0, 0], 353),
        ),
        case(
            "given a deadline",
            pay(&json!({"deadline": {"limit_ms": 3_000, "expires_at_ms": u64::MAX}})),
            traced(),
            [7, 2, 5, 5_550],
            ([3, 1, 1, 0, 2, 0, 0], 384),
        ),
        case(
            "everything on, nothing acts",
            all_on(),
            traced(),
            EVERYTHING_ON.most(),
            ([3, 1, 1, 0, 2, 0, 0], 373),
        ),
        case(
            "everything on, with retries, B3 and joining",
            more_on(),
            traced(),
            [11, 2, 5, 8_650],
            ([3, 1, 1, 0, 6, 0, 0], 490),
        ),
        Case {
            // The filter answers, and nobody else is asked.
            answer: ask,
            ..case(
                "refused by a breaker",
                pay(&open()),
                traced(),
                REFUSED.most(),
                ([2, 1, 0, 0, 0, 0, 1], 381),
            )
        },
    ]
}

/// What Envoy is asked for besides.
fn asked_more() -> Vec<Case> {
    let mut named = inbound(&json!([]));
    named["route_names"] = json!(true);
    vec![
        Case {
            answer: |vm, request, response| call(vm, request, response.grpc(0)),
            ..case(
                "gRPC",
                plain(),
                traced(),
                [7, 3, 5, 4_650],
                ([3, 1, 1, 1, 1, 0, 0], 419),
            )
        },
        case(
            "by Envoy's route name",
            named,
            traced().route("pay"),
            [7, 3, 5, 4_900],
            ([3, 1, 1, 1, 1, 0, 0], 370),
        ),
    ]
}

/// Joined by `x-request-id`.
fn joined() -> Vec<Case> {
    vec![
        Case {
            begin: joining,
            ..case(
                "joins, inbound, `worker`",
                joins("worker"),
                traced(),
                [6, 2, 5, 5_050],
                ([3, 1, 1, 0, 1, 0, 0], 353),
            )
        },
        Case {
            begin: joining,
            ..case(
                "joins, inbound, `sidecar`",
                joins("sidecar"),
                traced(),
                [7, 2, 5, 5_500],
                ([3, 1, 1, 0, 1, 1, 0], 412),
            )
        },
        Case {
            begin: joining,
            answer: ask_outbound,
            ..case(
                "joined, outbound, by this worker",
                joins("sidecar"),
                Request::get("/pay"),
                [6, 2, 5, 4_550],
                ([3, 1, 1, 0, 1, 0, 0], 277),
            )
        },
        Case {
            begin: joining_elsewhere,
            answer: ask_outbound,
            ..case(
                "joined, outbound, by another worker",
                joins("sidecar"),
                Request::get("/pay"),
                [7, 3, 5, 5_100],
                ([3, 1, 1, 0, 1, 1, 0], 336),
            )
        },
    ]
}

/// To a service that is called, which this Envoy tries again.
fn sent_out() -> Vec<Case> {
    let bounded = || {
        outbound(&pay(
            &json!({"retries": {"limits": {"share": 1_000, "least": 3}}}),
        ))
    };
    let mut counted = bounded();
    counted["dimensions"] = json!({"attempts": true});
    let out = |name, configuration, most, (kinds, bytes)| Case {
        answer: ask_outbound,
        ..case(name, configuration, traced(), most, (kinds, bytes))
    };
    vec![
        out(
            "outbound, retries bounded",
            bounded(),
            [6, 2, 5, 4_700],
            ([3, 1, 1, 0, 1, 0, 0], 353),
        ),
        out(
            "outbound, retries bounded, attempts counted",
            counted,
            [7, 3, 5, 5_000],
            ([3, 1, 1, 1, 1, 0, 0], 391),
        ),
    ]
}

/// What SLOs bring to a route: objectives, and a breaker that is closed.
fn guarded() -> Value {
    json!({
        "objectives": [
            {"id": {"slo": "served", "index": 0}},
            {"id": {"slo": "fast", "index": 0}, "within_us": 250_000},
        ],
        "breaker": {"limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
    })
}

/// As [`guarded`], with a fault that is armed and not drawn.
fn ordinary() -> Value {
    let mut scope = guarded();
    scope["faults"] =
        json!([{"id": "none", "share": 0, "abort_status": 503, "expires_at_ms": u64::MAX}]);
    scope
}

/// As [`ordinary`], behind a scope for health checks of four kinds: of the request's headers one is compared by each.
fn probed() -> Value {
    let mut configuration = pay(&ordinary());
    let by = |agent: Value| {
        let mut header = json!({"name": "user-agent"});
        header
            .as_object_mut()
            .unwrap()
            .extend(agent.as_object().unwrap().clone());
        json!({"headers": [header]})
    };
    let apart = json!({
        "service": "shop", "route": "health-checks", "spared": true,
        "match": [
            {"path": {"exact": "/grpc.health.v1.Health/Check"}},
            by(json!({"exact": "Envoy/HC"})),
            by(json!({"prefix": "kube-probe/"})),
            by(json!({"prefix": "ELB-HealthChecker/"})),
        ],
    });
    configuration["scopes"]
        .as_array_mut()
        .unwrap()
        .insert(0, apart);
    configuration
}

/// Requests are joined by their `x-request-id`, within `reach`.
fn joins(reach: &str) -> Value {
    let mut configuration = pay(&json!({}));
    configuration["trace"] = json!({"context": {"join": {"reach": reach, "expires_ms": 60_000}}});
    configuration
}

/// A VM with filters of both sides, one of whose requests came in.
fn joining(configuration: &Value) -> Vm {
    let mut vm = started(configuration);
    push(&mut vm, &outbound(configuration));
    ask(&mut vm, Request::get("/pay"), Response::status(200));
    vm
}

/// As [`joining`]; it came in at another worker.
fn joining_elsewhere(configuration: &Value) -> Vm {
    let vm = joining(configuration);
    let mut other = beside(&vm, 2);
    push(&mut other, configuration);
    push(&mut other, &outbound(configuration));
    other
}

fn outbound(inbound: &Value) -> Value {
    let mut configuration = inbound.clone();
    configuration["side"] = json!("client");
    configuration
}

fn ask_outbound(vm: &mut Vm, request: Request, response: Response) -> Stream {
    whole_of(vm, OUTBOUND, request, response)
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

/// As [`all_on`], and what is left: retries that are bounded, B3 in four headers, and joining.
fn more_on() -> Value {
    let mut configuration = all_on();
    configuration["scopes"][0]["retries"] = json!({"limits": {"share": 1_000, "least": 3}});
    configuration["trace"]["context"]["b3"] = json!("multi");
    configuration["trace"]["context"]["join"] = json!({"expires_ms": 60_000});
    configuration
}

/// The cost of one request after many like it.
fn cost_of(case: &Case) -> Cost {
    let mut vm = (case.begin)(&case.configuration);
    for _ in 0..10 {
        (case.answer)(&mut vm, case.request.clone(), Response::status(200));
    }
    let before = vm.cost();
    (case.answer)(&mut vm, case.request.clone(), Response::status(200));
    vm.cost().since(&before)
}

/// Calls by [`KINDS`].
fn kinds_of(cost: &Cost) -> [u64; KINDS.len()] {
    KINDS.map(|(_, names)| {
        let calls = names.iter().filter_map(|name| cost.hostcalls.get(name));
        calls.sum()
    })
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "a table for people, shown with --nocapture"
)]
fn an_ordinary_request_costs_no_more_than_this() {
    println!(
        "{:<36} {:>6} {:>7} {:>8} {:>12} {:>6}",
        "", "calls", "values", "entries", "instructions", "bytes"
    );
    let (mut dear, mut other) = (Vec::new(), Vec::new());
    for case in cases() {
        let cost = cost_of(&case);
        let spent = [cost.calls(), cost.allocations, cost.entries, cost.fuel];
        let [calls, values, entries, fuel] = spent;
        println!(
            "{:<36} {calls:>6} {values:>7} {entries:>8} {fuel:>12} {:>6}  {:?}",
            case.name, cost.bytes, cost.hostcalls
        );
        if spent
            .iter()
            .zip(case.most)
            .any(|(spent, most)| *spent > most)
        {
            dear.push(case.name);
        }
        let kinds = kinds_of(&cost);
        let is_known = kinds.iter().sum::<u64>() == calls;
        if !is_known || kinds != case.kinds || cost.bytes != case.bytes {
            other.push((case.name, kinds, cost.bytes));
        }
    }
    assert!(dear.is_empty(), "dearer than allowed: {dear:?}");
    assert!(other.is_empty(), "other calls than the table: {other:#?}");
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

#[test]
fn the_readme_says_what_calls_a_request_makes() {
    let readme = include_str!("../../../filter/README.md");
    let names = KINDS.map(|(name, _)| name).join(" | ");
    let mut table = format!(
        "| a request | {names} | bytes copied |\n|{}",
        "---|".repeat(9)
    );
    for case in cases() {
        let kinds = case.kinds.map(|count| count.to_string()).join(" | ");
        table += &format!("\n| {} | {kinds} | {} |", case.name, case.bytes);
    }
    assert!(readme.contains(&table), "{table}");
}
