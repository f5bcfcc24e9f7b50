//! Latencies that come in groups: of both arms at once, of one arm, and what telling them from others costs.

use super::super::latencies::{Histogram, Moments};
use super::super::quantile::{QUANTILES, Quantiles};
use super::clusters::second;
use super::latency::{add, exponential};
use super::*;

/// How long requests take: exponential, with this mean in microseconds, times what meets both arms or the arm of the fault.
const MEAN_US: f64 = 20_000.0;

/// How requests come.
#[derive(Clone, Copy)]
struct Traffic {
    /// How many times as slow the arm of the fault is.
    slower: f64,
    /// Sidecars.
    sidecars: u32,
    /// Requests of each arm that a sidecar has in a second.
    requests: u32,
    /// So many of one arm and one sidecar take as long.
    tries: u32,
    /// Whether a request asks all sidecars at once, and takes as long at each.
    fans_out: bool,
    /// The share of moments of a sidecar, in which both arms are so many times as slow.
    pauses: (f64, f64),
}

const ALONE: Traffic = Traffic {
    slower: 1.0,
    sidecars: 1,
    requests: 40,
    tries: 1,
    fans_out: false,
    pauses: (0.0, 1.0),
};

/// Two sidecars stand still in each fifth of their seconds, so that all of their requests are ten times as slow.
const PAUSING: Traffic = Traffic {
    sidecars: 2,
    requests: 20,
    pauses: (0.2, 10.0),
    ..ALONE
};

/// Each trace asks eight sidecars and takes as long at each.
const FANNING_OUT: Traffic = Traffic {
    sidecars: 8,
    requests: 5,
    fans_out: true,
    ..ALONE
};

impl Traffic {
    /// The share of requests that take at most so long.
    fn within(&self, us: f64, slower: f64) -> f64 {
        let (share, factor) = self.pauses;
        let of = |factor: f64| 1.0 - (-us / (MEAN_US * slower * factor)).exp();
        (1.0 - share) * of(1.0) + share * of(factor)
    }

    /// The quantile `p`, in microseconds.
    fn quantile(&self, p: f64, slower: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1e9);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.within(middle, slower) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The largest gap between both arms.
    fn gap(&self) -> f64 {
        let grid = (0..2_000).map(|step| 100.0 * 1.008_f64.powi(step));
        let apart = |us: f64| self.within(us, 1.0) - self.within(us, self.slower);
        grid.map(apart).fold(0.0, f64::max)
    }

    /// What each sidecar has of both arms in a second: control, fault.
    fn second(&self, draws: &mut Draws) -> Vec<[Histogram; 2]> {
        let mut blocks = vec![[Histogram::new(), Histogram::new()]; self.sidecars as usize];
        let pause = |draws: &mut Draws| {
            let (share, factor) = self.pauses;
            if draws.uniform() < share { factor } else { 1.0 }
        };
        let pauses: Vec<f64> = blocks.iter().map(|_| pause(draws)).collect();
        for (arm, slower) in [1.0, self.slower].into_iter().enumerate() {
            let mut fanned = 0.0;
            for _ in 0..self.requests / self.tries {
                for (at, (block, pause)) in blocks.iter_mut().zip(&pauses).enumerate() {
                    if at == 0 || !self.fans_out {
                        fanned = exponential(draws.uniform());
                    }
                    let us = MEAN_US * slower * pause * fanned;
                    (0..self.tries).for_each(|_| add(&mut block[arm], us));
                }
            }
        }
        blocks
    }
}

/// What is told where requests are taken to come alone, and enough of them.
fn planned(seconds: f64) -> f64 {
    Clustering::planned(seconds, (40.0, 40.0))
}

/// How many requests count as one after so many seconds, if that is told.
type Told = Option<fn(f64) -> f64>;

/// What is true of latencies: each quantile in the arm of the fault and in the control arm, and the largest gap.
struct Truth {
    quantiles: Vec<(f64, f64, f64)>,
    gap: f64,
}

impl Truth {
    fn of(traffic: &Traffic) -> Self {
        let quantiles = QUANTILES.into_iter().map(|p| {
            let of = |slower| traffic.quantile(p, slower);
            (p, of(traffic.slower), of(1.0))
        });
        Self {
            quantiles: quantiles.collect(),
            gap: traffic.gap(),
        }
    }

    /// In the arm of the fault, in the control arm.
    fn quantile(&self, quantile: f64) -> (f64, f64) {
        let mut all = self.quantiles.iter();
        let (_, slow, fast) = all.find(|(p, ..)| *p == quantile).unwrap();
        (*slow, *fast)
    }
}

/// Both arms over a run: as the controller compares them, and as it would with what is told.
struct Run {
    told: Told,
    seconds: u32,
    arms: [Latencies; 2],
    learning: Differing,
    trusting: Differing,
}

impl Run {
    fn new(told: Told) -> Self {
        Self {
            told,
            seconds: 0,
            arms: [Latencies::default(), Latencies::default()],
            learning: Differing::default(),
            trusting: Differing::default(),
        }
    }

    fn second(&mut self, traffic: &Traffic, draws: &mut Draws) {
        let at = second(self.seconds);
        self.seconds += 1;
        for block in traffic.second(draws) {
            let block = block.map(|arm| arm.into_iter().collect::<Vec<_>>());
            for (arm, latencies) in self.arms.iter_mut().zip(&block) {
                arm.take(latencies, at);
            }
            let [control, fault] = block;
            self.learning.take(&control, &fault, at);
            if self.told.is_some() {
                self.trusting.take(&control, &fault, at);
            }
        }
        self.learning.settle(1.0, 8.0);
        if let Some(told) = self.told() {
            self.trusting.bet(core::iter::repeat(told));
        }
    }

    fn told(&self) -> Option<f64> {
        self.told.map(|told| told(self.seconds.into()))
    }

    /// Whether a band, a shift or the gap is beside the truth, as requests count that come together.
    fn errs(&self, truth: &Truth) -> [bool; 3] {
        let [control, fault] = &self.arms;
        self.beside(truth, &fault.quantiles(1.0), &control.quantiles(1.0))
    }

    /// The same with what is told.
    fn errs_trusting(&self, truth: &Truth) -> Option<[bool; 3]> {
        let [control, fault] = &self.arms;
        let told = self.told()?;
        let of = |arm: &Latencies| Quantiles::of(arm.all(), |_| told);
        Some(self.beside(truth, &of(fault), &of(control)))
    }

    fn beside(&self, truth: &Truth, slow: &Quantiles, fast: &Quantiles) -> [bool; 3] {
        let is_beside = |low: Option<f64>, high: Option<f64>, truth: f64| {
            low.is_some_and(|low| truth < low) || high.is_some_and(|high| high + 1.0 < truth)
        };
        let of = |us: Option<u64>| us.map(|us| us as f64);
        let band = slow.bands().into_iter().any(|band| {
            let (truth, _) = truth.quantile(band.quantile);
            is_beside(of(band.low_us), of(band.high_us), truth)
        });
        let of = |us: Option<i64>| us.map(|us| us as f64);
        let shift = shifts(slow, fast).into_iter().any(|one| {
            let (slow, fast) = truth.quantile(one.quantile);
            is_beside(of(one.low_us), of(one.high_us), slow - fast)
        });
        let [control, fault] = &self.arms;
        let gap = self.learning.gap(
            (fault.all(), slow.design_effect()),
            (control.all(), fast.design_effect()),
        );
        let gap = gap.unwrap();
        [band, shift, truth.gap < gap.low || gap.high < truth.gap]
    }
}

/// Of how many runs this is true: a band, a shift or the gap was ever beside the truth, and latencies surely differed; each
/// as it is, and with what is told.
#[derive(Debug, Default)]
struct Found {
    erred: [u32; 3],
    erred_trusting: [u32; 3],
    differ: u32,
    differ_trusting: u32,
}

impl Found {
    fn add(&mut self, run: &Run, erred: [bool; 3], trusting: [bool; 3]) {
        let both = [
            (&mut self.erred, erred),
            (&mut self.erred_trusting, trusting),
        ];
        for (sums, erred) in both {
            for (sum, erred) in sums.iter_mut().zip(erred) {
                *sum += u32::from(erred);
            }
        }
        self.differ += u32::from(differ(&run.learning));
        self.differ_trusting += u32::from(differ(&run.trusting));
    }
}

fn differ(differing: &Differing) -> bool {
    (1.0 / ALPHA).ln() <= differing.best()
}

/// Of a hundred runs of a minute, with ten looks each.
fn found(seed: u64, traffic: &Traffic, told: Told) -> Found {
    let mut draws = Draws(seed);
    let truth = Truth::of(traffic);
    let mut found = Found::default();
    let either = |one: [bool; 3], other: [bool; 3]| core::array::from_fn(|at| one[at] || other[at]);
    for _ in 0..100 {
        let mut run = Run::new(told);
        let (mut erred, mut trusting) = ([false; 3], [false; 3]);
        for _ in 0..10 {
            (0..6).for_each(|_| run.second(traffic, &mut draws));
            erred = either(erred, run.errs(&truth));
            trusting = either(trusting, run.errs_trusting(&truth).unwrap_or_default());
        }
        found.add(&run, erred, trusting);
    }
    found
}

/// C. Weil, "Selection of the valid number of sampling units and a consideration of their combination in toxicological studies", 1970:
/// rats that survived, of how many in each litter.
const LITTERS: [[(u64, u64); 16]; 2] = [
    [
        (13, 13),
        (12, 12),
        (9, 9),
        (9, 9),
        (8, 8),
        (8, 8),
        (12, 13),
        (11, 12),
        (9, 10),
        (9, 10),
        (8, 9),
        (11, 13),
        (4, 5),
        (5, 7),
        (7, 10),
        (7, 10),
    ],
    [
        (12, 12),
        (11, 11),
        (10, 10),
        (9, 9),
        (10, 11),
        (9, 10),
        (9, 10),
        (8, 9),
        (8, 9),
        (4, 5),
        (7, 9),
        (4, 7),
        (5, 10),
        (3, 6),
        (3, 10),
        (0, 7),
    ],
];

/// Of these litters Rao and Scott (1992, table 1) have design effects of 1.23 and 3.95.
#[test]
fn design_effects_are_those_of_rao_and_scott() {
    for (litters, published) in LITTERS.into_iter().zip([1.23, 3.95]) {
        let mut moments = Moments::default();
        for (survived, all) in litters {
            moments.add(&Histogram::from([(1, survived), (2, all - survived)]));
        }
        let effect = moments.effect(1).unwrap();
        assert!((effect - published).abs() < 0.005, "{effect}");
    }
}

/// Against sums over the clusters as they were, at every latency, also those that come late.
#[test]
fn sums_are_those_of_all_clusters_whenever_a_latency_comes_first() {
    let mut draws = Draws(41);
    let mut moments = Moments::default();
    let mut clusters: Vec<Histogram> = Vec::new();
    for number in 0..30 {
        let mut cluster = Histogram::new();
        for _ in 0..1 + number % 7 {
            let us = (draws.uniform() * f64::from(number + 4)) as u64 * 10;
            *cluster.entry(us).or_default() += 1;
        }
        moments.add(&cluster);
        clusters.push(cluster);
    }
    moments.add(&Histogram::new());
    let mut compared = 0;
    for us in 0..400 {
        let counts = clusters.iter().map(|cluster| {
            let within: u64 = cluster.range(..=us).map(|(_, count)| count).sum();
            (within as f64, cluster.values().sum::<u64>() as f64)
        });
        let counts: Vec<(f64, f64)> = counts.collect();
        let all: f64 = counts.iter().map(|(_, all)| all).sum();
        let share = counts.iter().map(|(within, _)| within).sum::<f64>() / all;
        let beside = counts.iter();
        let beside: f64 = beside
            .map(|(within, all)| (within - share * all).powi(2))
            .sum();
        let expected = 30.0 / 29.0 * beside / (share * (1.0 - share) * all);
        match moments.effect(us) {
            Some(effect) => {
                assert!(
                    (effect - expected).abs() < 1e-9,
                    "{us}: {effect} {expected}"
                );
                compared += 1;
            }
            None => assert!(!expected.is_finite() || share == 1.0, "{us}: {expected}"),
        }
    }
    assert!(100 < compared, "{compared}");
}

/// With clusters of `n` and a correlation `r` inside them the design effect is `1 + (n - 1) r` (Kish, 1965, chapter 5). Of requests of which the share
/// `a` takes as long as the first one of their second, any two are alike with the chance `a^2`.
#[test]
fn the_design_effect_of_a_quantile_is_that_of_seconds_of_known_correlation() {
    let mut draws = Draws(43);
    for (requests, alike) in [(10_u32, 0.5_f64), (20, 0.7), (8, 0.0)] {
        let mut moments = Moments::default();
        for _ in 0..3_000 {
            let mut second = Histogram::new();
            let first = exponential(draws.uniform());
            for _ in 0..requests {
                let is_alike = draws.uniform() < alike;
                let own = exponential(draws.uniform());
                add(&mut second, MEAN_US * if is_alike { first } else { own });
            }
            moments.add(&second);
        }
        let expected = 1.0 + f64::from(requests - 1) * alike * alike;
        for quantile in [0.5, 0.9] {
            let us = (MEAN_US * exponential(quantile)) as u64;
            let effect = moments.effect(us).unwrap();
            println!(
                "{requests} requests, {alike} alike, {quantile}: {effect:.2} of {expected:.2}"
            );
            assert!(
                (effect / expected - 1.0).abs() < 0.12,
                "{effect} {expected}"
            );
        }
    }
}

#[test]
fn a_tail_of_which_little_was_seen_is_known_less_of_than_the_median() {
    let mut moments = Moments::default();
    let unknown = moments.known(1);
    assert_eq!((unknown, moments.effect(1)), (0.0, None));
    let usual = Histogram::from([(10, 10), (20, 10)]);
    for _ in 0..99 {
        moments.add(&usual);
    }
    moments.add(&Histogram::from([(10, 10), (20, 9), (900, 1)]));
    assert!(
        (99.0..=100.0).contains(&moments.known(10)),
        "{}",
        moments.known(10)
    );
    // One request in the tail tells as much as two clusters.
    let tail = moments.known(20);
    assert!((1.5..2.5).contains(&tail), "{tail}");
    assert_eq!(moments.known(900), 0.0, "nothing is beyond");
    assert_eq!(moments.effect(5), None, "nothing is below");
}

#[test]
fn bands_shifts_and_gaps_hold_the_truth_at_every_look() {
    for (seed, slower, tries) in [(13, 1.0, 1), (17, 1.5, 1), (19, 1.0, 4), (23, 3.0, 4)] {
        let traffic = Traffic {
            slower,
            tries,
            ..ALONE
        };
        let found = found(seed, &traffic, None);
        println!("{slower} times as slow in groups of {tries}: {found:?} of 100 runs");
        assert!(found.erred.iter().all(|count| *count <= 5), "{found:?}");
        if slower > 1.0 {
            assert!(95 <= found.differ, "{found:?}");
        } else {
            assert!(found.differ <= 5, "{found:?}");
        }
    }
}

/// Nothing is bad, and nothing differs; were that all that is looked at, bands would err far more often than they say.
#[test]
fn pauses_that_meet_both_arms_do_not_make_bands_err() {
    let found = found(47, &PAUSING, Some(planned));
    println!("pauses: {found:?} of 100 runs");
    assert!(found.erred.iter().all(|count| *count <= 5), "{found:?}");
    assert!(found.differ <= 5, "{found:?}");
    assert!(15 < found.erred_trusting[0], "{found:?}");
}

/// Nothing is bad, and nothing differs; were that all that is looked at, latencies of the arms would surely differ in most runs.
#[test]
fn traces_that_fan_out_do_not_make_latencies_differ() {
    let found = found(53, &FANNING_OUT, Some(planned));
    println!("fan-out: {found:?} of 100 runs");
    assert!(found.differ <= 5, "{found:?}");
    assert!(found.erred.iter().all(|count| *count <= 5), "{found:?}");
    assert!(25 < found.differ_trusting, "{found:?}");
}

/// How soon it is sure that one arm is slower, of requests that come alone: no later than if latencies counted as bad requests do, of
/// which there are none.
#[test]
fn learning_that_latencies_come_alone_costs_no_time() {
    let traffic = Traffic {
        slower: 1.3,
        sidecars: 2,
        requests: 10,
        ..ALONE
    };
    let mut draws = Draws(59);
    let (mut learning, mut trusting) = (0, 0);
    for _ in 0..100 {
        let mut run = Run::new(Some(planned));
        while !(differ(&run.learning) && differ(&run.trusting)) && run.seconds < 300 {
            run.second(&traffic, &mut draws);
            learning += u32::from(!differ(&run.learning));
            trusting += u32::from(!differ(&run.trusting));
        }
    }
    println!("sure after {learning} hundredths of a second on average; {trusting} by bad requests");
    assert!(
        f64::from(learning) < 1.1 * f64::from(trusting),
        "{learning} {trusting}"
    );
}

#[test]
fn latencies_that_are_alike_seldom_differ_though_slow_seconds_meet_both_arms() {
    let traffic = Traffic {
        requests: 10,
        pauses: (0.1, 20.0),
        ..ALONE
    };
    let mut draws = Draws(29);
    let mut differed = 0;
    for _ in 0..300 {
        let mut run = Run::new(None);
        (0..60).for_each(|_| run.second(&traffic, &mut draws));
        differed += u32::from(differ(&run.learning));
    }
    println!("{differed} of 300");
    assert!(differed <= 15, "{differed} of 300");
}
