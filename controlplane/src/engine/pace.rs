//! How often something may be done: at once when it was quiet, then not too often.

use std::time::{Duration, Instant};

/// Whether something is wanted, and when it may be done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gap: Duration,
    /// The gap of what is urgent.
    urgent_gap: Duration,
    done: Option<Instant>,
    wanted: Option<Urgency>,
}

/// How soon something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    Usual,
    Urgent,
}

impl Pace {
    /// At most once per `gap`.
    #[must_use]
    pub const fn of(gap: Duration) -> Self {
        Self::with_urgent(gap, gap)
    }

    /// At most once per `gap`, and per `urgent_gap` when it is urgent.
    #[must_use]
    pub const fn with_urgent(gap: Duration, urgent_gap: Duration) -> Self {
        Self {
            gap,
            urgent_gap,
            done: None,
            wanted: None,
        }
    }

    /// From now on at most once per `gap`, urgent or not.
    pub const fn keep_apart(&mut self, gap: Duration) {
        (self.gap, self.urgent_gap) = (gap, gap);
    }

    /// How far apart it is done at least when it is not urgent.
    #[must_use]
    pub const fn gap(&self) -> Duration {
        self.gap
    }

    /// It should be done.
    pub const fn want(&mut self) {
        if self.wanted.is_none() {
            self.wanted = Some(Urgency::Usual);
        }
    }

    /// It should be done soon.
    pub const fn want_urgently(&mut self) {
        self.wanted = Some(Urgency::Urgent);
    }

    /// It is wanted no more, and was not done.
    pub const fn give_up(&mut self) {
        self.wanted = None;
    }

    /// It was done at `now`.
    pub const fn done(&mut self, now: Instant) {
        self.wanted = None;
        self.done = Some(now);
    }

    /// When it should be done; `None` when it is not wanted.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let gap = match self.wanted? {
            Urgency::Usual => self.gap,
            Urgency::Urgent => self.urgent_gap,
        };
        Some(self.done.map_or(now, |done| (done + gap).max(now)))
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
        pace.keep_apart(gap * 3);
        pace.want();
        assert_eq!(
            (pace.due(start), pace.gap()),
            (Some(start + gap * 3), gap * 3)
        );
    }

    #[test]
    fn what_is_urgent_waits_less_and_stays_urgent() {
        let start = Instant::now();
        let mut pace = Pace::with_urgent(Duration::from_secs(1), Duration::from_millis(100));
        pace.done(start);
        pace.want();
        assert_eq!(pace.due(start), Some(start + Duration::from_secs(1)));
        pace.want_urgently();
        pace.want();
        assert_eq!(pace.due(start), Some(start + Duration::from_millis(100)));
        pace.done(start);
        pace.want();
        assert_eq!(pace.due(start), Some(start + Duration::from_secs(1)));
    }
}
