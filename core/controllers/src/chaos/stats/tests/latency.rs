//! Latency of both arms: what is known beforehand, and by enumeration.

use super::super::distribution::error;
use super::super::latencies::Histogram;
use super::super::quantile::{Mixture, Quantiles, level};
use super::*;

fn bands(latencies: &Histogram, clustering: f64) -> Vec<QuantileBand> {
    Quantiles::of(latencies, |_| clustering).bands()
}

fn shifts(faulted: &Histogram, control: &Histogram, clustering: f64) -> Vec<QuantileShift> {
    let [faulted, control] = [faulted, control].map(|arm| Quantiles::of(arm, |_| clustering));
    super::super::shifts(&faulted, &control)
}

/// So many latencies of each of these microseconds.
fn each(us: impl Iterator<Item = u64>, count: u64) -> Histogram {
    us.map(|us| (us, count)).collect()
}

pub(super) fn add(latencies: &mut Histogram, us: f64) {
    let bucket = sloop_model::LatencyBucket::of(us as u64);
    *latencies.entry(bucket.middle_us()).or_default() += 1;
}

/// The quantile `p` of an exponential distribution with the mean 1.
pub(super) fn exponential(p: f64) -> f64 {
    -(1.0 - p).ln()
}

/// Over all numbers of latencies that may be below the quantile its martingale has the mean 1, and so has the product of both arms.
#[test]
fn the_martingale_of_a_quantile_has_the_mean_one() {
    for (quantile, count) in [(0.5, 7_u32), (0.9, 30), (0.99, 60), (0.999, 12)] {
        let mixture = Mixture::new(quantile, count.into());
        let mut ways = 1.0;
        let mut mean = 0.0;
        for below in 0..=count {
            let chance =
                quantile.powi(below as i32) * (1.0 - quantile).powi((count - below) as i32);
            mean += ways * chance * mixture.log(below.into()).exp();
            ways *= f64::from(count - below) / f64::from(below + 1);
        }
        assert!((mean - 1.0).abs() < 1e-6, "{quantile}: {mean}");
    }
}

/// How likely it is that the truth is ever outside of a band that errs once in `1 / alpha` at most, while so many latencies come
/// one by one: of all sequences, by how many of them are below the quantile and were never outside.
fn ever_outside(quantile: f64, latencies: u32, alpha: f64) -> f64 {
    let mut inside = vec![1.0];
    for count in 1..=latencies {
        let mixture = Mixture::new(quantile, count.into());
        let mut next = vec![0.0; inside.len() + 1];
        for (below, chance) in inside.iter().enumerate() {
            next[below] += chance * (1.0 - quantile);
            next[below + 1] += chance * quantile;
        }
        for (below, chance) in next.iter_mut().enumerate() {
            // Where next to nothing comes by, it does not matter.
            if 1e-12 < *chance && -alpha.ln() <= mixture.log(below as f64) {
                *chance = 0.0;
            }
        }
        inside = next;
    }
    1.0 - inside.iter().sum::<f64>()
}

#[test]
fn a_band_is_ever_wrong_as_seldom_as_it_says_by_all_sequences() {
    for quantile in [0.5, 0.9, 0.99] {
        let found = ever_outside(quantile, 1_000, 0.05);
        println!("quantile {quantile}: {found:.4} of all sequences of 1,000");
        assert!((0.01..=0.05).contains(&found), "{quantile}: {found}");
    }
}

/// With the gamma function of another library (Python 3.11, `math.lgamma`): how many latencies may be at most as long as the
/// quantile, the fewest and the most, among so many.
#[test]
fn bands_are_those_of_the_formula() {
    let of = |quantile: f64, count: f64| {
        let mixture = Mixture::new(quantile, count);
        let left = (0..=count as u32).filter(|below| mixture.log((*below).into()) < level());
        let left: Vec<u32> = left.collect();
        (left[0], left[left.len() - 1])
    };
    for (quantile, count, ends) in [
        (0.5, 100.0, (28, 72)),
        (0.5, 1_000.0, (444, 556)),
        (0.9, 1_000.0, (865, 931)),
        (0.99, 10_000.0, (9_860, 9_934)),
    ] {
        assert_eq!(of(quantile, count), ends, "{quantile} of {count}");
    }
    // Fifty latencies of 1 to 50 us, twenty times each: the 444th has 23 us, the 557th 28 us.
    let median = bands(&each(1..=50, 20), 1.0)[0];
    assert_eq!((median.low_us, median.high_us), (Some(23), Some(28)));
    assert_eq!(median.us, 25);
}

#[test]
fn few_latencies_bound_little_and_one_alone_has_no_tail() {
    assert!(bands(&BTreeMap::new(), 1.0).is_empty());
    let few = bands(&BTreeMap::from([(100, 5), (900, 5)]), 1.0);
    let quantiles: Vec<f64> = few.iter().map(|band| band.quantile).collect();
    assert_eq!(quantiles, [0.5, 0.9], "one of ten is beyond the second");
    assert_eq!((few[0].us, few[1].us), (100, 900));
    assert_eq!((few[0].low_us, few[1].high_us), (None, None));
    assert!(shifts(&each(1..=9, 9), &BTreeMap::new(), 1.0).is_empty());
    // What took longer than a minute may have taken any time.
    let slow = Histogram::from([(70_000_000, 500)]);
    let quick = Histogram::from([(1_000, 50_000)]);
    assert_eq!(bands(&slow, 1.0)[0].high_us, None);
    let longer = shifts(&slow, &quick, 1.0);
    let quantiles: Vec<f64> = longer.iter().map(|shift| shift.quantile).collect();
    assert_eq!(quantiles, [0.5, 0.9, 0.95, 0.99]);
    for shift in longer {
        assert_eq!(shift.high_us, None, "{shift:?}");
        let least = shift.low_us.unwrap();
        assert!(55_000_000 < least, "{shift:?}");
    }
    let other_way = shifts(&quick, &slow, 1.0)[0];
    assert_eq!(other_way.low_us, None);
    assert!(other_way.high_us.unwrap() < -55_000_000, "{other_way:?}");
}

#[test]
fn requests_that_count_as_one_make_bands_and_shifts_wider() {
    let (slow, quick) = (each(20..=59, 50), each(1..=40, 50));
    let width = |clustering: f64| {
        let shift = shifts(&slow, &quick, clustering)[0];
        shift.high_us.unwrap() - shift.low_us.unwrap()
    };
    assert!(width(1.0) < width(4.0), "{} {}", width(1.0), width(4.0));
    // Four times as many in groups of four are as many.
    let (more_slow, more_quick) = (each(20..=59, 200), each(1..=40, 200));
    let grouped = shifts(&more_slow, &more_quick, 4.0)[0];
    let alone = shifts(&slow, &quick, 1.0)[0];
    assert_eq!(
        (grouped.low_us, grouped.high_us),
        (alone.low_us, alone.high_us)
    );
}

/// The product of both martingales against each arm by itself at half of the chance to err (Bonferroni).
#[test]
fn a_shift_is_narrower_than_two_bands() {
    let (slow, quick) = (each(20..=59, 5), each(1..=40, 5));
    let shift = shifts(&slow, &quick, 1.0)[0];
    let band = |arm| bands(arm, 1.0)[0];
    let (slow, quick) = (band(&slow), band(&quick));
    let ends = |band: QuantileBand| (band.low_us.unwrap() as i64, band.high_us.unwrap() as i64);
    let (slow, quick) = (ends(slow), ends(quick));
    // Both bands at the whole chance to err: already wider.
    let both = (slow.1 - quick.0) - (slow.0 - quick.1);
    assert!(shift.high_us.unwrap() - shift.low_us.unwrap() < both);
    assert_eq!(shift.us, 19);
}

#[test]
fn the_gap_is_where_both_arms_are_the_furthest_apart() {
    let (slow, quick) = (each(20..=59, 50), each(1..=20, 100));
    let gap = Differing::default()
        .gap((&slow, 1.0), (&quick, 1.0))
        .unwrap();
    // Up to 20 us there are all of the control arm, and one of forty of the other.
    assert_eq!((gap.us, gap.gap), (20, 0.975));
    let both = 2.0 * error(2_000.0, ALPHA / 2.0);
    assert!((gap.low - (0.975 - both)).abs() < 1e-9, "{gap:?}");
    assert_eq!(gap.high, 1.0, "no gap is larger");
    assert_eq!(gap.evidence, 1.0, "nothing was bet");
    let faster = Differing::default()
        .gap((&quick, 1.0), (&slow, 1.0))
        .unwrap();
    assert_eq!((faster.gap, faster.low), (-0.975, gap.low));
    let none = Differing::default().gap((&quick, 1.0), (&Histogram::new(), 1.0));
    assert_eq!(none, None);
    // By hand: 0.85 * sqrt((ln ln(1,000 e) + 0.8 ln 32,240) / 1,000).
    assert!((error(1_000.0, 0.05) - 0.086_569).abs() < 1e-6);
    assert_eq!(error(0.0, 0.05), 1.0);
}
