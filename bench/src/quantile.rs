//! Histograms of durations, and their quantiles by rank.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A share of all recorded values, in parts per hundred thousand: `P99` is 99,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantile(u64);

impl Quantile {
    /// Half of all.
    pub const P50: Self = Self(50_000);
    /// Nine of ten.
    pub const P90: Self = Self(90_000);
    /// 99 of a hundred.
    pub const P99: Self = Self(99_000);
    /// 999 of a thousand.
    pub const P999: Self = Self(99_900);
    /// All of them.
    pub const MAX: Self = Self(100_000);
    const WHOLE: u128 = 100_000;

    /// The rank of the smallest value that this share of `total` does not exceed, `1..=total`.
    fn rank(self, total: u64) -> u64 {
        let rank = (u128::from(total) * u128::from(self.0)).div_ceil(Self::WHOLE);
        u64::try_from(rank).unwrap_or(total).clamp(1, total.max(1))
    }
}

/// The smallest recorded value that at least this share of all values does not
/// exceed, as the upper end of its bucket; `None` when nothing was recorded.
///
/// The rank is found in integers. The histogram's own percentiles divide by a
/// hundred first, and that rounds 99.9 % of 10,000 up to rank 9,991.
#[must_use]
pub fn quantile(of: &Histogram<u64>, at: Quantile) -> Option<u64> {
    let rank = at.rank(of.len());
    let mut reached = 0;
    of.iter_recorded()
        .find(|step| {
            reached += step.count_since_last_iteration();
            rank <= reached
        })
        .map(|step| of.highest_equivalent(step.value_iterated_to()))
}

/// What is longer counts as this long; no request here lives for an hour.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Records `latency` in whole microseconds.
pub(crate) fn record(into: &mut Histogram<u64>, latency: Duration) {
    let us = u64::try_from(latency.min(LONGEST).as_micros()).unwrap_or(u64::MAX);
    // A histogram that grows by itself refuses only what does not fit into memory's addresses.
    let recorded = into.record(us);
    debug_assert!(recorded.is_ok(), "an hour fits");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(last: u64) -> Histogram<u64> {
        let mut values = Histogram::new(5).unwrap();
        for value in 1..=last {
            values.record(value).unwrap();
        }
        values
    }

    #[test]
    fn the_rank_is_exact() {
        let values = one_to(10_000);
        assert_eq!(quantile(&values, Quantile::P999), Some(9_990));
        assert_eq!(quantile(&values, Quantile::P99), Some(9_900));
        assert_eq!(quantile(&values, Quantile::P50), Some(5_000));
        assert_eq!(quantile(&values, Quantile::MAX), Some(10_000));
    }

    #[test]
    fn few_values_have_quantiles_too() {
        assert_eq!(quantile(&one_to(1), Quantile::P50), Some(1));
        assert_eq!(quantile(&one_to(2), Quantile::P50), Some(1));
        assert_eq!(quantile(&one_to(3), Quantile::P50), Some(2));
        assert_eq!(quantile(&one_to(3), Quantile::P99), Some(3));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(quantile(&one_to(0), Quantile::P50), None);
    }
}
