//! What a retry budget promises.

mod outbound;

use proptest::prelude::*;
use sloop_model::RetryLimits;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn config(share: u16, least: u32) -> RetryConfig {
    let share = Share::try_from(share).unwrap();
    RetryConfig {
        mode: Mode::Enforce,
        expires_at_ms: None,
        limits: RetryLimits { share, least }.try_into().unwrap(),
    }
}

/// A budget whose retries were in vain for long.
fn in_vain(share: u16, least: u32) -> RetryBudget {
    let mut budget = RetryBudget::new(&config(share, least), at(0));
    for _ in 0..1_000 {
        budget.learn(true);
    }
    budget
}

/// How many of `count` retries at a moment pass.
fn passed(budget: &mut RetryBudget, count: u32, millis: u64) -> usize {
    let retries = (0..count).map(|_| budget.admit(Strain::None, at(millis)));
    retries.filter(|one| *one == RetryAdmit::Pass).count()
}

#[test]
fn retries_that_help_all_pass() {
    let mut budget = RetryBudget::new(&config(0, 1), at(0));
    for _ in 0..RetryBudget::IN_VAIN {
        assert_eq!(passed(&mut budget, 100, 0), 100);
        budget.learn(true);
    }
    assert!(budget.helps());
    budget.learn(true);
    assert_eq!(passed(&mut budget, 100, 0), 0, "one more, and it is known");
    for _ in 0..RetryBudget::IN_VAIN {
        assert_eq!(passed(&mut budget, 100, 0), 0);
        budget.learn(false);
    }
    assert_eq!(passed(&mut budget, 100, 0), 100);
    budget.learn(true);
    assert!(budget.helps(), "to change again takes as much");
}

#[test]
fn a_long_bad_time_is_over_after_ten_good_answers() {
    let mut budget = in_vain(1_000, 3);
    let needed = (1..).find(|_| {
        budget.learn(false);
        budget.helps()
    });
    assert_eq!(needed, Some(10));
}

/// How many retries are judged on average until they are taken not to help, of which such a share is in vain: from each
/// difference `k` on, the next one is reached by `D(k) = 1/p + q/p · D(k - 1)`, from none on by `D(0) = 1/p`.
fn retries_until_in_vain(share: f64) -> f64 {
    let steps = (0..=RetryBudget::IN_VAIN).scan(0.0, |before, _| {
        *before = 1.0 / share + (1.0 - share) / share * *before;
        Some(*before)
    });
    steps.sum()
}

/// The worked example in the documentation of [`RetryBudget::IN_VAIN`].
#[test]
fn so_seldom_does_chance_alone_say_that_retries_are_in_vain() {
    let expected = [
        (0.25, 531_000.0),
        (0.3, 48_800.0),
        (1.0 / 3.0, 12_200.0),
        (0.4, 1_230.0),
        (1.0, 11.0),
    ];
    for (share, retries) in expected {
        let mean = retries_until_in_vain(share);
        assert!(
            (mean / retries - 1.0).abs() < 0.005,
            "{share}: {mean} retries"
        );
    }
}

#[test]
fn first_attempts_allow_for_their_share_of_retries() {
    let mut budget = in_vain(1_000, 3);
    assert_eq!(passed(&mut budget, 9, 0), 3, "what a second gives");
    (0..99).for_each(|_| budget.first());
    assert_eq!(passed(&mut budget, 99, 0), 9);
    budget.first();
    assert_eq!(passed(&mut budget, 9, 0), 1, "of a hundred, ten");
    (0..100_000).for_each(|_| budget.first());
    assert_eq!(
        passed(&mut budget, 99, 0),
        30,
        "no more than ten seconds give"
    );
    assert_eq!(
        passed(&mut budget, 99, 999),
        2,
        "and some pass in each second"
    );
    assert_eq!(passed(&mut budget, 99, 60_999), 3);
}

#[test]
fn a_share_of_none_leaves_what_time_gives() {
    let mut budget = in_vain(0, 1);
    (0..100_000).for_each(|_| budget.first());
    assert_eq!(passed(&mut budget, 9, 0), 1);
    assert_eq!(passed(&mut budget, 9, 1_000), 1);
}

#[test]
fn while_the_scope_sheds_first_attempts_earn_nothing_that_can_be_spent() {
    let mut budget = RetryBudget::new(&config(2_000, 2), at(0));
    (0..1_000).for_each(|_| budget.first());
    let retries = (0..10).map(|_| budget.admit(Strain::Sheds, at(0)));
    let passed = retries.filter(|one| *one == RetryAdmit::Pass).count();
    assert_eq!(passed, 2, "although they help");
}

#[test]
fn shadow_mode_counts_and_refuses_nothing() {
    let mut budget = in_vain(1_000, 1);
    budget.adopt(&RetryConfig {
        mode: Mode::Shadow,
        ..config(1_000, 1)
    });
    assert_eq!(budget.admit(Strain::None, at(0)), RetryAdmit::Pass);
    assert_eq!(budget.admit(Strain::None, at(0)), RetryAdmit::Shadow);
}

#[test]
fn it_is_over_when_the_wall_clock_says_so() {
    let mut budget = RetryBudget::new(&config(1_000, 1), at(0));
    let wall = WallTime::from_millis;
    assert!(!budget.has_expired(wall(u64::MAX)), "a file that is kept");
    budget.adopt(&RetryConfig {
        expires_at_ms: Some(wall(5)),
        ..config(1_000, 1)
    });
    assert!(!budget.has_expired(wall(4)));
    assert!(budget.has_expired(wall(5)));
}

#[test]
fn a_smaller_rule_forgets_what_it_would_not_have_let_save() {
    let mut budget = in_vain(1_000, 100);
    (0..100_000).for_each(|_| budget.first());
    budget.adopt(&config(1_000, 1));
    assert_eq!(passed(&mut budget, 2_000, 0), 11);
}

/// What happens, after so many nanoseconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    First,
    Retry(Strain),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        2 => Just(Step::First),
        3 => Just(Step::Retry(Strain::None)),
        1 => Just(Step::Retry(Strain::Sheds)),
    ];
    prop::collection::vec((0..SECOND / 10, step), 0..400)
}

proptest! {
    #[test]
    fn what_passes_in_vain_is_never_more_than_the_budget(
        steps in steps(), share in 0..=10_000_u16, least in 1..=20_u32,
    ) {
        let mut budget = in_vain(share, least);
        let (mut nanos, mut firsts, mut passed) = (0, 0_u64, 0_u64);
        for (after, step) in steps {
            nanos += after;
            match step {
                Step::First => {
                    budget.first();
                    firsts += 1;
                }
                Step::Retry(strain) => {
                    let admitted = budget.admit(strain, Time::from_nanos(nanos));
                    passed += u64::from(admitted == RetryAdmit::Pass);
                    budget.learn(true);
                }
            }
        }
        let earned = u128::from(firsts) * u128::from(share) / 10_000;
        let timely = u128::from(nanos) * u128::from(least) / u128::from(SECOND);
        let bound = earned + timely + u128::from(least) * 11;
        prop_assert!(u128::from(passed) <= bound, "{passed} of {bound}");
    }

    #[test]
    fn some_always_pass_and_good_ones_end_it(
        steps in steps(), share in 0..=10_000_u16, least in 1..=20_u32,
    ) {
        let mut budget = in_vain(share, least);
        let mut nanos = 0;
        for (after, step) in steps {
            nanos += after;
            match step {
                Step::First => budget.first(),
                Step::Retry(strain) => {
                    budget.admit(strain, Time::from_nanos(nanos));
                    budget.learn(true);
                }
            }
        }
        for _ in 0..RetryBudget::IN_VAIN {
            nanos += SECOND;
            let now = Time::from_nanos(nanos);
            for strain in [Strain::Sheds, Strain::None] {
                // A second gives one of them at least.
                let admitted = budget.admit(strain, now);
                prop_assert!(strain == Strain::None || admitted == RetryAdmit::Pass);
            }
            budget.learn(false);
        }
        prop_assert!(budget.helps());
        prop_assert_eq!(passed(&mut budget, 1_000, nanos / 1_000_000), 1_000);
    }

    #[test]
    fn a_clock_that_goes_backwards_gives_nothing(moments in prop::collection::vec(0..1_000_u64, 1..100)) {
        let mut budget = in_vain(0, 1);
        let passed = moments.iter().map(|millis| passed(&mut budget, 1, *millis)).sum::<usize>();
        prop_assert!(passed <= 1);
    }
}
