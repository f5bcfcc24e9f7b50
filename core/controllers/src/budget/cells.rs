//! The sums of a ring, each in as few bytes as what lies between the oldest and the newest takes.

use super::packed::{Packed, bytes, low};
use super::ring::Sum;

/// Sums up to and including each cell, oldest first, none less than the one before it.
///
/// All that is kept of one is the lower bytes of its numbers, as many as it takes to tell the newest sum from the base: no sum
/// is further beyond the base, so it is as far beyond it as its lower bytes are beyond the base's. How far the sums themselves
/// are does not matter. For 400 days of 1,000 requests per second, of which one in a thousand is bad, a sum by the hour is five bytes
/// of requests, three of bad ones and three of seconds.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// The sum before the oldest cell.
    base: Sum,
    /// That of the newest cell, or `base`.
    newest: Sum,
    sums: Packed<NUMBERS>,
}

/// Of a sum: requests, the bad ones among them, which are few where all is well, and seconds that somebody reported on.
const NUMBERS: usize = 3;

const fn numbers(sum: Sum) -> [u64; NUMBERS] {
    [sum.counts.total, sum.counts.bad(), sum.known_s]
}

const fn sum([total, bad, known_s]: [u64; NUMBERS]) -> Sum {
    Sum::new(total, total.saturating_sub(bad), known_s)
}

/// The numbers of a sum that is not before `base`, by their lower bytes.
fn beyond(base: Sum, mut lower: [u64; NUMBERS], widths: [u8; NUMBERS]) -> [u64; NUMBERS] {
    for ((number, base), width) in lower.iter_mut().zip(numbers(base)).zip(widths) {
        *number = base.saturating_add(low(number.wrapping_sub(base), width));
    }
    lower
}

impl Cells {
    pub(super) const fn new() -> Self {
        Self {
            base: Sum::new(0, 0, 0),
            newest: Sum::new(0, 0, 0),
            sums: Packed::new([0; NUMBERS]),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.sums.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of the newest cell; that before all while there is none.
    pub(super) const fn newest(&self) -> Sum {
        self.newest
    }

    pub(super) fn get(&self, position: usize) -> Option<Sum> {
        let lower = self.sums.get(position)?;
        Some(sum(beyond(self.base, lower, self.sums.widths())))
    }

    /// What lies behind the cell at `before`, up to and including that at `last`; no position is that before the oldest.
    pub(super) fn between(&self, before: Option<usize>, last: Option<usize>) -> Sum {
        let lower = |position: Option<usize>| {
            let lower = position.and_then(|position| self.sums.get_raw(position));
            lower.unwrap_or(numbers(self.base))
        };
        let mut more = lower(last);
        for ((number, before), width) in more.iter_mut().zip(lower(before)).zip(self.sums.widths())
        {
            *number = low(number.wrapping_sub(before), width);
        }
        sum(more)
    }

    /// Puts `after` in the place of `before`, which is in the cell at `first`.
    pub(super) fn change(&mut self, first: usize, before: Sum, after: Sum) {
        self.newest = self.newest.plus(after).minus(before);
        self.fit();
        if first + 1 == self.len() {
            // Nearly always it is the newest.
            return self.sums.set(first, numbers(self.newest));
        }
        let (before, after) = (numbers(before), numbers(after));
        self.sums.change_from(first, |lower| {
            for ((number, before), after) in lower.iter_mut().zip(before).zip(after) {
                *number = number.wrapping_add(after).wrapping_sub(before);
            }
        });
    }

    /// Adds each of `parts`, which are `whole` together, to a cell, beginning with the one at `first`.
    pub(super) fn spread(
        &mut self,
        first: usize,
        whole: Sum,
        mut parts: impl Iterator<Item = Sum>,
    ) {
        self.newest = self.newest.plus(whole);
        self.fit();
        let mut more = Sum::default();
        self.sums.change_from(first, |lower| {
            more = more.plus(parts.next().unwrap_or_default());
            for (number, more) in lower.iter_mut().zip(numbers(more)) {
                *number = number.wrapping_add(more);
            }
        });
    }

    /// Puts `count` cells with nothing in them behind the newest. There will be at most `cells_max`.
    pub(super) fn push_back(&mut self, count: usize, cells_max: usize) {
        self.sums.push_back(numbers(self.newest), count, cells_max);
    }

    /// Puts `count` cells with nothing in them before the oldest. There will be at most `cells_max`.
    pub(super) fn push_front(&mut self, count: usize, cells_max: usize) {
        self.sums.push_front(numbers(self.base), count, cells_max);
    }

    /// Forgets the `count` oldest cells, of which there are as many.
    pub(super) fn forget_oldest(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1).and_then(|last| self.get(last)) else {
            return;
        };
        self.sums.forget_oldest(count);
        self.base = last;
    }

    /// Forgets all cells but the `kept` oldest, and what was in them.
    pub(super) fn truncate(&mut self, kept: usize) {
        self.sums.truncate(kept);
        let last = self.len().checked_sub(1);
        self.newest = last.and_then(|last| self.get(last)).unwrap_or(self.base);
    }

    /// Forgets all cells.
    pub(super) fn clear(&mut self) {
        self.base = self.newest;
        self.sums = Packed::new([0; NUMBERS]);
    }

    /// Bytes of a sum.
    #[cfg(test)]
    pub(super) fn width(&self) -> u8 {
        self.sums.widths().iter().sum()
    }

    /// Sums that there is room for.
    #[cfg(test)]
    pub(super) const fn room(&self) -> usize {
        self.sums.room()
    }

    /// Makes sure that the lower bytes tell the newest sum, and so every other, from the base.
    fn fit(&mut self) {
        let known = self.sums.widths();
        let mut widths = numbers(self.newest.minus(self.base)).map(bytes);
        let is_wider = widths
            .iter()
            .zip(known)
            .any(|(width, known)| known < *width);
        if is_wider {
            for (width, known) in widths.iter_mut().zip(known) {
                *width = known.max(*width);
            }
            let base = self.base;
            self.sums.widen(widths, |lower| beyond(base, lower, known));
        }
    }
}
