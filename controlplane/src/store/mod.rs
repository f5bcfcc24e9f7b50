//! What must outlive the process: keys and values, written in atomic batches.
//!
//! A [`Store`] is correct when it passes `contract`. It has what the process
//! uses and no more: reading one key, reading a range, and a durable batch.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod memory;
mod redb;

#[cfg(test)]
pub(crate) use memory::InMemory;
pub use redb::Redb;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Keeps values by key. Shared by threads; calls block.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows `see` all keys that begin with `prefix`, ascending, and their values: one after another, as there may be more
    /// of them than fit into memory.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// Makes all changes or none. When it returns `Ok` they survive a crash of the machine.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; whether the changes are there is then
    /// not known, so the caller writes them again, which changes nothing. The
    /// next call succeeds if the reason is gone, as a full disk that has room again.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// What [`Store::each`] shows, all at once.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn list(&self, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.each(prefix, &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
        })?;
        Ok(entries)
    }
}

/// Changes that belong together: a value to put, or `None` to delete. The last change of a key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// No changes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            changes: BTreeMap::new(),
        }
    }

    /// Puts `value` at `key`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), Some(value.into()));
    }

    /// Deletes `key`, if it is there.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), None);
    }

    /// Adds the changes of `newer`; where both change a key, those of `newer` count.
    pub fn then(&mut self, newer: Self) {
        if self.changes.is_empty() {
            *self = newer;
        } else {
            self.changes.extend(newer.changes);
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, sorted by key.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not there to use.
    #[error("the store {path} cannot be opened", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<::redb::Error>,
    },
    /// It was opened and fails all the same.
    #[error("the store {path} failed", path = path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<::redb::Error>,
    },
}

impl StoreError {
    /// Whether there is no room for what was to be written: on the disk, in a quota, or below the process' own limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let (Self::Open { source, .. } | Self::Failed { source, .. }) = self;
        let ::redb::Error::Io(error) = &**source else {
            return false;
        };
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        )
    }
}
