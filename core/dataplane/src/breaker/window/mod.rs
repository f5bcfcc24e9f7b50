//! The requests by which a breaker judges.

mod calls;
mod time;

use sloop_model::{BreakerWindow, Time};

use super::words::Tally;
use calls::CallWindow;
use time::TimeWindow;

/// How the requests ended that count.
#[derive(Clone, Debug)]
pub(super) enum Window {
    /// Those of the last while.
    Time(TimeWindow),
    /// The last ones.
    Calls(CallWindow),
}

impl Window {
    /// An empty one.
    pub(super) fn new(window: BreakerWindow, now: Time) -> Self {
        match window {
            BreakerWindow::Time { length, buckets } => {
                Self::Time(TimeWindow::new(length, buckets, now))
            }
            BreakerWindow::Calls(calls) => Self::of_calls(calls),
        }
    }

    /// An empty one of the last `calls` requests.
    pub(super) fn of_calls(calls: u32) -> Self {
        Self::Calls(CallWindow::new(calls))
    }

    /// Adds requests that ended at `now`, and returns the tally with them.
    pub(super) fn add(&mut self, ended: Tally, now: Time) -> Tally {
        match self {
            Self::Time(window) => window.add(ended, now),
            Self::Calls(window) => window.add(ended),
        }
    }

    /// What counts at `now`.
    pub(super) fn seen(&mut self, now: Time) -> Tally {
        self.add(Tally::default(), now)
    }
}
