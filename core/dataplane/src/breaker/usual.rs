//! How long what is served takes.
//!
//! It is the longest of at least as many requests as are needed to judge at all, and at least half of those that passed, over one
//! to two windows: a few quick ones among sessions say nothing of these. While nothing is served any more it stays what it was,
//! since that is what one would compare with. After a pause nobody knows: who comes first finds caches cold and connections
//! closed.

use core::time::Duration;

/// How long requests took that were served lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    longest: Duration,
    served: u32,
    /// How many had passed when it began to count.
    passed: u32,
    /// The longest, the last time that enough were served.
    before: Option<Duration>,
}

impl Usual {
    /// Nothing was served since so many had `passed`.
    pub(super) const fn new(passed: u32) -> Self {
        Self {
            longest: Duration::ZERO,
            served: 0,
            passed,
            before: None,
        }
    }

    /// A request was served.
    #[inline]
    pub(super) fn serve(&mut self, latency: Duration) {
        self.served = self.served.saturating_add(1);
        if self.longest < latency {
            self.longest = latency;
        }
    }

    /// Another window begins, when so many had `passed`. So many must have been served to say anything.
    pub(super) const fn turn(&mut self, served_min: u32, passed: u32) {
        let half = passed.wrapping_sub(self.passed) / 2;
        if served_min <= self.served && half <= self.served {
            *self = Self {
                before: Some(self.longest),
                ..Self::new(passed)
            };
        }
    }

    /// The longest, if it is known.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.before.map(|before| before.max(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_is_the_longest_of_enough_that_were_served() {
        let mut usual = Usual::new(0);
        usual.serve(millis(30));
        usual.turn(3, 0);
        assert_eq!(usual.longest(), None, "one is too few");
        usual.serve(millis(80));
        usual.serve(millis(50));
        assert_eq!(usual.longest(), None, "the window is not over");
        usual.turn(3, 0);
        assert_eq!(usual.longest(), Some(millis(80)));
    }

    #[test]
    fn fewer_than_half_of_those_that_passed_say_nothing() {
        let mut usual = Usual::new(u32::MAX);
        usual.serve(millis(80));
        usual.serve(millis(80));
        usual.turn(1, 5);
        assert_eq!(usual.longest(), None, "two of six");
        usual.serve(millis(80));
        usual.turn(1, 5);
        assert_eq!(usual.longest(), Some(millis(80)));
    }

    #[test]
    fn what_is_longer_counts_at_once_and_what_was_longer_for_two_windows() {
        let mut usual = Usual::new(0);
        usual.serve(millis(80));
        usual.turn(1, 0);
        usual.serve(millis(200));
        assert_eq!(usual.longest(), Some(millis(200)));
        usual.turn(1, 0);
        usual.serve(millis(10));
        assert_eq!(usual.longest(), Some(millis(200)));
        usual.turn(1, 0);
        assert_eq!(usual.longest(), Some(millis(10)));
    }

    #[test]
    fn while_nothing_is_served_it_stays_what_it_was() {
        let mut usual = Usual::new(0);
        usual.serve(millis(80));
        for _ in 0..100 {
            usual.turn(1, 0);
        }
        assert_eq!(usual.longest(), Some(millis(80)));
    }
}
