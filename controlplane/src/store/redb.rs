//! The embedded store: one file, one table, one process.
//!
//! redb refuses everything after an error of the disk, until the file is opened
//! anew. So it is, before the next call: what was committed is there, and what
//! was not is not, as after a crash. A control plane goes on by itself when a
//! full disk has room again. Until then the file is nobody's: each commit leaves a
//! mark, and who finds another's writes nothing any more.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{Builder, Database, ReadableDatabase, ReadableTable as _, TableDefinition, TableError};

use super::{Batch, Store, StoreError};

/// All there is. Keys carry their kind as a prefix.
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sloop");

/// The mark of the newest commit.
const MARKS: TableDefinition<'_, (), Mark> = TableDefinition::new("mark");

/// A process, by a number that it drew, and how many commits it had tried.
type Mark = (u64, u64);

/// Room for pages in memory. The whole of a large fleet's budgets fits; the
/// default of 1 GiB would only grow with the file.
const CACHE_BYTES: usize = 64 << 20;

/// Bytes that redb writes last when it begins a file: what makes it one of its own.
const MAGIC_BYTES: usize = 9;

/// Bytes of what it writes first.
const HEAD_BYTES: usize = 320;

/// A [`Store`] in a file.
#[derive(Debug)]
pub struct Redb {
    path: PathBuf,
    opened: Mutex<Opened>,
}

#[derive(Debug)]
struct Opened {
    /// `None` after it failed.
    database: Option<Database>,
    turn: Turn,
}

/// Whether this process is the one that may write: what it writes is made of what it read when it began.
#[derive(Debug)]
struct Turn {
    process: u64,
    tried: u64,
    /// The mark that is there; two where it is not known whether a commit was made.
    marks: [Option<Mark>; 2],
    is_over: bool,
}

impl Turn {
    fn begin(mark: Option<Mark>) -> Self {
        Self {
            process: RandomState::new().build_hasher().finish(),
            tried: 0,
            marks: [mark; 2],
            is_over: false,
        }
    }
}

impl Redb {
    /// Opens the store at `path`, or begins an empty one there.
    ///
    /// # Errors
    ///
    /// When the file cannot be created, is no store, is damaged, or belongs to
    /// another process that still runs.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = || -> Result<Opened, redb::Error> {
            begin(path)?;
            let database = builder().create(path)?;
            let mark = mark(&database)?;
            let opened = |database| Opened {
                database: Some(database),
                turn: Turn::begin(mark),
            };
            // Where there is a table nothing is written: a full disk does not keep it from beginning.
            match database.begin_read()?.open_table(TABLE) {
                Ok(_) => return Ok(opened(database)),
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let transaction = database.begin_write()?;
            transaction.open_table(TABLE)?;
            transaction.commit()?;
            Ok(opened(database))
        };
        let path = path.to_owned();
        match opened() {
            Ok(opened) => Ok(Self {
                path,
                opened: Mutex::new(opened),
            }),
            Err(source) => Err(StoreError::Open {
                path,
                source: Box::new(source),
            }),
        }
    }

    /// Lets `work` have the database, which is opened anew if it failed before, or if `work` did not get to its end.
    fn with<T>(
        &self,
        work: impl FnOnce(&Database, &mut Turn) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let failed = |source| StoreError::Failed {
            path: self.path.clone(),
            source: Box::new(source),
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.turn.is_over {
            // Not even opened: the other one may begin again.
            return Err(failed(over()));
        }
        let database = match opened.database.take() {
            Some(database) => database,
            // An empty one in its place would forget what was acknowledged, so none is begun.
            None => builder()
                .open(&self.path)
                .map_err(|error| StoreError::Open {
                    path: self.path.clone(),
                    source: Box::new(error.into()),
                })?,
        };
        let done = work(&database, &mut opened.turn).map_err(failed)?;
        opened.database = Some(database);
        Ok(done)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadOnlyTable<&[u8], &[u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.with(|database, _| {
            let table = database.begin_read()?.open_table(TABLE)?;
            read(&table)
        })
    }
}

/// Sees to it that there is a file at `path`. One that was not there its owner alone can read: documents have addresses of
/// webhooks, which are secrets.
///
/// One that was only half begun, as the disk had no room or the process was killed, redb takes for something else: it is
/// begun anew.
fn begin(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let file = options.open(path)?;
    // Another process that begins it has the lock.
    if file.try_lock().is_ok() && is_half_begun(&file)? {
        tracing::warn!(path = %path.display(), "the store was only half begun, and is begun anew");
        file.set_len(0)?;
    }
    Ok(())
}

/// More bytes than a store has when it is begun. A longer one without a content may be a backup on its way back.
const BEGUN_BYTES_MAX: u64 = 2 << 20;

/// Whether there is nothing in it but the head, which does not yet say whose it is, and zeros.
fn is_half_begun(mut file: &File) -> io::Result<bool> {
    if BEGUN_BYTES_MAX < file.metadata()?.len() {
        return Ok(false);
    }
    let mut bytes = vec![0; 64 << 10];
    let mut seen = 0;
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            return Ok(HEAD_BYTES < seen);
        }
        let at = seen..seen + read;
        let mut known = at.zip(&bytes);
        if known.any(|(at, byte)| *byte != 0 && !(MAGIC_BYTES..HEAD_BYTES).contains(&at)) {
            return Ok(false);
        }
        seen += read;
    }
}

impl Store for Redb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.read(|table| {
            for entry in table.range(prefix..)? {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                see(key.value(), value.value());
            }
            Ok(())
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.with(|database, turn| write(database, batch, turn))
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn write(database: &Database, batch: &Batch, turn: &mut Turn) -> Result<(), redb::Error> {
    // A commit is durable unless asked otherwise: it returns after fsync.
    let transaction = database.begin_write()?;
    turn.tried += 1;
    let next = (turn.process, turn.tried);
    {
        let mut marks = transaction.open_table(MARKS)?;
        let found = marks.get(())?.map(|mark| mark.value());
        if !turn.marks.contains(&found) {
            turn.is_over = true;
            return Err(over());
        }
        turn.marks = [found, Some(next)];
        marks.insert((), next)?;
        let mut table = transaction.open_table(TABLE)?;
        for (key, value) in batch.changes() {
            match value {
                Some(value) => drop(table.insert(key, value)?),
                None => drop(table.remove(key)?),
            }
        }
    }
    transaction.commit()?;
    turn.marks = [Some(next); 2];
    Ok(())
}

/// The mark of the newest commit, which stores of before have none of.
fn mark(database: &Database) -> Result<Option<Mark>, redb::Error> {
    match database.begin_read()?.open_table(MARKS) {
        Ok(marks) => Ok(marks.get(())?.map(|mark| mark.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is said by who may not write any more.
fn over() -> redb::Error {
    let said = "another process wrote to it while the disk failed, and what this one knows is old: start it anew";
    redb::Error::Io(io::Error::other(said))
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[test]
    fn it_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        contract::holds_for(&mut || Redb::open(&folder.path().join("store")).unwrap());
    }

    #[test]
    fn a_new_one_its_owner_alone_can_read_and_an_old_one_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(Redb::open(&path).unwrap());
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        drop(Redb::open(&path).unwrap());
        assert_eq!(mode(), 0o640);
    }

    #[test]
    fn what_is_no_store_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        std::fs::write(&path, "something else").unwrap();
        let error = Redb::open(&path).unwrap_err();
        assert!(error.to_string().contains("cannot be opened"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"something else");
    }

    #[test]
    fn one_that_was_half_begun_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let whole = folder.path().join("whole");
        drop(Redb::open(&whole).unwrap());
        // A disk without room, and a kill before the last of what a beginning writes.
        let empty = vec![0; 1_589_248];
        let mut head = empty.clone();
        head[..HEAD_BYTES].copy_from_slice(&std::fs::read(&whole).unwrap()[..HEAD_BYTES]);
        head[..MAGIC_BYTES].fill(0);
        for half in [&empty, &head] {
            std::fs::write(&path, half).unwrap();
            let mut batch = Batch::default();
            batch.put("a", "one");
            Redb::open(&path).unwrap().commit(&batch).unwrap();
            let again = Redb::open(&path).unwrap();
            assert_eq!(again.get(b"a").unwrap().as_deref(), Some(&b"one"[..]));
        }
        // A backup of which nothing is back yet but its length.
        let long = vec![0; 4 << 20];
        std::fs::write(&path, &long).unwrap();
        Redb::open(&path).unwrap_err();
        assert!(std::fs::read(&path).unwrap() == long, "it is left alone");
        // What has something in it is not.
        let mut other = empty;
        other[500_000] = 1;
        for other in [&other[..], &[0; HEAD_BYTES]] {
            std::fs::write(&path, other).unwrap();
            assert!(Redb::open(&path).is_err());
            assert_eq!(std::fs::read(&path).unwrap(), other);
        }
    }

    #[test]
    fn two_processes_cannot_have_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let first = Redb::open(&path).unwrap();
        assert!(Redb::open(&path).is_err());
        drop(first);
        assert!(Redb::open(&path).is_ok());
    }

    #[test]
    fn what_another_process_wrote_while_the_disk_failed_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let count = |number: &str| {
            let mut batch = Batch::default();
            batch.put("count", number);
            batch
        };
        let first = Redb::open(&path).unwrap();
        let fails = || first.opened.lock().unwrap().database = None;
        first.commit(&count("1")).unwrap();
        fails();
        first.commit(&count("2")).unwrap();
        // One that only looked.
        fails();
        drop(Redb::open(&path).unwrap());
        first.commit(&count("3")).unwrap();
        // One that goes on from there.
        fails();
        let second = Redb::open(&path).unwrap();
        assert!(first.commit(&count("4")).is_err(), "while it has it");
        second.commit(&count("30")).unwrap();
        drop(second);
        for _ in 0..2 {
            let error = first.commit(&count("4")).unwrap_err();
            let said = crate::causes::whole(&error);
            assert!(said.contains("another process wrote to it"), "{said}");
        }
        let third = Redb::open(&path).unwrap();
        assert_eq!(third.get(b"count").unwrap().as_deref(), Some(&b"30"[..]));
        third.commit(&count("31")).unwrap();
    }

    #[test]
    fn a_commit_that_may_have_been_made_is_no_other_process() {
        let folder = tempfile::tempdir().unwrap();
        let store = Redb::open(&folder.path().join("store")).unwrap();
        let marks = || store.opened.lock().unwrap().turn.marks;
        let commit = || store.commit(&Batch::default()).unwrap();
        commit();
        let before = marks()[0];
        commit();
        // It failed, and is there all the same.
        let there = marks()[0];
        store.opened.lock().unwrap().turn.marks = [before, there];
        commit();
        // It failed, and is not.
        let there = marks()[0];
        store.opened.lock().unwrap().turn.marks = [there, Some((0, 0))];
        commit();
    }
}
