//! A ring of running sums over equal cells of time.

use std::collections::VecDeque;

use super::Counts;

/// The newest cells of a series, without gaps.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// At most this many cells.
    cells_max: u64,
    /// Sums up to and including each cell, oldest first.
    sums: VecDeque<Sum>,
    /// The sum before the oldest cell.
    base: Sum,
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
    const fn plus(self, other: Self) -> Self {
        Self {
            counts: self.counts.plus(other.counts),
            known_s: self.known_s.saturating_add(other.known_s),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            counts: self.counts.minus(other.counts),
            known_s: self.known_s.saturating_sub(other.known_s),
        }
    }
}

impl Ring {
    /// An empty ring of at most `cells_max` cells.
    pub(super) const fn new(cells_max: u64) -> Self {
        Self {
            cells_max,
            sums: VecDeque::new(),
            base: Sum {
                counts: Counts { total: 0, good: 0 },
                known_s: 0,
            },
            head: 0,
        }
    }

    /// Adds to the cell `number`. False when the ring does not reach back to it.
    pub(super) fn add(&mut self, number: u64, sum: Sum) -> bool {
        self.change(number, Sum::default(), sum)
    }

    /// Puts `after` in the place of `before`, which is part of the cell `number`. False when the ring does not reach back to it.
    pub(super) fn change(&mut self, number: u64, before: Sum, after: Sum) -> bool {
        if self.sums.is_empty() {
            self.sums.push_back(self.base);
            self.head = number;
        }
        self.reach_forward(number);
        let age = self.head - number;
        if self.cells_max <= age {
            return false;
        }
        self.reach_back(age);
        let first = self.sums.len().saturating_sub(to_usize(age) + 1);
        for cell in self.sums.range_mut(first..) {
            *cell = cell.plus(after).minus(before);
        }
        true
    }

    /// What lies in the cells from number `from` to number `to`, both included.
    pub(super) fn between(&self, from: u64, to: u64) -> Sum {
        if to < from {
            return Sum::default();
        }
        let before = from
            .checked_sub(1)
            .map_or(self.base, |last| self.up_to(last));
        self.up_to(to).minus(before)
    }

    /// The numbers of the cells, oldest first.
    pub(super) fn numbers(&self) -> core::ops::Range<u64> {
        let end = if self.sums.is_empty() {
            0
        } else {
            self.head + 1
        };
        end.saturating_sub(self.sums.len() as u64)..end
    }

    /// Moves what lies after the cell `number` into it. Returns the numbers of the cells that are gone.
    pub(super) fn fold(&mut self, number: u64) -> core::ops::Range<u64> {
        let newest = self.newest();
        let gone = self.forget_after(number);
        if !gone.is_empty() {
            if let Some(last) = self.sums.back_mut() {
                *last = newest;
            } else {
                let all = newest.minus(self.base);
                self.add(number, all);
            }
        }
        gone
    }

    /// Forgets what lies after the cell `number`. Returns the numbers of the cells that are gone.
    pub(super) fn forget_after(&mut self, number: u64) -> core::ops::Range<u64> {
        if self.sums.is_empty() || self.head <= number {
            return 0..0;
        }
        let ahead = self.head - number;
        let kept = self.sums.len().saturating_sub(to_usize(ahead));
        let gone = self.sums.len() - kept;
        self.sums.truncate(kept);
        let end = self.head + 1;
        self.head = number;
        end - gone as u64..end
    }

    /// Makes `number` the newest cell if it is newer.
    fn reach_forward(&mut self, number: u64) {
        let Some(ahead) = number.checked_sub(self.head).filter(|ahead| 0 < *ahead) else {
            return;
        };
        let newest = self.newest();
        if self.cells_max <= ahead {
            self.sums.clear();
            self.base = newest;
            self.sums.push_back(newest);
        } else {
            let ahead = to_usize(ahead);
            let surplus = (self.sums.len() + ahead).saturating_sub(to_usize(self.cells_max));
            let surplus = surplus.min(self.sums.len());
            if let Some(oldest) = self.sums.drain(..surplus).next_back() {
                self.base = oldest;
            }
            self.make_room(ahead);
            self.sums.extend(core::iter::repeat_n(newest, ahead));
        }
        self.head = number;
    }

    /// Makes room for so many more cells: doubled as lists are, but never for more than there may be, which
    /// would be nearly half in vain for most of the memory that budgets take.
    fn make_room(&mut self, more: usize) {
        let length = self.sums.len();
        let wanted = length + more;
        if self.sums.capacity() < wanted {
            let room = wanted.max((2 * length).min(to_usize(self.cells_max)));
            self.sums.reserve_exact(room - length);
        }
    }

    /// Makes sure that there is a cell `age` cells before the newest.
    fn reach_back(&mut self, age: u64) {
        while self.sums.len() <= to_usize(age) {
            self.sums.push_front(self.base);
        }
    }

    fn newest(&self) -> Sum {
        self.sums.back().copied().unwrap_or(self.base)
    }

    fn up_to(&self, number: u64) -> Sum {
        let Some(age) = self.head.checked_sub(number) else {
            return self.newest();
        };
        self.sums
            .len()
            .checked_sub(to_usize(age) + 1)
            .and_then(|position| self.sums.get(position))
            .copied()
            .unwrap_or(self.base)
    }
}

/// Lengths of rings are far below any `usize`; what is not is further back than every ring.
fn to_usize(cells: u64) -> usize {
    usize::try_from(cells).unwrap_or(usize::MAX - 1)
}
