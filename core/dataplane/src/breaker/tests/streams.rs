//! What is derived opens for no chance: millions of requests in health, at exactly the budget, and with bursts in it.
//!
//! As `sim_detection.rs` does it for the fleet's counts, here for what a sidecar sees itself. `SLOOP_LONG=1` plays 40
//! million requests of each.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a simulation, whose numbers are small"
)]

use std::collections::{BTreeMap, VecDeque};

use super::pace::DERIVED_PACED;
use super::*;
use crate::random::Random;

const SEED: u64 = 42;
const SECOND: u64 = 1_000_000_000;
/// What is served takes ten milliseconds, what fails one.
const SERVED: u64 = SECOND / 100;
const FAILED: u64 = SECOND / 1_000;

/// A sidecar with so many requests per second, each by itself, and what fails of them.
struct Stream {
    rate: f64,
    /// The share that fails by chance.
    failing: f64,
    /// Everything fails for 5 to 60 ms, once in 65 s on average: half of a budget of a thousandth.
    bursts: bool,
}

impl Stream {
    /// How often the breaker opens in so many requests, and how many of these failed.
    fn opened(&self, requests: u64) -> (u64, u64) {
        let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
        let mut random = Random::seeded([SEED, 1, 2, 3]);
        let mut unit = move || (random.word() >> 11) as f64 / (1u64 << 53) as f64;
        let mut under_way = [VecDeque::new(), VecDeque::new()];
        let (mut now, mut burst, mut failed, mut opened) = (0, (0, 0), 0, 0);
        for _ in 0..requests {
            let gap = -(1.0 - unit()).ln() / self.rate;
            now += (gap * SECOND as f64) as u64;
            if self.bursts && burst.1 <= now {
                let begins = now + (-(1.0 - unit()).ln() * 65.0 * SECOND as f64) as u64;
                let millis = 5.0 + 55.0 * unit();
                burst = (begins, begins + (millis * 1e6) as u64);
            }
            let fails = unit() < self.failing || (burst.0..burst.1).contains(&now);
            failed += u64::from(fails);
            end(&mut breaker, &mut under_way, now);
            let moment = Time::from_nanos(now);
            match breaker.admit(0, moment) {
                Admit::Pass(ticket) => {
                    let ends = now + if fails { FAILED } else { SERVED };
                    under_way[usize::from(fails)].push_back((ends, ticket));
                }
                Admit::Refuse { .. } => {}
            }
            let changes = breaker.take_changes();
            let opens = changes.iter().filter(|one| one.to == BreakerState::Open);
            opened += opens.count() as u64;
        }
        (opened, failed)
    }
}

/// Records what ended until `now`, in its order: of the served, and of the failed, the first that came ends first.
fn end(breaker: &mut Breaker, under_way: &mut [VecDeque<(u64, Ticket)>; 2], now: u64) {
    loop {
        let next = |queue: &VecDeque<(u64, Ticket)>| queue.front().map(|(ends, _)| *ends);
        let [served, failed] = [&under_way[0], &under_way[1]].map(next);
        let fails = failed.is_some_and(|failed| served.is_none_or(|served| failed < served));
        let queue = &mut under_way[usize::from(fails)];
        let Some((ends, ticket)) = queue.pop_front_if(|(ends, _)| *ends <= now) else {
            return;
        };
        let (outcome, took) = if fails {
            (Outcome::ServerError, FAILED)
        } else {
            (Outcome::Success, SERVED)
        };
        let took = Duration::from_nanos(took);
        breaker.record(ticket, outcome, took, Time::from_nanos(ends));
    }
}

/// What sidecars with little traffic, with some and with much see, a third of all requests each: openings and failures.
fn opened(failing: f64, bursts: bool) -> (u64, u64) {
    let requests = match std::env::var_os("SLOOP_LONG") {
        Some(_) => 40_000_000,
        None => 600_000,
    };
    let of = |rate| {
        let stream = Stream {
            rate,
            failing,
            bursts,
        };
        stream.opened(requests / 3)
    };
    let all = [20.0, 200.0, 2_000.0].map(of);
    let sum = |part: fn(&(u64, u64)) -> u64| all.iter().map(part).sum();
    (sum(|one| one.0), sum(|one| one.1))
}

#[test]
fn nothing_opens_in_health() {
    let (opened, failed) = opened(0.000_2, false);
    assert!(0 < failed);
    assert_eq!(opened, 0, "seed {SEED}, {failed} failed");
}

#[test]
fn nothing_opens_when_exactly_the_budget_is_spent() {
    let (opened, failed) = opened(0.001, false);
    assert!(0 < failed);
    assert_eq!(opened, 0, "seed {SEED}, {failed} failed");
}

#[test]
fn nothing_opens_when_failures_come_in_bursts_within_the_budget() {
    let (opened, failed) = opened(0.000_2, true);
    assert!(0 < failed);
    assert_eq!(opened, 0, "seed {SEED}, {failed} failed");
}

/// Sessions that begin twice a second, from one second until another. Each fails after so many nanoseconds as `ends` says, or lasts for
/// longer than that. The second in which the breaker opened, if it did.
fn sessions(
    breaker: &mut Breaker,
    span: (u64, u64),
    ends: impl Fn(u64) -> Option<u64>,
) -> Option<u64> {
    let ends = |number| Some((ends(number)?, Outcome::ServerError));
    requests(breaker, 2, span, ends)
}

/// As [`sessions`], so many a second, of which it is said how they end.
fn requests(
    breaker: &mut Breaker,
    rate: u64,
    (from, to): (u64, u64),
    ends: impl Fn(u64) -> Option<(u64, Outcome)>,
) -> Option<u64> {
    let mut under_way: BTreeMap<(u64, u64), (Ticket, Outcome, Duration)> = BTreeMap::new();
    for number in from * rate..to * rate {
        let now = number * SECOND / rate;
        while let Some(first) = under_way.first_entry().filter(|first| first.key().0 <= now) {
            let ((ends, _), (ticket, outcome, took)) = first.remove_entry();
            breaker.record(ticket, outcome, took, Time::from_nanos(ends));
        }
        if breaker.has_changed() {
            return Some(number / rate);
        }
        if let Admit::Pass(ticket) = breaker.admit(0, Time::from_nanos(now))
            && let Some((takes, outcome)) = ends(number)
        {
            let took = Duration::from_nanos(takes);
            under_way.insert((now + takes, number), (ticket, outcome, took));
        }
    }
    None
}

const ONE_IN_A_HUNDRED: fn(u64) -> Option<u64> =
    |number| number.is_multiple_of(100).then_some(FAILED);

#[test]
fn sessions_that_last_speak_for_the_service_before_any_has_ended() {
    let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
    let opened = sessions(&mut breaker, (0, 3_600), ONE_IN_A_HUNDRED);
    assert_eq!(opened, None);
}

/// A sidecar that is asked so seldom has too few in a window, so only the change can tell.
/// A probe is judged when its answer begins.
#[test]
fn probes_say_nothing_of_how_long_sessions_last() {
    let mut breaker = Breaker::new(
        rule(BreakerLimits {
            calls_min: 5,
            failed_max: Share::try_from(2_000).unwrap(),
            slow_max: None,
            slow_us: None,
            sigmas_hundredths: 300,
            open_ms: 2_500,
            probes: 5,
            ramp_ms: 0,
            ..LIMITS()
        }),
        at(0),
    );
    let failing = |_| Some((FAILED, Outcome::ServerError));
    assert!(requests(&mut breaker, 10, (0, 10), failing).is_some());
    let began = at(10_000);
    let probe = |breaker: &mut Breaker| match breaker.admit(0, began) {
        Admit::Pass(ticket) => ticket,
        Admit::Refuse { .. } => unreachable!("it probes"),
    };
    for ticket in [(); 5].map(|()| probe(&mut breaker)) {
        let quick = Duration::from_millis(10);
        breaker.record(ticket, Outcome::Success, quick, at(10_010));
    }
    assert_eq!(breaker.state(at(10_010)), BreakerState::Closed);
    breaker.take_changes();
    let one_of_a_hundred = |number: u64| number.is_multiple_of(100).then_some(FAILED);
    let ends = |number| Some((one_of_a_hundred(number)?, Outcome::ServerError));
    assert_eq!(requests(&mut breaker, 10, (11, 1_200), ends), None);
}

#[test]
fn an_outage_behind_sessions_that_last_is_seen_as_soon() {
    for takes in [FAILED, 15 * SECOND] {
        let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
        assert_eq!(sessions(&mut breaker, (0, 1_800), ONE_IN_A_HUNDRED), None);
        let opened = sessions(&mut breaker, (1_800, 2_000), |_| Some(takes));
        let seconds = opened.expect("it opens") - 1_800 - takes / SECOND;
        assert!(seconds <= 20, "{seconds}");
    }
}

#[test]
fn one_old_session_that_breaks_says_nothing_of_those_that_last() {
    let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
    // The tenth to fail is one of the first that came.
    let breaks = |number| match number {
        1 => Some(440 * SECOND),
        _ => ONE_IN_A_HUNDRED(number),
    };
    assert_eq!(sessions(&mut breaker, (0, 3_600), breaks), None);
}

#[test]
fn a_few_quick_ones_among_sessions_say_nothing_of_how_long_they_last() {
    let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
    let ends = |number: u64| match number {
        _ if number.is_multiple_of(100) => Some((FAILED, Outcome::ServerError)),
        _ if number % 300 == 1 => Some((SERVED, Outcome::Success)),
        _ => None,
    };
    assert_eq!(requests(&mut breaker, 2, (0, 7_200), ends), None);
}

/// Fewer than ten end in a window, so only the change can tell.
#[test]
fn what_hangs_does_not_speak_for_a_service_that_answers_at_once() {
    let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
    let well = |_| Some((SERVED, Outcome::Success));
    assert_eq!(requests(&mut breaker, 8, (0, 60), well), None);
    let half = |number: u64| match number.is_multiple_of(2) {
        true => Some((FAILED, Outcome::ServerError)),
        false => Some((15 * SECOND, Outcome::Timeout)),
    };
    let opened = requests(&mut breaker, 8, (60, 100), half);
    assert!(opened.is_some_and(|second| second < 65), "{opened:?}");
}

/// Nor does what was answered here, as a fault, or was left by its caller.
#[test]
fn what_is_over_without_proof_does_not_last() {
    for outcome in [Outcome::Faulted, Outcome::ClientCancel] {
        let mut breaker = Breaker::new(rule(DERIVED_PACED()), at(0));
        let half = |number: u64| match number.is_multiple_of(2) {
            true => Some((FAILED, Outcome::ServerError)),
            false => Some((FAILED, outcome)),
        };
        let opened = requests(&mut breaker, 2, (0, 60), half);
        assert!(opened.is_some_and(|second| second <= 10), "{opened:?}");
    }
}

#[test]
fn it_would_be_seen_if_it_opened() {
    let outage = Stream {
        rate: 200.0,
        failing: 0.9,
        bursts: false,
    };
    assert!(0 < outage.opened(1_000).0);
}
