//! Moments. Two clocks, two types, so that nobody compares them.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Whole nanoseconds of `duration`, held at the end of the range.
#[must_use]
#[inline]
pub const fn whole_nanos(duration: Duration) -> u64 {
    whole(duration, 1)
}

/// Whole microseconds of `duration`, held at the end of the range.
#[must_use]
#[inline]
pub const fn whole_micros(duration: Duration) -> u64 {
    whole(duration, 1_000)
}

/// Whole milliseconds of `duration`, held at the end of the range.
#[must_use]
#[inline]
pub const fn whole_millis(duration: Duration) -> u64 {
    whole(duration, 1_000_000)
}

/// In parts of so many nanoseconds. In numbers of 64 bits, and once: [`Duration`] counts in 128, which Wasm has not.
#[inline(never)]
const fn whole(duration: Duration, nanos: u32) -> u64 {
    let parts = 1_000_000_000 / nanos;
    let seconds = duration.as_secs().saturating_mul(parts as u64);
    seconds.saturating_add((duration.subsec_nanos() / nanos) as u64)
}

/// A moment, as nanoseconds since an origin that the caller chose.
///
/// Only differences mean anything. Every function that needs the time takes one
/// of these, so a test can pass any moment it likes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(u64);

impl Time {
    /// The moment `nanos` nanoseconds after the origin.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero when the clock went backwards.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How many whole microseconds after `earlier` this moment is; zero when the clock went backwards.
    #[must_use]
    #[inline]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }

    /// How many whole milliseconds after `earlier` this moment is; zero when the clock went backwards.
    #[must_use]
    #[inline]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }

    /// This moment plus `by`, held at the end of the range instead of wrapping.
    ///
    /// In numbers of 64 bits, since Wasm has none of 128 and this is on the way of each request.
    #[must_use]
    #[inline]
    pub const fn after(self, by: Duration) -> Self {
        const NANOS: u64 = 1_000_000_000;
        if u64::MAX / NANOS < by.as_secs() {
            return Self(u64::MAX);
        }
        let nanos = (by.as_secs() * NANOS).saturating_add(by.subsec_nanos() as u64);
        Self(self.0.saturating_add(nanos))
    }
}

/// A moment that machines agree on: milliseconds since the Unix epoch.
///
/// Policies expire by it, because a lease must end on every sidecar whatever
/// its process's own clock began with. A clock that is ahead drops policies too
/// early, which is the harmless direction.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "A moment, in milliseconds since the Unix epoch.")
)]
#[cfg_attr(
    feature = "schema",
    schemars(title = "Milliseconds since the Unix epoch")
)]
#[serde(transparent)]
pub struct WallTime(u64);

impl WallTime {
    /// The moment `millis` milliseconds after the Unix epoch.
    #[must_use]
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero when the clock went backwards.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment plus `by`, held at the end of the range instead of wrapping.
    #[must_use]
    #[inline]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(by)))
    }

    /// This moment less `by`, held at the epoch.
    #[must_use]
    #[inline]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(by)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_goes_backwards_gives_zero() {
        assert_eq!(
            Time::from_nanos(1).since(Time::from_nanos(2)),
            Duration::ZERO
        );
        assert_eq!(Time::from_nanos(1).micros_since(Time::from_nanos(2)), 0);
        assert_eq!(
            WallTime::from_millis(1).since(WallTime::from_millis(2)),
            Duration::ZERO
        );
    }

    proptest! {
        #[test]
        fn later_is_as_with_numbers_of_128_bits(from in any::<u64>(), secs in prop_oneof![
            0..10u64, 18_446_744_070..18_446_744_080u64, any::<u64>(),
        ], nanos in 0..1_000_000_000u32) {
            let by = Duration::new(secs, nanos);
            let expected = (u128::from(from) + by.as_nanos()).min(u64::MAX.into());
            prop_assert_eq!(u128::from(Time::from_nanos(from).after(by).as_nanos()), expected);
        }
    }

    #[test]
    fn the_end_of_the_range_holds() {
        assert_eq!(
            Time::from_nanos(u64::MAX).after(Duration::from_secs(1)),
            Time::from_nanos(u64::MAX)
        );
        assert_eq!(
            WallTime::default().before(Duration::from_secs(1)),
            WallTime::default()
        );
    }
}
