//! The breaker: refuses, says why, and lets go again.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};
use sloop_model::Outcome;
use sloop_xds_protos::report::v1::BreakerState;

use crate::language::{INBOUND, ask, millis, paid, pay, push, reported, scope, started};

fn limits() -> Value {
    json!({
        "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
        "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
    })
}

fn guarded(mode: &str) -> Value {
    pay(&json!({"breaker": {"mode": mode, "limits": limits()}}))
}

fn tripped(mode: &str) -> Vm {
    let mut vm = started(&guarded(mode));
    for _ in 0..10 {
        paid(&mut vm, 500);
    }
    vm
}

#[test]
fn it_refuses_with_503_and_says_when_to_come_back() {
    let mut vm = tripped("enforce");
    let refused = paid(&mut vm, 200);
    assert_eq!(refused.times_sent(), 0);
    let reply = refused.reply().unwrap();
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (503, "sloop_breaker_open")
    );
    let seconds: u64 = refused.received("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert_eq!(
        refused.received("x-sloop-verdict").as_deref(),
        Some("refused")
    );
}

#[test]
fn grpc_is_refused_in_its_own_words() {
    let mut vm = tripped("enforce");
    let request = Request::get("/pay").header("content-type", "application/grpc");
    let refused = ask(&mut vm, request, Response::status(200));
    assert_eq!(refused.reply().unwrap().grpc_status, 14);
}

#[test]
fn other_routes_pass() {
    let mut vm = tripped("enforce");
    let passed = ask(&mut vm, Request::get("/other"), Response::status(200));
    assert_eq!(passed.times_sent(), 1);
}

#[test]
fn it_probes_and_closes() {
    let mut vm = tripped("enforce");
    vm.advance(millis(1_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "a probe");
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "closed");
}

#[test]
fn refusals_are_counted_apart_and_changes_reported() {
    let mut vm = tripped("enforce");
    paid(&mut vm, 200);
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    let breaker = counted.breaker.as_ref().unwrap();
    assert!(1 <= breaker.refused);
    assert_eq!(
        counted.outcomes.get(Outcome::Refused.index()),
        Some(&breaker.refused)
    );
    assert!(!breaker.changes.is_empty());
}

#[test]
fn in_shadow_mode_it_only_counts() {
    let mut vm = tripped("shadow");
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
    let report = reported(&mut vm);
    let breaker = scope(&report, "pay").unwrap().breaker.clone().unwrap();
    assert_eq!(breaker.refused, 0);
    assert!(1 <= breaker.shadow_refused);
}

#[test]
fn a_push_does_not_close_it() {
    let mut vm = tripped("enforce");
    let mut pushed = guarded("enforce");
    pushed["generation"] = json!(2);
    push(&mut vm, &pushed);
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
}

#[test]
fn a_push_without_it_ends_it() {
    let mut vm = tripped("enforce");
    push(&mut vm, &pay(&json!({})));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
}

#[test]
fn it_ends_with_its_policy() {
    let mut vm = started(&pay(&json!({})));
    let expires = vm.wall_ms() + 3_000;
    let long = json!({
        "window_ms": 1_000, "calls_min": 5, "failed_max": 5_000,
        "open_ms": 600_000, "open_max_ms": 600_000, "probes": 1,
    });
    let breaker = json!({"limits": long, "expires_at_ms": expires});
    push(&mut vm, &pay(&json!({"breaker": breaker})));
    for _ in 0..10 {
        paid(&mut vm, 500);
    }
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(4_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "nobody pushed anything");
}

#[test]
fn an_order_opens_it_once() {
    let mut vm = started(&guarded("enforce"));
    let until = vm.wall_ms() + 60_000;
    let ordered = |generation| {
        let mut configuration =
            pay(&json!({"breaker": {"limits": limits(), "trip": {"id": 7, "until_ms": until}}}));
        configuration["generation"] = json!(generation);
        configuration
    };
    push(&mut vm, &ordered(2));
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(1_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "a probe");
    push(&mut vm, &ordered(3));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "the same order again");
}

#[test]
fn a_request_that_never_ends_does_not_keep_it_open() {
    let mut vm = tripped("enforce");
    vm.advance(millis(1_100));
    let lost = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(60_000));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "another probe");
    vm.respond(lost, Response::status(500));
    vm.end(lost);
}

/// A breaker with some of its limits otherwise.
fn with(more: &Value) -> Vm {
    let mut limits = limits();
    let fields = limits.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    // Of the two windows there is one.
    if more.get("window_calls").is_some() {
        fields.remove("window_ms");
    }
    started(&pay(&json!({"breaker": {"limits": limits}})))
}

/// What happens, in signs: a request that is served (`.`), one that fails (`x`), one that is served after 100 ms, which is slow
/// (`s`), one after 99 (`f`), and one after 101 (`l`); a second (`1`) and an hour (`h`) without any. Each request must pass.
fn lives(vm: &mut Vm, story: &str) {
    for (at, sign) in story.chars().enumerate() {
        let (status, took) = match sign {
            '.' => (200, 0),
            'x' => (500, 0),
            'f' => (200, 99),
            's' => (200, 100),
            'l' => (200, 101),
            '1' | 'h' => {
                vm.advance(millis(if sign == '1' { 1_000 } else { 3_600_000 }));
                continue;
            }
            _ => panic!("{sign} means nothing"),
        };
        let exchange = vm.begin(INBOUND, Request::get("/pay"));
        assert_eq!(vm.stream(exchange).times_sent(), 1, "{story} at {at}");
        vm.advance(millis(took));
        vm.respond(exchange, Response::status(status));
        vm.end(exchange);
    }
}

/// Whether the next request is refused.
fn refuses(vm: &mut Vm) -> bool {
    paid(vm, 200).times_sent() == 0
}

/// Limits, what happens, and whether that opens it.
#[test]
fn it_judges_by_a_window_in_time_or_in_requests_and_by_what_is_slow() {
    let time = json!({});
    let calls = json!({"window_calls": 10});
    let slow = json!({"slow_max": 5_000, "slow_us": 100_000, "window_ms": 60_000});
    let slow_calls = json!({"slow_max": 5_000, "slow_us": 100_000, "window_calls": 10});
    for (limits, story, opens) in [
        // A window of a second forgets, one of ten requests does not.
        (&time, "xxx11xxx", false),
        (&calls, "xxx11xx", true),
        (&calls, "xxxhhhxx", true),
        (&calls, "xxxhhhx", false),
        // What is older than ten requests is gone.
        (&calls, "xxxxx", true),
        (&calls, ".....xxxxx", false),
        (&calls, ".....xxxxxx", true),
        (&calls, "..........xxxxx", false),
        (&calls, "..........xxxxxx", true),
        // As slow as the limit is not slow.
        (&slow, "lllll", true),
        (&slow, "sssss", false),
        (&slow, "fffff", false),
        (&slow, "...lll", false),
        (&slow, "...llll", true),
        (&slow_calls, ".....lllll", false),
        (&slow_calls, ".....llllll", true),
        (&time, "lllll", false),
    ] {
        let mut vm = with(limits);
        lives(&mut vm, story);
        assert_eq!(refuses(&mut vm), opens, "{story} with {limits}");
    }
}

fn manner(manner: &Value) -> Vm {
    with(&json!({"manner": manner}))
}

#[test]
fn its_manner_says_whether_a_limit_is_exceeded_or_reached() {
    for (threshold, opens) in [("exceeded", false), ("reached", true)] {
        let mut vm = manner(&json!({"threshold": threshold}));
        lives(&mut vm, "...xxx");
        assert_eq!(refuses(&mut vm), opens, "{threshold}");
    }
}

#[test]
fn its_manner_says_how_probes_are_judged() {
    for (verdict, probed, refuses_after) in [
        ("first_failure", "x", true),
        ("ratio", "x", false),
        ("ratio", "x....", false),
        ("ratio", "xxx..", true),
    ] {
        let mut vm = with(&json!({"probes": 5, "manner": {"verdict": verdict}}));
        lives(&mut vm, "xxxxx1");
        lives(&mut vm, probed);
        assert_eq!(refuses(&mut vm), refuses_after, "{verdict} {probed}");
    }
}

/// A request that began before it opened, and fails while it probes.
#[test]
fn its_manner_says_what_late_outcomes_mean() {
    for (late, opens) in [("ignored", false), ("counted", true)] {
        let mut vm = with(&json!({"probes": 2, "manner": {"late": late}}));
        let slow = vm.begin(INBOUND, Request::get("/pay"));
        lives(&mut vm, "xxxxx1");
        lives(&mut vm, ".");
        vm.respond(slow, Response::status(500));
        vm.end(slow);
        assert_eq!(refuses(&mut vm), opens, "{late}");
    }
}

/// The first request after the wait probes either way; until it comes, reports say what the breaker is.
#[test]
fn its_manner_says_what_ends_the_wait() {
    for (wake, expected) in [
        ("on_time", BreakerState::Probing),
        ("on_request", BreakerState::Open),
    ] {
        let mut vm = manner(&json!({"wake": wake}));
        lives(&mut vm, "xxxxx");
        let mut state = 0;
        // The first is hurried, the others are a second apart.
        for _ in 0..4 {
            let report = reported(&mut vm);
            state = scope(&report, "pay")
                .unwrap()
                .breaker
                .clone()
                .unwrap()
                .state;
        }
        assert_eq!(state, i32::from(expected), "{wake}");
        assert!(!refuses(&mut vm), "{wake}: a probe");
    }
}

#[test]
fn its_manner_says_whether_lost_probes_are_awaited() {
    for (lost, refuses_after) in [("replaced", false), ("awaited", true)] {
        let mut vm = manner(&json!({"lost": lost}));
        lives(&mut vm, "xxxxx1");
        let probe = vm.begin(INBOUND, Request::get("/pay"));
        assert!(refuses(&mut vm), "{lost}: there is one probe");
        vm.advance(millis(60_000));
        assert_eq!(refuses(&mut vm), refuses_after, "{lost}");
        vm.respond(probe, Response::status(200));
        vm.end(probe);
    }
}

/// After a probe in vain it waits for twice as long, or until 20 requests were refused, though not for less than at first.
#[test]
fn its_manner_says_whether_traffic_brings_it_back() {
    for (pace, refused) in [("time", 100), ("traffic", 20)] {
        let mut vm = manner(&json!({"pace": pace}));
        lives(&mut vm, "xxxxx1x");
        vm.advance(millis(1_100));
        let until_a_probe = (0..100).take_while(|_| refuses(&mut vm)).count();
        assert_eq!(until_a_probe, refused, "{pace}");
    }
}

/// What an objective calls bad, though it was served; what it calls good, though it failed.
#[test]
fn its_manner_says_whose_judgement_counts() {
    for (judge, status, opens) in [
        ("outcomes", 404, false),
        ("outcomes", 500, true),
        ("objectives", 404, true),
        ("objectives", 500, false),
        ("both", 404, true),
        ("both", 500, true),
        ("both", 200, false),
    ] {
        let mut limits = limits();
        limits["manner"] = json!({"judge": judge});
        let mut vm = started(&pay(&json!({
            "objectives": [{"id": {"slo": "found", "index": 0}, "bad": {"status": [[404, 404]]}, "guards": "enforce"}],
            "breaker": {"limits": limits},
        })));
        for _ in 0..5 {
            paid(&mut vm, status);
        }
        assert_eq!(refuses(&mut vm), opens, "{judge} of {status}");
    }
}
