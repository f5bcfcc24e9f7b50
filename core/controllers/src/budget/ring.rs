//! A ring of running sums over equal cells of time.

use super::Counts;
use super::cells::Cells;

/// The newest cells of a series, without gaps.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// At most this many cells.
    cells_max: u64,
    cells: Cells,
    /// The number of the newest cell. Means nothing while there is none.
    head: u64,
}

/// Everything up to the end of a cell. The origin means nothing, only differences do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Requests.
    pub(super) counts: Counts,
    /// Seconds that somebody reported on.
    pub(super) known_s: u64,
}

impl Sum {
    pub(super) const fn new(total: u64, good: u64, known_s: u64) -> Self {
        Self {
            counts: Counts { total, good },
            known_s,
        }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            counts: self.counts.plus(other.counts),
            known_s: self.known_s.saturating_add(other.known_s),
        }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            counts: self.counts.minus(other.counts),
            known_s: self.known_s.saturating_sub(other.known_s),
        }
    }

    /// The lesser of each: of good requests, of bad ones and of seconds.
    fn min(self, other: Self) -> Self {
        let good = self.counts.good.min(other.counts.good);
        let bad = self.counts.bad().min(other.counts.bad());
        Self::new(good + bad, good, self.known_s.min(other.known_s))
    }
}

impl Ring {
    /// An empty ring of at most `cells_max` cells.
    pub(super) const fn new(cells_max: u64) -> Self {
        Self {
            cells_max,
            cells: Cells::new(),
            head: 0,
        }
    }

    /// Adds to the cell `number`. False when the ring does not reach back to it.
    pub(super) fn add(&mut self, number: u64, sum: Sum) -> bool {
        self.change(number, Sum::default(), sum)
    }

    /// Puts `after` in the place of `before`, which is part of the cell `number`. False when the ring does not reach back to it.
    pub(super) fn change(&mut self, number: u64, before: Sum, after: Sum) -> bool {
        if self.cells.is_empty() {
            self.push_back(1);
            self.head = number;
        }
        self.reach_forward(number);
        let age = self.head - number;
        if self.cells_max <= age {
            return false;
        }
        self.reach_back(age);
        let first = self.cells.len().saturating_sub(to_usize(age) + 1);
        let before = match before == Sum::default() {
            true => before,
            // No more can be taken from a cell than there is.
            false => before.min(self.between(number, number).plus(after)),
        };
        self.cells.change(first, before, after);
        true
    }

    /// Adds what `part` says to each of the cells from number `first` to number `last`, as far as the ring reaches back, and looks
    /// at each once. Returns the numbers of those that it reaches.
    pub(super) fn spread(
        &mut self,
        (first, last): (u64, u64),
        part: impl Fn(u64) -> Sum + Copy,
    ) -> core::ops::Range<u64> {
        if self.cells.is_empty() {
            self.push_back(1);
            self.head = last;
        }
        self.reach_forward(last);
        let oldest = (self.head + 1).saturating_sub(self.cells_max);
        let reached = first.max(oldest)..last + 1;
        if !reached.is_empty() {
            let age = self.head - reached.start;
            self.reach_back(age);
            let position = self.cells.len().saturating_sub(to_usize(age) + 1);
            let parts = reached.clone().map(part);
            let whole = parts.clone().fold(Sum::default(), Sum::plus);
            self.cells.spread(position, whole, parts);
        }
        reached
    }

    /// What lies in the cells from number `from` to number `to`, both included.
    pub(super) fn between(&self, from: u64, to: u64) -> Sum {
        if to < from {
            return Sum::default();
        }
        let before = from.checked_sub(1).and_then(|last| self.position(last));
        self.cells.between(before, self.position(to))
    }

    /// The numbers of the cells, oldest first.
    pub(super) fn numbers(&self) -> core::ops::Range<u64> {
        let end = if self.cells.is_empty() {
            0
        } else {
            self.head + 1
        };
        end.saturating_sub(self.cells.len() as u64)..end
    }

    /// Moves what lies after the cell `number` into it. Returns the numbers of the cells that are gone.
    pub(super) fn fold(&mut self, number: u64) -> core::ops::Range<u64> {
        let newest = self.cells.newest();
        let gone = self.forget_after(number);
        if !gone.is_empty() {
            self.add(number, newest.minus(self.cells.newest()));
        }
        gone
    }

    /// Forgets what lies after the cell `number`. Returns the numbers of the cells that are gone.
    pub(super) fn forget_after(&mut self, number: u64) -> core::ops::Range<u64> {
        if self.cells.is_empty() || self.head <= number {
            return 0..0;
        }
        let ahead = self.head - number;
        let kept = self.cells.len().saturating_sub(to_usize(ahead));
        let gone = self.cells.len() - kept;
        self.cells.truncate(kept);
        let end = self.head + 1;
        self.head = number;
        end - gone as u64..end
    }

    /// Makes `number` the newest cell if it is newer.
    fn reach_forward(&mut self, number: u64) {
        let Some(ahead) = number.checked_sub(self.head).filter(|ahead| 0 < *ahead) else {
            return;
        };
        if self.cells_max <= ahead {
            self.cells.clear();
            self.push_back(1);
        } else {
            let ahead = to_usize(ahead);
            let surplus = (self.cells.len() + ahead).saturating_sub(to_usize(self.cells_max));
            self.cells.forget_oldest(surplus.min(self.cells.len()));
            self.push_back(ahead);
        }
        self.head = number;
    }

    fn push_back(&mut self, count: usize) {
        self.cells.push_back(count, to_usize(self.cells_max));
    }

    /// Makes sure that there is a cell `age` cells before the newest.
    fn reach_back(&mut self, age: u64) {
        let missing = (to_usize(age) + 1).saturating_sub(self.cells.len());
        if missing != 0 {
            self.cells.push_front(missing, to_usize(self.cells_max));
        }
    }

    /// Where the cell `number` is, or the newest where it is later; nothing before the oldest.
    fn position(&self, number: u64) -> Option<usize> {
        let age = self.head.saturating_sub(number);
        let newest = self.cells.len().checked_sub(1)?;
        newest.checked_sub(to_usize(age))
    }
}

/// Lengths of rings are far below any `usize`; what is not is further back than every ring.
fn to_usize(cells: u64) -> usize {
    usize::try_from(cells).unwrap_or(usize::MAX - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Resolution;
    use super::*;

    const CELLS: u64 = 7;

    /// What a ring does, in the plainest words there are.
    #[derive(Default)]
    struct Model {
        cells: BTreeMap<u64, Sum>,
        head: u64,
    }

    impl Model {
        fn cell(&self, number: u64) -> Sum {
            self.cells.get(&number).copied().unwrap_or_default()
        }

        fn change(&mut self, number: u64, before: Sum, after: Sum) -> bool {
            self.head = match self.cells.is_empty() {
                true => number,
                false => self.head.max(number),
            };
            if self.head - number < CELLS {
                let sum = self.cell(number).plus(after);
                self.cells.insert(number, sum.minus(before));
            }
            let oldest = (self.head + 1).saturating_sub(CELLS);
            self.cells = self.cells.split_off(&oldest);
            // Cells without gaps.
            let first = self.cells.keys().next().map_or(self.head, |first| *first);
            for number in first..=self.head {
                self.cells.entry(number).or_default();
            }
            oldest <= number
        }

        fn cut(&mut self, number: u64, is_kept: bool) {
            if self.cells.is_empty() || self.head <= number {
                return;
            }
            let after = self.cells.split_off(&(number + 1));
            self.head = number;
            if is_kept {
                let all = after.values().copied().fold(Sum::default(), Sum::plus);
                let sum = self.cell(number).plus(all);
                self.cells.insert(number, sum);
            }
        }

        fn between(&self, from: u64, to: u64) -> Sum {
            (from..=to)
                .map(|number| self.cell(number))
                .fold(Sum::default(), Sum::plus)
        }
    }

    proptest! {
        /// What is far apart is told as exactly as what is near, and so is the way from one to the other.
        #[test]
        fn a_ring_is_a_list_of_cells(
            steps in prop::collection::vec((0_u64..12, 0_u8..8, 0_u32..35, 0_u64..100), 1..60)
        ) {
            let (mut ring, mut model, mut now) = (Ring::new(CELLS), Model::default(), 20);
            for (ahead, kind, power, more) in steps {
                let number = (now + ahead).saturating_sub(8);
                let sum = Sum::new((1 << power) + more, more, more / 2);
                match kind {
                    0 => {
                        ring.fold(number);
                        model.cut(number, true);
                        now = now.min(number);
                    }
                    1 => {
                        ring.forget_after(number);
                        model.cut(number, false);
                        now = now.min(number);
                    }
                    2 if now < number + CELLS => {
                        let before = model.cell(number);
                        prop_assert_eq!(ring.change(number, before, sum), model.change(number, before, sum));
                        now = now.max(number);
                    }
                    3 => {
                        let part = |number| Sum::new(more + number, number, 1);
                        let last = number + ahead;
                        let reached = ring.spread((number, last), part);
                        // The ring is at the last of them first, and keeps nothing that is too old then.
                        for number in (number..=last).rev() {
                            model.change(number, Sum::default(), part(number));
                        }
                        let oldest = (model.head + 1).saturating_sub(CELLS);
                        prop_assert_eq!(reached, number.max(oldest)..last + 1);
                        now = now.max(last);
                    }
                    _ => {
                        prop_assert_eq!(ring.add(number, sum), model.change(number, Sum::default(), sum));
                        now = now.max(number);
                    }
                }
                // What was cut off and is reached again is empty, and what is further back is not told.
                let from = (model.head + 1).saturating_sub(CELLS);
                for first in from..=model.head {
                    for last in first..=model.head {
                        prop_assert_eq!(ring.between(first, last), model.between(first, last));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_kept_of_an_objective_takes_34_kilobytes_where_a_thousand_requests_come_in_a_second()
    {
        let mut bytes = 0;
        let widths = Resolution::ALL.map(|resolution| {
            let seconds = resolution.cell_ms() / 1_000;
            let each = Sum::new(1_000 * seconds, 999 * seconds, seconds);
            let cells = resolution.cells();
            let mut ring = Ring::new(cells);
            (0..2 * cells).for_each(|number| assert!(ring.add(number, each)));
            assert_eq!(ring.cells.room() as u64, cells);
            bytes += cells * u64::from(ring.cells.width());
            ring.cells.width()
        });
        assert_eq!((widths, bytes), ([7, 8, 11, 13], 33_979));
    }

    #[test]
    fn no_more_is_taken_from_a_cell_than_there_is() {
        let mut ring = Ring::new(CELLS);
        ring.add(3, Sum::new(10, 8, 1));
        ring.add(4, Sum::new(5, 5, 1));
        ring.change(4, Sum::new(7, 1, 1), Sum::new(1, 1, 0));
        assert_eq!(ring.between(4, 4), Sum::new(5, 5, 0));
        assert_eq!(ring.between(3, 4), Sum::new(15, 13, 1));
    }
}
