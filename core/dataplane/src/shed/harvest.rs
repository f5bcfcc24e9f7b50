//! What a time brought in: how many requests were served in time.

use core::time::Duration;

use super::queue::{PERIOD_US, micros};
use super::smooth::Smooth;

/// Good requests and wanted ones, in 256ths per period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Harvest {
    /// Served in time.
    pub(super) good: u64,
    /// Asked for.
    pub(super) wanted: u64,
}

/// Requests, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reaped {
    /// Served in time.
    pub(super) good: u64,
    /// Asked for.
    pub(super) wanted: u64,
    /// Ended, and say something.
    pub(super) judged: u64,
}

/// A harvest that is being brought in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reaping {
    sum: Reaped,
    elapsed: Duration,
}

impl Harvest {
    /// Whether this one, over `time`, is surely worse than what `other` promised: fewer good ones by a tenth and by
    /// three standard deviations of chance, and a smaller part of what was wanted. The second, because where less is
    /// wanted less comes in; the first, because of more that is wanted a full service cannot serve more.
    #[inline(never)]
    pub(super) fn is_worse_than(self, other: Self, time: Duration) -> bool {
        let (good, wanted) = (u128::from(self.good), u128::from(self.wanted));
        let (other_good, other_wanted) = (u128::from(other.good), u128::from(other.wanted));
        let is_smaller_part = good * other_wanted * 10 < other_good * wanted * 9;
        let deficit = other_good.saturating_sub(good);
        // In requests: the variance of a count is the count.
        let periods = u128::from(micros(time) / PERIOD_US);
        let is_no_chance = 9 * other_good * u128::from(Smooth::ONE) < deficit * deficit * periods;
        is_smaller_part && other_good < deficit * 10 && is_no_chance
    }

    /// What is left of a promise that grows old: all but a sixteenth.
    pub(super) const fn faded(self) -> Self {
        Self {
            good: self.good - self.good / 16,
            ..self
        }
    }
}

impl Reaping {
    pub(super) fn add(&mut self, reaped: Reaped, elapsed: Duration) {
        let sum = &mut self.sum;
        sum.good = sum.good.saturating_add(reaped.good);
        sum.wanted = sum.wanted.saturating_add(reaped.wanted);
        sum.judged = sum.judged.saturating_add(reaped.judged);
        self.elapsed = self.elapsed.saturating_add(elapsed);
    }

    /// Whether at least half of what was let through is served in time.
    pub(super) const fn is_mostly_good(self) -> bool {
        let Reaped { good, judged, .. } = self.sum;
        0 < good && judged <= good.saturating_mul(2)
    }

    /// What came in, and over how long.
    #[inline(never)]
    pub(super) fn finish(self) -> (Harvest, Duration) {
        let micros = micros(self.elapsed).max(1);
        let per_period = |count: u64| {
            let scaled = count.saturating_mul(Smooth::ONE);
            scaled.saturating_mul(PERIOD_US) / micros
        };
        let harvest = Harvest {
            good: per_period(self.sum.good),
            wanted: per_period(self.sum.wanted),
        };
        (harvest, self.elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harvest(good: u64, wanted: u64) -> Harvest {
        let mut reaping = Reaping::default();
        let reaped = Reaped {
            good,
            wanted,
            judged: wanted,
        };
        reaping.add(reaped, Duration::from_secs(1));
        reaping.finish().0
    }

    #[test]
    fn a_tenth_less_beyond_chance_of_what_is_wanted_is_worse() {
        let second = Duration::from_secs(1);
        let before = harvest(1_000, 1_000);
        for (good, wanted, is_worse) in [
            (800, 1_000, true),
            (950, 1_000, false),
            // Fewer were wanted, and they got what they wanted.
            (400, 400, false),
            // More were wanted than it can.
            (1_000, 3_000, false),
            (0, 3_000, true),
        ] {
            let given = harvest(good, wanted).is_worse_than(before, second);
            assert_eq!(given, is_worse, "{good} of {wanted}");
        }
        assert!(
            !harvest(5, 10).is_worse_than(harvest(10, 10), second),
            "so few may be chance"
        );
        assert!(!Harvest::default().is_worse_than(Harvest::default(), second));
    }
}
