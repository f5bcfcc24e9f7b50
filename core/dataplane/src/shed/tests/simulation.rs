//! A service with workers and a queue, in virtual time, with and without shedding.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "a simulation, whose numbers are small"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::super::*;
use crate::random::Random;
use sloop_model::{ClassShares, Judge, Outcome, ShedLimits};

/// What is slow in all scenarios.
const SLOW_US: u64 = 100_000;

/// A service, and what it is sent. Ten workers at 10 ms each serve 1,000 requests a second.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Requests per second, by the second.
    offered: fn(f64) -> f64,
    /// That many times as many.
    times: f64,
    workers: usize,
    /// Mean of an exponential distribution.
    service_us: f64,
    /// Requests that fit, waiting and in service; more fail at once.
    room: usize,
    /// The caller gives up; the service works on regardless.
    timeout_us: u64,
    /// What its dependencies take, whatever the load.
    extra_us: u64,
    /// The share of requests that this meets.
    extra_share: f64,
    /// In which seconds.
    extra_in: (f64, f64),
    /// The share of requests that fails, whatever the load.
    failing: f64,
}

const CALM: Scenario = Scenario {
    name: "under capacity",
    offered: |_| 700.0,
    times: 1.0,
    workers: 10,
    service_us: 10_000.0,
    room: usize::MAX,
    timeout_us: u64::MAX,
    extra_us: 0,
    extra_share: 0.0,
    extra_in: (0.0, f64::INFINITY),
    failing: 0.0,
};

#[derive(Clone, Copy, Default)]
struct Bin {
    offered: u64,
    good: u64,
    shed: [u64; 4],
    passed: [u64; 4],
    level: u16,
}

struct Run {
    /// Tenths of a second, by the arrival of requests.
    bins: Vec<Bin>,
    /// Latencies of what passed, by the tenth in which it arrived.
    latencies: Vec<Vec<u64>>,
    counts: ShedCounts,
}

struct Pending {
    arrived: u64,
    ticket: Option<ShedTicket>,
    outcome: Outcome,
}

impl Run {
    fn of(scenario: &Scenario, mut shedder: Option<Shedder>, seconds: u64, seed: u64) -> Self {
        let mut random = Random::seeded([seed, 2, 3, 4]);
        let end = seconds * 1_000_000;
        let mut run = Self {
            bins: vec![Bin::default(); usize::try_from(seconds * 10).unwrap()],
            latencies: vec![Vec::new(); usize::try_from(seconds * 10).unwrap()],
            counts: ShedCounts::default(),
        };
        let mut free: BinaryHeap<Reverse<u64>> =
            (0..scenario.workers).map(|_| Reverse(0)).collect();
        // Ends as the service and as the caller sees them.
        let mut left: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
        let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        let mut pending: Vec<Option<Pending>> = Vec::new();
        let mut now = 0;
        loop {
            let rate = scenario.times * (scenario.offered)(now as f64 / 1e6);
            now += exponential(&mut random, 1e6 / rate).max(1);
            while let Some(Reverse((at, which))) = ends.peek().copied().filter(|end| end.0.0 <= now)
            {
                ends.pop();
                let ended = pending[which].take().unwrap();
                run.end(ended, at, &mut shedder);
            }
            if end <= now {
                break;
            }
            let bin = usize::try_from(now / 100_000).unwrap();
            let class = class(&mut random);
            let draw = random.draw();
            run.bins[bin].offered += 1;
            let ticket = match shedder.as_mut().map(|s| s.admit(class, draw, at(now))) {
                Some(ShedAdmit::Shed) => {
                    run.bins[bin].shed[class.index()] += 1;
                    continue;
                }
                Some(ShedAdmit::Pass(ticket)) => Some(ticket),
                None => None,
            };
            run.bins[bin].passed[class.index()] += 1;
            if let Some(shedder) = &shedder {
                run.bins[bin].level = u16::from(shedder.level());
            }
            while left.peek().is_some_and(|end| end.0 <= now) {
                left.pop();
            }
            let (done, outcome) = if scenario.room <= left.len() {
                (now + 1_000, Outcome::ServerError)
            } else {
                let start = free.pop().unwrap().0.max(now);
                let done = start + exponential(&mut random, scenario.service_us);
                free.push(Reverse(done));
                left.push(Reverse(done));
                let (from, to) = scenario.extra_in;
                let is_in = (from..to).contains(&(now as f64 / 1e6));
                let extra = if is_in && unit(&mut random) < scenario.extra_share {
                    scenario.extra_us
                } else {
                    0
                };
                let fails = unit(&mut random) < scenario.failing;
                (
                    done + extra,
                    if fails {
                        Outcome::ServerError
                    } else {
                        Outcome::Success
                    },
                )
            };
            let gives_up = now.saturating_add(scenario.timeout_us);
            let (done, outcome) = if gives_up < done {
                (gives_up, Outcome::Timeout)
            } else {
                (done, outcome)
            };
            ends.push(Reverse((done, pending.len())));
            pending.push(Some(Pending {
                arrived: now,
                ticket,
                outcome,
            }));
        }
        run.counts = shedder
            .map(|mut shedder| shedder.take_counts())
            .unwrap_or_default();
        run
    }

    fn end(&mut self, ended: Pending, now: u64, shedder: &mut Option<Shedder>) {
        let latency = now - ended.arrived;
        let is_good = ended.outcome.is_served() && latency <= SLOW_US;
        let bin = usize::try_from(ended.arrived / 100_000).unwrap();
        self.bins[bin].good += u64::from(is_good);
        self.latencies[bin].push(latency);
        if let (Some(shedder), Some(ticket)) = (shedder, ended.ticket) {
            shedder.record(
                ticket,
                ending(ended.outcome, Duration::from_micros(latency), is_good),
                at(now),
            );
        }
    }

    /// Sums over the seconds from `from` to `to`.
    fn sum(&self, from: f64, to: f64, what: fn(&Bin) -> u64) -> u64 {
        self.between(from, to).iter().map(what).sum()
    }

    fn good_per_second(&self, from: f64, to: f64) -> f64 {
        self.sum(from, to, |bin| bin.good) as f64 / (to - from)
    }

    fn between(&self, from: f64, to: f64) -> &[Bin] {
        &self.bins[(from * 10.0) as usize..(to * 10.0) as usize]
    }

    fn percentile_us(&self, from: f64, to: f64, percentile: f64) -> u64 {
        let bins = &self.latencies[(from * 10.0) as usize..(to * 10.0) as usize];
        let mut all: Vec<u64> = bins.iter().flatten().copied().collect();
        all.sort_unstable();
        if all.is_empty() {
            return 0;
        }
        all[((all.len() - 1) as f64 * percentile) as usize]
    }

    fn shed(&self) -> u64 {
        self.bins.iter().flat_map(|bin| bin.shed).sum()
    }
}

fn unit(random: &mut Random) -> f64 {
    (random.word() >> 11) as f64 / (1u64 << 53) as f64
}

fn exponential(random: &mut Random, mean: f64) -> u64 {
    (-(1.0 - unit(random)).ln() * mean) as u64
}

/// A tenth may be shed, two tenths almost, six are critical, one is more.
fn class(random: &mut Random) -> Criticality {
    match random.draw() {
        0..1_000 => Criticality::Sheddable,
        1_000..3_000 => Criticality::SheddablePlus,
        3_000..9_000 => Criticality::Critical,
        9_000.. => Criticality::CriticalPlus,
    }
}

const fn ending(outcome: Outcome, latency: Duration, is_good: bool) -> ShedEnding {
    ShedEnding {
        outcome,
        latency,
        is_good,
    }
}

fn at(micros: u64) -> Time {
    Time::from_nanos(micros * 1_000)
}

fn share(ten_thousandths: u16) -> Share {
    Share::try_from(ten_thousandths).unwrap()
}

fn shedder(mode: Mode) -> Shedder {
    let rule = ShedRule::try_from(ShedLimits {
        share_min: Share::NONE,
        share_max: share(9_000),
        floor: Share::HUNDREDTH,
        slow_us: Some(SLOW_US),
        slow_max: Some(share(500)),
        failed_max: Some(share(500)),
        in_flight_max: None,
        class_max: ClassShares::WHOLE,
        judge: Judge::Outcomes,
    });
    Shedder::new(rule.unwrap(), mode, None, at(0))
}

const STEP: Scenario = Scenario {
    name: "twice what it can",
    offered: |second| if second < 5.0 { 700.0 } else { 2_000.0 },
    ..CALM
};

/// What is said of a run holds for these.
const SEEDS: [u64; 3] = [1, 2, 3];

fn with(scenario: &Scenario, seconds: u64, seed: u64) -> Run {
    Run::of(scenario, Some(shedder(Mode::Enforce)), seconds, seed)
}

#[test]
fn under_capacity_nothing_is_shed() {
    for seed in SEEDS {
        assert_eq!(with(&CALM, 60, seed).shed(), 0, "seed {seed}");
    }
}

#[test]
fn five_seconds_after_twice_the_load_the_service_is_as_good_as_it_can_be() {
    for seed in SEEDS {
        let run = with(&STEP, 40, seed);
        // The step is at 5 s. 1,000 per second are all that it can.
        for from in [10.0, 20.0, 30.0] {
            let good = run.good_per_second(from, from + 10.0);
            assert!(
                900.0 <= good,
                "seed {seed}: {good} good per second from {from} s"
            );
            let p99 = run.percentile_us(from, from + 10.0, 0.99);
            assert!(
                p99 <= SLOW_US * 3 / 2,
                "seed {seed}: p99 is {p99} from {from} s"
            );
        }
        assert!(0.0 < run.good_per_second(6.0, 10.0));
    }
}

#[test]
fn the_level_stays_within_a_band() {
    for seed in SEEDS {
        let run = with(&STEP, 40, seed);
        let levels: Vec<u16> = run
            .between(10.0, 40.0)
            .iter()
            .map(|bin| bin.level)
            .collect();
        let (low, high) = (levels.iter().min().unwrap(), levels.iter().max().unwrap());
        // Half of the requests are too many.
        assert!((3_000..5_000).contains(low), "seed {seed}: {low} to {high}");
        assert!(
            (5_000..7_000).contains(high),
            "seed {seed}: {low} to {high}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the service can, however much more is asked of it, and whenever anything comes.
    #[test]
    fn five_seconds_after_any_overload_the_share_that_is_shed_is_that_which_is_too_much(
        workers in 5..=40_usize,
        times in 1.5..4.0_f64,
        seed: u64,
    ) {
        let able = 100.0 * workers as f64;
        let scenario = Scenario {
            offered: |_| 100.0,
            times: times * workers as f64,
            workers,
            ..CALM
        };
        let run = with(&scenario, 25, seed);
        let levels = run.between(5.0, 25.0).iter().map(|bin| f64::from(bin.level));
        let level = levels.sum::<f64>() / 200.0 / 10_000.0;
        let too_much = 1.0 - 1.0 / times;
        prop_assert!((level - too_much).abs() < 0.03, "{level} is shed, {too_much} is too much");
        // Few workers are idle by chance now and then: of 300 runs the worst served four fifths of what it can.
        let good = run.good_per_second(5.0, 25.0);
        prop_assert!(0.6 * able < good, "{good} good per second of {able}");
    }
}

#[test]
fn the_least_critical_pay_first() {
    let run = with(&STEP, 60, 1);
    let sums = |of: fn(&Bin) -> [u64; 4]| {
        run.between(10.0, 60.0)
            .iter()
            .fold([0; 4], |mut sums, bin| {
                for (sum, count) in sums.iter_mut().zip(of(bin)) {
                    *sum += count;
                }
                sums
            })
    };
    let (shed, passed) = (sums(|bin| bin.shed), sums(|bin| bin.passed));
    // Half must go: three tenths are less than critical, so the rest is critical.
    for lower in [0, 1] {
        let share = passed[lower] as f64 / (passed[lower] + shed[lower]) as f64;
        assert!(
            (0.005..0.02).contains(&share),
            "the floor alone passes: {share}"
        );
    }
    assert!(0 < shed[2]);
    assert_eq!(shed[3], 0);
}

#[test]
fn shedding_is_never_worse_than_doing_nothing() {
    for scenario in [scenarios()[1], scenarios()[3], scenarios()[5]] {
        let good = |run: &Run| run.sum(0.0, 60.0, |bin| bin.good);
        let none = good(&Run::of(&scenario, None, 60, 1));
        let run = with(&scenario, 60, 1);
        let some = good(&run);
        // Trials cost something where shedding cannot help: at most a twentieth in the first minute.
        assert!(
            none * 95 / 100 <= some,
            "{}: {some} good, {none} without",
            scenario.name
        );
        let is_curable = scenario.room == usize::MAX && 1_000.0 < (scenario.offered)(15.0);
        assert!(
            !is_curable || none * 5 < some,
            "{}: {some} good, {none} without",
            scenario.name
        );
    }
}

#[test]
fn what_shedding_cannot_help_is_left_alone_soon() {
    for scenario in scenarios()
        .iter()
        .filter(|one| 0.0 < one.failing + one.extra_share)
    {
        let run = with(scenario, 300, 1);
        let shed = run.shed() as f64 / run.sum(0.0, 300.0, |bin| bin.offered) as f64;
        assert!(shed < 0.03, "{}: {shed} in five minutes", scenario.name);
    }
}

#[test]
fn after_the_load_nothing_is_shed_any_more() {
    let spike = Scenario {
        offered: |second| {
            if (5.0..25.0).contains(&second) {
                2_000.0
            } else {
                700.0
            }
        },
        ..CALM
    };
    // A service that needs most of the time that it has, whatever the load.
    let slow_by_nature = Scenario {
        extra_us: 50_000,
        extra_share: 1.0,
        service_us: 5_000.0,
        workers: 5,
        ..spike
    };
    for (scenario, within) in [(spike, 20.0), (slow_by_nature, 65.0)] {
        for seed in SEEDS {
            let run = with(&scenario, 100, seed);
            let level = run
                .between(25.0 + within, 100.0)
                .iter()
                .map(|bin| bin.level)
                .max();
            assert_eq!(level, Some(0), "seed {seed}, {within} s");
            let busy = run.between(10.0, 25.0).iter().map(|bin| bin.level).min();
            assert!(Some(0) < busy, "seed {seed}, {within} s");
        }
    }
}

/// Where little is asked and little can be served, steps are few, and a queue is short by chance now and then.
#[test]
fn small_services_are_helped_in_overload_too() {
    let too_much = |second| if second < 30.0 { 20.0 } else { 100.0 };
    for (workers, service_us, good_min) in [
        (1, 20_000.0, 18.0),
        (2, 30_000.0, 27.0),
        (4, 50_000.0, 27.0),
    ] {
        let scenario = Scenario {
            offered: too_much,
            workers,
            service_us,
            ..CALM
        };
        let good = (1..=5).map(|seed| with(&scenario, 90, seed).good_per_second(35.0, 90.0));
        let good = good.sum::<f64>() / 5.0;
        assert!(good_min < good, "{workers} workers: {good}");
        let nothing = Run::of(&scenario, None, 90, 1).good_per_second(35.0, 90.0);
        assert!(nothing < 1.0, "{workers} workers: {nothing}");
    }
}

/// What ended long ago is no reason to refuse, however seldom somebody asks: a slow step back is a step per second there.
#[test]
fn a_few_seconds_after_slowness_nothing_is_shed_whatever_the_rate() {
    let rates: [fn(f64) -> f64; 5] = [|_| 7.0, |_| 15.0, |_| 50.0, |_| 200.0, |_| 700.0];
    for (index, offered) in rates.into_iter().enumerate() {
        let scenario = Scenario {
            offered,
            workers: usize::from(u16::MAX),
            extra_us: 1_500_000,
            extra_share: 1.0,
            extra_in: (20.0, 26.0),
            ..CALM
        };
        let mut shed = 0;
        for seed in 1..=10 {
            let run = with(&scenario, 60, seed);
            shed += run.shed();
            // The last that was slow ends after 1.5 s.
            let late = run.sum(32.0, 60.0, |bin| bin.shed.iter().sum());
            assert_eq!(late, 0, "rate {index}, seed {seed}");
        }
        assert!(0 < shed, "rate {index}");
    }
}

#[test]
fn even_ten_times_the_load_leaves_something_to_measure() {
    let scenario = Scenario {
        offered: |_| 10_000.0,
        timeout_us: 250_000,
        ..CALM
    };
    let run = with(&scenario, 30, 1);
    for second in 0..30 {
        let passed = run.sum(f64::from(second), f64::from(second) + 1.0, |bin| {
            bin.passed.iter().sum()
        });
        assert!(0 < passed, "second {second}");
    }
}

#[test]
fn the_shadow_changes_nothing_and_says_what_would_be() {
    let none = Run::of(&STEP, None, 30, 1);
    let run = Run::of(&STEP, Some(shedder(Mode::Shadow)), 30, 1);
    assert_eq!(run.shed(), 0);
    let good = |run: &Run| run.sum(0.0, 30.0, |bin| bin.good);
    assert!(good(&none).abs_diff(good(&run)) <= good(&none) / 5);
    assert!(0 < run.counts.shadow_shed);
    assert!(run.counts.shadow_shed_good < run.counts.shadow_shed / 10);
    // Half of what comes would be too much, if the queue were drained.
    let levels: Vec<u16> = run
        .between(15.0, 30.0)
        .iter()
        .map(|bin| bin.level)
        .collect();
    assert!(
        levels.iter().all(|level| (4_000..7_000).contains(level)),
        "{levels:?}"
    );
}

fn scenarios() -> [Scenario; 12] {
    [
        CALM,
        STEP,
        Scenario {
            name: "a tenth too much",
            offered: |second| if second < 5.0 { 700.0 } else { 1_100.0 },
            ..CALM
        },
        Scenario {
            name: "five times what it can",
            offered: |second| if second < 5.0 { 700.0 } else { 5_000.0 },
            ..CALM
        },
        Scenario {
            name: "a spike of three seconds",
            offered: |second| {
                if (5.0..8.0).contains(&second) {
                    3_000.0
                } else {
                    700.0
                }
            },
            ..CALM
        },
        Scenario {
            name: "up and down every ten seconds",
            offered: |second| {
                if (second / 10.0) as u64 % 2 == 1 {
                    2_000.0
                } else {
                    700.0
                }
            },
            ..CALM
        },
        Scenario {
            name: "too much, fails when full",
            room: 50,
            ..STEP
        },
        Scenario {
            name: "too much, callers give up",
            timeout_us: 250_000,
            ..STEP
        },
        Scenario {
            name: "all slow for other reasons",
            extra_us: 200_000,
            extra_share: 1.0,
            ..CALM
        },
        Scenario {
            name: "a fifth slow for other reasons",
            extra_us: 300_000,
            extra_share: 0.2,
            ..CALM
        },
        Scenario {
            name: "a third fails for other reasons",
            failing: 0.3,
            ..CALM
        },
        Scenario {
            name: "near the edge for other reasons",
            failing: 0.06,
            ..CALM
        },
    ]
}
