//! How the last requests ended.

use super::Tally;

/// A tally over the last so many requests, however long ago they ended.
#[derive(Clone, Debug)]
pub(in super::super) struct CallWindow {
    size: u32,
    /// Where the next one goes; when the window is full, the oldest is there.
    next: u32,
    /// Four requests a byte: a bit for failed, a bit for slow.
    marks: Box<[u8]>,
    sum: Tally,
}

const FAILED: u8 = 1;
const SLOW: u8 = 2;

impl CallWindow {
    /// An empty window of the last `size` requests, at least 1.
    pub(super) fn new(size: u32) -> Self {
        let size = size.max(1);
        let bytes = usize::try_from(size.div_ceil(4)).unwrap_or(0);
        Self {
            size,
            next: 0,
            marks: vec![0; bytes].into_boxed_slice(),
            sum: Tally::default(),
        }
    }

    /// Adds requests, and returns the tally with them.
    ///
    /// Several at once are mixed evenly, since nobody knows their order. Of
    /// more than the window holds, so many count as it holds, in proportion.
    pub(super) fn add(&mut self, ended: Tally) -> Tally {
        if ended.total == 1 {
            self.push(ended.failed != 0, ended.slow != 0);
            return self.sum;
        }
        let count = ended.total.min(self.size);
        let of_count = |part: u32| {
            let total = u64::from(ended.total.max(1));
            let scaled = (u64::from(part) * u64::from(count) + total / 2) / total;
            scaled.min(u64::from(count))
        };
        let (failed, slow) = (of_count(ended.failed), of_count(ended.slow));
        for position in 0..u64::from(count) {
            let is_next = |part: u64| {
                let count = u64::from(count);
                part * position / count < part * (position + 1) / count
            };
            self.push(is_next(failed), is_next(slow));
        }
        self.sum
    }

    fn push(&mut self, is_failed: bool, is_slow: bool) {
        let shift = self.next % 4 * 2;
        let at = usize::try_from(self.next / 4).unwrap_or(usize::MAX);
        let Some(byte) = self.marks.get_mut(at) else {
            return;
        };
        // Places not yet used hold nothing, so there is nothing to forget.
        let oldest = (*byte >> shift) & (FAILED | SLOW);
        let mark = (u8::from(is_failed) * FAILED) | (u8::from(is_slow) * SLOW);
        if oldest != mark {
            *byte ^= (oldest ^ mark) << shift;
            self.sum.failed += u32::from(is_failed);
            self.sum.failed -= u32::from(oldest & FAILED != 0);
            self.sum.slow += u32::from(is_slow);
            self.sum.slow -= u32::from(oldest & SLOW != 0);
        }
        self.sum.total = (self.sum.total + 1).min(self.size);
        self.next += 1;
        if self.next == self.size {
            self.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(total: u32, failed: u32, slow: u32) -> Tally {
        Tally {
            total,
            failed,
            slow,
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut window = CallWindow::new(3);
        assert_eq!(window.add(tally(1, 1, 0)), tally(1, 1, 0));
        assert_eq!(window.add(tally(1, 0, 1)), tally(2, 1, 1));
        assert_eq!(window.add(tally(1, 0, 0)), tally(3, 1, 1));
        assert_eq!(window.add(tally(1, 0, 0)), tally(3, 0, 1));
        assert_eq!(window.add(tally(1, 1, 1)), tally(3, 1, 1));
    }

    #[test]
    fn more_than_it_holds_count_in_proportion() {
        let mut window = CallWindow::new(10);
        assert_eq!(window.add(tally(1_000, 500, 100)), tally(10, 5, 1));
        assert_eq!(window.add(tally(u32::MAX, u32::MAX, 0)), tally(10, 10, 0));
        assert_eq!(window.add(Tally::default()), tally(10, 10, 0));
    }

    proptest! {
        /// The tally is that of a list that keeps the last ones.
        #[test]
        fn is_the_tally_of_the_last_ones(
            size in 1u32..40,
            ended in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200),
        ) {
            let mut window = CallWindow::new(size);
            for (at, (is_failed, is_slow)) in ended.iter().enumerate() {
                let seen = window.add(Tally::one(*is_failed, *is_slow));
                let first = (at + 1).saturating_sub(size as usize);
                let mut expected = Tally::default();
                for (is_failed, is_slow) in &ended[first..=at] {
                    expected.add(Tally::one(*is_failed, *is_slow));
                }
                prop_assert_eq!(seen, expected);
            }
        }

        /// Several at once add up to the same as one by one.
        #[test]
        fn several_at_once_are_all_there(size in 1u32..40, total in 0u32..40, failed in 0u32..40, slow in 0u32..40) {
            let total = total.min(size);
            let ended = tally(total, failed.min(total), slow.min(total));
            prop_assert_eq!(CallWindow::new(size).add(ended), ended);
        }
    }
}
