//! When an Envoy is asked to report its load, and about what time its reports are.
//!
//! Envoy reports each interval, beginning when it is asked, what it counted since it last reported. When nodes begin to try a
//! change it is asked for a report at once: what it counted before is known apart then, and the next reports are about the change.

use std::time::Duration;

use sloop_model::WallTime;

use super::LoadPace;

/// The interval for a report at once: long enough that one which is on its way already comes before.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Of reports after a question for one at once the second answers it for certain: only one can have been on its way.
const ANSWERS_MAX: u32 = 2;

/// What one Envoy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    pace: LoadPace,
    /// Since when nodes of its service try what they do; `None` while none does.
    stage: Option<WallTime>,
    /// Whether a report came that ended after the stage began.
    is_apart: bool,
    /// The interval that it was asked for last, and when.
    asked: Option<(Duration, WallTime)>,
    /// Reports since then.
    answers: u32,
    /// When its last report came.
    last: WallTime,
}

impl Asking {
    /// Nothing is asked yet.
    #[must_use]
    pub const fn at(pace: LoadPace) -> Self {
        Self {
            pace,
            stage: None,
            is_apart: true,
            asked: None,
            answers: 0,
            last: WallTime::from_millis(0),
        }
    }

    /// Nodes of its service try what they do since `stage`; `None` when none does.
    pub fn follow(&mut self, stage: Option<WallTime>) {
        if self.stage != stage {
            self.stage = stage;
            self.is_apart = stage.is_none();
        }
    }

    /// The interval that it should be asked for; `None` when it was.
    #[must_use]
    pub fn wants(&self) -> Option<Duration> {
        let interval = if !self.is_apart {
            AT_ONCE
        } else if self.stage.is_some() {
            self.pace.under_way
        } else {
            self.pace.settled
        };
        self.asked
            .is_none_or(|(asked, _)| asked != interval)
            .then_some(interval)
    }

    /// It was asked for `interval` at `now`.
    pub fn ask(&mut self, interval: Duration, now: WallTime) {
        self.asked = Some((interval, now));
        self.answers = 0;
    }

    /// A report came at `now`. It is about a time that began when the answer says, or earlier; of the first of a stream it
    /// is not known, since Envoy counts while nobody asks.
    pub fn hear(&mut self, now: WallTime) -> WallTime {
        let Some((interval, asked_at)) = self.asked else {
            self.last = now;
            return WallTime::default();
        };
        self.answers = self.answers.saturating_add(1);
        let is_answer = AT_ONCE <= now.since(asked_at) || ANSWERS_MAX <= self.answers;
        if interval == AT_ONCE && is_answer {
            self.is_apart = true;
        }
        // The one before may have come late, this one too.
        let from = self.last.min(now.before(interval));
        self.last = now;
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: LoadPace = LoadPace::of(Duration::from_secs(2));

    fn at(ms: u64) -> WallTime {
        WallTime::from_millis(1_000_000 + ms)
    }

    /// The milliseconds that it is asked for now, if it is.
    fn asks(asking: &mut Asking, ms: u64) -> Option<u128> {
        let interval = asking.wants()?;
        asking.ask(interval, at(ms));
        Some(interval.as_millis())
    }

    #[test]
    fn it_is_asked_seldom_then_at_once_and_then_often() {
        let mut asking = Asking::at(PACE);
        assert_eq!(asking.hear(at(0)), WallTime::default(), "nobody asked");
        assert_eq!(asks(&mut asking, 0), Some(20_000));
        assert_eq!(asking.hear(at(20_000)), at(0));
        asking.follow(Some(at(30_000)));
        assert_eq!(asks(&mut asking, 30_000), Some(100));
        assert_eq!(asking.hear(at(30_110)), at(20_000), "mostly of before");
        assert_eq!(asks(&mut asking, 30_110), Some(2_000));
        assert_eq!(asking.hear(at(32_120)), at(30_110), "of the change");
        assert_eq!(asks(&mut asking, 32_120), None);
        asking.follow(Some(at(33_000)));
        assert_eq!(asks(&mut asking, 33_000), Some(100), "the next stage");
        asking.follow(None);
        assert_eq!(asks(&mut asking, 33_050), Some(20_000), "it is over");
    }

    #[test]
    fn a_report_on_its_way_is_not_the_answer() {
        let mut asking = Asking::at(PACE);
        asking.hear(at(0));
        assert_eq!(asks(&mut asking, 0), Some(20_000));
        asking.follow(Some(at(20_000)));
        assert_eq!(asks(&mut asking, 20_000), Some(100));
        asking.hear(at(20_005));
        assert_eq!(asks(&mut asking, 20_005), None);
        asking.hear(at(20_103));
        assert_eq!(asks(&mut asking, 20_103), Some(2_000));
    }

    #[test]
    fn a_clock_that_stands_still_asks_at_once_no_more_than_twice() {
        let mut asking = Asking::at(PACE);
        asking.follow(Some(at(0)));
        assert_eq!(asks(&mut asking, 0), Some(100));
        asking.hear(at(0));
        asking.hear(at(0));
        assert_eq!(asks(&mut asking, 0), Some(2_000));
    }

    #[test]
    fn a_report_that_came_late_makes_the_next_no_shorter() {
        let mut asking = Asking::at(PACE);
        asking.follow(Some(at(0)));
        for (interval, heard) in [(100, 110), (2_000, 2_100)] {
            assert_eq!(asks(&mut asking, heard - interval), Some(interval.into()));
            asking.hear(at(heard));
        }
        asking.hear(at(5_000));
        assert_eq!(asking.hear(at(6_100)), at(4_100));
    }
}
