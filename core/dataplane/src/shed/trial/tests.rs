//! What is tried, for how long, and what becomes of it.

use super::*;

const fn strength(strength: u64) -> Strength {
    Strength {
        sum: strength * 100,
        count: 100,
        lately: strength,
    }
}

/// Whether it may shed, for each (millisecond, strength).
fn trial(steps: &[(u64, u64)]) -> Vec<bool> {
    let mut trial = Trial::new(at(0));
    let step = |(ms, strong): &(u64, u64)| {
        trial.may_shed(Strain::Failures, strength(*strong), Duration::ZERO, at(*ms))
    };
    steps.iter().map(step).collect()
}

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

#[test]
fn what_does_not_help_is_given_up_for_longer_each_time() {
    let expected = [
        (0, true),
        (750, true),
        (1_499, true),
        (1_500, false),
        (11_499, false),
        (11_500, true),
        (12_250, true),
        (13_000, false),
        (32_999, false),
        (33_000, true),
    ];
    let steps: Vec<_> = expected.iter().map(|(ms, _)| (*ms, 100)).collect();
    assert_eq!(trial(&steps), expected.map(|(_, may)| may));
}

#[test]
fn what_helps_goes_on() {
    assert_eq!(
        trial(&[(0, 100), (750, 100), (1_500, 50), (2_250, 46), (3_000, 46)]),
        [true, true, true, true, false],
        "the first window fades: 100, 94, 89"
    );
}

#[test]
fn what_is_twice_as_bad_is_tried_at_once() {
    assert_eq!(
        trial(&[
            (0, 100),
            (750, 100),
            (1_500, 100),
            (1_600, 199),
            (1_700, 200)
        ]),
        [true, true, false, false, true]
    );
}

#[test]
fn few_samples_are_waited_for() {
    let mut trial = Trial::new(at(0));
    let few = Strength {
        sum: 10,
        count: 1,
        lately: 10,
    };
    let mut may = |ms| trial.may_shed(Strain::Slowness, few, Duration::ZERO, at(ms));
    assert!(may(0) && may(5_000) && may(10_000) && may(19_999));
    assert!(!may(20_000));
}

#[test]
fn another_strain_is_tried_at_once() {
    let mut trial = Trial::new(at(0));
    let wait = Duration::ZERO;
    assert!(trial.may_shed(Strain::Failures, strength(9), wait, at(0)));
    assert!(trial.may_shed(Strain::Failures, strength(9), wait, at(750)));
    assert!(!trial.may_shed(Strain::Failures, strength(9), wait, at(1_500)));
    assert!(trial.may_shed(Strain::Slowness, strength(9), wait, at(1_600)));
}

#[test]
fn the_pause_has_a_maximum_and_is_forgotten_when_all_is_well() {
    let mut trial = Trial::new(at(0));
    let mut now = 0;
    for _ in 0..20 {
        let mut may =
            |ms| trial.may_shed(Strain::Failures, strength(9), Duration::ZERO, at(now + ms));
        assert!(may(0) && may(750) && !may(1_500));
        now += 1_500 + 320_000;
    }
    assert_eq!(trial.take_given_up(), 20);
    assert_eq!(trial.pause, Trial::PAUSE_MAX);
    trial.met(at(now));
    trial.met(at(now + 320_000));
    assert_eq!(trial.pause, Trial::PAUSE_MIN);
}

/// Whether it goes on after two windows with 80 good ones a step, if there were so many lately and at last.
fn goes_on(lately: u64, last: u64) -> bool {
    let mut trial = Trial::new(at(0));
    let promise = Harvest {
        good: lately * 256,
        wanted: 200 * 256,
    };
    let reaped = |good| Reaped {
        good,
        wanted: 200,
        judged: 100,
    };
    let step = Duration::from_millis(100);
    trial.reap(promise, reaped(last), step);
    let may = |trial: &mut Trial, ms, strong| {
        trial.may_shed(Strain::Slowness, strength(strong), Duration::ZERO, at(ms))
    };
    assert!(may(&mut trial, 0, 100));
    for tenth in 1..20 {
        trial.reap(promise, reaped(80), step);
        if !may(&mut trial, tenth * 100, 100 - tenth * 5) {
            return false;
        }
    }
    true
}

#[test]
fn what_was_served_while_a_queue_was_filled_is_no_promise() {
    assert!(!goes_on(100, 100));
    assert!(goes_on(100, 20));
    assert!(goes_on(20, 100));
}

#[test]
fn whoever_waits_long_is_given_longer() {
    let mut trial = Trial::new(at(0));
    let mut may = |ms| {
        trial.may_shed(
            Strain::Slowness,
            strength(9),
            Duration::from_secs(1),
            at(ms),
        )
    };
    assert!(may(0) && may(1_750) && may(3_499));
    assert!(!may(3_500));
}

/// In how many of the tenths of a second of so many minutes it may shed, with the strain and its strength in each.
fn tenths_of(minutes: u64, strain: impl Fn(u64) -> (Strain, u64)) -> usize {
    let mut trial = Trial::new(at(0));
    let shed = (0..minutes * 600).filter(|tenth| {
        let (strain, strong) = strain(*tenth);
        trial.may_shed(strain, strength(strong), Duration::ZERO, at(tenth * 100))
    });
    shed.count()
}

#[test]
fn strains_that_take_turns_are_given_up_as_one_that_does_not() {
    let alone = tenths_of(1, |_| (Strain::Failures, 100));
    assert_eq!(alone, 3 * 16, "at 0, 11.6 and 33.2 s");
    // Windows of the fleet are ten seconds, so pauses are few in a minute.
    let pairs = [
        (1, [Strain::Failures, Strain::InFlight]),
        (10, [Strain::Slowness, Strain::Fleet]),
    ];
    for (minutes, strains) in pairs {
        let both = strains.map(|strain| tenths_of(minutes, |_| (strain, 100)));
        for tenths in [1, 2, 5, 10, 20, 40] {
            let shed = tenths_of(minutes, |tenth| {
                let is_even = (tenth / tenths).is_multiple_of(2);
                (strains[usize::from(is_even)], 100)
            });
            assert!(
                shed <= both.iter().sum(),
                "{strains:?} in turns of {tenths} tenths: {shed}, alone {both:?}"
            );
        }
    }
}

#[test]
fn a_pause_outlasts_that_what_the_fleet_said_is_over() {
    let mut trial = Trial::new(at(0));
    let may = |trial: &mut Trial, strain, ms| {
        trial.may_shed(strain, strength(100), Duration::ZERO, at(ms))
    };
    let slow = [0, 750, 1_500].map(|ms| may(&mut trial, Strain::Slowness, ms));
    assert_eq!(slow, [true, true, false]);
    assert!(may(&mut trial, Strain::Fleet, 1_600));
    trial.met(at(1_700));
    assert!(!may(&mut trial, Strain::Slowness, 1_800));
    assert!(may(&mut trial, Strain::Slowness, 11_500));
}

#[test]
fn what_helps_against_both_goes_on() {
    let shed = tenths_of(1, |tenth| {
        let strain = [Strain::Failures, Strain::InFlight][usize::try_from(tenth % 2).unwrap()];
        (strain, if tenth < 8 { 1_000 } else { 1 })
    });
    assert_eq!(shed, 600);
}

#[test]
fn one_that_is_given_up_does_not_end_the_trial_of_another() {
    let shed = tenths_of(1, |tenth| match tenth % 4 {
        0 => (Strain::Failures, 100),
        _ => (Strain::InFlight, if tenth < 8 { 1_000 } else { 1 }),
    });
    assert_eq!(shed, 600);
}

#[test]
fn a_trial_that_is_not_heard_of_any_more_does_not_go_on_by_another() {
    // Failures, then for a second too many requests, and then only failures again.
    let shed = |from: u64, to: u64| {
        let mut trial = Trial::new(at(0));
        let mut may = |tenth: u64| {
            let strain = match (15..25).contains(&tenth) {
                true => Strain::InFlight,
                false => Strain::Failures,
            };
            trial.may_shed(strain, strength(100), Duration::ZERO, at(tenth * 100))
        };
        (0..to)
            .filter(|tenth| may(*tenth) && from <= *tenth)
            .count()
    };
    assert_eq!(shed(0, 25), 25);
    assert_eq!(shed(25, 125), 8, "and then there is a pause");
}

#[test]
fn it_has_given_up_when_what_else_was_tried_is_not_heard_of_any_more() {
    let mut trial = Trial::new(at(0));
    let mut step = |tenth: u64| {
        let strain = match tenth {
            ..8 => Strain::Failures,
            8..16 => Strain::InFlight,
            16.. => Strain::Failures,
        };
        trial.may_shed(strain, strength(100), Duration::ZERO, at(tenth * 100));
        trial.has_given_up()
    };
    let given_up: Vec<u64> = (0..60).filter(|tenth| step(*tenth)).collect();
    // Failures are given up with their second window; the other trial was the present one until 1.6 s.
    assert_eq!(given_up, (24..60).collect::<Vec<_>>());
}

#[test]
fn no_queue_is_drained_by_a_trial_that_is_not_heard_of_any_more() {
    let mut trial = Trial::new(at(0));
    let mut step = |tenth: u64| {
        let strain = match tenth {
            ..3 => Strain::Slowness,
            3.. => Strain::Fleet,
        };
        trial.may_shed(strain, strength(100), Duration::ZERO, at(tenth * 100));
        trial.is_against_a_queue()
    };
    let against: Vec<u64> = (0..60).filter(|tenth| step(*tenth)).collect();
    // It is parked at 0.3 s, when it was last the present one.
    assert_eq!(against, (0..11).collect::<Vec<_>>());
}
