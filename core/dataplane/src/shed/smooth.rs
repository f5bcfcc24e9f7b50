//! Averages that forget.

/// An average in which each value weighs three quarters of the one after it.
///
/// Four values back is the half of what it remembers: enough to make the
/// noise of ten requests bearable, and less than half a second of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Smooth {
    /// In 256ths; none before the first value.
    scaled: Option<u64>,
}

impl Smooth {
    /// Parts of one in [`Smooth::scaled`].
    pub(super) const ONE: u64 = 256;
    /// Far above any count of requests, and small enough to multiply.
    const MAX: u64 = 1 << 32;

    /// Adds a value.
    pub(super) fn learn(&mut self, value: u64) {
        self.learn_scaled(value.min(Self::MAX) * Self::ONE);
    }

    /// Adds a value in 256ths.
    #[inline(never)]
    pub(super) fn learn_scaled(&mut self, value: u64) {
        let value = value.min(Self::MAX * Self::ONE);
        self.scaled = Some(match self.scaled {
            None => value,
            Some(before) => before - before / 4 + value / 4,
        });
    }

    /// The average in 256ths; zero before the first value.
    pub(super) fn scaled(self) -> u64 {
        self.scaled.unwrap_or(0)
    }
}

/// Half of the way to what is wanted: a reading that is off by noise is believed by half.
pub(super) const fn half_way(level: i64, wanted: i64) -> i64 {
    level + (wanted - level) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_with_the_first_value_and_follows() {
        let mut smooth = Smooth::default();
        assert_eq!(smooth.scaled(), 0);
        smooth.learn(100);
        assert_eq!(smooth.scaled(), 100 * Smooth::ONE);
        for _ in 0..40 {
            smooth.learn(0);
        }
        assert!(smooth.scaled() < Smooth::ONE);
        smooth.learn(u64::MAX);
        assert!(smooth.scaled() <= Smooth::MAX * Smooth::ONE);
    }
}
