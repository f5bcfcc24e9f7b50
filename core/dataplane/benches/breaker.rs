//! What a breaker costs a request, natively.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sloop_dataplane::breaker::{Admit, Breaker, BreakerState};
use sloop_model::{BreakerRule, Outcome, Time};

/// The `number`th request, 10 µs after the one before; one of every `one_fails_of` fails.
fn request(breaker: &mut Breaker, number: u64, one_fails_of: u64) {
    let now = Time::from_nanos(number * 10_000);
    let admit = breaker.admit(black_box(0), now);
    let Admit::Pass(ticket) = black_box(admit) else {
        return;
    };
    let outcome = if number.is_multiple_of(one_fails_of) {
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
    let calls = r#""window_calls": 100"#;
    for (name, mut breaker, one_fails_of) in [
        ("window in time", breaker(time, 300, 2_000), u64::MAX),
        ("window in requests", breaker(calls, 300, 2_000), u64::MAX),
        (
            "a tenth fails, within limits",
            breaker(time, 300, 2_000),
            10,
        ),
        // A fifth of the last hundred is more than 15 %, but not surely, so the interval is worked out each time.
        ("too much fails, not surely", breaker(calls, 300, 1_500), 5),
    ] {
        let mut number = 0;
        criterion.bench_function(&format!("admit and record: {name}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                request(&mut breaker, number, one_fails_of);
            });
        });
        let end = Time::from_nanos(number * 10_000);
        assert_eq!(breaker.state(end), BreakerState::Closed, "{name}");
    }
    let mut open = breaker(time, 0, 0);
    open.trip(Time::from_nanos(0));
    criterion.bench_function("admit: open", |bencher| {
        bencher.iter(|| open.admit(black_box(0), Time::from_nanos(1)));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
