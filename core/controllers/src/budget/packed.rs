//! Lists of numbers, each in as few bytes as the largest of its kind takes.

/// Entries of so many numbers each, oldest first. What there is room for is one piece of memory that is gone round in.
#[derive(Clone, Debug)]
pub(super) struct Packed<const NUMBERS: usize> {
    /// Room for entries, and [`BEHIND`] after them.
    bytes: Vec<u8>,
    /// Entries that there is room for.
    room: u32,
    /// Where the oldest entry is.
    start: u32,
    len: u32,
    /// Bytes of each number of an entry, at most eight. Of larger numbers the upper bytes are lost.
    widths: [u8; NUMBERS],
}

/// Numbers are read and written eight bytes at a time, also the last of the last entry.
const BEHIND: usize = 8;

/// How many bytes `number` takes; none for zero.
#[expect(clippy::cast_possible_truncation, reason = "it is at most eight")]
pub(super) const fn bytes(number: u64) -> u8 {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as u8
}

/// What is left of `number` in so many bytes.
pub(super) const fn low(number: u64, width: u8) -> u64 {
    if width < 8 {
        number & ((1 << (8 * width)) - 1)
    } else {
        number
    }
}

impl<const NUMBERS: usize> Packed<NUMBERS> {
    /// No entry. Numbers will have so many bytes.
    pub(super) const fn new(widths: [u8; NUMBERS]) -> Self {
        Self {
            bytes: Vec::new(),
            room: 0,
            start: 0,
            len: 0,
            widths,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Entries that there is room for.
    pub(super) const fn room(&self) -> usize {
        self.room as usize
    }

    /// How many bytes each number has.
    pub(super) const fn widths(&self) -> [u8; NUMBERS] {
        self.widths
    }

    /// The entry at `position`, from 0 for the oldest.
    pub(super) fn get(&self, position: usize) -> Option<[u64; NUMBERS]> {
        Some(self.read(self.place(position)?))
    }

    /// The same with anything in the bytes that numbers do not have: for who counts in the others alone.
    pub(super) fn get_raw(&self, position: usize) -> Option<[u64; NUMBERS]> {
        Some(self.read_raw(self.place(position)?))
    }

    /// Puts `numbers` in the place of the entry at `position`, which is there.
    pub(super) fn set(&mut self, position: usize, numbers: [u64; NUMBERS]) {
        if let Some(at) = self.place(position) {
            self.write(at, numbers);
        }
    }

    /// Lets `change` change each entry from `first` on, oldest first.
    pub(super) fn change_from(
        &mut self,
        first: usize,
        mut change: impl FnMut(&mut [u64; NUMBERS]),
    ) {
        let Some(mut at) = self.place(first) else {
            return;
        };
        let width = self.width();
        let end = self.room() * width;
        for _ in first..self.len() {
            let mut numbers = self.read(at);
            change(&mut numbers);
            self.write(at, numbers);
            at += width;
            if end <= at {
                at = 0;
            }
        }
    }

    /// Gives each number so many bytes, and every entry what `told` makes of it.
    pub(super) fn widen(
        &mut self,
        widths: [u8; NUMBERS],
        told: impl Fn([u64; NUMBERS]) -> [u64; NUMBERS],
    ) {
        self.renew(self.room(), widths, told);
    }

    /// Puts `count` entries behind the newest, in room that is doubled as that of lists is, but never for more than
    /// `most`, which would be nearly half in vain for much of the memory that budgets take.
    pub(super) fn push_back(&mut self, numbers: [u64; NUMBERS], count: usize, most: usize) {
        let length = self.len();
        self.make_room(count, most);
        self.len = half(length + count);
        for position in length..length + count {
            self.set(position, numbers);
        }
    }

    /// Puts `count` entries before the oldest, in such room, too.
    pub(super) fn push_front(&mut self, numbers: [u64; NUMBERS], count: usize, most: usize) {
        self.make_room(count, most);
        self.start = half((self.start as usize + self.room() - count) % self.room().max(1));
        self.len = half(self.len() + count);
        for position in 0..count {
            self.set(position, numbers);
        }
    }

    /// Forgets the `count` oldest entries, or all.
    pub(super) fn forget_oldest(&mut self, count: usize) {
        let count = count.min(self.len());
        self.start = half((self.start as usize + count) % self.room().max(1));
        self.len = half(self.len() - count);
    }

    /// Forgets all entries but the `kept` oldest.
    pub(super) fn truncate(&mut self, kept: usize) {
        self.len = self.len.min(half(kept));
    }

    fn make_room(&mut self, count: usize, most: usize) {
        let wanted = self.len() + count;
        if self.room() < wanted {
            let room = wanted.max((2 * self.len()).min(most));
            self.renew(room, self.widths, |numbers| numbers);
        }
    }

    fn renew(
        &mut self,
        room: usize,
        widths: [u8; NUMBERS],
        told: impl Fn([u64; NUMBERS]) -> [u64; NUMBERS],
    ) {
        let mut all = Self::new(widths);
        let length = all.width() * room;
        if length != 0 {
            all.bytes = vec![0; length + BEHIND];
        }
        (all.room, all.len) = (half(room), self.len);
        for position in 0..self.len() {
            if let Some(numbers) = self.get(position) {
                all.set(position, told(numbers));
            }
        }
        *self = all;
    }

    /// Where the entry at `position` begins; nothing when there is none.
    fn place(&self, position: usize) -> Option<usize> {
        if self.len() <= position {
            return None;
        }
        let place = self.start as usize + position;
        let place = place.checked_sub(self.room()).unwrap_or(place);
        Some(place * self.width())
    }

    /// Bytes of an entry.
    fn width(&self) -> usize {
        self.widths.into_iter().map(usize::from).sum()
    }

    /// The entry that begins at byte `at`.
    fn read(&self, at: usize) -> [u64; NUMBERS] {
        let mut numbers = self.read_raw(at);
        for (number, width) in numbers.iter_mut().zip(self.widths) {
            *number = low(*number, width);
        }
        numbers
    }

    /// The same with the bytes that follow each number.
    fn read_raw(&self, mut at: usize) -> [u64; NUMBERS] {
        self.widths.map(|width| {
            let eight = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
            at += usize::from(width);
            eight.map_or(0, |eight| u64::from_le_bytes(*eight))
        })
    }

    fn write(&mut self, mut at: usize, numbers: [u64; NUMBERS]) {
        for (width, number) in self.widths.into_iter().zip(numbers) {
            let rest = self.bytes.get_mut(at..).unwrap_or_default();
            if let Some(eight) = rest.first_chunk_mut() {
                let before = u64::from_le_bytes(*eight);
                let kept = before - low(before, width);
                *eight = (kept | low(number, width)).to_le_bytes();
            }
            at += usize::from(width);
        }
    }
}

/// Lists are far shorter than what this holds.
fn half(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is done to it, it is what a list would be, with what fits.
        #[test]
        fn it_is_a_list(
            widths in prop::array::uniform3(0_u8..=8),
            steps in prop::collection::vec((0_u8..7, any::<[u64; 3]>(), 0_usize..9), 1..60),
        ) {
            let (mut packed, mut list) = (Packed::new(widths), VecDeque::new());
            let kept = |numbers: [u64; 3]| [0, 1, 2].map(|it| low(numbers[it], widths[it]));
            for (kind, numbers, count) in steps {
                match kind {
                    0 => {
                        packed.push_back(numbers, count, 20);
                        list.extend(std::iter::repeat_n(kept(numbers), count));
                    }
                    1 => {
                        packed.push_front(numbers, count, 20);
                        (0..count).for_each(|_| list.push_front(kept(numbers)));
                    }
                    2 => {
                        packed.forget_oldest(count);
                        list.drain(..count.min(list.len()));
                    }
                    3 => {
                        packed.truncate(count);
                        list.truncate(count);
                    }
                    4 => packed.widen(widths, |numbers| numbers),
                    5 => {
                        let add = |entry: &mut [u64; 3]| {
                            for (number, more) in entry.iter_mut().zip(numbers) {
                                *number = number.wrapping_add(more);
                            }
                        };
                        packed.change_from(count, add);
                        for entry in list.iter_mut().skip(count) {
                            add(entry);
                            *entry = kept(*entry);
                        }
                    }
                    _ => {
                        packed.set(count, numbers);
                        if let Some(entry) = list.get_mut(count) {
                            *entry = kept(numbers);
                        }
                    }
                }
                let all: Vec<_> = (0..packed.len()).filter_map(|it| packed.get(it)).collect();
                prop_assert_eq!(all, Vec::from(list.clone()));
                prop_assert_eq!(packed.get(packed.len()), None);
            }
        }
    }

    #[test]
    fn a_number_takes_the_bytes_that_it_needs() {
        let sizes = [0, 1, 255, 256, (1 << 16) - 1, 1 << 16, 1 << 32, u64::MAX].map(bytes);
        assert_eq!(sizes, [0, 1, 1, 2, 2, 3, 5, 8]);
        let mut packed = Packed::new([1, 2]);
        packed.push_back([7, 300], 1, 9);
        packed.widen([1, 5], |[one, other]| [one, other << 20]);
        assert_eq!(packed.get(0), Some([7, 300 << 20]));
        assert_eq!(packed.bytes.len(), 6 + BEHIND);
        packed.widen([0, 0], |numbers| numbers);
        assert_eq!((packed.get(0), packed.bytes.len()), (Some([0, 0]), 0));
    }

    #[test]
    fn there_is_room_for_what_there_is_and_never_for_more_than_there_may_be() {
        let mut packed = Packed::new([1]);
        for number in 0..100_u64 {
            if packed.len() == 31 {
                packed.forget_oldest(1);
            }
            packed.push_back([number], 1, 31);
            assert!(packed.room() <= 31, "{number}");
        }
        assert_eq!((packed.get(0), packed.get(30)), (Some([69]), Some([99])));
    }
}
