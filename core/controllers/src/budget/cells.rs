//! The sums of a ring, in half the room where they are near one another.

use std::collections::VecDeque;

use super::ring::Sum;

/// Sums up to and including each cell, oldest first, none less than the one before it.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// The sum before the oldest cell.
    base: Sum,
    /// That of the newest cell, or `base`.
    newest: Sum,
    sums: Sums,
}

#[derive(Clone, Debug)]
enum Sums {
    /// While less than 2³² is in all cells together: then a sum is as far beyond the base as its low half is beyond the base's,
    /// modulo 2³². That is 124 requests per second for 400 days.
    Near(VecDeque<Low>),
    Far(VecDeque<Sum>),
}

/// The low halves of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Low {
    total: u32,
    good: u32,
    known_s: u32,
}

impl Low {
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    const fn of(sum: Sum) -> Self {
        Self {
            total: sum.counts.total as u32,
            good: sum.counts.good as u32,
            known_s: sum.known_s as u32,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            total: self.total.wrapping_add(other.total),
            good: self.good.wrapping_add(other.good),
            known_s: self.known_s.wrapping_add(other.known_s),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            total: self.total.wrapping_sub(other.total),
            good: self.good.wrapping_sub(other.good),
            known_s: self.known_s.wrapping_sub(other.known_s),
        }
    }

    /// The sum that this is of, less than 2³² beyond `base`.
    fn beyond(self, base: Sum) -> Sum {
        let beyond = self.minus(Self::of(base));
        base.plus(Sum::new(
            beyond.total.into(),
            beyond.good.into(),
            beyond.known_s.into(),
        ))
    }
}

impl Cells {
    pub(super) const fn new() -> Self {
        Self {
            base: Sum::new(0, 0, 0),
            newest: Sum::new(0, 0, 0),
            sums: Sums::Near(VecDeque::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.sums {
            Sums::Near(sums) => sums.len(),
            Sums::Far(sums) => sums.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum before the oldest cell.
    pub(super) const fn base(&self) -> Sum {
        self.base
    }

    /// The sum of the newest cell; that before all while there is none.
    pub(super) const fn newest(&self) -> Sum {
        self.newest
    }

    pub(super) fn get(&self, position: usize) -> Option<Sum> {
        match &self.sums {
            Sums::Near(sums) => sums.get(position).map(|low| low.beyond(self.base)),
            Sums::Far(sums) => sums.get(position).copied(),
        }
    }

    /// Puts `after` in the place of `before`, which is in the cell at `first`.
    pub(super) fn change(&mut self, first: usize, before: Sum, after: Sum) {
        self.newest = self.newest.plus(after).minus(before);
        let is_near = self.newest.minus(self.base).is_low() && after.is_low() && before.is_low();
        if !is_near {
            self.go_far();
        }
        match &mut self.sums {
            Sums::Near(sums) => {
                let more = Low::of(after).minus(Low::of(before));
                for sum in sums.range_mut(first..) {
                    *sum = sum.plus(more);
                }
            }
            Sums::Far(sums) => {
                for sum in sums.range_mut(first..) {
                    *sum = sum.plus(after).minus(before);
                }
            }
        }
    }

    /// Puts `count` cells with nothing in them behind the newest, in room that is doubled as that of lists is, but never for
    /// more than `cells_max`, which would be nearly half in vain for most of the memory that budgets take.
    pub(super) fn push_back(&mut self, count: usize, cells_max: usize) {
        match &mut self.sums {
            Sums::Near(sums) => push_back(sums, Low::of(self.newest), count, cells_max),
            Sums::Far(sums) => push_back(sums, self.newest, count, cells_max),
        }
    }

    /// Puts a cell with nothing in it before the oldest.
    pub(super) fn push_front(&mut self) {
        match &mut self.sums {
            Sums::Near(sums) => sums.push_front(Low::of(self.base)),
            Sums::Far(sums) => sums.push_front(self.base),
        }
    }

    /// Forgets the `count` oldest cells, of which there are as many.
    pub(super) fn forget_oldest(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1).and_then(|last| self.get(last)) else {
            return;
        };
        match &mut self.sums {
            Sums::Near(sums) => drop(sums.drain(..count)),
            Sums::Far(sums) => drop(sums.drain(..count)),
        }
        self.base = last;
    }

    /// Forgets all cells but the `kept` oldest, and what was in them.
    pub(super) fn truncate(&mut self, kept: usize) {
        match &mut self.sums {
            Sums::Near(sums) => sums.truncate(kept),
            Sums::Far(sums) => sums.truncate(kept),
        }
        let last = self.len().checked_sub(1);
        self.newest = last.and_then(|last| self.get(last)).unwrap_or(self.base);
    }

    /// Forgets all cells.
    pub(super) fn clear(&mut self) {
        self.base = self.newest;
        self.sums = Sums::Near(VecDeque::new());
    }

    fn go_far(&mut self) {
        if let Sums::Near(sums) = &self.sums {
            let sums = sums.iter().map(|low| low.beyond(self.base));
            self.sums = Sums::Far(sums.collect());
        }
    }
}

fn push_back<T: Copy>(sums: &mut VecDeque<T>, newest: T, count: usize, cells_max: usize) {
    let length = sums.len();
    let wanted = length + count;
    if sums.capacity() < wanted {
        let room = wanted.max((2 * length).min(cells_max));
        sums.reserve_exact(room - length);
    }
    sums.extend(core::iter::repeat_n(newest, count));
}
