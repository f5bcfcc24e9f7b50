#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "small numbers, chosen here; what was measured is shown"
)]

mod bursts;
mod callers;
mod clusters;
mod latency;
mod one_armed;

use std::collections::BTreeMap;

use super::evidence::{Side, Test};
use super::sample::fixed_sample;
use super::*;

/// A generator of one's own (splitmix64, S. Vigna), so that the core needs no crate for its tests.
pub(in super::super) struct Draws(pub(in super::super) u64);

impl Draws {
    pub(in super::super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(in super::super) fn bad(&mut self, total: u32, share: f64) -> f64 {
        f64::from((0..total).filter(|_| self.uniform() < share).count() as u32)
    }

    fn block(&mut self, total: u32, control: f64, fault: f64) -> Block {
        Block {
            control: arm(f64::from(total), self.bad(total, control)),
            fault: arm(f64::from(total), self.bad(total, fault)),
        }
    }
}

fn arm(total: f64, bad: f64) -> Arm {
    Arm { total, bad }
}

/// Of `runs` runs of `blocks` blocks of ten requests per arm, those after which the test of `bound` is sure, and the
/// mean number of requests per arm that these took.
fn sure(
    runs: u32,
    blocks: u32,
    (control, fault): (f64, f64),
    mut test: impl FnMut() -> Test,
) -> (u32, f64) {
    let mut draws = Draws(7);
    let (mut count, mut requests) = (0, 0.0);
    for _ in 0..runs {
        let mut test = test();
        let mut seen = Block::default();
        for number in 1..=blocks {
            let block = draws.block(10, control, fault);
            test.take(seen, block, 1.0);
            seen = seen.plus(block);
            if test.is_sure(ALPHA) {
                count += 1;
                requests += f64::from(10 * number);
                break;
            }
        }
    }
    (count, requests / f64::from(count.max(1)))
}

/// The mean of what one bet pays, over all outcomes of a block, under the shares `truth`.
fn mean_paid(test: Test, before: Block, (n_a, n_b): (u32, u32), truth: (f64, f64)) -> f64 {
    let chance = |n: u32, bad: u32, share: f64| {
        let ways: f64 = (0..bad)
            .map(|k| f64::from(n - k) / f64::from(k + 1))
            .product();
        ways * share.powi(bad as i32) * (1.0 - share).powi((n - bad) as i32)
    };
    let mut mean = 0.0;
    for a in 0..=n_a {
        for b in 0..=n_b {
            let mut bet = test;
            let block = Block {
                control: arm(n_a.into(), a.into()),
                fault: arm(n_b.into(), b.into()),
            };
            bet.take(before, block, 1.0);
            mean += chance(n_a, a, truth.0) * chance(n_b, b, truth.1) * bet.won().exp();
        }
    }
    mean
}

/// By enumeration of all outcomes: whatever was seen before, no bet has a mean above 1 when its hypothesis is true.
#[test]
fn no_bet_is_better_than_fair() {
    let befores = [
        ((0.0, 0.0), (0.0, 0.0)),
        ((50.0, 1.0), (50.0, 30.0)),
        ((20.0, 15.0), (200.0, 3.0)),
        ((9.0, 9.0), (9.0, 0.0)),
    ];
    let mut tried = 0;
    for (control, fault) in befores {
        let before = Block {
            control: arm(control.0, control.1),
            fault: arm(fault.0, fault.1),
        };
        for bound in [-0.5, -0.01, 0.0, 0.001, 0.05, 0.6] {
            for sizes in [(1, 1), (5, 2), (3, 7)] {
                for truth in [0.0, 0.01, 0.2, 0.5, 0.9, 1.0] {
                    for beyond in [0.0, 0.1, 0.4] {
                        for side in [Side::Above, Side::Below] {
                            let effect = match side {
                                Side::Above => bound - beyond,
                                Side::Below => bound + beyond,
                            };
                            let other = truth + effect;
                            if !(0.0..=1.0).contains(&other) {
                                continue;
                            }
                            let test = Test::new(side, bound);
                            let mean = mean_paid(test, before, sizes, (truth, other));
                            assert!(mean <= 1.0 + 1e-6, "{mean} {before:?} {test:?} {truth}");
                            tried += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(1_000 < tried);
}

#[test]
fn ten_thousand_runs_without_an_effect_stop_falsely_at_most_five_times_in_a_hundred() {
    let (stopped, _) = sure(10_000, 60, (0.05, 0.05), || Test::new(Side::Above, 0.0));
    println!("{stopped} of 10,000 stop falsely");
    assert!(stopped <= 500, "{stopped} of 10,000");
    let (stopped, _) = sure(2_000, 60, (0.02, 0.07), || Test::new(Side::Above, 0.05));
    assert!(
        stopped <= 100,
        "{stopped} of 2,000 with an effect exactly at the bound"
    );
}

#[test]
fn a_bad_second_that_meets_both_arms_is_no_evidence() {
    let mut draws = Draws(11);
    let mut stopped = 0;
    for _ in 0..1_000 {
        let mut test = Test::new(Side::Above, 0.0);
        let mut seen = Block::default();
        for number in 0..60 {
            let share = if number % 10 == 9 { 0.9 } else { 0.01 };
            let block = draws.block(10, share, share);
            test.take(seen, block, 1.0);
            seen = seen.plus(block);
        }
        stopped += u32::from(test.is_sure(ALPHA));
    }
    assert!(stopped <= 50, "{stopped} of 1,000");
}

#[test]
fn the_sample_that_is_said_to_be_needed_is_enough_four_times_out_of_five() {
    for (control, effect, bound) in [
        (0.01, 0.09, 0.0),
        (0.01, 0.04, 0.0),
        (0.05, 0.15, 0.02),
        (0.001, 0.3, 0.01),
    ] {
        let needed = needed((control, effect), bound, 1.0, ALPHA).unwrap();
        let blocks = (needed / 10.0).ceil() as u32;
        let truth = (control, control + effect);
        let (sure, mean) = sure(500, blocks, truth, || Test::new(Side::Above, bound));
        println!("{control} and {effect} more against {bound}: {sure} of 500 within {needed}");
        assert!(400 <= sure, "{sure} of 500 within {needed}");
        assert!(mean < needed, "{mean} on average");
    }
    let none = needed((0.01, 0.0), 0.0, 1.0, ALPHA);
    assert_eq!(none, None, "nothing shows what is not there");
}

#[test]
fn no_harm_is_shown_within_the_sample_that_is_said_to_be_needed() {
    let needed = needed((0.01, 0.0), 0.05, 1.0, ALPHA).unwrap();
    let blocks = (needed / 10.0).ceil() as u32;
    let (sure, _) = sure(500, blocks, (0.01, 0.01), || Test::new(Side::Below, 0.05));
    assert!(400 <= sure, "{sure} of 500 within {needed}");
}

#[test]
fn a_harmful_fault_is_seen_after_tens_of_requests() {
    let (sure, mean) = sure(500, 20, (0.001, 0.5), || Test::new(Side::Above, 0.01));
    assert_eq!(sure, 500);
    println!("{mean} requests per arm");
    assert!(mean < 40.0, "{mean} requests per arm");
}

/// The price of looking after every ten requests, at the same power. On average it is less, as runs stop when they are sure.
#[test]
fn looking_all_the_time_costs_at_most_three_times_the_fixed_sample() {
    let fixed = fixed_sample(0.01, 0.05);
    let sequential = needed((0.01, 0.04), 0.0, 1.0, ALPHA).unwrap();
    assert!(sequential < 3.0 * fixed, "{sequential} against {fixed}");
    let (_, mean) = sure(500, 200, (0.01, 0.05), || Test::new(Side::Above, 0.0));
    println!("{sequential} and {mean} on average against {fixed}");
    assert!(mean < 1.5 * fixed, "{mean} against {fixed}");
}

/// Two-sided 5 %, 80 % power; the same as statsmodels' `NormalIndPower` with unpooled alternative.
#[test]
fn fixed_samples_are_those_of_the_tables() {
    for (one, other, requests) in [
        (0.001, 0.002, 23_511.0),
        (0.001, 0.005, 2_934.0),
        (0.001, 0.01, 1_059.0),
        (0.01, 0.02, 2_319.0),
        (0.01, 0.05, 285.0),
    ] {
        let given: f64 = fixed_sample(one, other);
        assert!((given - requests).abs() <= 1.0, "{given}");
    }
}

#[test]
fn the_interval_holds_the_truth_at_every_look() {
    let mut draws = Draws(3);
    let mut missed = 0;
    let mut width = 0.0;
    for _ in 0..100 {
        let mut evidence = Evidence::with_interval(0.0);
        let mut has_missed = false;
        for _ in 0..15 {
            evidence.take(draws.block(40, 0.02, 0.18), 1.0);
            let Interval { low, high } = evidence.interval();
            has_missed |= !(low..=high).contains(&0.16);
        }
        missed += u32::from(has_missed);
        width += evidence.interval().high - evidence.interval().low;
    }
    assert!(missed <= 5, "{missed} of 100");
    assert!(width / 100.0 < 0.2, "{}", width / 100.0);
}

#[test]
fn nothing_seen_leaves_everything_possible() {
    let mut evidence = Evidence::with_interval(0.0);
    let everything = Interval {
        low: -1.0,
        high: 1.0,
    };
    assert_eq!((evidence.interval(), evidence.effect()), (everything, None));
    evidence.take(Block::of((10, 1), (0, 0)), 1.0);
    assert_eq!(
        evidence.interval(),
        everything,
        "one arm alone says nothing"
    );
    evidence.take(Block::of((10, 20), (10, 10)), 1.0);
    assert_eq!(
        evidence.seen().control.bad,
        11.0,
        "more bad than all is all"
    );
}

#[test]
fn discoveries_are_those_of_the_procedure() {
    let found = |e_values: &[f64]| {
        let logs: Vec<f64> = e_values.iter().map(|e: &f64| e.ln()).collect();
        discoveries(&logs, 0.05)
    };
    // Alone an e-value of 1 / alpha is enough; of two the larger needs twice that, or both that.
    assert_eq!(found(&[20.0]), [true]);
    assert_eq!(found(&[20.0, 1.0]), [false, false]);
    assert_eq!(found(&[1.0, 40.0]), [false, true]);
    assert_eq!(found(&[20.0, 20.0]), [true, true]);
    // m / (alpha k) for m = 4: 80, 40, 26.7, 20. The third reaches its own level and takes the first two along.
    assert_eq!(found(&[30.0, 5.0, 27.0, 28.0]), [true, false, true, true]);
    assert!(found(&[]).is_empty());
}

#[test]
fn what_was_won_is_worth_less_when_requests_are_seen_to_come_together() {
    let mut test = Test::new(Side::Above, 0.0);
    let (seen, block) = (Block::of((20, 0), (20, 10)), Block::of((20, 0), (20, 10)));
    test.take(seen, block, 1.0);
    let at_first = test.now(1.0);
    assert!(0.0 < at_first && at_first == test.best());
    // The effect looks to be within the bound, so nothing is staked; but what was won counts as that of groups of four.
    test.take(Block::of((20, 10), (20, 0)), block, 4.0);
    assert_eq!(test.now(4.0), at_first / 4.0);
    assert_eq!(test.best(), at_first);
}

/// 2,000 times forty comparisons of which six have an effect, as routes are compared: looked at after each of thirty blocks, and stopped at the
/// first discovery or at the end. The promise is about whenever one stops.
#[test]
fn whenever_one_stops_at_most_one_in_twenty_discoveries_is_false() {
    let mut draws = Draws(67);
    let (mut at_once, mut at_end, mut found_at_end) = (0.0, 0.0, 0);
    for _ in 0..2_000 {
        let mut tests = [(Test::new(Side::Above, 0.0), Block::default()); 40];
        let mut is_stopped = false;
        let mut false_share = 0.0;
        for _ in 0..30 {
            for (number, (test, seen)) in tests.iter_mut().enumerate() {
                let more = if number < 6 { 0.25 } else { 0.0 };
                let block = draws.block(10, 0.05, 0.05 + more);
                test.take(*seen, block, 1.0);
                *seen = seen.plus(block);
            }
            let logs: Vec<f64> = tests.iter().map(|(test, _)| test.now(1.0)).collect();
            let found = discoveries(&logs, ALPHA);
            let all = found.iter().filter(|found| **found).count();
            let right = found.iter().take(6).filter(|found| **found).count();
            false_share = (all - right) as f64 / all.max(1) as f64;
            found_at_end = found_at_end.max(right);
            if 0 < all && !is_stopped {
                at_once += false_share;
                is_stopped = true;
            }
        }
        at_end += false_share;
    }
    let [at_once, at_end] = [at_once, at_end].map(|sum| sum / 2_000.0);
    println!(
        "{at_once:.4} of discoveries are false when stopped at the first, {at_end:.4} at the end"
    );
    assert!(at_once <= ALPHA && at_end <= ALPHA, "{at_once} {at_end}");
    assert_eq!(found_at_end, 6);
}
