use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

/// Pairs whose baseline drifts far more than the variant adds.
fn drifting(seed: u64, count: usize, added: f64) -> Vec<Pair> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut baseline = 45_000.0_f64;
    (0..count)
        .map(|_| {
            baseline *= random.random_range(0.9..1.11);
            baseline = baseline.clamp(30_000.0, 90_000.0);
            let noise = random.random_range(-2_000.0..2_000.0);
            Pair {
                baseline,
                variant: baseline + added + noise,
            }
        })
        .collect()
}

#[test]
fn the_median_is_the_middle_and_of_two_the_middle_between_them() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0]), Some(3.0));
    assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
}

#[test]
fn a_disturbed_pair_does_not_move_the_median() {
    assert_eq!(median(&[1.0, 2.0, 3.0, 1e12, -1e12]), Some(2.0));
}

/// Values from tables of the binomial distribution: P(X <= 1 | 10) = 0.0107, P(X <= 5 | 20) = 0.0207.
#[test]
fn as_many_blocks_stay_outside_as_leave_95_percent() {
    for (count, expected) in [
        (0, None),
        (5, None),
        (6, Some(0)),
        (8, Some(0)),
        (9, Some(1)),
        (10, Some(1)),
        (20, Some(5)),
    ] {
        assert_eq!(outside(count), expected, "{count} blocks");
    }
}

#[test]
fn blocks_take_every_pair_once_and_in_order() {
    for count in 0..200_u32 {
        let values: Vec<f64> = (0..count).map(f64::from).collect();
        let taken: Vec<f64> = blocks(&values).flatten().copied().collect();
        if BLOCK_PAIRS_MIN <= values.len() {
            assert_eq!(taken, values);
            assert!(blocks(&values).all(|block| BLOCK_PAIRS_MIN <= block.len()));
            assert!(blocks(&values).count() <= BLOCKS_MAX);
        } else {
            assert!(taken.is_empty());
        }
    }
}

#[test]
fn too_few_pairs_have_no_interval() {
    let pairs = drifting(1, PAIRS_MIN, 1.0);
    assert!(estimate(&pairs, Pair::added).is_some());
    assert!(estimate(&pairs[1..], Pair::added).is_none());
    assert!(share_of(&pairs[1..], &pairs[1..]).is_none());
}

#[test]
fn what_is_added_is_found_below_a_drift_that_is_larger() {
    let found = estimate(&drifting(7, 500, 3_000.0), Pair::added).unwrap();
    assert!((2_700.0..3_300.0).contains(&found.median), "{found:?}");
    assert!(found.low <= 3_000.0 && 3_000.0 <= found.high, "{found:?}");
    assert!(found.high - found.low < 800.0, "{found:?}");
}

/// Over many runs the interval holds the truth about as often as it says.
#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    let holds = |seed| {
        let found = estimate(&drifting(seed, 100, 500.0), Pair::added).unwrap();
        found.low <= 500.0 && 500.0 <= found.high
    };
    let held = (0..400).filter(|seed| holds(*seed)).count();
    // Binomial with 400 draws at 0.959: four standard deviations are 16.
    assert!((367..=400).contains(&held), "{held} of 400");
}

#[test]
fn equal_slices_cost_nothing_and_have_no_width() {
    let pairs = vec![
        Pair {
            baseline: 2.0,
            variant: 2.0
        };
        30
    ];
    let found = estimate(&pairs, Pair::ratio).unwrap();
    assert!(close(found.low, 1.0) && close(found.median, 1.0) && close(found.high, 1.0));
    assert!(
        share_of(&pairs, &pairs).is_none(),
        "nothing is no share of nothing"
    );
}

#[test]
fn a_share_compares_what_is_added_and_not_the_whole() {
    let pairs = |variant| {
        vec![
            Pair {
                baseline: 40.0,
                variant
            };
            30
        ]
    };
    let found = share_of(&pairs(46.0), &pairs(52.0)).unwrap();
    assert!(close(found.median, 0.5), "{found:?}");
}

#[test]
fn a_share_is_of_the_pairs_that_both_have() {
    let reference = drifting(3, 200, 9_000.0);
    let variant = drifting(4, 120, 3_000.0);
    let share = share_of(&variant, &reference);
    assert_eq!(share, share_of(&variant, &reference[..120]));
    assert!(share_of(&variant[..PAIRS_MIN - 1], &reference).is_none());
}

proptest! {
    #[test]
    fn the_estimate_is_always_within_its_interval(seed: u64, count in 0_usize..200) {
        if let Some(found) = estimate(&drifting(seed, count, 100.0), Pair::added) {
            prop_assert!(found.low <= found.median && found.median <= found.high);
        }
    }
}
