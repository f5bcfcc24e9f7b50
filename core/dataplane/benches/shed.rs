//! What shedding and deny rules cost per request, natively.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sloop_dataplane::deny::{Asked, DenyBudget, DenyRules};
use sloop_dataplane::shed::{ShedAdmit, ShedEnding, Shedder, draw};
use sloop_dataplane::{Claim, HeaderMap, Plane, Request, ScopeId, TraceId, serialised};
use sloop_model::{Criticality, DenyRule, FilterConfig, Mode, Outcome, ShedConfig, Side, Time};

const ENDING: ShedEnding = ShedEnding {
    outcome: Outcome::Success,
    latency: Duration::from_millis(1),
    is_good: true,
};

fn shedder(limits: &str) -> Shedder {
    let json = format!(r#"{{"limits": {limits}}}"#);
    let config: ShedConfig = serde_json::from_str(&json).unwrap();
    Shedder::new(config.limits, Mode::Enforce, None, Time::from_nanos(0))
}

fn shedding(criterion: &mut Criterion) {
    for (name, limits) in [
        (
            "nothing",
            r#"{"share_max": 9000, "slow_us": 100000, "slow_max": 500, "failed_max": 500}"#,
        ),
        (
            "half",
            r#"{"share_min": 5000, "share_max": 5000, "failed_max": 500}"#,
        ),
    ] {
        let mut shedder = shedder(limits);
        let mut number = 0;
        criterion.bench_function(&format!("admit and record, {name} is shed"), |bencher| {
            bencher.iter(|| {
                number += 1;
                let trace = TraceId {
                    high: 1,
                    low: number,
                };
                // 10,000 requests a second.
                let now = Time::from_nanos(number * 100_000);
                match shedder.admit(black_box(Criticality::Critical), draw(trace), now) {
                    ShedAdmit::Pass(ticket) => {
                        shedder.record(ticket, ENDING, now);
                    }
                    ShedAdmit::Shed => {}
                }
            });
        });
    }
}

fn scope() -> ScopeId {
    let json = br#"{"version": 1, "service": "a", "side": "server"}"#;
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    plane.configure(&FilterConfig::parse(json).unwrap(), Time::from_nanos(0));
    let bytes = serialised(&[]);
    match plane.claim(Side::Server, &Request::read(HeaderMap::new(&bytes))) {
        Claim::Scope(scope) => scope,
        Claim::ByRouteName | Claim::Unconfigured => unreachable!("the route other claims it"),
    }
}

fn denying(criterion: &mut Criterion) {
    let bytes = serialised(&[
        (":authority", b"payments:8080"),
        (":path", b"/charge/17?card=1"),
        (":method", b"POST"),
    ]);
    let request = Request::read(HeaderMap::new(&bytes));
    let asked = Asked {
        request: &request,
        scope: scope(),
        caller: b"caller",
    };
    for count in [0, 1, DenyRule::MAX] {
        let mut rules = DenyRules::default();
        for number in 0..count {
            let json = format!(
                r#"{{"id": "r{number}", "match": {{"path": {{"prefix": "/charge/{number}x"}}}}, "expires_at_ms": 0}}"#
            );
            let rule: DenyRule = serde_json::from_str(&json).unwrap();
            assert!(rules.push(&rule, None, Time::from_nanos(u64::MAX)));
        }
        let mut budget = DenyBudget::default();
        let mut nanos = 0;
        criterion.bench_function(
            &format!("decide, {count} rules that do not fit"),
            |bencher| {
                bencher.iter(|| {
                    nanos += 100_000;
                    let now = Time::from_nanos(nanos);
                    rules.decide(black_box(asked), &mut budget, now)
                });
            },
        );
    }
}

criterion_group!(all, shedding, denying);
criterion_main!(all);
