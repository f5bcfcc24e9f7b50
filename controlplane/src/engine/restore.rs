//! How the engine's content is written to the store and read back.
//!
//! Keys carry their kind before the first line feed, which no name contains.
//! Values are JSON: a person with the file can read them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sloop_controllers::{Cell, Controllers, Step, World};
use sloop_model::WallTime;

use super::decisions::{Decisions, Place, Stored};
use super::experiments::Experiments;
use super::noted::Noted;
use super::{Denials, Documents, EVENTS_MAX, Engine, Fleet, History};
use crate::ingest::{Ledger, Seen};
use crate::store::{Batch, Store, StoreError};

/// Where the format of the store is written.
const FORMAT_KEY: &[u8] = b"format";

/// The format that this program reads and writes.
const FORMAT: &[u8] = b"1";

/// Counts.
const CELL: &str = "cell\n";

/// Cells that are taken back together: those of a few SLOs, in a few megabytes. Each time they are put in order.
const CELLS_AT_ONCE: usize = 20_000;

/// The newest report of each incarnation that is not among those that are stored together.
const SEEN: &str = "seen\n";

/// Decisions, each in the place of the one that left the history.
const DECISION: &str = "decision\n";

/// What holds for an intent by a stage, also where it was decided too long ago to be among decisions.
const STANDING: &str = "standing\n";

/// Why the store's content is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It cannot be read at all.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was written by another program.
    #[error("the store has format {given:?}; this program reads format {known:?}", known = String::from_utf8_lossy(FORMAT))]
    Format {
        /// As given.
        given: String,
    },
    /// A value has another shape than it should. Going on without it would forget counts.
    #[error("the store's entry {key:?} cannot be read")]
    Entry {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The newest report of an incarnation, as stored.
#[derive(Serialize, Deserialize)]
struct SeenStored {
    incarnation: u64,
    sequence: u64,
    at_ms: WallTime,
}

impl Engine {
    /// An engine that knows what an earlier process stored, without documents.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or holds what this program does not understand.
    pub fn restore(store: &dyn Store) -> Result<Self, RestoreError> {
        check_format(store)?;
        let world = world(store)?;
        let mut ledger = Ledger::default();
        seen(store, &mut ledger)?;
        let noted = Noted::restore(store, &mut ledger)?;
        let chaos = Experiments::restore(store)?;
        Ok(Self {
            world,
            controllers: Controllers::with_all(),
            ledger,
            noted,
            fleet: Fleet::default(),
            healths: super::health::Healths::default(),
            recent: std::collections::BTreeMap::new(),
            denials: Denials::default(),
            journeys: sloop_controllers::Journeys::default(),
            experiments: std::collections::BTreeMap::new(),
            documents: Documents::default(),
            bodies: std::collections::BTreeMap::new(),
            step: Step::default(),
            steps: 0,
            slos: std::cell::OnceCell::new(),
            events: History::of(EVENTS_MAX),
            decisions: Decisions::restored(read(store, DECISION)?, read(store, STANDING)?),
            recorded: None,
            chaos,
        })
    }
}

/// Lets `ledger` know what has entries in the store.
pub(super) fn seen(store: &dyn Store, ledger: &mut Ledger) -> Result<(), RestoreError> {
    for stored in read::<SeenStored>(store, SEEN)? {
        let seen = Seen {
            sequence: stored.sequence,
            at: stored.at_ms,
        };
        ledger.restore(stored.incarnation, seen);
    }
    Ok(())
}

/// The world as the store has it, some cells after others: all of them take more room than what is made of them.
fn world(store: &dyn Store) -> Result<World, RestoreError> {
    let (mut world, mut cells, mut wrong) = (World::default(), Vec::new(), None);
    store.each(CELL.as_bytes(), &mut |key, value| {
        match parse(key, value) {
            Ok(cell) => cells.push(cell),
            Err(error) => wrong = wrong.take().or(Some(error)),
        }
        if CELLS_AT_ONCE <= cells.len() {
            world.restore_some(std::mem::take(&mut cells));
        }
    })?;
    if let Some(error) = wrong {
        return Err(error);
    }
    world.restore(cells);
    Ok(world)
}

/// The counts in the store.
pub(super) fn cells(store: &dyn Store) -> Result<Vec<Cell>, RestoreError> {
    read(store, CELL)
}

pub(super) fn put_cell(batch: &mut Batch, cell: &Cell) {
    put(batch, &format!("{CELL}{}", cell.key()), cell);
}

/// Drops what is stored under a cell's key.
pub(super) fn delete_cell(batch: &mut Batch, key: &str) {
    batch.delete(format!("{CELL}{key}"));
}

pub(super) fn put_decision(batch: &mut Batch, place: u64, decision: &Stored) {
    put(batch, &format!("{DECISION}{place:04}"), decision);
}

/// Stores what holds in its place, or that nothing does.
pub(super) fn put_standing(batch: &mut Batch, (place, standing): Place) {
    let key = format!("{STANDING}{place}");
    match standing {
        Some(standing) => put(batch, &key, &standing),
        None => batch.delete(key),
    }
}

pub(super) fn put_seen(batch: &mut Batch, incarnation: u64, seen: Option<Seen>) {
    let key = format!("{SEEN}{incarnation:016x}");
    match seen {
        Some(seen) => {
            let stored = SeenStored {
                incarnation,
                sequence: seen.sequence,
                at_ms: seen.at,
            };
            put(batch, &key, &stored);
        }
        None => batch.delete(key),
    }
}

/// Adds `value` to `batch` as JSON.
pub(crate) fn put(batch: &mut Batch, key: &str, value: &impl Serialize) {
    match serde_json::to_vec(value) {
        Ok(json) => batch.put(key, json),
        // Maps with keys that are no text, which nothing that we store has.
        Err(error) => tracing::error!(key, %error, "cannot be stored"),
    }
}

/// Reads all values whose key begins with `prefix`.
pub(crate) fn read<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
) -> Result<Vec<T>, RestoreError> {
    let entries = store.list(prefix.as_bytes())?.into_iter();
    entries.map(|(key, value)| parse(&key, &value)).collect()
}

fn parse<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, RestoreError> {
    serde_json::from_slice(value).map_err(|source| RestoreError::Entry {
        key: String::from_utf8_lossy(key).into_owned(),
        source,
    })
}

fn check_format(store: &dyn Store) -> Result<(), RestoreError> {
    match store.get(FORMAT_KEY)? {
        Some(format) if format == FORMAT => Ok(()),
        Some(format) => Err(RestoreError::Format {
            given: String::from_utf8_lossy(&format).into_owned(),
        }),
        None => {
            let mut batch = Batch::default();
            batch.put(FORMAT_KEY, FORMAT);
            Ok(store.commit(&batch)?)
        }
    }
}
