//! How sure an estimate is, and how many more pairs it takes until it is sure enough.

use super::Estimate;

/// Half of a 95 % interval as a share of the estimate, up to which another run is expected to agree within a tenth.
///
/// Half of the interval is 1.96 standard errors, so this is 2.3 % for one; the difference of two runs has √2 times
/// that, 3.25 %, of which a tenth is three: one of 500 ratios that are as unsure as this differs by more (normal distribution, which
/// medians of many pairs come near).
pub const ERROR_MAX: f64 = 0.045;

/// How many times the planned pairs are worth it at most. Beyond that, the error of what was planned is more than a
/// third of the estimate: next to nothing, for which time is better spent on others.
const REACH: usize = 64;

/// What an estimate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is sure enough.
    Nothing,
    /// So many more pairs, if the noise stays what it is.
    Pairs(usize),
    /// More than is worth it: the estimate is next to nothing, or lost in noise.
    TooMany,
}

impl Estimate {
    /// The same in another unit, of which each is so many of this one.
    #[must_use]
    pub fn in_parts_of(self, unit: f64) -> Self {
        Self {
            low: self.low / unit,
            median: self.median / unit,
            high: self.high / unit,
        }
    }

    /// Half of the interval as a share of the estimate; infinite around zero.
    #[must_use]
    pub fn error(self) -> f64 {
        if self.median == 0.0 {
            return f64::INFINITY;
        }
        (self.high - self.low) / (2.0 * self.median.abs())
    }

    /// What it needs for an error of at most `error_max`, as an estimate from so many `pairs`, of which `planned` were
    /// meant to do.
    ///
    /// The width of an interval goes by one over the square root of their number.
    #[must_use]
    pub fn need(self, error_max: f64, pairs: usize, planned: usize) -> Need {
        let error = self.error();
        if error <= error_max {
            return Need::Nothing;
        }
        let all = (error / error_max).powi(2) * pairs as f64;
        if (planned.saturating_mul(REACH) as f64) < all {
            return Need::TooMany;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and at most so many times a number of pairs"
        )]
        let all = all.ceil() as usize;
        Need::Pairs(all.saturating_sub(pairs).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(median: f64, by: f64) -> Estimate {
        Estimate {
            low: median - by,
            median,
            high: median + by,
        }
    }

    #[test]
    fn an_estimate_is_sure_up_to_the_bound_whatever_its_sign() {
        for sign in [1.0, -1.0] {
            assert!(around(sign * 1_000.0, 45.0).error() <= ERROR_MAX);
            assert!(ERROR_MAX < around(sign * 1_000.0, 45.1).error());
        }
        assert!(
            around(0.0, 0.0).error().is_infinite(),
            "no share of nothing"
        );
    }

    #[test]
    fn half_the_error_takes_four_times_as_many_pairs() {
        let of = |by| around(1_000.0, by).need(ERROR_MAX, 60, 60);
        assert_eq!(of(45.0), Need::Nothing);
        assert_eq!(of(90.0), Need::Pairs(180));
        assert_eq!(of(45.001), Need::Pairs(1), "at least one");
    }

    #[test]
    fn what_is_lost_in_noise_is_not_gone_on_with() {
        let of = |by, pairs| around(1_000.0, by).need(ERROR_MAX, pairs, 60);
        assert_eq!(of(359.9, 60), Need::Pairs(3_778));
        assert_eq!(of(360.1, 60), Need::TooMany);
        assert_eq!(of(180.1, 240), Need::TooMany, "as unsure after more pairs");
        assert_eq!(around(0.0, 1.0).need(ERROR_MAX, 60, 60), Need::TooMany);
    }
}
