//! What the shedder promises.

mod simulation;

use super::*;
use crate::context::TraceId;
use crate::random::Random;
use proptest::prelude::*;
use sloop_model::{ClassShares, Judge, Outcome, ShedLimits};

const LIMITS: fn() -> ShedLimits = || ShedLimits {
    share_min: Share::NONE,
    share_max: Share::WHOLE,
    floor: Share::HUNDREDTH,
    slow_us: Some(100_000),
    slow_max: Some(share(500)),
    failed_max: Some(share(500)),
    in_flight_max: None,
    class_max: ClassShares::WHOLE,
    judge: Judge::Outcomes,
};

const QUICK: Duration = Duration::from_millis(1);
const FAST: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_millis(101);

fn share(ten_thousandths: u16) -> Share {
    Share::try_from(ten_thousandths).unwrap()
}

const fn ending(outcome: Outcome, latency: Duration, is_good: bool) -> ShedEnding {
    ShedEnding {
        outcome,
        latency,
        is_good,
    }
}

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn rule(limits: ShedLimits) -> ShedRule {
    ShedRule::try_from(limits).unwrap()
}

/// A shedder and the words of the tests.
struct Bench {
    shedder: Shedder,
    /// Of requests that did not end.
    waiting: Vec<ShedTicket>,
}

impl Bench {
    fn new(limits: ShedLimits) -> Self {
        Self {
            shedder: Shedder::new(rule(limits), Mode::Enforce, None, at(0)),
            waiting: Vec::new(),
        }
    }

    /// One request in each millisecond of `from..to`, ended at once like this; how many were shed.
    fn all(&mut self, from: u64, to: u64, outcome: Outcome, latency: Duration) -> u64 {
        self.each(from, to, |_| (outcome, latency))
    }

    /// The same with two of three failing at once, and the others served in `latency`.
    fn most_fail(&mut self, from: u64, to: u64, latency: Duration) -> u64 {
        self.each(from, to, |millis| match millis % 3 {
            0 => (Outcome::Success, latency),
            _ => (Outcome::ServerError, QUICK),
        })
    }

    fn each(&mut self, from: u64, to: u64, ends: impl Fn(u64) -> (Outcome, Duration)) -> u64 {
        let mut shed = 0;
        for millis in from..to {
            let (outcome, latency) = ends(millis);
            let draw = u16::try_from(millis * 7_919 % 10_000).unwrap();
            match self.shedder.admit(Criticality::Critical, draw, at(millis)) {
                ShedAdmit::Pass(ticket) => {
                    self.shedder
                        .record(ticket, ending(outcome, latency, true), at(millis));
                }
                ShedAdmit::Shed => shed += 1,
            }
        }
        shed
    }

    /// One request at `millis`; that of `took` milliseconds ago ends well.
    fn under_way(&mut self, millis: u64, took: usize) {
        let draw = u16::try_from(millis * 7_919 % 10_000).unwrap();
        if let ShedAdmit::Pass(ticket) = self.shedder.admit(Criticality::Critical, draw, at(millis))
        {
            self.waiting.push(ticket);
        }
        if took < self.waiting.len() {
            let ticket = self.waiting.remove(0);
            let latency = QUICK * u32::try_from(took).unwrap();
            self.shedder
                .record(ticket, ending(Outcome::Success, latency, true), at(millis));
        }
    }

    fn passes(&mut self, class: Criticality, draw: u16, millis: u64) -> bool {
        match self.shedder.admit(class, draw, at(millis)) {
            ShedAdmit::Pass(ticket) => {
                self.shedder.forget(ticket);
                true
            }
            ShedAdmit::Shed => false,
        }
    }
}

#[test]
fn a_missed_objective_raises_the_level_and_a_met_one_lowers_it() {
    let trouble: [fn(&mut Bench) -> u64; 2] = [
        |bench| bench.most_fail(1_000, 1_500, FAST),
        |bench| bench.all(1_000, 1_500, Outcome::ClientCancel, SLOW),
    ];
    for trouble in trouble {
        let mut bench = Bench::new(LIMITS());
        assert_eq!(bench.all(0, 1_000, Outcome::Success, FAST), 0);
        assert_eq!(bench.shedder.level(), Share::NONE);
        assert!(0 < trouble(&mut bench));
        let high = bench.shedder.level();
        assert!(Share::NONE < high);
        bench.all(1_500, 22_000, Outcome::Success, FAST);
        assert_eq!(bench.shedder.level(), Share::NONE);
        assert_eq!(bench.all(22_000, 25_000, Outcome::Success, FAST), 0);
    }
}

/// Upgraded connections say nothing of how long the others wait.
#[test]
fn what_waits_is_seen_beside_any_number_of_upgraded_connections() {
    let mut bench = Bench::new(LIMITS());
    bench.all(0, 1_000, Outcome::Success, QUICK);
    let shed = bench.each(1_000, 2_000, |millis| match millis % 6 {
        0 => (Outcome::Success, SLOW / 2),
        1 | 2 => (Outcome::Upgraded, SLOW),
        _ => (Outcome::ServerError, QUICK),
    });
    assert!(
        0 < shed,
        "those that are served in time wait beyond the aim"
    );
}

/// A reading says how many were bad, which is nothing to a rule about how many are under way.
#[test]
fn what_the_fleet_says_does_not_hold_a_level_that_it_cannot_judge() {
    let mut bench = Bench::new(ShedLimits {
        slow_us: None,
        slow_max: None,
        failed_max: None,
        in_flight_max: Some(4),
        ..LIMITS()
    });
    bench.all(0, 1_000, Outcome::Success, QUICK);
    for millis in 1_000..2_150 {
        let draw = u16::try_from(millis * 7_919 % 10_000).unwrap();
        if let ShedAdmit::Pass(ticket) =
            bench.shedder.admit(Criticality::Critical, draw, at(millis))
        {
            // It ends when others have come.
            bench.waiting.push(ticket);
        }
    }
    assert!(Share::NONE < bench.shedder.level());
    for ticket in core::mem::take(&mut bench.waiting) {
        bench.shedder.forget(ticket);
    }
    for second in 3..30 {
        let reading = FleetReading {
            requests: 100,
            good: 100,
        };
        bench.shedder.learn_fleet(Some(reading), at(second * 1_000));
        bench.passes(Criticality::Critical, 9_999, second * 1_000 + 1);
    }
    assert_eq!(bench.shedder.level(), Share::NONE);
}

/// Nothing waits: what fails, fails for reasons that asking less does not change, so not even a trial is worth its price.
#[test]
fn what_fails_while_the_rest_is_as_quick_as_ever_is_no_reason_to_shed() {
    let mut bench = Bench::new(LIMITS());
    bench.all(0, 4_000, Outcome::Success, QUICK);
    assert_eq!(bench.most_fail(4_000, 30_000, QUICK), 0);
    let all = bench.all(30_000, 40_000, Outcome::ServerError, QUICK);
    assert_eq!(all, 0, "where nothing is served, a breaker is right");
    // Who says nothing about latency cannot be told from a queue, so it is tried.
    let mut bench = Bench::new(ShedLimits {
        slow_us: None,
        slow_max: None,
        ..LIMITS()
    });
    bench.all(0, 4_000, Outcome::Success, QUICK);
    assert!(0 < bench.most_fail(4_000, 5_000, QUICK));
}

/// As before, whatever is shed anyway: what is usual is learnt all the same.
#[test]
fn what_is_shed_whatever_is_measured_does_not_make_a_queue_of_what_is_usual() {
    let mut bench = Bench::new(ShedLimits {
        share_min: share(100),
        ..LIMITS()
    });
    let usual = SLOW * 6 / 10;
    bench.all(0, 40_000, Outcome::Success, usual);
    bench.most_fail(40_000, 45_000, usual);
    assert_eq!(bench.shedder.level(), share(100));
}

/// The same from the first request on, when nothing is known yet of what is usual: here that is more than the aim.
#[test]
fn what_is_shed_whatever_is_measured_is_no_more_while_the_objective_is_met() {
    for min in [0, 1, 100] {
        let mut bench = Bench::new(ShedLimits {
            share_min: share(min),
            ..LIMITS()
        });
        for millis in 0..20_000 {
            bench.under_way(millis, 60);
            assert_eq!(bench.shedder.level(), share(min), "at {millis} ms");
        }
    }
}

/// All is late although no more may be shed, for longer than any queue needs to be drained.
#[test]
fn who_sheds_all_that_may_be_in_vain_leaves_it_to_a_breaker() {
    let mut bench = Bench::new(ShedLimits {
        share_max: share(400),
        ..LIMITS()
    });
    bench.all(0, 1_000, Outcome::Success, FAST);
    bench.all(1_000, 1_600, Outcome::Success, SLOW);
    assert_eq!(bench.shedder.level(), share(400));
    assert!(bench.shedder.is_at_work() && bench.shedder.can_relieve(SLOW));
    bench.all(1_600, 2_400, Outcome::Success, SLOW);
    assert!(!bench.shedder.is_at_work() && !bench.shedder.can_relieve(SLOW));
    // And takes it back when something is in time.
    bench.all(2_400, 2_600, Outcome::Success, FAST);
    assert!(bench.shedder.can_relieve(SLOW));
}

/// Some are slow, and the others are as quick as ever: it is no queue, so nothing is shed.
#[test]
fn who_does_nothing_about_what_is_slow_leaves_it_to_a_breaker_after_a_second() {
    let mut bench = Bench::new(LIMITS());
    let a_third_hangs = |bench: &mut Bench, from, to| {
        let shed = bench.each(from, to, |millis| match millis % 3 {
            0 => (Outcome::Timeout, SLOW),
            _ => (Outcome::Success, QUICK),
        });
        assert_eq!(shed, 0);
    };
    bench.all(0, 4_000, Outcome::Success, QUICK);
    a_third_hangs(&mut bench, 4_000, 4_850);
    assert!(bench.shedder.can_relieve(SLOW) && !bench.shedder.can_relieve(FAST));
    a_third_hangs(&mut bench, 4_850, 5_250);
    assert!(!bench.shedder.can_relieve(SLOW));
    bench.all(5_250, 6_450, Outcome::Success, QUICK);
    assert!(bench.shedder.can_relieve(SLOW));
    // As after a breaker was open.
    a_third_hangs(&mut bench, 6_450, 7_850);
    assert!(!bench.shedder.can_relieve(SLOW));
    bench.shedder.begin_anew(at(7_850));
    assert!(bench.shedder.can_relieve(SLOW));
}

/// Too few to shed by, and what hangs ends long after the request before it.
#[test]
fn who_is_asked_once_in_a_few_seconds_leaves_what_is_slow_to_a_breaker() {
    for every in [1_000, 3_000, 9_000] {
        let mut bench = Bench::new(LIMITS());
        for request in 0..5 {
            bench.all(request * every, request * every + 1, Outcome::Timeout, SLOW);
        }
        assert!(!bench.shedder.can_relieve(SLOW), "once in {every} ms");
        let back = 5 * every;
        for request in 0..100 {
            let millis = back + request * every;
            bench.all(millis, millis + 1, Outcome::Success, QUICK);
        }
        assert!(bench.shedder.can_relieve(SLOW), "once in {every} ms");
    }
}

/// One of ten is slow where one of twenty may be: many steps have none, and most have too many.
#[test]
fn what_is_too_slow_by_chance_adds_up() {
    for (every, limit) in [(1, 500), (10, 500), (100, 500), (2_000, 500), (10, 2_000)] {
        let mut bench = Bench::new(ShedLimits {
            slow_max: Some(share(limit)),
            ..LIMITS()
        });
        let mut random = Random::seeded([limit.into(), every, 0x9e37_79b9_7f4a_7c15, u64::MAX / 3]);
        let mut left = 0;
        let requests = 30_000 / every.min(100);
        for request in 0..requests {
            let millis = request * every;
            let (outcome, latency) = match random.draw() {
                ..1_000 => (Outcome::Timeout, SLOW),
                1_000.. => (Outcome::Success, QUICK),
            };
            assert_eq!(bench.all(millis, millis + 1, outcome, latency), 0);
            left += u64::from(!bench.shedder.can_relieve(SLOW));
        }
        let most = requests * 7 / 10;
        let few = requests / 50;
        match limit {
            500 => assert!(most < left, "{left} of {requests}, every {every} ms"),
            _ => assert!(left < few, "{left} of {requests}, every {every} ms"),
        }
    }
}

#[test]
fn what_was_slow_before_a_long_silence_does_not_speak_after_it() {
    let after = |silence: u64| {
        let mut bench = Bench::new(LIMITS());
        for second in 0..5 {
            bench.all(second * 1_000, second * 1_000 + 1, Outcome::Timeout, SLOW);
        }
        assert!(!bench.shedder.can_relieve(SLOW));
        bench.passes(Criticality::Critical, 0, 4_000 + silence);
        bench.shedder.can_relieve(SLOW)
    };
    assert!(!after(29_000));
    assert!(after(31_000));
}

#[test]
fn what_is_shed_whatever_is_measured_is_tried_against_nothing() {
    let mut bench = Bench::new(ShedLimits {
        share_min: share(1_000),
        ..LIMITS()
    });
    bench.all(0, 1_000, Outcome::Success, FAST);
    bench.all(1_000, 1_500, Outcome::Success, SLOW);
    assert!(bench.shedder.is_at_work());
    bench.all(1_500, 25_000, Outcome::Success, FAST);
    assert_eq!(bench.shedder.level(), share(1_000));
    assert!(!bench.shedder.is_at_work());
}

#[test]
fn when_a_breaker_is_back_what_was_shed_for_failures_is_not_shed_any_more() {
    let level_after = |trouble: fn(&mut Bench) -> u64| {
        let mut bench = Bench::new(LIMITS());
        bench.all(0, 1_000, Outcome::Success, FAST);
        trouble(&mut bench);
        let before = bench.shedder.level();
        assert!(Share::NONE < before);
        bench.shedder.begin_anew(at(1_500));
        (before, bench.shedder.level())
    };
    let (_, after) = level_after(|bench| bench.most_fail(1_000, 1_500, FAST));
    assert_eq!(after, Share::NONE);
    let (before, after) = level_after(|bench| bench.all(1_000, 1_500, Outcome::Success, SLOW));
    assert_eq!(after, before, "callers want as much as before");
}

#[test]
fn what_proves_nothing_moves_nothing() {
    let mut bench = Bench::new(LIMITS());
    for outcome in [Outcome::ClientCancel, Outcome::Refused, Outcome::Faulted] {
        assert_eq!(bench.all(0, 2_000, outcome, FAST), 0, "{outcome:?}");
    }
    assert_eq!(bench.all(0, 2_000, Outcome::ClientError, FAST), 0);
    // An upgraded connection lives as long as it likes.
    assert_eq!(bench.all(2_000, 4_000, Outcome::Upgraded, SLOW), 0);
}

#[test]
fn too_many_under_way_are_too_many() {
    let mut bench = Bench::new(ShedLimits {
        in_flight_max: Some(50),
        slow_us: None,
        slow_max: None,
        failed_max: None,
        ..LIMITS()
    });
    let mut tickets = Vec::new();
    for millis in 0..5_000 {
        let draw = u16::try_from(millis * 7_919 % 10_000).unwrap();
        if let ShedAdmit::Pass(ticket) =
            bench.shedder.admit(Criticality::Critical, draw, at(millis))
        {
            tickets.push(ticket);
        }
        // Half of what comes is served.
        if millis % 2 == 0 && !tickets.is_empty() {
            let ticket = tickets.remove(0);
            bench
                .shedder
                .record(ticket, ending(Outcome::Success, SLOW, true), at(millis));
        }
    }
    assert_eq!(bench.shedder.in_flight() as usize, tickets.len());
    assert!((20..120).contains(&tickets.len()), "{}", tickets.len());
    assert!(Share::NONE < bench.shedder.level());
}

#[test]
fn the_smallest_share_is_shed_whatever_is_measured() {
    let mut bench = Bench::new(ShedLimits {
        share_min: share(1_000),
        share_max: share(2_000),
        ..LIMITS()
    });
    let shed = bench.all(0, 10_000, Outcome::Success, FAST);
    assert!((800..1_200).contains(&shed), "{shed}");
    bench.all(10_000, 11_500, Outcome::Success, SLOW);
    assert_eq!(bench.shedder.level(), share(2_000));
}

#[test]
fn a_class_that_must_not_be_shed_is_not() {
    let mut bench = Bench::new(ShedLimits {
        class_max: ClassShares {
            critical: Share::NONE,
            ..ClassShares::WHOLE
        },
        ..LIMITS()
    });
    assert_eq!(bench.all(0, 2_000, Outcome::Success, SLOW), 0);
    assert!(
        !bench.passes(Criticality::Sheddable, 0, 1_400) || Share::NONE == bench.shedder.level()
    );
}

#[test]
fn the_floor_always_passes() {
    let mut bench = Bench::new(LIMITS());
    bench.all(0, 1_400, Outcome::Success, SLOW);
    assert!(!bench.passes(Criticality::Sheddable, 9_899, 1_400));
    assert!(bench.passes(Criticality::Sheddable, 9_900, 1_400));
}

#[test]
fn after_a_silence_one_passes() {
    let mut bench = Bench::new(ShedLimits {
        share_min: Share::WHOLE,
        floor: share(10),
        ..LIMITS()
    });
    bench.all(0, 500, Outcome::Success, FAST);
    let passed: Vec<u64> = (10_000..13_000)
        .filter(|millis| bench.passes(Criticality::CriticalPlus, 0, *millis))
        .collect();
    assert_eq!(passed, [10_000, 11_000, 12_000]);
}

#[test]
fn the_moment_of_expiry_is_too_late() {
    let always = rule(ShedLimits {
        share_min: share(9_000),
        ..LIMITS()
    });
    let mut shedder = Shedder::new(always, Mode::Enforce, Some(at(250)), at(0));
    let mut passes = |millis| match shedder.admit(Criticality::Sheddable, 0, at(millis)) {
        ShedAdmit::Pass(ticket) => {
            shedder.forget(ticket);
            true
        }
        ShedAdmit::Shed => false,
    };
    assert!(!passes(0) && !passes(249));
    assert!(passes(250) && passes(251) && passes(100_000));
    assert_eq!(shedder.level(), Share::NONE);
    shedder.adopt(always, Mode::Enforce, None, at(100_001));
    assert_eq!(
        shedder.admit(Criticality::Sheddable, 0, at(100_002)),
        ShedAdmit::Shed
    );
}

#[test]
fn shadow_mode_counts_and_lets_pass() {
    let always = rule(ShedLimits {
        share_min: share(9_900),
        ..LIMITS()
    });
    let mut shedder = Shedder::new(always, Mode::Shadow, None, at(0));
    for (draw, is_good) in [(0, true), (0, false), (9_999, true)] {
        let ShedAdmit::Pass(ticket) = shedder.admit(Criticality::Sheddable, draw, at(1)) else {
            panic!("shed in shadow mode");
        };
        shedder.record(ticket, ending(Outcome::Success, FAST, is_good), at(2));
    }
    let counts = shedder.take_counts();
    assert_eq!((counts.shadow_shed, counts.shadow_shed_good), (2, 1));
    assert_eq!(counts.shed, [0; 4]);
    assert_eq!(shedder.take_counts(), ShedCounts::default());
}

#[test]
fn the_shed_are_counted_by_class() {
    let mut bench = Bench::new(ShedLimits {
        share_min: Share::WHOLE,
        ..LIMITS()
    });
    // Of classes that are not known yet, only the lowest.
    assert!(!bench.passes(Criticality::Sheddable, 0, 0));
    assert!(bench.passes(Criticality::Critical, 0, 0));
    assert_eq!(bench.shedder.take_counts().shed, [1, 0, 0, 0]);
}

#[test]
fn a_request_that_is_forgotten_is_not_under_way() {
    let mut bench = Bench::new(LIMITS());
    assert!(bench.passes(Criticality::Critical, 0, 0));
    assert_eq!(bench.shedder.in_flight(), 0);
}

#[test]
fn time_that_stands_still_or_goes_back_changes_nothing() {
    let mut bench = Bench::new(LIMITS());
    for millis in [1_000, 1_000, 500, 0, 1_000] {
        assert_eq!(bench.all(millis, millis + 1, Outcome::ServerError, SLOW), 0);
    }
    assert_eq!(bench.shedder.level(), Share::NONE);
}

#[test]
fn an_idle_scope_forgets() {
    let mut bench = Bench::new(LIMITS());
    bench.all(0, 1_350, Outcome::Success, SLOW);
    assert!(Share::NONE < bench.shedder.level());
    assert!(bench.passes(Criticality::Sheddable, 0, 60_000));
    assert_eq!(bench.shedder.level(), Share::NONE);
}

/// Says nothing about latency.
fn failures_alone() -> ShedLimits {
    ShedLimits {
        slow_us: None,
        slow_max: None,
        ..LIMITS()
    }
}

/// Five requests a second say nothing by themselves.
fn seldom(latency: Duration, reading: Option<FleetReading>, limits: ShedLimits) -> Share {
    let mut bench = Bench::new(limits);
    for step in 0..50 {
        if step % 5 == 0 {
            bench.shedder.learn_fleet(reading, at(step * 200));
        }
        bench.all(step * 200, step * 200 + 1, Outcome::Success, latency);
    }
    bench.shedder.level()
}

#[test]
fn what_is_not_known_of_the_fleet_is_no_reason_to_shed() {
    assert_eq!(seldom(SLOW, None, LIMITS()), Share::NONE);
}

#[test]
fn the_fleet_speaks_for_those_that_see_too_little() {
    let reading = |good| {
        Some(FleetReading {
            requests: 1_000,
            good,
        })
    };
    assert_eq!(seldom(SLOW, reading(950), LIMITS()), Share::NONE);
    for (latency, limits) in [(SLOW, LIMITS()), (QUICK, failures_alone())] {
        let level = seldom(latency, reading(500), limits);
        // One step for each reading, not for each period.
        assert!((share(1_000)..=share(2_200)).contains(&level), "{level:?}");
    }
    // Whatever the others have: where nothing waits, nothing is shed.
    for quick in [QUICK, FAST / 4] {
        assert_eq!(seldom(quick, reading(550), LIMITS()), Share::NONE);
    }
}

/// Five requests a second hang, of which one ends in three seconds, late; the fleet misses its objective. How much is shed
/// after each second.
fn hanging(seconds: u64, bench: &mut Bench) -> Vec<Share> {
    let mut levels = Vec::new();
    for second in 1..=seconds {
        let reading = FleetReading {
            requests: 1_000,
            good: 500,
        };
        bench.shedder.learn_fleet(Some(reading), at(second * 1_000));
        for fifth in 0..5 {
            let now = at(second * 1_000 + fifth * 200);
            let draw = u16::try_from(fifth * 1_999).unwrap();
            if let ShedAdmit::Pass(ticket) = bench.shedder.admit(Criticality::Critical, draw, now) {
                bench.waiting.push(ticket);
            }
        }
        levels.push(bench.shedder.level());
        if second % 3 == 0 {
            let ticket = bench.waiting.remove(0);
            bench.shedder.record(
                ticket,
                ending(Outcome::Success, SLOW, true),
                at(second * 1_000 + 900),
            );
        }
    }
    levels
}

#[test]
fn a_second_in_which_nothing_ends_meets_nothing_while_the_fleet_misses() {
    let mut bench = Bench::new(LIMITS());
    let levels = hanging(18, &mut bench);
    assert!(levels.is_sorted(), "{levels:?}");
    assert_eq!(levels.last(), Some(&share(1_000)));
}

/// Twenty hang beside quick ones, and others say that too many are bad: what hangs is no stream, so it is a queue that holds the
/// level when nothing else is under way.
#[test]
fn what_hangs_while_the_fleet_misses_is_not_taken_for_streams() {
    let mut bench = Bench::new(LIMITS());
    let bad = FleetReading {
        requests: 1_000,
        good: 500,
    };
    for millis in 0..20 {
        bench.under_way(millis, usize::MAX);
    }
    for second in 1..200 {
        let now = second * 1_000;
        bench.shedder.learn_fleet(Some(bad), at(now));
        assert_eq!(bench.all(now, now + 1, Outcome::Success, QUICK), 0);
    }
    assert_eq!(bench.shedder.level(), Share::NONE);
    for second in 200..215 {
        let now = second * 1_000;
        bench.shedder.learn_fleet(Some(bad), at(now));
        bench.passes(Criticality::Critical, 9_999, now);
        if second % 3 == 0 {
            let ticket = bench.waiting.remove(0);
            let late = ending(Outcome::Success, SLOW, true);
            bench.shedder.record(ticket, late, at(now + 900));
        }
    }
    assert_eq!(bench.shedder.level(), share(1_000));
}

#[test]
fn where_nothing_is_under_way_nothing_is_shed_whatever_the_fleet_misses() {
    let mut bench = Bench::new(LIMITS());
    hanging(18, &mut bench);
    let was = bench.shedder.level();
    for ticket in core::mem::take(&mut bench.waiting) {
        bench.shedder.forget(ticket);
    }
    for second in 19..25 {
        let bad = FleetReading {
            requests: 1_000,
            good: 500,
        };
        bench.shedder.learn_fleet(Some(bad), at(second * 1_000));
        bench.passes(Criticality::Critical, 9_999, second * 1_000);
    }
    assert!(Share::NONE < was);
    assert_eq!(bench.shedder.level(), Share::NONE);
}

#[test]
fn what_was_known_of_the_fleet_holds_until_it_is_old() {
    let mut bench = Bench::new(failures_alone());
    let bad = FleetReading {
        requests: 1_000,
        good: 0,
    };
    bench.shedder.learn_fleet(Some(bad), at(0));
    let levels: Vec<u16> = (1..=13)
        .map(|second| {
            bench.passes(Criticality::Sheddable, 9_999, second * 1_000);
            u16::from(bench.shedder.level())
        })
        .collect();
    assert_eq!(levels[..10], [200; 10]);
    assert_eq!(levels[10..], [0; 3]);
}

#[test]
fn a_reading_of_the_fleet_grows_old() {
    let mut bench = Bench::new(failures_alone());
    let bad = FleetReading {
        requests: 1_000,
        good: 0,
    };
    bench.shedder.learn_fleet(Some(bad), at(0));
    assert!(bench.passes(Criticality::Sheddable, 0, 10_001));
    assert_eq!(bench.shedder.level(), Share::NONE);
    bench.shedder.learn_fleet(Some(bad), at(10_001));
    bench.passes(Criticality::Sheddable, 0, 20_001);
    assert!(Share::NONE < bench.shedder.level());
}

#[test]
fn draws_spread_and_stay_the_same() {
    let trace = |low| TraceId { high: 0, low };
    let low = (1..=10_000).filter(|id| draw(trace(*id)) < 1_000).count();
    assert!((900..1_100).contains(&low), "{low}");
    assert_eq!(draw(trace(7)), draw(trace(7)));
}

proptest! {
    /// While in every period no more is bad than may be, nobody is ever shed.
    #[test]
    fn never_sheds_while_the_objective_is_met(
        waits in prop::collection::vec(0u64..40, 1..600),
        draw in 0u16..10_000,
        class in 0usize..4,
    ) {
        let mut bench = Bench::new(LIMITS());
        let class = Criticality::ALL[class];
        let mut now = 0;
        for (number, wait) in waits.iter().enumerate() {
            now += wait;
            // One of twenty, which is what may be slow, and another one which may fail.
            let (outcome, latency) = match number % 20 {
                0 => (Outcome::Success, SLOW),
                10 => (Outcome::ServerError, FAST),
                _ => (Outcome::Success, FAST),
            };
            match bench.shedder.admit(class, draw, at(now)) {
                ShedAdmit::Pass(ticket) => bench.shedder.record(ticket, ending(outcome, latency, true), at(now)),
                ShedAdmit::Shed => prop_assert!(false, "shed at {now}"),
            }
        }
    }

    /// Whatever happened: the bounds hold, no class is touched before the one below it, the floor passes,
    /// and twenty seconds of met objectives end it.
    #[test]
    fn keeps_its_bounds_and_recovers(
        events in prop::collection::vec((0u64..300, 0usize..4, 0u16..10_000, 0usize..5), 1..400),
        min in 0u16..2_000,
        more in 1u16..8_000,
    ) {
        let mut bench = Bench::new(ShedLimits {
            share_min: share(min),
            share_max: share(min + more),
            in_flight_max: Some(20),
            ..LIMITS()
        });
        let mut now = 0;
        let mut under_way = Vec::new();
        for (wait, class, draw, end) in events {
            now += wait;
            if let ShedAdmit::Pass(ticket) = bench.shedder.admit(Criticality::ALL[class], draw, at(now)) {
                under_way.push(ticket);
            } else {
                prop_assert!(draw < 9_900);
            }
            let outcome = [Outcome::Success, Outcome::ServerError, Outcome::Timeout, Outcome::ClientCancel].get(end);
            if let Some(outcome) = outcome && let Some(ticket) = under_way.pop() {
                bench.shedder.record(ticket, ending(*outcome, SLOW, false), at(now));
            }
            let level = u16::from(bench.shedder.level());
            prop_assert!((min..=min + more).contains(&level), "{level}");
            let shares = Criticality::ALL.map(|class| u16::from(bench.shedder.share_of(class)));
            for pair in shares.windows(2) {
                prop_assert!(pair[1] == 0 || pair[0] == 9_900, "{shares:?}");
            }
        }
        for ticket in under_way {
            bench.shedder.forget(ticket);
        }
        bench.all(now + 1, now + 22_000, Outcome::Success, FAST);
        prop_assert_eq!(bench.shedder.level(), share(min));
    }
}
