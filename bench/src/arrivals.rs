//! When requests start.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is meant to start, after the beginning of the load.
    pub at: Duration,
    /// Which call it makes: an index into [`Load::calls`](crate::Load::calls).
    pub call: usize,
}

/// A schedule: arrivals, earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals(Vec<Arrival>);

/// Why a rate cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the rate is {given} a second; it must be positive and at most {max}", max = Arrivals::RATE_MAX)]
pub struct InvalidRate {
    given: f64,
}

impl Arrivals {
    /// Requests a second: far above what one generating process can start.
    pub const RATE_MAX: f64 = 1_000_000.0;

    /// A Poisson process of `rate` requests a second over `lasting`; each makes
    /// call `i` with probability `weights[i]` over the sum of all.
    ///
    /// Independent users come like this: gaps are exponential, so there are
    /// bursts and lulls. The same seed gives the same schedule.
    ///
    /// # Errors
    ///
    /// When the rate is not positive, not a number or above [`Self::RATE_MAX`].
    pub fn poisson(
        rate: f64,
        lasting: Duration,
        weights: &[u32],
        seed: u64,
    ) -> Result<Self, InvalidRate> {
        if !(0.0 < rate && rate <= Self::RATE_MAX) {
            return Err(InvalidRate { given: rate });
        }
        let whole: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut draws = StdRng::seed_from_u64(seed);
        let mut arrivals = Vec::new();
        let mut at = 0.0;
        if whole == 0 {
            return Ok(Self(arrivals));
        }
        loop {
            at -= (1.0 - draws.random::<f64>()).ln() / rate;
            let at = Duration::from_secs_f64(at);
            if lasting <= at {
                break;
            }
            let call = pick(weights, draws.random_range(0..whole));
            arrivals.push(Arrival { at, call });
        }
        Ok(Self(arrivals))
    }

    /// Given moments, in any order; call `i` is made at `moments[i]`.
    #[must_use]
    pub fn at(moments: impl IntoIterator<Item = Duration>) -> Self {
        let mut arrivals: Vec<Arrival> = moments
            .into_iter()
            .enumerate()
            .map(|(call, at)| Arrival { at, call })
            .collect();
        arrivals.sort_by_key(|arrival| arrival.at);
        Self(arrivals)
    }

    /// Both schedules, merged.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.0.sort_by_key(|arrival| arrival.at);
        self
    }

    /// The arrivals, earliest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Arrival] {
        &self.0
    }
}

/// The index into `weights` that `draw`, below their sum, falls on.
fn pick(weights: &[u32], draw: u64) -> usize {
    let mut reached = 0;
    weights
        .iter()
        .position(|weight| {
            reached += u64::from(*weight);
            draw < reached
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 11;

    fn schedule(rate: f64, seconds: u64, weights: &[u32]) -> Vec<Arrival> {
        Arrivals::poisson(rate, Duration::from_secs(seconds), weights, SEED)
            .unwrap()
            .0
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        assert_eq!(schedule(50.0, 10, &[1, 2]), schedule(50.0, 10, &[1, 2]));
    }

    #[test]
    fn arrivals_keep_the_rate_and_the_weights() {
        let all = schedule(1_000.0, 100, &[1, 0, 3]);
        let count = |call| all.iter().filter(|arrival| arrival.call == call).count();
        // 100,000 expected; a Poisson count strays by its root, 316: five of them is beyond chance.
        assert!(all.len().abs_diff(100_000) < 1_600, "{}", all.len());
        assert!(count(0).abs_diff(25_000) < 800, "{}", count(0));
        assert_eq!(count(1), 0, "a weight of zero is never drawn");
    }

    #[test]
    fn gaps_are_exponential_so_a_burst_is_as_likely_as_independent_users_make_it() {
        let all = schedule(1_000.0, 100, &[1]);
        let long = all
            .windows(2)
            .filter(|pair| Duration::from_millis(2) < pair[1].at - pair[0].at)
            .count();
        // Gaps above two mean gaps: e^-2 = 13.5 %.
        let share = long as f64 / all.len() as f64;
        assert!((0.130..0.141).contains(&share), "{share}");
    }

    #[test]
    fn arrivals_lie_within_the_time_and_in_order() {
        let all = schedule(200.0, 3, &[1]);
        assert!(all.last().unwrap().at < Duration::from_secs(3));
        assert!(all.is_sorted_by_key(|arrival| arrival.at));
    }

    #[test]
    fn nothing_to_call_means_no_arrivals() {
        assert_eq!(schedule(10.0, 3, &[]), []);
        assert_eq!(schedule(10.0, 3, &[0]), []);
    }

    #[test]
    fn a_rate_has_bounds() {
        let with = |rate| Arrivals::poisson(rate, Duration::from_secs(1), &[1], SEED);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_000_001.0] {
            assert!(with(bad).is_err(), "{bad}");
        }
        let error = with(0.0).unwrap_err().to_string();
        assert_eq!(
            error,
            "the rate is 0 a second; it must be positive and at most 1000000"
        );
    }

    #[test]
    fn given_moments_keep_their_calls() {
        let all = Arrivals::at([Duration::from_secs(2), Duration::from_secs(1)]).0;
        assert_eq!(all[0].call, 1);
        assert_eq!(all[1].call, 0);
    }
}
