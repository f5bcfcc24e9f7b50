//! When one spender spent how much.

use sloop_model::WallTime;

use super::Level;
use super::packed::{Packed, bytes, low};

/// What is known of one spender.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// By [`Level`].
    cells: [Pieces; Level::ALL.len()],
}

/// What was spent in one cell of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The cell's number.
    pub(super) number: u64,
    /// Bad requests.
    pub(super) bad: u64,
}

/// The cells of one level in which something was spent, ascending.
///
/// There may be hundreds for each of dozens of spenders of each objective, so each takes a byte, and as many more as the
/// largest of them takes for its requests.
#[derive(Clone, Debug)]
struct Pieces {
    /// The number of the newest cell. Means nothing while there is none.
    newest: u64,
    /// Of each cell the lowest byte of its number, which tells it among those that are kept, and bad requests.
    pieces: Packed<2>,
}

/// Of a cell's number one byte is kept.
const NUMBER: u8 = 1;
const _: () = {
    let mut level = 0;
    while level < Level::ALL.len() {
        #[expect(
            clippy::indexing_slicing,
            reason = "it is not done when the program runs"
        )]
        let cells = Level::ALL[level].cells();
        assert!(cells <= 256, "a byte tells the numbers of all cells apart");
        level += 1;
    }
};

impl Default for Pieces {
    fn default() -> Self {
        Self {
            newest: 0,
            pieces: Packed::new([NUMBER, 0]),
        }
    }
}

impl Pieces {
    fn get(&self, position: usize) -> Option<Piece> {
        let [lowest, bad] = self.pieces.get(position)?;
        let age = low(self.newest.wrapping_sub(lowest), NUMBER);
        Some(Piece {
            number: self.newest.saturating_sub(age),
            bad,
        })
    }

    fn newest(&self) -> Option<Piece> {
        self.get(self.pieces.len().checked_sub(1)?)
    }

    fn iter(&self) -> impl Iterator<Item = Piece> {
        (0..self.pieces.len()).filter_map(|position| self.get(position))
    }

    /// Adds to the cell `number`, which is kept.
    fn add(&mut self, level: Level, number: u64, bad: u64) {
        let mut place = self.pieces.len();
        let mut before = None;
        // Nearly always it is the newest.
        while let Some(position) = place.checked_sub(1)
            && let Some(piece) = self.get(position)
            && number <= piece.number
        {
            place = position;
            before = Some(piece);
        }
        match before {
            Some(piece) if piece.number == number => {
                let bad = piece.bad.saturating_add(bad);
                self.put(place, Piece { number, bad });
            }
            Some(_) | None => self.insert(place, level, Piece { number, bad }),
        }
    }

    /// Makes room at `place` for `piece`: what follows moves on.
    fn insert(&mut self, place: usize, level: Level, piece: Piece) {
        let most = usize::try_from(level.cells()).unwrap_or(usize::MAX);
        self.newest = self.newest.max(piece.number);
        self.pieces.push_back([0; 2], 1, most);
        for position in (place + 1..self.pieces.len()).rev() {
            if let Some(earlier) = self.pieces.get(position - 1) {
                self.pieces.set(position, earlier);
            }
        }
        self.put(place, piece);
    }

    fn put(&mut self, place: usize, piece: Piece) {
        let [_, known] = self.pieces.widths();
        let wanted = bytes(piece.bad);
        if known < wanted {
            self.pieces.widen([NUMBER, wanted], |numbers| numbers);
        }
        self.pieces.set(place, [piece.number, piece.bad]);
    }

    /// Forgets the cells before the one with this number.
    fn forget_before(&mut self, number: u64) {
        let old = self.iter().take_while(|piece| piece.number < number);
        let old = old.count();
        self.pieces.forget_oldest(old);
    }

    /// Takes the newest cell if it is after the one with this number.
    fn take_after(&mut self, number: u64) -> Option<Piece> {
        let newest = self.newest().filter(|newest| number < newest.number)?;
        self.pieces.truncate(self.pieces.len() - 1);
        let position = self.pieces.len().checked_sub(1);
        // As long as there is none it means nothing.
        let before = position.and_then(|position| self.get(position));
        self.newest = before.map_or(0, |before| before.number);
        Some(newest)
    }
}

impl Trail {
    /// Adds to the cell `number`. False when the trail does not reach back to it.
    pub(super) fn add(&mut self, level: Level, number: u64, bad: u64) -> bool {
        let Some(cells) = self.cells.get_mut(level as usize) else {
            return false;
        };
        let newest = cells.newest().map_or(number, |newest| newest.number);
        if level.cells() <= newest.saturating_sub(number) {
            return false;
        }
        let reached = (newest.max(number) + 1).saturating_sub(level.cells());
        cells.forget_before(reached);
        cells.add(level, number, bad);
        true
    }

    /// What was spent in one cell: it is looked for from the newest on.
    pub(super) fn at(&self, level: Level, number: u64) -> u64 {
        let pieces = self.pieces(level);
        let newest_first = (0..pieces.pieces.len()).rev();
        newest_first
            .filter_map(|position| pieces.get(position))
            .take_while(|piece| number <= piece.number)
            .find(|piece| piece.number == number)
            .map_or(0, |piece| piece.bad)
    }

    pub(super) fn between(&self, level: Level, first: u64, last: u64) -> u64 {
        self.of(level)
            .filter(|piece| (first..=last).contains(&piece.number))
            .fold(0, |sum: u64, piece| sum.saturating_add(piece.bad))
    }

    /// Moves what lies after the cell `number` into it. Returns which cells changed.
    pub(super) fn fold(&mut self, level: Level, number: u64) -> Vec<u64> {
        let Some(cells) = self.cells.get_mut(level as usize) else {
            return Vec::new();
        };
        let mut ahead = 0_u64;
        let mut changed = Vec::new();
        while let Some(last) = cells.take_after(number) {
            ahead = ahead.saturating_add(last.bad);
            changed.push(last.number);
        }
        if ahead != 0 {
            self.add(level, number, ahead);
            changed.push(number);
        }
        changed
    }

    /// The cells of a level in which something was spent, ascending.
    pub(super) fn of(&self, level: Level) -> impl Iterator<Item = Piece> {
        self.pieces(level).iter()
    }

    /// When it spent last, to the start of a cell of this level; nothing when this level does not know.
    pub(super) fn newest_of(&self, level: Level) -> Option<u64> {
        let newest = self.pieces(level).newest()?;
        Some(newest.number * level.cell_ms())
    }

    /// When it spent last, to the start of a cell of the finest level that knows.
    pub(super) fn newest(&self) -> WallTime {
        let newest = Level::ALL.into_iter();
        let newest = newest.filter_map(|level| self.newest_of(level)).max();
        WallTime::from_millis(newest.unwrap_or_default())
    }

    const fn pieces(&self, level: Level) -> &Pieces {
        let [seconds, minutes, hours] = &self.cells;
        match level {
            Level::Seconds => seconds,
            Level::Minutes => minutes,
            Level::Hours => hours,
        }
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
    fn a_cell_takes_as_many_bytes_as_it_needs_and_keeps_its_number() {
        let mut trail = Trail::default();
        let all = [(900, 1), (1_000, 300), (902, 7), (1_080, 1 << 20)];
        for (number, bad) in all {
            assert!(trail.add(Level::Hours, number, bad));
        }
        assert!(!trail.add(Level::Hours, 899, 1), "it is too long ago");
        let told = |trail: &Trail| {
            let told = trail
                .of(Level::Hours)
                .map(|piece| (piece.number, piece.bad));
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            told(&trail),
            [(900, 1), (902, 7), (1_000, 300), (1_080, 1 << 20)]
        );
        assert_eq!(trail.pieces(Level::Hours).pieces.widths(), [1, 3]);
        assert!(trail.add(Level::Hours, 1_082, 1));
        assert_eq!(told(&trail)[0], (902, 7));
        assert_eq!(trail.fold(Level::Hours, 950), [1_082, 1_080, 1_000, 950]);
        assert_eq!(told(&trail), [(902, 7), (950, (1 << 20) + 301)]);
        assert_eq!(trail.fold(Level::Hours, 3), [950, 902, 3]);
        assert_eq!(told(&trail), [(3, (1 << 20) + 308)]);
    }

    #[test]
    fn there_is_never_room_for_more_than_is_kept() {
        let mut trail = Trail::default();
        for level in Level::ALL {
            for number in 0..2 * level.cells() {
                trail.add(level, number, 1);
                let room = trail.cells[level as usize].pieces.room();
                assert!(room as u64 <= level.cells(), "{level:?} {number}");
            }
            let all = trail.between(level, 0, u64::MAX);
            assert_eq!(all, level.cells());
        }
    }
}
