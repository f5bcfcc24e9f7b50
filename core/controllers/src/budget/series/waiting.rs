//! Which cells need not be stored yet, as finer ones tell them.
//!
//! Each report changes a cell of each resolution, and one of seconds alone is over soon. The newest minute, hour and day wait
//! until they are over, too: after a restart they are what their seconds, minutes and hours add up to.
//!
//! A report about the time around the end of a minute is in the minute after it, and in part in seconds before it. Then both
//! do not say the same, and the minute is stored each time that it changes; so is an hour. A day always adds up, as
//! reports are spread over days by their hours.

use std::collections::BTreeSet;

use super::{Resolution, Ring, Series, Sum};

/// The minutes and hours before these may be in the store; the others surely are not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stored {
    minutes: u64,
    hours: u64,
}

impl Series {
    /// Takes, of what changed, what is to be stored.
    pub(super) fn take_due(&mut self) -> Vec<(Resolution, u64)> {
        if !core::mem::take(&mut self.is_touched) {
            return Vec::new();
        }
        let mut waiting = BTreeSet::new();
        let mut due = Vec::new();
        for cell in core::mem::take(&mut self.changed) {
            if self.waits(cell) {
                waiting.insert(cell);
            } else {
                due.push(cell);
                self.note_stored(cell);
            }
        }
        self.changed = waiting;
        due
    }

    /// Counts what waited when the process ended. Called when everything was taken back.
    pub(crate) fn complete(&mut self) {
        self.stored = Stored {
            minutes: self.minutes.numbers().end,
            hours: self.hours.numbers().end,
        };
        let newest = |ring: &Ring| ring.numbers().end.saturating_sub(1) / 60;
        let minute = newest(&self.seconds);
        let sum = self.seconds_of(minute);
        if self.stored.minutes <= minute && sum != Sum::default() {
            self.add_to(Resolution::Minute, minute, sum);
        }
        let hour = newest(&self.minutes);
        let sum = self.minutes_of(hour);
        if self.stored.hours <= hour && sum != Sum::default() {
            self.add_to(Resolution::Hour, hour, sum);
        }
        self.complete_days();
    }

    /// Counts the hours of days that were not over when they were stored.
    fn complete_days(&mut self) {
        let hours = self.hours.numbers();
        let (first, last) = (hours.start / 24, hours.end.saturating_sub(1) / 24);
        if hours.is_empty() {
            return;
        }
        for day in first..=last {
            let known = self.days.between(day, day);
            let sum = self.hours.between(24 * day, 24 * day + 23);
            let is_more = known.counts.total <= sum.counts.total && known.known_s <= sum.known_s;
            if is_more && known != sum && self.days.change(day, known, sum) {
                self.is_touched = true;
                self.changed.insert((Resolution::Day, day));
            }
        }
    }

    fn waits(&self, (resolution, number): (Resolution, u64)) -> bool {
        let cells = self.ring(resolution);
        if cells.numbers().end != number + 1 {
            return false;
        }
        let sum = || cells.between(number, number);
        match resolution {
            Resolution::Second => false,
            Resolution::Minute => self.stored.minutes <= number && sum() == self.seconds_of(number),
            Resolution::Hour => self.stored.hours <= number && sum() == self.minutes_of(number),
            Resolution::Day => true,
        }
    }

    /// Says that a cell is, or will be, in the store, and so does not wait. So is the newest one after the clock stepped back: what was
    /// taken back is stored as empty, and lies ahead, so after a restart nothing would look for what waits before it.
    pub(super) fn note_stored(&mut self, (resolution, number): (Resolution, u64)) {
        let stored = match resolution {
            Resolution::Minute => &mut self.stored.minutes,
            Resolution::Hour => &mut self.stored.hours,
            Resolution::Second | Resolution::Day => return,
        };
        *stored = number.saturating_add(1).max(*stored);
    }

    fn seconds_of(&self, minute: u64) -> Sum {
        self.seconds.between(60 * minute, 60 * minute + 59)
    }

    fn minutes_of(&self, hour: u64) -> Sum {
        self.minutes.between(60 * hour, 60 * hour + 59)
    }
}
