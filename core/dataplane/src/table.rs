//! What is under way, by the host's number of it.
//!
//! The host numbers its contexts one after the other, so the number's low bits
//! are as good as any hash, and a request finds its place in a few
//! instructions. Memory grows with what is under way at a time, up to a cap,
//! and a place is reused without asking for memory.

/// Values by number. Shape: a power of two of places, at most three quarters of
/// them taken; a value is at its number's low bits or behind, without a gap.
#[derive(Debug)]
pub struct Table<T> {
    places: Vec<Option<(u32, T)>>,
    taken: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            taken: 0,
        }
    }
}

impl<T> Table<T> {
    /// More than any worker has requests under way, WebSockets included. What comes beyond is not remembered. It is three
    /// quarters of 2^18 places: who has so many is crowded, and does not grow.
    pub const MAX: usize = 3 << 16;
    /// Places at first: a quiet sidecar never needs more.
    const FIRST: usize = 64;

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.taken
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Whether there is no room for another value.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        Self::MAX <= self.taken
    }

    /// How many places there are; they grow in number, and keep what is in them until then.
    #[must_use]
    pub const fn places(&self) -> usize {
        self.places.len()
    }

    /// The number of the value in a place, if there is one.
    #[must_use]
    pub fn number_in(&self, place: usize) -> Option<u32> {
        let (number, _) = self.places.get(place)?.as_ref()?;
        Some(*number)
    }

    /// Puts `value` at `number`, in place of what was there. False when there is no room: it is dropped.
    pub fn insert(&mut self, number: u32, value: T) -> bool {
        // Where it belongs there is nearly always room; and then it is nowhere else.
        let home = self.home(number);
        if !self.is_crowded()
            && let Some(place @ None) = self.places.get_mut(home)
        {
            *place = Some((number, value));
            self.taken += 1;
            return true;
        }
        self.insert_elsewhere(number, value)
    }

    #[inline(never)]
    fn insert_elsewhere(&mut self, number: u32, value: T) -> bool {
        if let Some(old) = self.get_mut(number) {
            *old = value;
            return true;
        }
        if self.is_full() {
            return false;
        }
        if self.is_crowded() {
            self.grow();
        }
        self.place(number, value);
        true
    }

    /// The value at `number`.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let at = self.find(number)?;
        let (_, value) = self.places.get_mut(at)?.as_mut()?;
        Some(value)
    }

    /// Takes the value at `number`.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let mut gap = self.find(number)?;
        let (_, value) = self.places.get_mut(gap)?.take()?;
        self.taken -= 1;
        // Those behind move up into the gap, unless they would leave the way from where they belong.
        let mut next = self.behind(gap);
        while let Some(Some((other, _))) = self.places.get(next) {
            let home = self.home(*other);
            if self.distance(home, gap) < self.distance(home, next) {
                self.places.swap(gap, next);
                gap = next;
            }
            next = self.behind(next);
        }
        Some(value)
    }

    /// Whether three quarters are taken.
    const fn is_crowded(&self) -> bool {
        self.places.len() * 3 <= self.taken * 4
    }

    fn find(&self, number: u32) -> Option<usize> {
        let mut at = self.home(number);
        loop {
            match self.places.get(at)? {
                Some((found, _)) if *found == number => return Some(at),
                Some(_) => at = self.behind(at),
                None => return None,
            }
        }
    }

    /// Puts a new value into the first gap. There is one.
    fn place(&mut self, number: u32, value: T) {
        let mut at = self.home(number);
        while let Some(Some(_)) = self.places.get(at) {
            at = self.behind(at);
        }
        if let Some(place) = self.places.get_mut(at) {
            *place = Some((number, value));
            self.taken += 1;
        }
    }

    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(Self::FIRST);
        let mut more = Vec::new();
        more.resize_with(places, || None);
        let old = core::mem::replace(&mut self.places, more);
        self.taken = 0;
        for (number, value) in old.into_iter().flatten() {
            self.place(number, value);
        }
    }

    const fn home(&self, number: u32) -> usize {
        number as usize & self.places.len().wrapping_sub(1)
    }

    const fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    /// Steps from `from` on to `to`.
    const fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_table_has_nothing_and_no_memory() {
        let mut table = Table::<u8>::default();
        assert!(table.is_empty());
        assert_eq!(table.get_mut(0), None);
        assert_eq!(table.remove(7), None);
        assert_eq!(table.places.capacity(), 0);
    }

    #[test]
    fn what_comes_and_goes_needs_no_further_memory() {
        let mut table = Table::default();
        for number in 0..100_000 {
            assert!(table.insert(number, number));
            if let Some(old) = number.checked_sub(40) {
                assert_eq!(table.remove(old), Some(old));
            }
        }
        assert_eq!(table.places.len(), Table::<u32>::FIRST);
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut table = Table::default();
        let mut number = 0;
        while table.insert(number, ()) {
            number += 1;
        }
        assert_eq!(table.len(), Table::<()>::MAX);
        assert!(table.insert(0, ()), "what is there can be replaced");
        assert_eq!(table.get_mut(number), None);
        assert!(table.remove(0).is_some() && table.insert(number, ()));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u32, u8),
        Remove(u32),
    }

    proptest! {
        /// Numbers that meet at the same places, also at the end of the table.
        #[test]
        fn is_a_map(steps in prop::collection::vec(
            prop_oneof![
                (number(), any::<u8>()).prop_map(|(number, value)| Step::Insert(number, value)),
                number().prop_map(Step::Remove),
            ],
            0..300,
        )) {
            let mut table = Table::default();
            let mut map = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(number, value) => {
                        prop_assert!(table.insert(number, value));
                        map.insert(number, value);
                    }
                    Step::Remove(number) => {
                        prop_assert_eq!(table.remove(number), map.remove(&number));
                    }
                }
                prop_assert_eq!(table.len(), map.len());
            }
            let mut numbers: Vec<u32> =
                (0..table.places()).filter_map(|place| table.number_in(place)).collect();
            numbers.sort_unstable();
            prop_assert!(numbers.iter().eq(map.keys()));
            for (number, value) in &mut map {
                prop_assert_eq!(table.get_mut(*number), Some(value));
            }
        }
    }

    fn number() -> impl Strategy<Value = u32> {
        (0u32..4, 58u32..70).prop_map(|(high, low)| high * 64 + low)
    }
}
