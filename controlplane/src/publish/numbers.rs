//! The numbers of configurations.
//!
//! A number belongs to what a configuration says, for as long as it has a place
//! somewhere: on all nodes of a cohort, or on those that try it. What comes back
//! after it was nowhere gets a number of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::Side;

use crate::engine::{RestoreError, put};
use crate::store::{Batch, Store};

/// Where numbers are stored.
const GENERATION: &str = "config\n";

/// Where the newest of all is stored, which may be in no place any more.
const NEWEST: &str = "generation\n";

/// Who a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// All nodes of a cohort.
    All,
    /// Those that try it first.
    Trial,
}

/// One configuration and its number, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Numbered {
    group: String,
    side: Side,
    generation: u64,
    /// SHA-256 of the configuration with generation 0, in hexadecimal digits.
    hash: String,
    /// Where it is stored, below [`GENERATION`].
    #[serde(default)]
    place: String,
}

/// The newest number that was given out, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    generation: u64,
}

/// All numbers that are given out.
#[derive(Debug)]
pub(super) struct Numbers {
    newest: u64,
    by_place: BTreeMap<String, Numbered>,
    /// By group, side and hash: the number, and how many places have it.
    by_content: BTreeMap<(String, Side, String), (u64, usize)>,
}

impl Numbers {
    /// Knows the numbers that were given out before.
    pub(super) fn restore(store: &dyn Store) -> Result<Self, RestoreError> {
        let mut numbers = Self {
            newest: 0,
            by_place: BTreeMap::new(),
            by_content: BTreeMap::new(),
        };
        for one in crate::engine::read::<Newest>(store, NEWEST)? {
            numbers.newest = numbers.newest.max(one.generation);
        }
        for mut one in crate::engine::read::<Numbered>(store, GENERATION)? {
            numbers.newest = numbers.newest.max(one.generation);
            if one.place.is_empty() {
                one.place = of_group(&one.group, one.side);
            }
            numbers.insert(one);
        }
        Ok(numbers)
    }

    /// The number of the configuration with this hash, which is on `lane` of the cohort from now on.
    pub(super) fn number(
        &mut self,
        (group, cohort): (&str, &str),
        (side, lane): (Side, Lane),
        hash: String,
        batch: &mut Batch,
    ) -> u64 {
        let place = place(cohort, side, lane);
        if let Some(known) = self.by_place.get(&place)
            && known.hash == hash
        {
            return known.generation;
        }
        let content = (group.to_owned(), side, hash);
        let generation = match self.by_content.get(&content) {
            Some((generation, _)) => *generation,
            None => {
                self.newest += 1;
                let generation = self.newest;
                put(batch, NEWEST, &Newest { generation });
                generation
            }
        };
        self.leave(&place, batch);
        // As it was stored when the nodes of a service had the same.
        self.leave(&of_group(group, side), batch);
        let (group, side, hash) = content;
        let numbered = Numbered {
            group,
            side,
            generation,
            hash,
            place,
        };
        put(batch, &format!("{GENERATION}{}", numbered.place), &numbered);
        self.insert(numbered);
        generation
    }

    /// Nothing is on `lane` of the cohort any more.
    pub(super) fn clear(&mut self, cohort: &str, side: Side, lane: Lane, batch: &mut Batch) {
        self.leave(&place(cohort, side, lane), batch);
    }

    fn insert(&mut self, one: Numbered) {
        let content = (one.group.clone(), one.side, one.hash.clone());
        let (_, places) = self
            .by_content
            .entry(content)
            .or_insert((one.generation, 0));
        *places += 1;
        self.by_place.insert(one.place.clone(), one);
    }

    fn leave(&mut self, place: &str, batch: &mut Batch) {
        let Some(one) = self.by_place.remove(place) else {
            return;
        };
        batch.delete(format!("{GENERATION}{place}"));
        if one.generation == self.newest {
            // A store of before knows it only by what leaves.
            let generation = self.newest;
            put(batch, NEWEST, &Newest { generation });
        }
        let content = (one.group, one.side, one.hash);
        if let Some((_, places)) = self.by_content.get_mut(&content) {
            *places = places.saturating_sub(1);
            if *places == 0 {
                self.by_content.remove(&content);
            }
        }
    }
}

fn of_group(group: &str, side: Side) -> String {
    format!("{group}\n{side}")
}

fn place(cohort: &str, side: Side, lane: Lane) -> String {
    let lane = match lane {
        Lane::All => "all",
        Lane::Trial => "trial",
    };
    format!("{cohort}\n{side}\n{lane}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::InMemory;

    /// Numbers as given out in this order, of (cohort, lane, hash).
    fn given(numbers: &mut Numbers, store: &InMemory, asked: &[(&str, Lane, &str)]) -> Vec<u64> {
        let number = |(cohort, lane, hash): &(&str, Lane, &str)| {
            let mut batch = Batch::default();
            let place = (Side::Server, *lane);
            let generation =
                numbers.number(("shop", cohort), place, (*hash).to_owned(), &mut batch);
            store.commit(&batch).unwrap();
            generation
        };
        asked.iter().map(number).collect()
    }

    #[test]
    fn what_is_somewhere_keeps_its_number_and_what_was_nowhere_gets_another() {
        let store = InMemory::default();
        let mut numbers = Numbers::restore(&store).unwrap();
        let asked = [
            ("shop", Lane::All, "a"),
            ("shop", Lane::Trial, "b"),
            ("shop{x}", Lane::All, "b"),
            ("shop", Lane::All, "b"),
            ("shop", Lane::All, "a"),
        ];
        assert_eq!(given(&mut numbers, &store, &asked), [1, 2, 2, 2, 3]);
        let mut restored = Numbers::restore(&store).unwrap();
        assert_eq!(given(&mut restored, &store, &asked[4..]), [3]);
        let mut batch = Batch::default();
        restored.clear("shop", Side::Server, Lane::Trial, &mut batch);
        restored.clear("shop{x}", Side::Server, Lane::All, &mut batch);
        store.commit(&batch).unwrap();
        assert_eq!(given(&mut restored, &store, &asked[1..2]), [4]);
        assert_eq!(store.list(GENERATION.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn no_number_is_given_again_after_a_restart_although_nothing_has_it_any_more() {
        let store = InMemory::default();
        let mut numbers = Numbers::restore(&store).unwrap();
        let asked = [("shop", Lane::All, "a"), ("shop", Lane::Trial, "b")];
        assert_eq!(given(&mut numbers, &store, &asked), [1, 2]);
        let mut batch = Batch::default();
        numbers.clear("shop", Side::Server, Lane::Trial, &mut batch);
        store.commit(&batch).unwrap();
        let mut restored = Numbers::restore(&store).unwrap();
        let asked = [("shop", Lane::All, "c")];
        assert_eq!(given(&mut restored, &store, &asked), [3]);
    }

    #[test]
    fn a_number_that_was_stored_for_a_service_holds_until_it_changes() {
        let store = InMemory::default();
        let mut batch = Batch::default();
        let stored = r#"{"group": "shop", "side": "server", "generation": 7, "hash": "a"}"#;
        batch.put("config\nshop\nserver", stored);
        store.commit(&batch).unwrap();
        let mut numbers = Numbers::restore(&store).unwrap();
        let asked = [
            ("shop", Lane::All, "a"),
            ("shop", Lane::All, "b"),
            ("shop", Lane::All, "a"),
        ];
        assert_eq!(given(&mut numbers, &store, &asked), [7, 8, 9]);
        assert_eq!(store.list(GENERATION.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn a_number_of_an_earlier_store_is_not_given_again_when_it_left_before_another_was_given() {
        let store = InMemory::default();
        let mut batch = Batch::default();
        let stored = r#"{"group": "shop", "side": "server", "generation": 7, "hash": "a"}"#;
        batch.put("config\nshop\nserver", stored);
        store.commit(&batch).unwrap();
        let mut numbers = Numbers::restore(&store).unwrap();
        let asked = [("shop", Lane::All, "a"), ("shop", Lane::All, "b")];
        assert_eq!(given(&mut numbers, &store, &asked[..1]), [7]);
        let mut batch = Batch::default();
        numbers.clear("shop", Side::Server, Lane::All, &mut batch);
        store.commit(&batch).unwrap();
        let mut restored = Numbers::restore(&store).unwrap();
        assert_eq!(given(&mut restored, &store, &asked[1..]), [8]);
    }
}
