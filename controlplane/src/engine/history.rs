//! What happened lately, numbered, so that readers can ask for what is new.

use std::collections::VecDeque;

/// The newest things that happened, oldest first; the oldest goes when it is full.
#[derive(Clone, Debug)]
pub struct History<T> {
    items: VecDeque<T>,
    capacity: usize,
    /// Things that ever happened; the newest has this number.
    count: u64,
}

impl<T> History<T> {
    /// An empty history of at most `capacity` things.
    #[must_use]
    pub const fn of(capacity: usize) -> Self {
        Self {
            items: VecDeque::new(),
            capacity,
            count: 0,
        }
    }

    /// Adds what `make` makes of its number, which is returned. Numbers begin with 1.
    pub fn add(&mut self, make: impl FnOnce(u64) -> T) -> u64 {
        self.count += 1;
        if self.items.len() >= self.capacity {
            self.items.pop_front();
        }
        self.items.push_back(make(self.count));
        self.count
    }

    /// Takes back what had the number `number` in an earlier process, oldest first. What
    /// does not follow the one before it makes room: numbers have no gaps.
    pub fn take_back(&mut self, number: u64, item: T) {
        if number != self.count + 1 {
            self.items.clear();
            self.count = number.saturating_sub(1);
        }
        self.add(|_| item);
    }

    /// The thing with this number, if it is kept.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&T> {
        self.items.get(self.place(number)?)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.place(number)?;
        self.items.get_mut(place)
    }

    fn place(&self, number: u64) -> Option<usize> {
        let kept = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        usize::try_from(number.checked_sub(self.count - kept + 1)?).ok()
    }

    /// What happened after the thing with the number `since`, as far as it is kept.
    pub fn after(&self, since: u64) -> impl Iterator<Item = &T> {
        let kept = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        let forgotten = self.count - kept;
        let skip = usize::try_from(since.saturating_sub(forgotten)).unwrap_or(usize::MAX);
        self.items.iter().skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(history: &History<u64>, since: u64) -> Vec<u64> {
        history.after(since).copied().collect()
    }

    #[test]
    fn a_reader_gets_what_is_new_to_it() {
        let mut history = History::of(3);
        assert!(after(&history, 0).is_empty());
        for _ in 0..2 {
            history.add(|id| id);
        }
        assert_eq!(after(&history, 0), [1, 2]);
        assert_eq!(after(&history, 1), [2]);
        assert!(after(&history, 2).is_empty());
        assert!(after(&history, 99).is_empty(), "of another process");
    }

    #[test]
    fn things_are_found_by_their_number() {
        let mut history = History::of(3);
        assert_eq!(history.get(1), None);
        for _ in 0..5 {
            history.add(|id| id * 10);
        }
        let found = [0, 2, 3, 5, 6].map(|number| history.get(number).copied());
        assert_eq!(found, [None, None, Some(30), Some(50), None]);
        *history.get_mut(4).unwrap() = 7;
        assert_eq!(history.get(4), Some(&7));
    }

    #[test]
    fn numbers_go_on_after_what_was_taken_back() {
        let mut history = History::of(3);
        history.take_back(7, 7);
        history.take_back(9, 9);
        history.take_back(10, 10);
        assert_eq!(history.get(7), None, "something was lost after it");
        assert_eq!(history.add(|id| id), 11);
        assert_eq!(after(&history, 0), [9, 10, 11]);
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut history = History::of(3);
        for _ in 0..5 {
            history.add(|id| id);
        }
        assert_eq!(after(&history, 0), [3, 4, 5]);
        assert_eq!(after(&history, 3), [4, 5]);
    }
}
