//! Back at the pace of the traffic.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a simulation, whose numbers are small"
)]

use std::collections::BTreeMap;

use super::*;
use crate::random::Random;
use sloop_model::Pace;

const PACED: fn() -> BreakerLimits = || BreakerLimits {
    open_ms: 100,
    probes: 1,
    manner: BreakerManner {
        pace: Pace::Traffic,
        ..BreakerManner::default()
    },
    ..LIMITS()
};

/// Requests that are refused at `millis`.
fn refused(bench: &mut Bench, times: u32, millis: u64) {
    for _ in 0..times {
        assert!(bench.try_pass(millis).is_none(), "passes at {millis}");
    }
}

/// A breaker that was served a probe at 100 ms.
fn ramping() -> Bench {
    let mut bench = Bench::opened(PACED());
    bench.serve(1, 100);
    assert_eq!(bench.state(100), BreakerState::Ramping);
    bench
}

/// How many of a hundred requests pass at `millis` that no share lets through.
fn room(bench: &mut Bench, millis: u64) -> Vec<Ticket> {
    let admit = |_| match bench.breaker.admit(9_999, at(millis)) {
        Admit::Pass(ticket) => Some(ticket),
        Admit::Refuse { .. } => None,
    };
    (0..100).filter_map(admit).collect()
}

#[test]
fn twenty_refusals_are_a_reason_to_look_but_not_too_soon() {
    let mut bench = Bench::opened(PACED());
    bench.fail(1, 100);
    // Twice as long, where nobody comes.
    assert_eq!(bench.try_pass(299), None);
    let _probe = bench.pass(300);

    let mut bench = Bench::opened(PACED());
    bench.fail(1, 100);
    refused(&mut bench, Breaker::REFUSED_MAX, 150);
    refused(&mut bench, 1, 199);
    let _probe = bench.pass(200);

    let mut bench = Bench::opened(PACED());
    bench.fail(1, 100);
    refused(&mut bench, Breaker::REFUSED_MAX, 250);
    let _probe = bench.pass(250);
}

#[test]
fn attempts_in_vain_are_nobodys_news() {
    let mut bench = Bench::opened(PACED());
    assert_eq!(bench.breaker.take_changes().len(), 1);
    for attempt in 1..10 {
        bench.fail(1, attempt * 10_000);
    }
    assert!(!bench.breaker.has_changed());
    bench.serve(1, 100_000);
    let changes = bench.breaker.take_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].to, BreakerState::Ramping);
    assert_eq!(changes[0].cause, Cause::Recovered);
    assert!(bench.breaker.take_recovered() && !bench.breaker.take_recovered());
}

#[test]
fn each_answer_in_time_makes_room_for_one_more_until_it_closes() {
    let mut bench = ramping();
    for expected in [2, 4, 8, 16] {
        let tickets = room(&mut bench, 110);
        assert_eq!(tickets.len(), expected);
        for ticket in tickets {
            bench
                .breaker
                .record(ticket, Outcome::Success, FAST, at(110));
        }
    }
    assert_eq!(bench.state(110), BreakerState::Closed);
    assert_eq!(room(&mut bench, 110).len(), 100);
}

#[test]
fn what_is_late_makes_no_room_and_what_fails_takes_half() {
    for (outcome, latency, left) in [
        (Outcome::Success, SLOW, 8),
        (Outcome::ServerError, FAST, 4),
        (Outcome::ClientCancel, FAST, 8),
        (Outcome::Shed, FAST, 8),
    ] {
        let mut bench = ramping();
        bench.serve(6, 110);
        let ticket = bench.pass(110);
        bench.breaker.record(ticket, outcome, latency, at(110));
        assert_eq!(room(&mut bench, 110).len(), left, "{outcome:?}");
        let mut bench = ramping();
        bench.serve(6, 110);
        let ticket = bench.pass(110);
        bench
            .breaker
            .record_mildly(ticket, outcome, latency, at(110));
        assert_eq!(room(&mut bench, 110).len(), left, "{outcome:?}, mildly");
    }
}

#[test]
fn a_ramp_that_fails_again_and_again_is_tried_less_often() {
    let mut bench = Bench::opened(PACED());
    let mut now = 0;
    for wait in [100, 200, 400] {
        refused(&mut bench, Breaker::REFUSED_MAX, now + 1);
        refused(&mut bench, 1, now + wait - 1);
        now += wait;
        bench.serve(1, now);
        bench.fail(4, now);
        assert_eq!(bench.state(now), BreakerState::Open);
    }
}

#[test]
fn time_goes_on_where_no_answer_comes() {
    let mut bench = ramping();
    let _lost = room(&mut bench, 110);
    assert!(room(&mut bench, 500).is_empty());
    assert_eq!(bench.state(1_100), BreakerState::Closed);
}

/// What happens to a service, and who asks it.
#[derive(Clone, Debug)]
struct World {
    /// Requests per second, each by itself.
    rate: f64,
    /// Of answers of a service that is up; one that is down refuses within a millisecond.
    latency_ms: u64,
    /// The share that fails all the same.
    failing: f64,
    /// For how long it is up, then down; milliseconds.
    times: Vec<(u64, u64)>,
}

impl World {
    /// Good answers (without a breaker, with one) to the same requests.
    fn good(&self, limits: BreakerLimits, seed: u64) -> (f64, f64) {
        let mut breaker = Breaker::new(rule(limits), at(0));
        let mut random = Random::seeded([seed, 1, 2, 3]);
        let mut unit = move || (random.word() >> 11) as f64 / (1u64 << 53) as f64;
        let mut under_way: BTreeMap<(u64, u64), (Ticket, Outcome)> = BTreeMap::new();
        let (mut without, mut with, mut number) = (0.0, 0.0, 0);
        let mut now = 0.0;
        let end: u64 = self.times.iter().map(|(up, down)| up + down).sum();
        while now < end as f64 * 1e6 {
            now += -(1.0 - unit()).ln() / self.rate * 1e9;
            let nanos = now as u64;
            let is_good = !self.is_down(nanos / 1_000_000) && self.failing < unit();
            without += f64::from(u8::from(is_good));
            while let Some(first) = under_way.first_entry()
                && first.key().0 <= nanos
            {
                let ended = Time::from_nanos(first.key().0);
                let (ticket, outcome) = first.remove();
                breaker.record(ticket, outcome, FAST, ended);
            }
            let draw = (unit() * 10_000.0) as u16;
            if let Admit::Pass(ticket) = breaker.admit(draw, Time::from_nanos(nanos)) {
                with += f64::from(u8::from(is_good));
                let (latency_ms, outcome) = match is_good {
                    true => (self.latency_ms, Outcome::Success),
                    false => (1, Outcome::ServerError),
                };
                number += 1;
                let ends = nanos + latency_ms * 1_000_000;
                under_way.insert((ends, number), (ticket, outcome));
            }
        }
        (without, with)
    }

    fn is_down(&self, millis: u64) -> bool {
        let mut from = 0;
        self.times.iter().any(|(up, down)| {
            let begins = from + up;
            from = begins + down;
            (begins..from).contains(&millis)
        })
    }

    /// The most good answers that an outage costs after its end: twenty refusals or 50 ms of them until an attempt,
    /// which fails as often as others; the attempt and four round trips of the ramp, or half of its half second.
    fn cost(&self, limits: &BreakerLimits) -> f64 {
        let attempt =
            f64::from(Breaker::REFUSED_MAX).max(self.rate * f64::from(limits.open_ms) / 1e3);
        let round_trip = self.rate * self.latency_ms as f64 / 1e3;
        let longest = self.rate * f64::from(limits.ramp_ms) / 2e3;
        let ramp = (4.0 * round_trip).min(longest);
        let mean = attempt / (1.0 - self.failing).powi(2) + round_trip + ramp;
        // Of so many arrivals; of attempts until one is served; of failures on the ramp, each of which
        // takes a round trip, unless its time is over.
        let attempts = attempt * self.failing.sqrt() / (1.0 - self.failing);
        let failures = (f64::from(Breaker::ROOM_MAX) * self.failing).sqrt() * round_trip;
        let failures = failures.min(longest - ramp);
        let variance = mean + attempts.powi(2) + failures.powi(2);
        // Four standard deviations.
        mean + 4.0 * variance.sqrt()
    }
}

/// What the control plane derives for 99.9 %.
pub(super) const DERIVED_PACED: fn() -> BreakerLimits = || BreakerLimits {
    calls_min: 10,
    failed_max: Share::try_from(5_005).unwrap(),
    slow_max: None,
    slow_us: None,
    sigmas_hundredths: 300,
    open_ms: 50,
    open_max_ms: 500,
    ramp_ms: 500,
    ..PACED()
};

/// Answers that take as long as the outage: what is known first, at the beginning and after it, are the failures.
#[test]
fn what_fails_at_once_is_not_all_that_comes_back() {
    let world = World {
        rate: 986.0,
        latency_ms: 69,
        failing: 0.08,
        times: vec![(1_000, 73), (1_000, 0)],
    };
    for seed in 0..300 {
        let (without, with) = world.good(DERIVED_PACED(), seed);
        assert!(
            without - 1.0 < with,
            "{seed}: {without} without, {with} with"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Whatever goes down, for however short or long and however often, a breaker costs next to nothing.
    #[test]
    fn outages_cost_no_more_than_finding_out_that_they_are_over(
        rate in 5.0f64..1_000.0,
        latency_ms in 1u64..100,
        failing in 0.0f64..0.1,
        times in prop::collection::vec((500u64..3_000, 20u64..3_000), 1..4),
        seed in any::<u64>(),
    ) {
        let outages = times.len() as f64;
        let world = World { rate, latency_ms, failing, times: [times, vec![(3_000, 0)]].concat() };
        let (without, with) = world.good(DERIVED_PACED(), seed);
        let most = outages * world.cost(&DERIVED_PACED());
        prop_assert!(without - most <= with, "{without} without, {with} with, {most} allowed");
    }

    /// Where more is served than not, it is passed on.
    #[test]
    fn a_part_that_fails_costs_no_more_than_that_part(
        rate in 20.0f64..1_000.0,
        failing in 0.0f64..0.4,
        seed in any::<u64>(),
    ) {
        let world = World { rate, latency_ms: 10, failing, times: vec![(20_000, 0)] };
        let (without, with) = world.good(DERIVED_PACED(), seed);
        prop_assert!(without * 0.98 - 20.0 <= with, "{without} without, {with} with");
    }

    /// Whatever happens to requests, it opens at most twenty times a second, and never again before ten more
    /// were surely bad.
    #[test]
    fn to_open_again_takes_a_twentieth_of_a_second_and_ten_bad_answers(
        phases in prop::collection::vec((1u64..500, 0u64..=10), 1..60), gap_us in 50u64..20_000
    ) {
        let limits = DERIVED_PACED();
        let mut breaker = Breaker::new(rule(limits), at(0));
        let (mut now, mut number) = (0u64, 0u64);
        let (mut last, mut bad) = (None, 0);
        for (length_ms, failing) in phases {
            let end = now + length_ms * 1_000;
            while now < end {
                number += 1;
                let moment = Time::from_nanos(now * 1_000);
                if let Admit::Pass(ticket) = breaker.admit(9_999, moment) {
                    let fails = number.wrapping_mul(7) % 10 < failing;
                    bad += u32::from(fails);
                    let outcome = if fails { Outcome::ServerError } else { Outcome::Success };
                    breaker.record(ticket, outcome, Duration::from_millis(1), moment);
                }
                for change in breaker.take_changes() {
                    if change.to == BreakerState::Open {
                        let since = last.map(|last| change.at.since(last));
                        let least = Duration::from_millis(limits.open_ms.into());
                        prop_assert!(since.is_none_or(|since| least <= since), "{since:?}");
                        prop_assert!(limits.calls_min <= bad, "after {bad} bad answers");
                        (last, bad) = (Some(change.at), 0);
                    }
                }
                now += gap_us;
            }
        }
    }
}
