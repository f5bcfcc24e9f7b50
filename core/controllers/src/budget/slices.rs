//! What the slices of one objective add up to.
//!
//! The newest slices keep their counts, so that a late report can still change what
//! became of them; a slice that is over also counts in rings of minutes and hours, in
//! the cell that it ended in. A window reads its sum from these in one subtraction,
//! however many slices it has.
//!
//! - A slice counts from the moment it is over. Until then nobody knows what it will be.
//! - A report that spans slices is split by the time that it has in each.
//! - Reports of slices more than six hours back (two slices, if these are longer) come
//!   too late: what became of the slice stands, and they are counted as too late.
//! - A window of at most six hours holds exactly the slices that ended in it; a
//!   longer one may hold those that ended up to an hour before it.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use sloop_model::{ObjectiveId, WallTime};

use super::ring::{Ring, Sum};
use super::{Cell, Counts, Resolution, Slicing};

/// The slices of one objective, or of a composite of objectives.
#[derive(Clone, Debug)]
pub(crate) struct Slices {
    slicing: Slicing,
    /// The newest slices, oldest first, without gaps.
    recent: VecDeque<Counts>,
    /// The number of the newest slice. Means nothing while there is none.
    head: u64,
    /// Slices before this number are over, and in the rings.
    open: u64,
    minutes: Ring,
    hours: Ring,
    changed: BTreeSet<(Resolution, u64)>,
    changed_recent: BTreeSet<u64>,
    /// Slices whose counts changed since somebody asked.
    touched: BTreeSet<u64>,
}

impl Slices {
    /// No slice yet.
    pub(crate) const fn new(slicing: Slicing) -> Self {
        Self {
            slicing,
            recent: VecDeque::new(),
            head: 0,
            open: 0,
            minutes: Ring::new(Resolution::Minute.cells()),
            hours: Ring::new(Resolution::Hour.cells()),
            changed: BTreeSet::new(),
            changed_recent: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    pub(crate) const fn slicing(&self) -> Slicing {
        self.slicing
    }

    /// Adds what was counted after `from` up to `to`, split by time. Returns how many requests came too late.
    pub(crate) fn add(&mut self, from: WallTime, to: WallTime, counts: Counts) -> u64 {
        let end = to.as_millis().max(1);
        let begin = from.as_millis().min(end - 1);
        let length = self.slicing.length_ms();
        let last = (end - 1) / length;
        // What lies before is too late in any case, so it need not be split.
        let reached = last.saturating_sub(self.slicing.open_to_late() as u64);
        let first = (begin / length).max(reached);
        let before = |edge: u64| counts.until(edge.clamp(begin, end) - begin, end - begin);
        let mut late = before(first * length).total;
        for number in first..=last {
            let upper = before((number + 1).saturating_mul(length));
            let part = upper.minus(before(number * length));
            if part.total != 0 && !self.count(number, part) {
                late += part.total;
            }
        }
        late
    }

    /// Counts what is known by the minute: when each begins, oldest first, and what was counted in it.
    pub(crate) fn rebuild(&mut self, minutes: impl Iterator<Item = (WallTime, Counts)>) {
        let mut begin = None;
        for (start, counts) in minutes {
            // Of a slice that began before the first of them not all is known.
            let begin = *begin.get_or_insert(start);
            if begin <= self.slicing.start(self.slicing.number(start)) {
                self.add(start, start.after(Duration::from_secs(60)), counts);
            }
        }
    }

    /// Says what was counted in slice `number` in all. False when it is too long ago.
    pub(crate) fn set(&mut self, number: u64, counts: Counts) -> bool {
        let Some(position) = self.reach(number) else {
            return false;
        };
        let Some(before) = self.recent.get(position).copied() else {
            return false;
        };
        if before != counts {
            self.put(position, number, (before, counts));
        }
        true
    }

    /// What was counted in slice `number`; nothing of slices that are too long ago.
    pub(crate) fn counts(&self, number: u64) -> Counts {
        self.position(number)
            .and_then(|position| self.recent.get(position).copied())
            .unwrap_or_default()
    }

    /// The numbers of the slices whose counts are kept.
    pub(crate) fn numbers(&self) -> core::ops::Range<u64> {
        if self.recent.is_empty() {
            return 0..0;
        }
        self.oldest()..self.head + 1
    }

    /// When slice `number` begins and ends.
    pub(crate) fn span(&self, number: u64) -> (WallTime, WallTime) {
        let start = self.slicing.start(number);
        (start, start.after(self.slicing.length()))
    }

    /// Whether slice `number` was good; nothing when no request was counted in it.
    pub(crate) fn was_good(&self, number: u64) -> Option<bool> {
        let score = self.slicing.score(self.counts(number));
        (score.total != 0).then_some(score.good == score.total)
    }

    /// Lets the slices count that are over at `now`. Returns their numbers.
    pub(crate) fn close(&mut self, now: WallTime) -> core::ops::Range<u64> {
        let begun = self.slicing.number(now);
        if begun <= self.open {
            return self.open..self.open;
        }
        let first = self.open.max(self.oldest());
        let over = first..begun.min(self.head + 1).max(first);
        self.open = begun;
        for number in over.clone() {
            let score = self.slicing.score(self.counts(number));
            self.change_rings(number, (Counts::default(), score));
            self.changed_recent.insert(number);
        }
        over
    }

    /// What the slices that ended from `start` to `now` add up to, in units of [`Slicing::worth`].
    pub(crate) fn since(&self, now: WallTime, start: WallTime) -> Counts {
        let (ring, resolution) = self.for_window(now.since(start));
        let first = start.as_millis() / resolution.cell_ms();
        let last = now.as_millis() / resolution.cell_ms();
        ring.between(first, last).counts
    }

    /// Takes the slices whose counts changed since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<u64> {
        core::mem::take(&mut self.touched)
    }

    /// Puts right what lies ahead after the clock stepped back to `now`: it is folded
    /// into the slice that `now` lies in.
    pub(crate) fn rewind(&mut self, now: WallTime) {
        let current = self.slicing.number(now);
        for number in current.max(self.oldest())..self.open.min(self.head + 1) {
            let score = self.slicing.score(self.counts(number));
            self.change_rings(number, (score, Counts::default()));
            self.changed_recent.insert(number);
        }
        self.open = self.open.min(current);
        let mut ahead = Counts::default();
        while current < self.head
            && let Some(counts) = self.recent.pop_back()
        {
            ahead = ahead.plus(counts);
            self.changed_recent.insert(self.head);
            self.head -= 1;
        }
        if ahead != Counts::default() {
            // Everything known may have lain ahead.
            self.head = self.head.min(current);
            self.count(current, ahead);
        }
        for resolution in [Resolution::Minute, Resolution::Hour] {
            let number = now.as_millis() / resolution.cell_ms();
            let gone = match resolution {
                Resolution::Second | Resolution::Minute => self.minutes.fold(number),
                Resolution::Hour | Resolution::Day => self.hours.fold(number),
            };
            if !gone.is_empty() {
                self.changed.insert((resolution, number));
                self.changed.extend(gone.map(|number| (resolution, number)));
            }
        }
    }

    /// Takes the cells that changed since the last call.
    pub(crate) fn take_changes(&mut self, objective: &ObjectiveId, cells: &mut Vec<Cell>) {
        for (resolution, number) in core::mem::take(&mut self.changed) {
            let ring = match resolution {
                Resolution::Second | Resolution::Minute => &self.minutes,
                Resolution::Hour | Resolution::Day => &self.hours,
            };
            cells.push(Cell::Slices {
                objective: objective.clone(),
                slicing: self.slicing,
                resolution,
                start: WallTime::from_millis(number * resolution.cell_ms()),
                sum: ring.between(number, number).counts,
            });
        }
        for number in core::mem::take(&mut self.changed_recent) {
            cells.push(Cell::Slice {
                objective: objective.clone(),
                slicing: self.slicing,
                start: self.slicing.start(number),
                counts: self.counts(number),
                is_over: number < self.open,
            });
        }
    }

    /// All keys under which something of it may be stored: also of cells that left their ring, which nothing took the
    /// place of while it was idle.
    pub(crate) fn keys(&self, objective: &ObjectiveId) -> Vec<String> {
        let sums = [Resolution::Minute, Resolution::Hour]
            .into_iter()
            .flat_map(|resolution| resolution.starts().map(move |start| (resolution, start)))
            .map(|(resolution, start)| Cell::Slices {
                objective: objective.clone(),
                slicing: self.slicing,
                resolution,
                start,
                sum: Counts::default(),
            });
        let slices = self.slicing.starts().map(|start| Cell::Slice {
            objective: objective.clone(),
            slicing: self.slicing,
            start,
            counts: Counts::default(),
            is_over: false,
        });
        sums.chain(slices).map(|cell| cell.key()).collect()
    }

    /// Takes back what the slices that ended in one cell of time added up to.
    pub(crate) fn restore_sum(&mut self, resolution: Resolution, start: WallTime, sum: Counts) {
        let number = start.as_millis() / resolution.cell_ms();
        let sum = Sum {
            counts: sum.held(),
            known_s: 0,
        };
        match resolution {
            Resolution::Second | Resolution::Day => false,
            Resolution::Minute => self.minutes.add(number, sum),
            Resolution::Hour => self.hours.add(number, sum),
        };
    }

    /// Takes back what was counted in the slice that begins at `start`.
    pub(crate) fn restore(&mut self, start: WallTime, counts: Counts, is_over: bool) {
        let number = self.slicing.number(start);
        if is_over {
            self.open = self.open.max(number + 1);
        }
        if let Some(position) = self.reach(number)
            && let Some(slice) = self.recent.get_mut(position)
        {
            *slice = counts.held();
        }
    }

    fn count(&mut self, number: u64, more: Counts) -> bool {
        let counts = self.counts(number).plus(more);
        self.set(number, counts)
    }

    fn put(&mut self, position: usize, number: u64, (before, after): (Counts, Counts)) {
        if let Some(slice) = self.recent.get_mut(position) {
            *slice = after;
        }
        self.touched.insert(number);
        self.changed_recent.insert(number);
        if number < self.open {
            let scores = (self.slicing.score(before), self.slicing.score(after));
            self.change_rings(number, scores);
        }
    }

    fn change_rings(&mut self, number: u64, (before, after): (Counts, Counts)) {
        if before == after {
            return;
        }
        let sum = |counts| Sum { counts, known_s: 0 };
        let last_ms = self.slicing.last_ms(number);
        for (ring, resolution) in [
            (&mut self.minutes, Resolution::Minute),
            (&mut self.hours, Resolution::Hour),
        ] {
            let cell = last_ms / resolution.cell_ms();
            if ring.change(cell, sum(before), sum(after)) {
                self.changed.insert((resolution, cell));
            }
        }
    }

    /// Makes room for slice `number` and says where; nothing when it is too long ago.
    fn reach(&mut self, number: u64) -> Option<usize> {
        let kept = self.slicing.open_to_late();
        if self.recent.is_empty() {
            self.head = number;
            self.recent.push_back(Counts::default());
        }
        let ahead = usize::try_from(number.saturating_sub(self.head)).unwrap_or(usize::MAX);
        if kept <= ahead {
            self.recent.clear();
            self.recent.push_back(Counts::default());
        } else {
            let new = core::iter::repeat_n(Counts::default(), ahead);
            self.recent.extend(new);
        }
        self.head = self.head.max(number);
        while kept < self.recent.len() {
            self.recent.pop_front();
        }
        let age = usize::try_from(self.head - number).unwrap_or(usize::MAX);
        if kept <= age {
            return None;
        }
        while self.recent.len() <= age {
            self.recent.push_front(Counts::default());
        }
        self.position(number)
    }

    fn position(&self, number: u64) -> Option<usize> {
        let age = usize::try_from(self.head.checked_sub(number)?).ok()?;
        self.recent.len().checked_sub(age.checked_add(1)?)
    }

    /// The number of the oldest slice whose counts are kept.
    fn oldest(&self) -> u64 {
        (self.head + 1).saturating_sub(self.recent.len() as u64)
    }

    fn for_window(&self, length: Duration) -> (&Ring, Resolution) {
        match Resolution::for_window(length) {
            Resolution::Second | Resolution::Minute => (&self.minutes, Resolution::Minute),
            Resolution::Hour | Resolution::Day => (&self.hours, Resolution::Hour),
        }
    }
}
