//! Arms that were drawn by caller.

use super::super::callers::Callers;
use super::super::clustering::Cluster;
use super::clusters::second;
use super::*;

/// Requests of callers in one block: each with its key.
type Sent = Vec<(u32, Block)>;

fn whole(sent: &[(u32, Block)]) -> Block {
    let parts = sent.iter().map(|(_, own)| *own);
    parts.fold(Block::default(), Block::plus)
}

fn take(callers: &mut Callers, sent: &[(u32, Block)]) {
    let parts = sent
        .iter()
        .map(|(key, own)| (callers.count(*key, *own), *own));
    let parts: BTreeMap<u32, Block> = parts.collect();
    callers.join(whole(sent), &parts);
}

/// All ways in which the arms can fall on the requests of a block, of which the callers are as the numbers say and the bad ones as the bits.
#[test]
fn the_variance_of_a_caller_is_that_of_all_permutations_of_its_block() {
    for (callers, bad, faulted) in [
        (&[0, 0, 0, 1, 1, 2, 2, 2][..], 0b0100_0011_u32, 3),
        (&[0, 1, 0, 1, 0, 1][..], 0b01_0101, 2),
        (&[0, 0, 0, 0, 0, 0, 0, 1, 1][..], 0b1_0000_0111, 5),
    ] {
        let keys: std::collections::BTreeSet<u32> = callers.iter().copied().collect();
        let mut sums: BTreeMap<u32, (f64, f64, f64)> = BTreeMap::new();
        let ways = (0..1_u32 << callers.len()).filter(|arms| arms.count_ones() == faulted);
        for arms in ways {
            let own = |key: u32| {
                let mut own = Block::default();
                for (index, _) in callers.iter().enumerate().filter(|(_, one)| **one == key) {
                    let arm = if arms >> index & 1 == 1 {
                        &mut own.fault
                    } else {
                        &mut own.control
                    };
                    arm.total += 1.0;
                    arm.bad += f64::from(bad >> index & 1);
                }
                own
            };
            let sent: Sent = keys.iter().map(|key| (*key, own(*key))).collect();
            for (key, own) in &sent {
                let cluster = Cluster::part(whole(&sent), *own).unwrap();
                let (ways, squares, beyond) = sums.entry(*key).or_default();
                *ways += 1.0;
                *squares += cluster.beyond().powi(2);
                *beyond += cluster.beyond();
                let expected = cluster.variance();
                assert!(0.0 <= expected, "{expected}");
            }
        }
        for (key, (ways, squares, beyond)) in sums {
            // It depends on the block and the caller alone, not on where the arms fall.
            let mut own = Block::default();
            for (index, _) in callers.iter().enumerate().filter(|(_, one)| **one == key) {
                own.control.total += 1.0;
                own.control.bad += f64::from(bad >> index & 1);
            }
            let total = callers.len() as f64;
            let block = Block {
                control: arm(total - f64::from(faulted), f64::from(bad.count_ones())),
                fault: arm(f64::from(faulted), 0.0),
            };
            let variance = Cluster::part(block, own).unwrap().variance();
            assert!((squares / ways - variance).abs() < 1e-9, "{key}: {squares}");
            assert!((beyond / ways).abs() < 1e-9, "{key}: {beyond}");
        }
    }
}

/// Applicants to six departments of the University of California, Berkeley, 1973, men and women (as in the tests of clusters), with
/// departments for callers. Pearson's X-squared of that table is 1068.4 with 5 degrees of freedom, by the sum over its twelve cells of
/// (observed - expected)^2 / expected.
#[test]
fn the_statistic_over_callers_and_arms_is_that_of_pearson() {
    let applied = [
        (825.0, 108.0),
        (560.0, 25.0),
        (325.0, 593.0),
        (417.0, 375.0),
        (191.0, 393.0),
        (373.0, 341.0),
    ];
    let sent = (0..).zip(applied).map(|(key, (men, women))| {
        let own = Block {
            control: arm(women, 0.0),
            fault: arm(men, 0.0),
        };
        (key, own)
    });
    let mut callers = Callers::default();
    take(&mut callers, &sent.collect::<Sent>());
    let statistic = callers.chi_squared().unwrap();
    assert!((statistic - 1_068.372).abs() < 1e-3, "{statistic}");
}

/// Callers that each send one trace, so that all their requests are in one arm; the share `alike` of them fares as one request does.
struct OneTrace {
    alike: f64,
    share: f64,
}

impl OneTrace {
    /// What `callers` send in `seconds`, by second: the arm and the fate of each are drawn once.
    fn sent(&self, draws: &mut Draws, callers: u32, seconds: u32, each: u32) -> Vec<Sent> {
        let drawn: Vec<(bool, Option<f64>)> = (0..callers)
            .map(|_| {
                let is_faulted = draws.uniform() < 0.5;
                let is_alike = draws.uniform() < self.alike;
                (is_faulted, is_alike.then(|| draws.bad(1, self.share)))
            })
            .collect();
        let second = |draws: &mut Draws| {
            let own = (0..).zip(&drawn).map(|(key, (is_faulted, fate))| {
                let bad = match fate {
                    Some(fate) => fate * f64::from(each),
                    None => draws.bad(each, self.share),
                };
                let own = arm(f64::from(each), bad);
                let none = Arm::default();
                let (control, fault) = if *is_faulted {
                    (none, own)
                } else {
                    (own, none)
                };
                (key, Block { control, fault })
            });
            own.collect::<Sent>()
        };
        (0..seconds).map(|_| second(draws)).collect()
    }
}

/// Of `m` requests of a caller in one arm, with a correlation `r` between them, the design effect is `1 + (m - 1) r` (Kish, 1965,
/// chapter 5). Sixty callers scatter it by `sqrt(2 / 60)`, the mean of 60 such by 2.4 %.
#[test]
fn the_design_effect_over_callers_is_that_of_kish() {
    let mut draws = Draws(41);
    for (each, alike) in [(5, 1.0), (10, 0.5), (20, 0.2)] {
        let one_trace = OneTrace { alike, share: 0.3 };
        let mut sum = 0.0;
        for _ in 0..60 {
            let mut callers = Callers::default();
            for sent in one_trace.sent(&mut draws, 60, 1, each) {
                take(&mut callers, &sent);
            }
            sum += callers.effect();
        }
        let found = sum / 60.0;
        let expected = 1.0 + (f64::from(each) - 1.0) * alike;
        println!("{each} requests, {alike} alike: {found} of {expected}");
        assert!((found / expected - 1.0).abs() < 0.1, "{found} {expected}");
    }
}

#[test]
fn where_requests_were_drawn_callers_cost_nothing_however_they_fare() {
    let mut draws = Draws(43);
    let mut callers = Callers::default();
    for _ in 0..200 {
        // Some callers always fare worse, and the fault meets every fourth of them.
        let sent = (0..16).map(|key| {
            let share = if key % 3 == 0 { 0.4 } else { 0.02 };
            let more = if key % 4 == 0 { 0.5 } else { 0.0 };
            let faulted = draws.bad(8, 0.5);
            let own = Block {
                control: arm(8.0 - faulted, draws.bad(8 - faulted as u32, share)),
                fault: arm(faulted, draws.bad(faulted as u32, share + more)),
            };
            (key, own)
        });
        let sent: Sent = sent.collect();
        take(&mut callers, &sent);
    }
    assert_eq!((callers.told_apart(), callers.effect()), (16, 1.0));
    assert_eq!(Callers::default().effect(), 1.0);
}

#[test]
fn few_callers_with_one_trace_each_count_as_themselves() {
    let mut draws = Draws(47);
    let mut of = |key: u32| {
        let own = arm(6.0, draws.bad(6, 0.3));
        let none = Arm::default();
        let (control, fault) = if key < 2 { (none, own) } else { (own, none) };
        (key, Block { control, fault })
    };
    let mut callers = Callers::default();
    for _ in 0..50 {
        take(&mut callers, &(0..4).map(&mut of).collect::<Sent>());
    }
    // Four draws: nobody knows whether their requests end alike, so each is as good as one.
    let found = callers.effect();
    assert!((found - 300.0).abs() < 1.0, "{found}");
    // One caller alone is in one arm, and that is no comparison.
    let mut alone = Callers::default();
    take(&mut alone, &[of(0)]);
    assert_eq!(alone.effect(), 1.0);
}

/// How many of `runs` runs without an effect stop falsely when `callers` send one trace each for a minute: as the controller has it, and
/// when callers are not told apart.
fn false_stops(seed: u64, runs: u32, callers: u32, one_trace: &OneTrace) -> [u32; 2] {
    let mut draws = Draws(seed);
    let mut stopped = [0, 0];
    for _ in 0..runs {
        let mut tests = [Test::new(Side::Above, 0.0); 2];
        let mut clusterings = [Clustering::default(), Clustering::default()];
        let mut seen = Block::default();
        let seconds = one_trace.sent(&mut draws, callers, 60, 2);
        for (number, sent) in (0..).zip(&seconds) {
            let block = whole(sent);
            for (which, (test, clustering)) in tests.iter_mut().zip(&mut clusterings).enumerate() {
                let told = if which == 0 { &sent[..] } else { &[] };
                let keys = told
                    .iter()
                    .map(|(key, own)| (sloop_model::ExperimentKey::from_bits(*key), *own));
                clustering.take(block, second(number), "a", &keys.collect::<Vec<_>>());
                test.take(seen, block, clustering.effect());
            }
            seen = seen.plus(block);
        }
        for (count, test) in stopped.iter_mut().zip(tests) {
            *count += u32::from(test.is_sure(ALPHA));
        }
    }
    stopped
}

#[test]
fn a_thousand_runs_of_callers_with_one_trace_stop_falsely_at_most_five_times_in_a_hundred() {
    for (seed, callers, alike) in [(53, 40, 0.5), (59, 15, 0.3), (61, 5, 0.3)] {
        let one_trace = OneTrace { alike, share: 0.2 };
        let [careful, trusting] = false_stops(seed, 1_000, callers, &one_trace);
        println!(
            "{callers} callers: {careful} of 1,000 stop falsely; {trusting} when they are not told apart"
        );
        assert!(careful <= 50, "{careful} of 1,000 with {callers} callers");
        assert!(careful < trusting, "{careful} {trusting}");
    }
}
