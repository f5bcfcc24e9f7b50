//! What a breaker costs a request, natively.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sloop_dataplane::breaker::{Admit, Breaker};
use sloop_model::{BreakerRule, Outcome, Time};

/// A request of a breaker with `window` as limit, every `every_nanos`; `failed` of a thousand fail.
fn request(breaker: &mut Breaker, nanos: &mut u64, number: u64, failed: u64) {
    *nanos += 10_000;
    let now = Time::from_nanos(*nanos);
    let admit = breaker.admit(black_box(0), now);
    let Admit::Pass(ticket) = black_box(admit) else {
        return;
    };
    let outcome = if number % 1_000 < failed {
        Outcome::ServerError
    } else {
        Outcome::Success
    };
    let latency = Duration::from_millis(1);
    breaker.record(ticket, black_box(outcome), black_box(latency), now);
}

fn breaker(window: &str, sigmas: u32, failed_max: u32) -> Breaker {
    let limits = format!(
        r#"{{{window}, "calls_min": 20, "failed_max": {failed_max}, "slow_max": 5000, "slow_us": 250000,
            "sigmas_hundredths": {sigmas}, "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000}}"#
    );
    let rule: BreakerRule = serde_json::from_str(&limits).unwrap();
    Breaker::new(rule, Time::from_nanos(0))
}

fn benches(criterion: &mut Criterion) {
    let time = r#""window_ms": 1000"#;
    for (name, mut breaker, failed) in [
        ("window in time", breaker(time, 300, 2_000), 0),
        (
            "window in requests",
            breaker(r#""window_calls": 100"#, 300, 2_000),
            0,
        ),
        (
            "a tenth fails, within limits",
            breaker(time, 300, 2_000),
            100,
        ),
        // The interval says that it is not sure yet, each time.
        ("too much fails, not surely", breaker(time, 1_000, 990), 100),
    ] {
        let (mut nanos, mut number) = (0, 0);
        criterion.bench_function(&format!("admit and record: {name}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                request(&mut breaker, &mut nanos, number, failed);
            });
        });
    }
    let mut open = breaker(time, 0, 0);
    let (mut nanos, mut number) = (0, 0);
    while open.state(Time::from_nanos(nanos)) == sloop_dataplane::breaker::BreakerState::Closed {
        number += 1;
        request(&mut open, &mut nanos, number, 1_000);
    }
    criterion.bench_function("admit: open", |bencher| {
        bencher.iter(|| open.admit(black_box(0), Time::from_nanos(nanos)));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
