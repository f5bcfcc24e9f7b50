//! How often something may be done: at once when it was quiet, then not too often.

use std::time::{Duration, Instant};

/// Whether something is wanted, and when it may be done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gap: Duration,
    done: Option<Instant>,
    wanted: bool,
}

impl Pace {
    /// At most once per `gap`.
    #[must_use]
    pub const fn of(gap: Duration) -> Self {
        Self {
            gap,
            done: None,
            wanted: false,
        }
    }

    /// It should be done.
    pub const fn want(&mut self) {
        self.wanted = true;
    }

    /// It is wanted no more, and was not done.
    pub const fn give_up(&mut self) {
        self.wanted = false;
    }

    /// It was done at `now`.
    pub const fn done(&mut self, now: Instant) {
        self.wanted = false;
        self.done = Some(now);
    }

    /// When it should be done; `None` when it is not wanted.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.wanted
            .then(|| self.done.map_or(now, |done| (done + self.gap).max(now)))
    }

    /// Whether it should be done now.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due(now).is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_and_then_not_too_often() {
        let gap = Duration::from_secs(1);
        let start = Instant::now();
        let mut pace = Pace::of(gap);
        assert_eq!(pace.due(start), None, "nobody wants it");
        pace.want();
        assert!(pace.is_due(start), "the leading edge");
        pace.done(start);
        assert_eq!(pace.due(start), None);
        pace.want();
        assert_eq!(pace.due(start), Some(start + gap));
        assert!(!pace.is_due(start + gap / 2));
        assert!(pace.is_due(start + gap));
        pace.give_up();
        assert!(!pace.is_due(start + gap * 2));
    }
}
