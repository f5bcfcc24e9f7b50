//! Requests that fail together, by reports, seconds and sidecars.

use core::time::Duration;

use sloop_model::WallTime;

use super::super::quantile::level;
use super::*;

/// A moment in the second with this number.
pub(super) fn second(number: u32) -> WallTime {
    let begin = WallTime::from_millis(1_700_000_000_000);
    begin.after(Duration::from_secs(number.into()))
}

/// Admissions to six departments of the University of California, Berkeley, 1973: men admitted and rejected, women admitted and rejected
/// (P. Bickel, E. Hammel, J. O'Connell, "Sex bias in graduate admissions", Science 187, 1975).
const BERKELEY: [[u64; 4]; 6] = [
    [512, 313, 89, 19],
    [353, 207, 17, 8],
    [120, 205, 202, 391],
    [138, 279, 131, 244],
    [53, 138, 94, 299],
    [22, 351, 24, 317],
];

/// R 4 says of them, by `mantelhaen.test(UCBAdmissions, correct = FALSE)`: X-squared = 1.5246.
#[test]
fn means_and_variances_of_blocks_are_those_of_mantel_and_haenszel() {
    let mut clustering = Clustering::default();
    for (number, department) in (0..).zip(BERKELEY) {
        let [admitted, rejected, women_admitted, women_rejected] = department;
        let block = Block::of(
            (women_admitted + women_rejected, women_rejected),
            (admitted + rejected, rejected),
        );
        clustering.take(block, second(number), "berkeley", &[]);
    }
    let statistic = clustering.by_report().mantel_haenszel();
    assert!((statistic - 1.524_6).abs() < 5e-5, "{statistic}");
}

/// All ways in which the bad of a block can fall on its arms.
#[test]
fn the_variance_of_a_block_is_that_of_all_its_permutations() {
    for (requests, bad, faulted) in [(6, 2, 3), (8, 3, 2), (10, 1, 5), (9, 8, 4)] {
        let mut clustering = Clustering::default();
        let ways = (0..1_u32 << requests).filter(|arms| arms.count_ones() == faulted);
        for (number, arms) in (0..).zip(ways) {
            // The first `bad` requests are the bad ones.
            let among = (arms & ((1 << bad) - 1)).count_ones();
            let block = Block::of(
                (u64::from(requests - faulted), u64::from(bad - among)),
                (faulted.into(), among.into()),
            );
            clustering.take(block, second(number), "a", &[]);
        }
        let (square, variance) = clustering.by_report().mean_square_and_variance();
        assert!((square - variance).abs() < 1e-9, "{square} {variance}");
    }
}

/// Groups of `size` requests of one arm, of which the share `alike` of groups all end as one request does, and the others each for itself.
struct Groups {
    size: u32,
    alike: f64,
}

impl Groups {
    fn arm(&self, draws: &mut Draws, groups: u32, share: f64) -> Arm {
        let bad = (0..groups).map(|_| {
            if draws.uniform() < self.alike {
                f64::from(self.size) * draws.bad(1, share)
            } else {
                draws.bad(self.size, share)
            }
        });
        arm(f64::from(groups * self.size), bad.sum())
    }

    fn block(&self, draws: &mut Draws, groups: u32, (control, fault): (f64, f64)) -> Block {
        Block {
            control: self.arm(draws, groups, control),
            fault: self.arm(draws, groups, fault),
        }
    }
}

/// With groups of `m` and a correlation `r` inside them the design effect is `1 + (m - 1) r` (Kish, 1965, chapter 5).
/// Over 2,000 blocks the estimate scatters by 3 %.
#[test]
fn the_design_effect_is_that_of_groups_of_known_correlation() {
    let mut draws = Draws(17);
    for (size, alike) in [(2, 1.0), (4, 0.5), (3, 1.0), (6, 0.8)] {
        let groups = Groups { size, alike };
        let mut clustering = Clustering::default();
        for number in 0..2_000 {
            let block = groups.block(&mut draws, 12, (0.1, 0.3));
            clustering.take(block, second(number), "a", &[]);
        }
        let expected = 1.0 + f64::from(size - 1) * alike;
        let found = clustering.effect();
        assert!((found / expected - 1.0).abs() < 0.15, "{found} {expected}");
    }
}

#[test]
fn independent_requests_count_each() {
    let mut draws = Draws(5);
    let mut alone = Clustering::default();
    for number in 0..800 {
        // Forty sidecars, of which one is slow and one second in ten is bad: that meets both arms.
        let (sidecar, time) = (number % 40, number / 40);
        let bad_luck = if sidecar == 7 || time % 10 == 3 {
            0.5
        } else {
            0.05
        };
        let block = draws.block(20, bad_luck, bad_luck);
        alone.take(block, second(time), &format!("sidecar-{sidecar}"), &[]);
    }
    // Twenty seconds are not many: (4 * 5 + 20) / 25, and a deviation of sqrt(2 / 30).
    assert!(alone.effect() < 2.2, "{}", alone.effect());
    let mut later = alone;
    for time in 20..2_000 {
        later.take(draws.block(20, 0.1, 0.1), second(time), "sidecar-1", &[]);
    }
    assert!(later.effect() < 1.1, "{}", later.effect());
    let unknown = Clustering::default().effect();
    assert!((5.0..6.0).contains(&unknown), "{unknown}: nothing is known");
    assert_eq!(unknown, Clustering::planned(0.0, (10.0, 10.0)));
}

/// Each trace asks eight sidecars at once: no report shows it, the seconds do.
#[test]
fn a_trace_that_meets_many_sidecars_is_seen_in_the_seconds() {
    let mut draws = Draws(23);
    let mut clustering = Clustering::default();
    for number in 0..400 {
        let block = draws.block(10, 0.1, 0.1);
        for sidecar in 0..8 {
            clustering.take(block, second(number), &format!("sidecar-{sidecar}"), &[]);
        }
    }
    let found = clustering.effect();
    assert!((6.5..=10.0).contains(&found), "{found}");
}

/// The clock steps back by ten minutes: what was open is over, and reports of a second are still of one.
#[test]
fn seconds_are_whole_after_the_clock_stepped_back() {
    let seen = |seconds: &mut dyn Iterator<Item = u32>| {
        let mut draws = Draws(23);
        let mut clustering = Clustering::default();
        let mut latencies = Latencies::default();
        for number in seconds {
            let block = draws.block(10, 0.1, 0.1);
            let us = 1 + (20_000.0 * draws.uniform()) as u64;
            for sidecar in 0..8 {
                clustering.take(block, second(number), &format!("sidecar-{sidecar}"), &[]);
                latencies.take(&[(us, 10)], second(number));
            }
        }
        let median = latencies.quantiles(1.0);
        let median = median.iter().next().unwrap();
        (clustering.effect(), median.candidates.within(level()))
    };
    let (effect, median) = seen(&mut (0..470));
    let (effect_after, median_after) = seen(&mut (600..650).chain(30..450));
    assert!((6.5..=10.0).contains(&effect), "{effect}");
    assert!(
        (effect_after / effect - 1.0).abs() < 0.05,
        "{effect_after}, {effect} without"
    );
    assert_eq!(median_after, median);
}

/// Each of sixty callers has a sidecar of its own, and always the same trace: so it is all in one arm, and bad or not.
#[test]
fn a_caller_with_one_trace_is_seen_in_its_sidecar() {
    let mut draws = Draws(29);
    let mut clustering = Clustering::default();
    let callers: Vec<(bool, f64)> = (0..60)
        .map(|_| (draws.uniform() < 0.5, draws.uniform()))
        .collect();
    for number in 0..100 {
        for (caller, (is_faulted, share)) in callers.iter().enumerate() {
            let mut block = draws.block(4, 0.5, 0.5);
            let own = arm(4.0, draws.bad(4, *share));
            let arm = if *is_faulted {
                &mut block.fault
            } else {
                &mut block.control
            };
            *arm = own;
            clustering.take(block, second(number), &format!("caller-{caller}"), &[]);
        }
    }
    assert_eq!(clustering.effect(), 10.0, "all that is believed");
}

/// 10,000 runs in which each request is tried twice and both tries end alike, with what the controller knows as it
/// goes: false stops stay below one in twenty.
#[test]
fn ten_thousand_runs_of_retried_requests_stop_falsely_at_most_five_times_in_a_hundred() {
    let mut draws = Draws(31);
    let groups = Groups {
        size: 2,
        alike: 1.0,
    };
    let mut stopped = [0, 0];
    for _ in 0..10_000 {
        let mut tests = [Test::new(Side::Above, 0.0); 2];
        let (mut seen, mut clustering) = (Block::default(), Clustering::default());
        for number in 0..60 {
            let block = groups.block(&mut draws, 5, (0.1, 0.1));
            let [trusting, careful] = &mut tests;
            trusting.take(seen, block, 1.0);
            careful.take(seen, block, clustering.effect());
            clustering.take(block, second(number), "a", &[]);
            seen = seen.plus(block);
        }
        for (count, test) in stopped.iter_mut().zip(tests) {
            *count += u32::from(test.is_sure(ALPHA));
        }
    }
    let [trusting, careful] = stopped;
    println!(
        "{careful} of 10,000 stop falsely; {trusting} when requests are taken to be independent"
    );
    assert!(careful < trusting, "{careful} {trusting}");
    assert!(careful <= 500, "{careful} of 10,000");
}

#[test]
fn groups_of_eight_do_not_make_a_test_err() {
    let mut draws = Draws(9);
    let groups = Groups {
        size: 8,
        alike: 1.0,
    };
    let mut stopped = 0;
    for _ in 0..500 {
        let mut test = Test::new(Side::Above, 0.0);
        let (mut seen, mut clustering) = (Block::default(), Clustering::default());
        for number in 0..100 {
            let block = groups.block(&mut draws, 2, (0.2, 0.2));
            clustering.take(block, second(number), "a", &[]);
            test.take(seen, block, clustering.effect());
            seen = seen.plus(block);
        }
        stopped += u32::from(test.is_sure(ALPHA));
    }
    println!("{stopped} of 500 stop falsely");
    assert!(
        stopped <= 25,
        "{stopped} of 500, learning the size of groups as it goes"
    );
}

/// 1,000 runs each with a known effect and independent requests, of which the controller does not know that they are: with the time that
/// the plan takes for that, more than four of five are sure.
#[test]
fn the_plan_is_enough_although_independence_must_be_learned() {
    for (control, effect, bound, side) in [
        (0.01, 0.09, 0.0, Side::Above),
        (0.01, 0.04, 0.0, Side::Above),
        (0.05, 0.15, 0.02, Side::Above),
        (0.001, 0.3, 0.01, Side::Above),
        (0.01, 0.0, 0.05, Side::Below),
        (0.05, 0.0, 0.1, Side::Below),
    ] {
        let needed = needed((control, effect), bound, 1.0, ALPHA).unwrap();
        let alone = needed / 10.0;
        let blocks = (0..8).fold(alone, |blocks, _| {
            alone * Clustering::planned(blocks, (10.0, 10.0))
        });
        let mut draws = Draws(37);
        let mut sure = 0;
        for _ in 0..1_000 {
            let mut test = Test::new(side, bound);
            let (mut seen, mut clustering) = (Block::default(), Clustering::default());
            for number in 0..blocks.ceil() as u32 {
                let block = draws.block(10, control, control + effect);
                clustering.take(block, second(number), "a", &[]);
                test.take(seen, block, clustering.effect());
                seen = seen.plus(block);
            }
            sure += u32::from(test.is_sure(ALPHA));
        }
        println!(
            "{control} and {effect} more against {bound}: {sure} of 1,000 within {blocks:.0} blocks"
        );
        assert!(800 <= sure, "{sure} of 1,000 within {blocks} blocks");
    }
}

/// Requests that are seldom enough that few reports have both arms, and few seconds: 0.4 of each arm in a second, at eight sidecars, 500 runs
/// each. With the time that the plan takes for that, more than four of five are sure.
#[test]
fn the_plan_is_enough_where_seconds_seldom_have_both_arms() {
    for (control, effect, bound, side) in [
        (0.01, 0.3, 0.02, Side::Above),
        (0.05, 0.3, 0.05, Side::Above),
        (0.01, 0.0, 0.1, Side::Below),
    ] {
        let alone = needed((control, effect), bound, 1.0, ALPHA).unwrap() / 0.4;
        let seconds = (0..8).fold(alone, |seconds, _| {
            alone * Clustering::planned(seconds, (0.4, 0.4))
        });
        let by_second = alone * Clustering::planned(seconds, (10.0, 10.0));
        let mut draws = Draws(101);
        let mut sure = 0;
        for _ in 0..500 {
            let mut test = Test::new(side, bound);
            let (mut seen, mut next) = (Block::default(), Block::default());
            let mut clustering = Clustering::default();
            let last = seconds.ceil() as u32;
            for number in 0..=last {
                for sidecar in 0..8 {
                    let mut of = |share| {
                        let total = draws.bad(1, 0.05);
                        arm(total, draws.bad(total as u32, share))
                    };
                    let block = Block {
                        control: of(control),
                        fault: of(control + effect),
                    };
                    if 0.0 < block.control.total + block.fault.total {
                        let node = format!("sidecar-{sidecar}");
                        clustering.take(block, second(number), &node, &[]);
                        next = next.plus(block);
                    }
                }
                let at_least = if number == last { 1.0 } else { 8.0 };
                if at_least <= next.control.total.min(next.fault.total) {
                    test.take(seen, next, clustering.effect());
                    seen = seen.plus(next);
                    next = Block::default();
                }
            }
            sure += u32::from(test.is_sure(ALPHA));
        }
        println!(
            "{control} and {effect} more against {bound}: {sure} of 500 within {seconds:.0} s; {by_second:.0} s if every second had both arms"
        );
        assert!(400 <= sure, "{sure} of 500 within {seconds} s");
        assert!(1.05 * by_second < seconds, "{by_second} {seconds}");
    }
}
