//! Two clocks as one: the monotonic one is read per request, the wall clock now and then.

use core::time::Duration;

use sloop_model::{Time, WallTime};

/// Tells the wall time of a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    at: Time,
    wall: WallTime,
}

impl Clock {
    /// Learns that the wall clock showed `wall` at `now`.
    pub(super) const fn sync(&mut self, now: Time, wall: WallTime) {
        (self.at, self.wall) = (now, wall);
    }

    /// When it was last looked at.
    pub(super) const fn looked_at(&self) -> Time {
        self.at
    }

    /// Whether the wall clock was set, or went wrong, between this look at it and a later one. Moments that are far
    /// apart by both clocks differ by some milliseconds, as one of them may be slewed.
    pub(super) const fn was_set_before(&self, later: &Self) -> bool {
        let expected = self.wall(later.at).as_millis();
        Self::OFF_MAX_MS < expected.abs_diff(later.wall.as_millis())
    }

    /// What expires is exact to this.
    const OFF_MAX_MS: u64 = 1_000;

    /// The wall time at `time`.
    pub(super) const fn wall(&self, time: Time) -> WallTime {
        let millis = self.wall.as_millis();
        let after = millis.saturating_add(time.millis_since(self.at));
        WallTime::from_millis(after.saturating_sub(self.at.millis_since(time)))
    }

    /// The wall time at `time`, in nanoseconds since the Unix epoch; right to a millisecond.
    pub(super) const fn unix_nanos(&self, time: Time) -> u64 {
        let after = time.as_nanos().saturating_sub(self.at.as_nanos());
        self.wall
            .as_millis()
            .saturating_mul(1_000_000)
            .saturating_add(after)
    }

    /// When the wall clock will show `wall`; at once if it has.
    pub(super) fn time(&self, wall: WallTime, now: Time) -> Time {
        let wait: Duration = wall.since(self.wall(now));
        now.after(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_show_the_same_moment() {
        let at = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let wall = WallTime::from_millis;
        let mut clock = Clock::default();
        clock.sync(at(100), wall(5_000));
        assert_eq!(clock.wall(at(100)), wall(5_000));
        assert_eq!(clock.wall(at(150)), wall(5_050));
        assert_eq!(clock.wall(at(40)), wall(4_940));
        assert_eq!(clock.time(wall(5_080), at(150)), at(180));
        assert_eq!(clock.time(wall(10), at(150)), at(150));
    }

    #[test]
    fn a_clock_that_was_set_shows_it_by_more_than_a_second() {
        let was_set = |at: u64, wall: u64| {
            let (mut before, mut later) = (Clock::default(), Clock::default());
            before.sync(
                Time::from_nanos(60_000_000_000),
                WallTime::from_millis(500_000),
            );
            later.sync(
                Time::from_nanos(at * 1_000_000),
                WallTime::from_millis(wall),
            );
            before.was_set_before(&later)
        };
        for (at, wall, expected) in [
            (60_000, 500_000, false),
            (120_000, 561_000, false),
            (120_000, 561_001, true),
            (120_000, 559_000, false),
            (120_000, 558_999, true),
            (120_000, 0, true),
        ] {
            assert_eq!(was_set(at, wall), expected, "{at} {wall}");
        }
    }
}
