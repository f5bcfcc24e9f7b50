//! Deny rules, shedding, and what operators want of breakers.

use std::collections::VecDeque;

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Stream, Vm};
use sloop_model::Outcome;
use sloop_xds_protos::report::v1::{ReportResponse, ScopeReading, Side};

use prost::Message;

use crate::language::{
    INBOUND, ask, bare, millis, next_report, paid, pay, push, reported, scope, started,
};

fn denied(vm: &mut Vm, more: &Value) {
    let mut rule = json!({
        "id": "wild", "match": {"path": {"prefix": "/pay"}}, "share_max": 10_000,
        "expires_at_ms": vm.wall_ms() + 60_000,
    });
    let fields = rule.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    push(vm, &pay(&json!({"deny": [rule]})));
}

fn denying(more: &Value) -> Vm {
    let mut vm = bare();
    denied(&mut vm, more);
    vm
}

#[test]
fn who_is_denied_is_told_by_which_rule() {
    let mut vm = denying(&json!({"status": 429}));
    let refused = paid(&mut vm, 200);
    assert_eq!(refused.times_sent(), 0);
    let reply = refused.reply().unwrap();
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (429, "sloop_denied{wild}")
    );
    assert_eq!(refused.received("x-sloop-verdict").unwrap(), "blocked");
    assert_eq!(refused.sent("traceparent"), None, "nothing was written");
    let grpc = Request::get("/pay").header("content-type", "application/grpc");
    let refused = ask(&mut vm, grpc, Response::status(200));
    assert_eq!(refused.reply().unwrap().grpc_status, 7);
}

#[test]
fn what_was_denied_is_reported_whatever_was_pushed() {
    let mut vm = denying(&json!({}));
    paid(&mut vm, 200);
    denied(&mut vm, &json!({"mode": "shadow"}));
    paid(&mut vm, 200);
    paid(&mut vm, 500);
    push(&mut vm, &pay(&json!({})));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
    let report = reported(&mut vm);
    let [denial] = report.denials.as_slice() else {
        panic!("{:?}", report.denials)
    };
    assert_eq!(denial.id, "wild");
    assert_eq!((denial.refused, denial.shadow_refused), (1, 2));
    let counted = scope(&report, "pay").unwrap();
    assert_eq!((counted.shadow_denied, counted.shadow_denied_good), (2, 1));
    assert_eq!(counted.outcomes.get(Outcome::Blocked.index()), Some(&1));
}

/// The largest share that rules may refuse, and which of ten requests within a second are refused (`x`).
#[test]
fn a_rule_refuses_no_more_than_its_share() {
    // What is left of a second is kept for one refusal in the next.
    let seconds = |second: &'static str| [second; 3];
    for (share, expected) in [
        (10_000, seconds("xxxxxxxxxx")),
        (5_000, seconds(".x.x.x.x.x")),
        (2_500, ["...x...x..", ".x...x...x", "...x...x.."]),
        (1_000, seconds(".........x")),
        (999, ["..........", "x.........", "x........."]),
    ] {
        let mut vm = denying(&json!({"share_max": share}));
        for (second, expected) in expected.iter().enumerate() {
            let fates = (0..10).map(|_| match paid(&mut vm, 200).times_sent() {
                0 => 'x',
                _ => '.',
            });
            assert_eq!(fates.collect::<String>(), *expected, "{share} in {second}");
            vm.advance(millis(1_000));
        }
        let refused = expected.concat().matches('x').count();
        let mut counts = [0; 2];
        for _ in 0..2 {
            for denial in reported(&mut vm).denials {
                counts[0] += usize::try_from(denial.refused).unwrap();
                counts[1] += usize::try_from(denial.over_share).unwrap();
            }
        }
        assert_eq!(counts, [refused, 30 - refused], "{share}");
    }
}

/// The share is that of the route as a whole, so two rules refuse no more than one, and a route is not another's.
#[test]
fn rules_together_refuse_no_more_than_a_share_of_a_route() {
    let mut vm = bare();
    let rule = |id: &str, vm: &Vm| {
        json!({
            "id": id, "match": {"path": {"prefix": "/"}}, "share_max": 2_500, "expires_at_ms": vm.wall_ms() + 60_000,
        })
    };
    let mut configuration = pay(&json!({}));
    configuration["deny"] = json!([rule("one", &vm), rule("other", &vm)]);
    push(&mut vm, &configuration);
    for path in ["/pay", "/else"] {
        let fates = (0..8).map(|_| ask(&mut vm, Request::get(path), Response::status(200)));
        let passed: u32 = fates.map(|fate| fate.times_sent()).sum();
        assert_eq!(passed, 6, "{path}");
    }
}

/// Health checks have a scope of their own, which nothing else that holds is about.
#[test]
fn health_checks_are_counted_apart_and_nothing_meets_them() {
    let mut vm = bare();
    let expires_at_ms = vm.wall_ms() + 60_000;
    let mut configuration = pay(&json!({
        "objectives": [{"id": {"slo": "served", "index": 0}}],
        "breaker": {"mode": "forced_open", "expires_at_ms": expires_at_ms, "limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }},
    }));
    let apart = json!({
        "service": "shop", "route": "health-checks", "spared": true,
        "match": [{"path": {"exact": "/pay/healthz"}, "headers": [{"name": "user-agent", "prefix": "kube-probe/"}]},
                  {"headers": [{"name": "user-agent", "exact": "Envoy/HC"}]}],
    });
    configuration["scopes"]
        .as_array_mut()
        .unwrap()
        .insert(0, apart);
    configuration["deny"] = json!([
        {"id": "all", "match": {"path": {"prefix": "/"}}, "share_max": 10_000, "expires_at_ms": expires_at_ms},
    ]);
    push(&mut vm, &configuration);
    for (path, agent, is_spared) in [
        ("/pay/healthz", "kube-probe/1.34", true),
        ("/pay", "kube-probe/1.34", false),
        ("/pay/healthz", "curl/8", false),
        ("/pay", "Envoy/HC", true),
        ("/pay", "Envoy/HC2", false),
    ] {
        let request = Request::get(path).header("user-agent", agent);
        let ended = ask(&mut vm, request, Response::status(503));
        assert_eq!(ended.times_sent(), u32::from(is_spared), "{path} {agent}");
        assert_eq!(ended.sent("traceparent").is_some(), is_spared);
    }
    let report = reported(&mut vm);
    let apart = scope(&report, "health-checks").unwrap();
    assert_eq!(apart.outcomes.get(Outcome::ServerError.index()), Some(&2));
    assert!(apart.objectives.is_empty());
    let pay = scope(&report, "pay").unwrap();
    assert_eq!(pay.requests, 3);
    assert_eq!(pay.outcomes.get(Outcome::Blocked.index()), Some(&3));
}

#[test]
fn a_rule_ends_by_itself() {
    let mut vm = bare();
    let expires = vm.wall_ms() + 2_000;
    denied(&mut vm, &json!({"expires_at_ms": expires}));
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(2_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "nobody pushed anything");
}

/// Also where there are no reports, so that nothing else makes the filter look at the clock.
#[test]
fn a_rule_ends_by_the_wall_clock_although_that_is_set() {
    for has_reports in [true, false] {
        let mut vm = bare();
        let mut configuration = pay(&json!({"deny": [{
            "id": "wild", "match": {"path": {"prefix": "/pay"}}, "share_max": 10_000,
            "expires_at_ms": vm.wall_ms() + 600_000,
        }]}));
        if !has_reports {
            configuration.as_object_mut().unwrap().remove("report");
        }
        push(&mut vm, &configuration);
        assert_eq!(paid(&mut vm, 200).times_sent(), 0);
        vm.set_wall_clock_by(600_000);
        vm.advance(millis(61_000));
        assert_eq!(paid(&mut vm, 200).times_sent(), 1, "{has_reports}");
    }
}

fn shedding(more: &Value) -> Value {
    let mut shed = json!({"limits": {
        "share_min": 5_000, "share_max": 9_000, "floor": 10, "failed_max": 100,
    }});
    let fields = shed.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    pay(&json!({"shed": shed}))
}

/// A second of requests; those that were shed.
fn second(vm: &mut Vm, state: &str) -> Vec<Stream> {
    let mut shed = Vec::new();
    for turn in 0..100_u128 {
        let trace =
            u128::from(vm.wall_ms()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let parent = format!("00-{:032x}-b7ad6b7169203331-01", trace ^ turn);
        let request = Request::get("/pay")
            .header("traceparent", parent)
            .header("tracestate", state);
        let ended = ask(vm, request, Response::status(200));
        if ended.times_sent() == 0 {
            shed.push(ended);
        }
        vm.advance(millis(10));
    }
    shed
}

#[test]
fn who_is_shed_is_told_to_come_back() {
    let mut vm = started(&shedding(&json!({})));
    for _ in 0..3 {
        second(&mut vm, "sloop=1.c0");
    }
    let shed = second(&mut vm, "sloop=1.c0");
    let one = shed.first().unwrap();
    let reply = one.reply().unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (503, "sloop_shed"));
    assert_eq!(one.received("retry-after").unwrap(), "1");
    assert_eq!(one.received("x-sloop-verdict").unwrap(), "shed");
}

#[test]
fn the_lowest_class_is_shed_first() {
    let mut vm = started(&shedding(&json!({})));
    let (mut high, mut low) = (0, 0);
    for _ in 0..4 {
        for turn in 0..50_u128 {
            let trace =
                u128::from(vm.wall_ms()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let parent = format!("00-{:032x}-b7ad6b7169203331-01", trace ^ turn);
            for (class, shed) in [("sloop=1.c3", &mut high), ("sloop=1.c0", &mut low)] {
                let request = Request::get("/pay")
                    .header("traceparent", &parent)
                    .header("tracestate", class);
                let ended = ask(&mut vm, request, Response::status(200));
                *shed += u32::from(ended.times_sent() == 0);
            }
            vm.advance(millis(20));
        }
    }
    assert_eq!(high, 0);
    // Half of all are, and half of all are of this class; it begins with none.
    assert!((100..=200).contains(&low), "{low} of 200");
}

#[test]
fn too_many_under_way_are_a_reason_to_shed() {
    let limits = json!({"share_max": 9_000, "floor": 10, "in_flight_max": 10});
    let shed_when = |under_way: usize| {
        let mut vm = started(&shedding(&json!({"limits": limits})));
        let (mut exchanges, mut shed) = (VecDeque::new(), 0);
        for turn in 0..500_u128 {
            let parent = format!(
                "00-{:032x}-b7ad6b7169203331-01",
                turn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1
            );
            let request = Request::get("/pay").header("traceparent", &parent);
            let exchange = vm.begin(INBOUND, request);
            if vm.stream(exchange).reply().is_some() {
                shed += 1;
                vm.end(exchange);
            } else {
                exchanges.push_back(exchange);
            }
            if under_way < exchanges.len()
                && let Some(first) = exchanges.pop_front()
            {
                vm.respond(first, Response::status(200));
                vm.end(first);
            }
            vm.advance(millis(10));
        }
        shed
    };
    assert_eq!(shed_when(8), 0);
    let shed = shed_when(40);
    assert!(0 < shed, "{shed}");
}

#[test]
fn a_shadow_sheds_nobody_and_counts() {
    let mut vm = started(&shedding(&json!({"mode": "shadow"})));
    let shed: usize = (0..4).map(|_| second(&mut vm, "").len()).sum();
    assert_eq!(shed, 0);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap().shed.clone().unwrap();
    assert!(
        counted.shed.is_empty() && 0 < counted.shadow_shed,
        "{counted:?}"
    );
    assert_eq!(counted.level, 5_000);
}

#[test]
fn what_the_fleet_says_in_an_answer_reaches_the_shedder() {
    let limits = json!({"share_max": 9_000, "failed_max": 100});
    let mut vm = started(&shedding(&json!({"limits": limits})));
    let reading = ScopeReading {
        service: "shop".to_owned(),
        route: "pay".to_owned(),
        side: Side::Server.into(),
        requests: 1_000,
        good: 100,
    };
    let answer = ReportResponse {
        readings: vec![reading],
    };
    let mut level = 0;
    for _ in 0..6 {
        paid(&mut vm, 200);
        let (call, report) = next_report(&mut vm);
        let shed = scope(&report, "pay").and_then(|counted| counted.shed.clone());
        level = shed.map_or(level, |shed| shed.level);
        vm.answer(&call, &answer.encode_to_vec());
    }
    assert!(0 < level);
}

#[test]
fn who_tries_again_in_vain_is_told_not_to() {
    let mut vm = started(&pay(
        &json!({"retries": {"limits": {"share": 1_000, "least": 1}}}),
    ));
    let mut attempt = |request: Request, number: &str| {
        let request = request.header("x-envoy-attempt-count", number);
        ask(&mut vm, request, Response::status(500))
    };
    let sent = (0..20).map(|_| attempt(Request::get("/pay"), "2").times_sent());
    assert_eq!(sent.sum::<u32>(), 11);
    let one = attempt(Request::get("/pay"), "3");
    let reply = one.reply().unwrap();
    let details = (reply.status, reply.details.as_str(), reply.grpc_status);
    assert_eq!(details, (503, "sloop_retry_budget", -1));
    assert_eq!(one.received("x-envoy-ratelimited").unwrap(), "true");
    assert_eq!(one.received("x-sloop-verdict").unwrap(), "retry");
    let call = Request::get("/pay").header("content-type", "application/grpc");
    assert_eq!(attempt(call, "2").reply().unwrap().grpc_status, 14);
    assert_eq!(attempt(Request::get("/pay"), "1").times_sent(), 1);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!((counted.retries_refused, counted.retries), (11, 22));
}

fn guarded(mode: &str, expires_at_ms: u64) -> Value {
    pay(
        &json!({"breaker": {"mode": mode, "expires_at_ms": expires_at_ms, "limits": {
            "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
            "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
        }}}),
    )
}

#[test]
fn operators_may_force_a_breaker_open_or_take_it_out() {
    let guarded = |mode| guarded(mode, u64::MAX);
    let mut vm = started(&guarded("forced_open"));
    assert_eq!(
        paid(&mut vm, 200).reply().unwrap().details,
        "sloop_breaker_open"
    );
    vm.advance(millis(60_000));
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    for mode in ["metrics_only", "disabled"] {
        push(&mut vm, &guarded(mode));
        for _ in 0..20 {
            assert_eq!(paid(&mut vm, 500).times_sent(), 1, "{mode}");
        }
    }
    push(&mut vm, &guarded("enforce"));
    let sent = (0..20).map(|_| paid(&mut vm, 500).times_sent());
    assert_eq!(sent.sum::<u32>(), 5);
}

#[test]
fn what_overrules_a_breaker_ends_by_itself() {
    let mut vm = bare();
    let expires = vm.wall_ms() + 2_000;
    push(&mut vm, &guarded("forced_open", expires));
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(2_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "nobody pushed anything");
    let mut endless = guarded("forced_open", expires);
    let breaker = endless["scopes"][0]["breaker"].as_object_mut().unwrap();
    breaker.remove("expires_at_ms");
    assert!(!vm.configure(INBOUND, &endless.to_string()));
    let log = vm.take_log().join(" ");
    assert!(log.contains("scopes[0].breaker.expires_at_ms"), "{log}");
}
