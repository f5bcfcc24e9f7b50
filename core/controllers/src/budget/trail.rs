//! When one spender spent how much.

use std::collections::VecDeque;

use sloop_model::WallTime;

use super::Level;

/// What is known of one spender.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// Ascending, by [`Level`].
    cells: [VecDeque<Piece>; Level::ALL.len()],
}

/// What was spent in one cell of time. There may be hundreds for each of dozens of spenders of each objective, so it takes 12
/// bytes: two numbers of 64 bits would take 16.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The cell's number: those of 10 s go on for 1,300 years.
    number: u32,
    /// The halves of how many requests were bad, the lower first.
    bad: [u32; 2],
}

impl Piece {
    fn new(number: u64, bad: u64) -> Self {
        let mut piece = Self {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            bad: [0; 2],
        };
        piece.set(bad);
        piece
    }

    pub(super) fn number(self) -> u64 {
        self.number.into()
    }

    pub(super) fn bad(self) -> u64 {
        let [low, high] = self.bad;
        u64::from(high) << 32 | u64::from(low)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    const fn set(&mut self, bad: u64) {
        self.bad = [bad as u32, (bad >> 32) as u32];
    }
}

impl Trail {
    /// Adds to the cell `number`. False when the trail does not reach back to it.
    pub(super) fn add(&mut self, level: Level, number: u64, bad: u64) -> bool {
        let Some(cells) = self.cells.get_mut(level as usize) else {
            return false;
        };
        let newest = cells.back().map_or(number, |newest| newest.number());
        if level.cells() <= newest.saturating_sub(number) {
            return false;
        }
        let reached = (newest.max(number) + 1).saturating_sub(level.cells());
        while cells
            .front()
            .is_some_and(|oldest| oldest.number() < reached)
        {
            cells.pop_front();
        }
        match cells.binary_search_by_key(&number, |piece| piece.number()) {
            Ok(place) => {
                if let Some(piece) = cells.get_mut(place) {
                    piece.set(piece.bad().saturating_add(bad));
                }
            }
            Err(place) => {
                make_room(cells, level);
                cells.insert(place, Piece::new(number, bad));
            }
        }
        true
    }

    pub(super) fn between(&self, level: Level, first: u64, last: u64) -> u64 {
        let cells = self.of(level).iter();
        cells
            .filter(|piece| (first..=last).contains(&piece.number()))
            .fold(0, |sum: u64, piece| sum.saturating_add(piece.bad()))
    }

    /// Moves what lies after the cell `number` into it. Returns which cells changed.
    pub(super) fn fold(&mut self, level: Level, number: u64) -> Vec<u64> {
        let Some(cells) = self.cells.get_mut(level as usize) else {
            return Vec::new();
        };
        let mut ahead = 0_u64;
        let mut changed = Vec::new();
        while let Some(last) = cells.pop_back_if(|last| number < last.number()) {
            ahead = ahead.saturating_add(last.bad());
            changed.push(last.number());
        }
        if ahead != 0 {
            self.add(level, number, ahead);
            changed.push(number);
        }
        changed
    }

    pub(super) fn of(&self, level: Level) -> &VecDeque<Piece> {
        let [seconds, minutes, hours] = &self.cells;
        match level {
            Level::Seconds => seconds,
            Level::Minutes => minutes,
            Level::Hours => hours,
        }
    }

    /// When it spent last, to the start of a cell of the finest level that knows.
    pub(super) fn newest(&self) -> WallTime {
        let newest = |level: Level| Some(self.of(level).back()?.number() * level.cell_ms());
        let newest = Level::ALL.into_iter().filter_map(newest).max();
        WallTime::from_millis(newest.unwrap_or_default())
    }
}

/// Makes sure that there is room for one more: twice as much as there was, as lists have it, but never more than for all.
fn make_room(cells: &mut VecDeque<Piece>, level: Level) {
    let length = cells.len();
    if length == cells.capacity() {
        let all = usize::try_from(level.cells()).unwrap_or(usize::MAX);
        let room = (2 * length).max(4).min(all).max(length + 1);
        cells.reserve_exact(room - length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_beyond_what_half_a_number_holds() {
        let mut trail = Trail::default();
        let most = (1 << 40) + 3;
        for bad in [most, u64::from(u32::MAX), 1] {
            trail.add(Level::Hours, 7, bad);
        }
        let all = most + (1 << 32);
        assert_eq!(trail.between(Level::Hours, 7, 7), all);
        trail.add(Level::Hours, 8, u64::MAX);
        trail.add(Level::Hours, 8, 1);
        assert_eq!(trail.between(Level::Hours, 8, 8), u64::MAX);
        assert_eq!(trail.fold(Level::Hours, 7), [8, 7]);
        assert_eq!(trail.between(Level::Hours, 0, 9), u64::MAX);
    }

    #[test]
    fn there_is_never_room_for_more_than_is_kept() {
        let mut trail = Trail::default();
        for level in Level::ALL {
            for number in 0..2 * level.cells() {
                trail.add(level, number, 1);
                let cells = &trail.cells[level as usize];
                assert!(
                    cells.capacity() as u64 <= level.cells(),
                    "{level:?} {number}"
                );
            }
            let all = trail.between(level, 0, u64::MAX);
            assert_eq!(all, level.cells());
        }
    }
}
