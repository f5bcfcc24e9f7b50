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

    /// Adds what `make` makes of its number. Numbers begin with 1.
    pub fn add(&mut self, make: impl FnOnce(u64) -> T) {
        self.count += 1;
        if self.items.len() >= self.capacity {
            self.items.pop_front();
        }
        self.items.push_back(make(self.count));
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
    fn the_oldest_goes_first() {
        let mut history = History::of(3);
        for _ in 0..5 {
            history.add(|id| id);
        }
        assert_eq!(after(&history, 0), [3, 4, 5]);
        assert_eq!(after(&history, 3), [4, 5]);
    }
}
