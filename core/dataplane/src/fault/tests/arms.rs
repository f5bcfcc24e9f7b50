//! Arms are the same everywhere, balanced, and independent.

use super::*;
use crate::fault::draw::{ArmDraw, Below};
use crate::random::{Random, draw_of};
use proptest::prelude::*;
use sloop_model::ArmShares;

const IDS: usize = 100_000;

fn share(given: u16) -> Share {
    Share::try_from(given).unwrap()
}

fn shares(fault: u16, control: u16) -> ArmShares {
    ArmShares::parse(share(fault), share(control)).unwrap()
}

const fn index(arm: Arm) -> usize {
    match arm {
        Arm::Fault => 0,
        Arm::Control => 1,
        Arm::Untouched => 2,
    }
}

/// Ids as they come: at random, counting up, and with only a part of them varying.
fn populations() -> Vec<(&'static str, Vec<TraceId>)> {
    let mut random = Random::seeded([1, 2, 3, 4]);
    let mut ids = |make: &dyn Fn(u64, u64, u64) -> (u64, u64)| -> Vec<TraceId> {
        (1..=IDS as u64)
            .map(|number| {
                let (high, low) = make(number, random.word(), random.word());
                TraceId { high, low }
            })
            .collect()
    };
    vec![
        ("random", ids(&|_, one, other| (one, other))),
        ("counting up", ids(&|number, _, _| (0, number))),
        (
            "counting up from far",
            ids(&|number, _, _| (u64::MAX, u64::MAX - number)),
        ),
        ("64 bits as of B3", ids(&|_, one, _| (0, one))),
        ("high half counting up", ids(&|number, _, _| (number, 7))),
        ("high half random", ids(&|_, one, _| (one, 7))),
        (
            "seconds in front as of X-Ray",
            ids(&|number, one, _| {
                (
                    (1_700_000_000 + number / 100) << 32 | one >> 32,
                    one.rotate_left(7),
                )
            }),
        ),
        ("both halves the same", ids(&|_, one, _| (one, one))),
        ("in steps of 2^40", ids(&|number, _, _| (0, number << 40))),
    ]
}

/// Pearson's chi-squared statistic.
fn chi_squared(observed: &[f64], expected: &[f64]) -> f64 {
    let pairs = observed.iter().zip(expected);
    pairs.map(|(o, e)| (o - e) * (o - e) / e).sum()
}

/// The statistic of independence of two arms in one population.
fn dependence(table: [[f64; 3]; 3]) -> f64 {
    let total: f64 = table.iter().flatten().sum();
    let row = |at: usize| table[at].iter().sum::<f64>();
    let column = |at: usize| table.iter().map(|row| row[at]).sum::<f64>();
    let cells = (0..3).flat_map(|r| (0..3).map(move |c| (r, c)));
    let expected: Vec<f64> = cells.map(|(r, c)| row(r) * column(c) / total).collect();
    chi_squared(table.as_flattened(), &expected)
}

/// Quantiles 1 - 10^-6 of chi-squared with 2 and with 4 degrees of freedom.
const BOUND_2: f64 = 27.63;
const BOUND_4: f64 = 33.38;

#[test]
fn arms_have_their_shares_whatever_the_ids_are() {
    let shares = shares(1_000, 2_500);
    let expected = [0.1, 0.25, 0.65].map(|part| part * IDS as f64);
    for (name, ids) in populations() {
        let mut sum = 0.0;
        for seed in 0..8 {
            let mut counts = [0.0; 3];
            for id in &ids {
                counts[index(arm_of(*id, seed, shares))] += 1.0;
            }
            let statistic = chi_squared(&counts, &expected);
            assert!(statistic < BOUND_2, "{name}, seed {seed}: {statistic}");
            sum += statistic;
        }
        // The mean of the statistic is 2, its deviation 2: 5 sigma of 8 of them. Too even is wrong too.
        assert!((0.01..5.6).contains(&(sum / 8.0)), "{name}: {}", sum / 8.0);
    }
}

#[test]
fn experiments_are_independent() {
    let shares = shares(2_000, 3_000);
    for (name, ids) in populations() {
        for (one, other) in [
            (0, 1),
            (1, 2),
            (7, 7 << 32),
            (u64::MAX, u64::MAX - 1),
            (5, 5_000),
        ] {
            let mut table = [[0.0; 3]; 3];
            for id in &ids {
                let row = index(arm_of(*id, one, shares));
                table[row][index(arm_of(*id, other, shares))] += 1.0;
            }
            let statistic = dependence(table);
            assert!(
                statistic < BOUND_4,
                "{name}, {one} and {other}: {statistic}"
            );
        }
    }
}

/// Samplers of traces compare the low 56 bits with a threshold (W3C Trace Context level 2), or the low 63.
#[test]
fn arms_are_independent_of_sampling() {
    let shares = shares(2_000, 3_000);
    let mut random = Random::seeded([5; 4]);
    let mut table = [[0.0; 3]; 3];
    for _ in 0..IDS {
        let id = TraceId {
            high: random.word(),
            low: random.word(),
        };
        let sampled = match id.low & ((1 << 56) - 1) {
            ..0x0010_0000_0000_0000 => 0,
            0x0010_0000_0000_0000..0x0080_0000_0000_0000 => 1,
            _ => 2,
        };
        table[sampled][index(arm_of(id, 3, shares))] += 1.0;
    }
    assert!(dependence(table) < BOUND_4, "{table:?}");
}

#[test]
fn none_and_all_are_exact() {
    for (_, ids) in populations() {
        for id in ids.iter().take(1_000) {
            assert_eq!(arm_of(*id, 1, shares(0, 0)), Arm::Untouched);
            assert_eq!(arm_of(*id, 1, shares(10_000, 0)), Arm::Fault);
            assert_eq!(arm_of(*id, 1, shares(0, 10_000)), Arm::Control);
        }
    }
}

#[test]
fn a_larger_share_takes_nobody_out_of_the_fault() {
    for id in (1..10_000).map(trace) {
        if arm_of(id, 1, shares(100, 0)) == Arm::Fault {
            assert_eq!(arm_of(id, 1, shares(200, 0)), Arm::Fault);
        }
    }
}

#[test]
fn what_a_trace_came_with_wins_over_the_draw() {
    let rules = faults(&[named("a", 0, r#"{"reset": true, "control": 10000}"#)]);
    let mut arms = Arms::default();
    assert!(arms.remember(ExperimentKey::of("a"), Arm::Fault));
    let came = Facts {
        arms: &arms,
        ..facts(1)
    };
    assert_eq!(hit(&rules, &came), Some(0));
    let mut untouched = Arms::default();
    untouched.remember(ExperimentKey::of("a"), Arm::Untouched);
    let came = Facts {
        arms: &untouched,
        ..facts(1)
    };
    assert!(rules.choose(&came, || wall(1)).is_untouched());
    let mut of_another = Arms::default();
    of_another.remember(ExperimentKey::of("b"), Arm::Fault);
    let came = Facts {
        arms: &of_another,
        ..facts(1)
    };
    assert_eq!(hit(&rules, &came), None, "drawn for comparison");
}

#[test]
fn a_request_goes_on_with_its_arms() {
    let control = named("c", 0, r#"{"control": 10000}"#);
    let rules = faults(&[control, named("f", 10_000, r#"{"reset": true}"#)]);
    let mut came_with = Arms::default();
    came_with.remember(ExperimentKey::of("x"), Arm::Control);
    let choice = rules.choose(&facts(1), || wall(1));
    let arms = rules.arms(choice, &came_with);
    assert_eq!(arms.of(ExperimentKey::of("x")), Some(Arm::Control));
    assert_eq!(arms.of(ExperimentKey::of("f")), Some(Arm::Fault));
    assert_eq!(
        arms.of(ExperimentKey::of("c")),
        None,
        "it is disturbed: nothing to compare with"
    );
    let quiet = faults(&[named("c", 0, r#"{"control": 10000}"#)]);
    let choice = quiet.choose(&facts(1), || wall(1));
    let arms = quiet.arms(choice, &Arms::NONE);
    assert_eq!(arms.of(ExperimentKey::of("c")), Some(Arm::Control));
}

proptest! {
    #[test]
    fn the_short_way_draws_the_same(
        high in any::<u64>(), low in any::<u64>(), seed in any::<u64>(),
        fault in 0u16..=10_000, control in 0u16..=10_000,
    ) {
        let shares = shares(fault, control.min(10_000 - fault));
        let id = TraceId { high, low };
        let draw = ArmDraw::new(seed, shares);
        prop_assert_eq!(draw.arm(draw.word(id)), arm_of(id, seed, shares));
    }

    #[test]
    fn a_share_ends_at_the_same_word_as_its_draw(given in 0u16..=10_000, off in 0u64..3) {
        let below = Below::share(share(given));
        let edge = (u128::from(given) << 64).div_ceil(10_000);
        for word in [edge.saturating_sub(1 + u128::from(off)), edge + u128::from(off)] {
            let Ok(word) = u64::try_from(word) else { continue };
            prop_assert_eq!(below.includes(word), share(given).includes(draw_of(word)), "{}", word);
        }
    }
}
