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

/// A breaker that goes by orders alone, and shedding, which `more` is about.
fn ordered(more: &str, trip: &str) -> String {
    let breaker = format!(
        r#""breaker": {{{trip}"limits": {{"window_ms": 1000, "calls_min": 1000000, "failed_max": 9000, "open_ms": 60000, "open_max_ms": 60000, "probes": 5}}}}"#
    );
    config(&scope("a", &format!("{breaker}{more}")))
}

/// What twice as much is asked of as it can serve, one request after the other, is at work against that by shedding.
fn at_work(until: u64) -> Bench {
    let mut bench = Bench::new(&ordered(&sheds(until), ""));
    let mut under_way = std::collections::VecDeque::new();
    let mut free = 0;
    for now in (0..10_000).step_by(5) {
        while let Some((ended, exchange)) = under_way.pop_front_if(|(ended, _)| *ended <= now) {
            bench.end(exchange, 200, ended);
        }
        let trace = u128::from(bench.plane.random.word_not_zero()) << 64 | 7;
        let parent = format!("00-{trace:032x}-b7ad6b7169203331-01");
        let headers = [("traceparent", parent.as_bytes())];
        let begun = bench.begin_with(Side::Server, "a", &headers, now);
        if begun.verdict == Verdict::Pass {
            free = now.max(free) + 10;
            under_way.push_back((free, begun.exchange));
        } else {
            bench.end(begun.exchange, 503, now);
        }
    }
    for (ended, exchange) in under_way {
        bench.end(exchange, 200, ended.min(10_000));
    }
    bench
}

fn sheds(until: u64) -> String {
    format!(
        r#", "shed": {{"expires_at_ms": {}, "limits": {{"share_max": 9000, "slow_us": 100000, "slow_max": 500, "failed_max": 1000}}}}"#,
        WALL + until
    )
}

#[test]
fn an_order_is_left_aside_for_the_shedding_that_goes_on_and_not_for_that_which_ends() {
    let trip = format!(r#""trip": {{"id": 1, "until_ms": {}}}, "#, WALL + 60_000);
    let shadow = sheds(60_000).replace("\"shed\": {", "\"shed\": {\"mode\": \"shadow\", ");
    for (more, until, is_obeyed) in [
        (sheds(60_000), 60_000, false),
        (String::new(), 60_000, true),
        (shadow, 60_000, true),
        // Over a moment ago, and nobody came since.
        (sheds(10_010), 10_010, true),
    ] {
        let mut bench = at_work(until);
        bench.configure(&ordered(&more, &trip), 10_020);
        let refused = (0..20).filter(|number| {
            let verdict = bench.request("a", 200, 10_021 + number);
            matches!(verdict, Verdict::Refuse { .. })
        });
        let refused = refused.count();
        assert_eq!(0 < refused, is_obeyed, "{refused} refused with {more:?}");
    }
}
