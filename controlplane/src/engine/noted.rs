//! Which reports were counted, on their way to the store.
//!
//! With each report one number changes, and must be durable before it is answered. An entry for each incarnation would
//! be most of what is written. So numbers that change together are written together, in one of a few places that are taken
//! in turn. Before a place is taken again, what is the newest there moves to an entry of its own: of incarnations that
//! were quiet for that long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::restore::{RestoreError, put, put_seen, read};
use crate::ingest::{Ledger, Seen};
use crate::store::{Batch, Store};

/// Where numbers are stored together.
const TOGETHER: &str = "seen together\n";

/// Places. Batches are some ten milliseconds apart when much comes, so who reports every second or two hardly needs an
/// entry; who reports more seldom gets one each time, as all did without places. Each has some 40 bytes for each report of its batch.
const PLACES: u64 = 256;

/// What is not stored yet, and where the rest is.
#[derive(Debug, Default)]
pub(super) struct Noted {
    fresh: BTreeSet<u64>,
    /// Of the next batch; the place is what is left of it by [`PLACES`].
    turn: u64,
    /// The turn in which an incarnation was last written, for as long as it has no newer entry.
    last: BTreeMap<u64, u64>,
    /// What was written in the last turns, oldest first.
    written: VecDeque<(u64, Vec<u64>)>,
}

/// Numbers of one batch, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Together {
    turn: u64,
    /// Incarnation, sequence, and when it came.
    seen: Vec<(u64, u64, WallTime)>,
}

impl Noted {
    /// What an earlier process stored together; `ledger` knows it from now on, beside what has entries.
    pub(super) fn restore(store: &dyn Store, ledger: &mut Ledger) -> Result<Self, RestoreError> {
        let mut noted = Self::default();
        let mut all: Vec<Together> = read(store, TOGETHER)?;
        all.sort_by_key(|one| one.turn);
        for Together { turn, seen } in all {
            for &(incarnation, sequence, at) in &seen {
                let known = ledger.seen(incarnation);
                if known.is_none_or(|known| known.sequence < sequence) {
                    ledger.restore(incarnation, Seen { sequence, at });
                }
                noted.last.insert(incarnation, turn);
            }
            let incarnations = seen.into_iter().map(|(incarnation, ..)| incarnation);
            noted.written.push_back((turn, incarnations.collect()));
            noted.turn = turn.saturating_add(1);
        }
        Ok(noted)
    }

    /// Notes that what is known of an incarnation changed.
    pub(super) fn note(&mut self, incarnation: u64) {
        self.fresh.insert(incarnation);
    }

    /// The same of many.
    pub(super) fn note_all(&mut self, incarnations: impl IntoIterator<Item = u64>) {
        self.fresh.extend(incarnations);
    }

    /// Adds to `batch` what changed since the last call.
    pub(super) fn changes(&mut self, ledger: &Ledger, batch: &mut Batch) {
        if self.fresh.is_empty() {
            return;
        }
        let turn = self.turn;
        self.turn = turn.saturating_add(1);
        let fresh = std::mem::take(&mut self.fresh);
        self.clear(turn, &fresh, ledger, batch);
        let mut seen = Vec::with_capacity(fresh.len());
        for incarnation in fresh {
            match ledger.seen(incarnation) {
                Some(one) => {
                    seen.push((incarnation, one.sequence, one.at));
                    self.last.insert(incarnation, turn);
                }
                None => {
                    put_seen(batch, incarnation, None);
                    self.last.remove(&incarnation);
                }
            }
        }
        let incarnations = seen.iter().map(|(incarnation, ..)| *incarnation);
        self.written.push_back((turn, incarnations.collect()));
        let place = turn % PLACES;
        put(
            batch,
            &format!("{TOGETHER}{place:03}"),
            &Together { turn, seen },
        );
    }

    /// Moves to entries what is stored only in the place of `turn`, and is not about to be written again.
    fn clear(&mut self, turn: u64, fresh: &BTreeSet<u64>, ledger: &Ledger, batch: &mut Batch) {
        while let Some((old, _)) = self.written.front()
            && old.saturating_add(PLACES) <= turn
            && let Some((old, incarnations)) = self.written.pop_front()
        {
            for incarnation in incarnations {
                let is_only_there = self.last.get(&incarnation) == Some(&old);
                if is_only_there && !fresh.contains(&incarnation) {
                    put_seen(batch, incarnation, ledger.seen(incarnation));
                    self.last.remove(&incarnation);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::InMemory;

    /// What a process that begins now knows.
    fn restored(store: &InMemory) -> (Noted, Ledger) {
        let mut ledger = Ledger::default();
        super::super::restore::seen(store, &mut ledger).unwrap();
        let noted = Noted::restore(store, &mut ledger).unwrap();
        (noted, ledger)
    }

    #[test]
    fn whoever_is_quiet_for_however_long_is_known_after_a_restart() {
        let store = InMemory::default();
        let (mut noted, mut ledger) = restored(&store);
        for batch in 0..3 * PLACES {
            // One reports always, one for a while, and one once in each round.
            let reporting = [(1, true), (2, batch < 9), (3, batch % PLACES == 7)];
            for (incarnation, _) in reporting.into_iter().filter(|(_, reports)| *reports) {
                ledger.note(incarnation, batch + 1, WallTime::from_millis(batch));
                noted.note(incarnation);
            }
            let mut changes = Batch::default();
            noted.changes(&ledger, &mut changes);
            store.commit(&changes).unwrap();
            if batch % 50 == 0 {
                let again = restored(&store);
                assert_eq!(again.1, ledger, "after {batch}");
                noted = again.0;
            }
        }
        assert_eq!(restored(&store).1, ledger);
        let entries = store.list(b"seen\n").unwrap().len();
        let places = store.list(TOGETHER.as_bytes()).unwrap().len();
        assert_eq!((entries, places), (1, 256), "only one was quiet for long");
        assert_eq!((noted.last.len(), noted.written.len()), (2, 256));
    }

    #[test]
    fn what_is_forgotten_has_no_entry_and_nothing_new_is_nothing_to_write() {
        let store = InMemory::default();
        let (mut noted, ledger) = restored(&store);
        let mut batch = Batch::default();
        put_seen(
            &mut batch,
            7,
            Some(Seen {
                sequence: 1,
                at: WallTime::default(),
            }),
        );
        store.commit(&batch).unwrap();
        let mut batch = Batch::default();
        noted.changes(&ledger, &mut batch);
        assert!(batch.is_empty());
        noted.note_all([7]);
        noted.changes(&ledger, &mut batch);
        store.commit(&batch).unwrap();
        assert!(store.list(b"seen\n").unwrap().is_empty());
        assert_eq!(restored(&store).1, Ledger::default());
    }
}
