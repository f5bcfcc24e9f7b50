//! Counts as Envoy's own statistics, now and then.

use core::time::Duration;

use sloop_model::{FilterConfig, Side, Time};

use super::Plane;
use crate::report::Trouble;
use crate::stats::{Metric, StatDelta, StatsBook, show_trouble};

/// Prometheus asks every 15 s or more rarely; more often than this nobody sees it.
const INTERVAL: Duration = Duration::from_secs(5);

/// What of the VM's counts was shown, and when more is to be.
#[derive(Debug)]
pub(super) struct Statistics {
    book: StatsBook,
    trouble: [Metric; Trouble::KINDS],
    due: Time,
    /// When the last configuration came: what it left to be shown is due since.
    left: Time,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            book: StatsBook::default(),
            trouble: [Metric::NONE; Trouble::KINDS],
            due: Time::default(),
            left: Time::default(),
        }
    }
}

impl Statistics {
    /// A configuration came at `now`, after which statistics may be off.
    pub(super) const fn leave(&mut self, now: Time) {
        self.left = now;
    }

    /// The first request came at `now`.
    pub(super) fn start(&mut self, now: Time) {
        self.due = now.after(INTERVAL);
    }
}

impl Plane {
    /// When [`Plane::stat_deltas`] has something to say, if statistics are wanted.
    pub(super) fn stats_due(&self) -> Option<Time> {
        (self.has_traffic && self.shows_stats()).then_some(self.statistics.due)
    }

    /// When the shell must come for that: at once, where a configuration that wants none came in between.
    pub(super) fn stats_wake(&self) -> Option<Time> {
        let is_left = self.statistics.book.has_deltas();
        self.stats_due()
            .or_else(|| is_left.then_some(self.statistics.left))
    }

    /// What is to be added to Envoy's statistics at `now`, if it is time. Also after a configuration
    /// that wants none: what was counted before is still shown, once.
    pub fn stat_deltas(&mut self, now: Time) -> Vec<StatDelta> {
        if self.stats_due().is_some_and(|due| due <= now) {
            self.statistics.due = now.after(INTERVAL);
            self.show();
            if self.report_settings().is_none() {
                // Nobody else takes the counts.
                drop(self.take(now));
            }
        }
        self.statistics.book.take_deltas()
    }

    /// Which statistics Envoy knows by which number.
    pub const fn stats(&mut self) -> &mut StatsBook {
        &mut self.statistics.book
    }

    fn shows_stats(&self) -> bool {
        self.server.stats.enabled || self.client.stats.enabled
    }

    /// Writes into the book what was not shown yet, as long as statistics are wanted. What became of spans is counted in any case.
    pub(super) fn show(&mut self) {
        self.count_spans();
        if !self.shows_stats() {
            return;
        }
        let book = &mut self.statistics.book;
        let mut sides = [&mut self.server, &mut self.client];
        let wanted = sides.iter().filter(|side| side.stats.enabled);
        let metrics_max = wanted.map(|side| side.stats.metrics_max).max();
        book.set_metrics_max(metrics_max.unwrap_or(0));
        for side in sides.iter_mut().filter(|side| side.stats.enabled) {
            side.show(book);
        }
        self.trouble.stats_over_cap += book.take_over_cap();
        show_trouble(&mut self.statistics.trouble, &self.trouble, book);
    }

    /// What was counted while `config` did not hold and no statistics were wanted is not to be shown.
    pub(super) fn pass_over(&mut self, config: &FilterConfig) {
        if !config.stats.enabled {
            return;
        }
        // It has no room.
        let mut nowhere = StatsBook::default();
        if !self.shows_stats() {
            show_trouble(&mut self.statistics.trouble, &self.trouble, &mut nowhere);
        }
        let side = match config.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        if !side.stats.enabled {
            side.show(&mut nowhere);
        }
    }

    /// Takes the trouble out.
    pub(super) fn take_trouble(&mut self) -> Trouble {
        let taken = core::mem::take(&mut self.trouble);
        for (metric, (_, count)) in self.statistics.trouble.iter_mut().zip(taken.kinds()) {
            metric.drained(count);
        }
        taken
    }
}
