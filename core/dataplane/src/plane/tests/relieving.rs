//! A breaker beside shedding: what takes too long is left to shedding, for as long as that has an answer.

use std::collections::BTreeMap;

use super::*;

/// A breaker that opens at a fifth of failures or at half of what is slow, and shedding, which sheds for neither where no
/// queue is to be seen.
fn both(window: &str, shed_slow_us: u64) -> String {
    let breaker = format!(
        r#""breaker": {{"limits": {{{window}, "failed_max": 2000, "slow_max": 5000, "slow_us": 250000,
            "sigmas_hundredths": 300, "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000}}}}"#
    );
    let shed = format!(
        r#""shed": {{"limits": {{"share_max": 9000, "slow_us": {shed_slow_us}, "slow_max": 500, "failed_max": 1000}}}}"#
    );
    config(&scope("a", &format!("{breaker}, {shed}")))
}

const SECOND: &str = r#""window_ms": 1000, "calls_min": 20"#;

/// A request each so many milliseconds from one second until another. How they end follows from their number: with which
/// status, after how many milliseconds. How many the breaker refused.
fn play(
    bench: &mut Bench,
    (from, to): (u64, u64),
    gap: usize,
    ends: impl Fn(u64) -> (u16, u64),
) -> usize {
    let mut under_way: BTreeMap<(u64, u64), (Exchange, u16)> = BTreeMap::new();
    let mut refused = 0;
    for (number, now) in (0..).zip((from * 1_000..to * 1_000).step_by(gap)) {
        while let Some(first) = under_way.first_entry().filter(|first| first.key().0 <= now) {
            let ended = first.key().0;
            let (exchange, status) = first.remove();
            bench.end(exchange, status, ended);
        }
        let (exchange, verdict) = bench.begin("a", now);
        if verdict == Verdict::Pass {
            let (status, latency) = ends(number);
            under_way.insert((now + latency, number), (exchange, status));
        } else {
            refused += usize::from(matches!(verdict, Verdict::Refuse { .. }));
            bench.end(exchange, 503, now);
        }
    }
    for ((ended, _), (exchange, status)) in under_way {
        bench.end(exchange, status, ended);
    }
    refused
}

const WELL: fn(u64) -> (u16, u64) = |_| (200, 10);
/// One of three hosts answers nothing within the second that callers wait.
const ONE_HANGS: fn(u64) -> (u16, u64) = |number| match number % 3 {
    0 => (504, 1_000),
    _ => (200, 10),
};

#[test]
fn a_host_that_hangs_while_the_others_are_prompt_opens_the_breaker() {
    let mut bench = Bench::new(&both(SECOND, 250_000));
    assert_eq!(play(&mut bench, (0, 3), 10, WELL), 0);
    let refused = play(&mut bench, (3, 8), 10, ONE_HANGS);
    assert!(100 < refused, "{refused} of 500");
}

#[test]
fn what_is_asked_too_seldom_to_shed_by_opens_the_breaker_when_all_hangs() {
    let long = r#""window_ms": 10000, "calls_min": 10"#;
    let mut bench = Bench::new(&both(long, 250_000));
    assert_eq!(play(&mut bench, (0, 10), 200, WELL), 0);
    let refused = play(&mut bench, (10, 30), 200, |_| (504, 1_000));
    assert!(30 < refused, "{refused} of 100");
}

#[test]
fn what_is_slow_to_the_breaker_alone_is_nothing_that_shedding_can_relieve() {
    let mut bench = Bench::new(&both(SECOND, 2_000_000));
    assert_eq!(play(&mut bench, (0, 3), 10, WELL), 0);
    let refused = play(&mut bench, (3, 8), 10, |_| (200, 500));
    assert!(100 < refused, "{refused} of 500");
}

#[test]
fn a_moment_of_slowness_is_left_to_shedding() {
    let mut bench = Bench::new(&both(SECOND, 250_000));
    assert_eq!(play(&mut bench, (0, 3), 10, WELL), 0);
    let moment: fn(u64) -> (u16, u64) = |number| match number {
        ..60 => (200, 300),
        _ => (200, 10),
    };
    assert_eq!(play(&mut bench, (3, 6), 10, moment), 0);
}

/// What ends as it began is not slow: an upgraded connection lives as long as it likes.
#[test]
fn upgraded_connections_are_evidence_beside_shedding_too() {
    let upgrades: fn(u64) -> (u16, u64) = |number| match number % 20 {
        0 => (503, 1),
        _ => (101, 10_000),
    };
    let mut bench = Bench::new(&both(SECOND, 250_000));
    assert_eq!(play(&mut bench, (0, 60), 20, upgrades), 0);
}

#[test]
fn an_order_is_weighed_by_upgraded_connections_beside_shedding_too() {
    let mut bench = Bench::new(&both(SECOND, 250_000));
    assert_eq!(play(&mut bench, (0, 20), 10, |_| (101, 10_000)), 0);
    let until = WALL + 60_000;
    let ordered = both(SECOND, 250_000).replace(
        r#""breaker": {"#,
        &format!(r#""breaker": {{"trip": {{"id": 1, "until_ms": {until}}}, "#),
    );
    bench.configure(&ordered, 29_990);
    assert_eq!(bench.request("a", 200, 29_991), Verdict::Pass);
}
