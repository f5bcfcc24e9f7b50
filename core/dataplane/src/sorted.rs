//! A map that is a sorted list, and a sort for few items.
//!
//! `BTreeMap` and `sort_by` are built for millions of entries, and each pair of types has its
//! own copy of them: in a module that every sidecar compiles when it starts, five maps took 26 kB and
//! four sorts 23 kB. What is kept here has few entries, and comes in order more often than not.

use core::cmp::Ordering;

/// Values by key. Shape: sorted by key, no duplicates. A lookup takes as many steps as in a tree; to insert moves what is behind.
#[derive(Clone, Debug)]
pub(crate) struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> SortedMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries, ascending.
    pub(crate) fn iter(&self) -> core::slice::Iter<'_, (K, V)> {
        self.entries.iter()
    }

    pub(crate) fn into_entries(self) -> Vec<(K, V)> {
        self.entries
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn retain(&mut self, stays: impl FnMut(&(K, V)) -> bool) {
        self.entries.retain(stays);
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.get_by(|own| own.cmp(key))
    }

    /// The value of the key that `order`, which says how a key compares with it, calls equal.
    pub(crate) fn get_by(&self, order: impl Fn(&K) -> Ordering) -> Option<&V> {
        let at = self.entries.binary_search_by(|(own, _)| order(own)).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// Puts `value` at `key`, in place of what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => self.entries.insert(at, (key, value)),
        }
    }

    /// The value at `key`, which is made if there is none.
    pub(crate) fn get_or_insert(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(at, (key, make()));
                at
            }
        };
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// Takes the entries before the first one that `is_later`, which must be so for all behind it too.
    pub(crate) fn take_before(&mut self, is_later: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let count = self.entries.partition_point(|(key, _)| !is_later(key));
        self.entries.drain(..count).collect()
    }

    fn find(&self, key: &K) -> Result<usize, usize> {
        // What comes in order goes to the end.
        match self.entries.last() {
            Some((last, _)) if last < key => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|(own, _)| own.cmp(key)),
        }
    }
}

/// Sorts a few items, equal ones in the order that they have. As many steps as items if these are in
/// order; their square, if not.
pub(crate) fn sort_few<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while let Some(before) = at.checked_sub(1)
            && let (Some(one), Some(other)) = (items.get(before), items.get(at))
            && order(one, other) == Ordering::Greater
        {
            items.swap(before, at);
            at = before;
        }
    }
}

/// Two sorted lists as one. Of equal items, those of `one` are the first.
pub(crate) fn merged<T>(one: Vec<T>, other: Vec<T>, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let mut all = Vec::with_capacity(one.len() + other.len());
    let mut ones = one.into_iter();
    let mut next = ones.next();
    for item in other {
        while let Some(one) = next.take() {
            if order(&one, &item) == Ordering::Greater {
                next = Some(one);
                break;
            }
            all.push(one);
            next = ones.next();
        }
        all.push(item);
    }
    all.extend(next);
    all.extend(ones);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u16),
        Remove(u8),
        GetOrInsert(u8, u16),
        TakeBefore(u8),
        RetainOdd,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u8..16, any::<u16>()).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => (0_u8..16).prop_map(Step::Remove),
            2 => (0_u8..16, any::<u16>()).prop_map(|(key, value)| Step::GetOrInsert(key, value)),
            1 => (0_u8..16).prop_map(Step::TakeBefore),
            1 => Just(Step::RetainOdd),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_map_as_any_other(steps in prop::collection::vec(step(), 0..64)) {
            let mut ours = SortedMap::new();
            let mut theirs = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        ours.insert(key, value);
                        theirs.insert(key, value);
                    }
                    Step::Remove(key) => prop_assert_eq!(ours.remove(&key), theirs.remove(&key)),
                    Step::GetOrInsert(key, value) => {
                        let ours = ours.get_or_insert(key, || value).map(|value| *value);
                        prop_assert_eq!(ours, Some(*theirs.entry(key).or_insert(value)));
                    }
                    Step::TakeBefore(bound) => {
                        let rest = theirs.split_off(&bound);
                        let taken: Vec<_> = core::mem::replace(&mut theirs, rest).into_iter().collect();
                        prop_assert_eq!(ours.take_before(|key| bound <= *key), taken);
                    }
                    Step::RetainOdd => {
                        ours.retain(|(key, _)| key % 2 == 1);
                        theirs.retain(|key, _| key % 2 == 1);
                    }
                }
                for key in 0..16 {
                    prop_assert_eq!(ours.get(&key), theirs.get(&key));
                }
                prop_assert_eq!(ours.len(), theirs.len());
                let expected: Vec<_> = theirs.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(ours.clone().into_entries(), expected);
            }
        }

        #[test]
        fn few_items_are_sorted_and_equal_ones_stay(
            items in prop::collection::vec((0_u8..8, any::<u8>()), 0..40)
        ) {
            let (mut ours, mut theirs) = (items.clone(), items);
            sort_few(&mut ours, |one, other| one.0.cmp(&other.0));
            theirs.sort_by_key(|item| item.0);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn two_lists_are_merged_in_their_order(
            mut one in prop::collection::vec(0_u8..16, 0..20),
            mut other in prop::collection::vec(0_u8..16, 0..20),
        ) {
            one.sort_unstable();
            other.sort_unstable();
            let mut all = [one.clone(), other.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(merged(one, other, Ord::cmp), all);
        }
    }
}
