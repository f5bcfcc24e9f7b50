//! What each file of the folder said when nothing was wrong with it, in the store: so a mistake in a file takes
//! nothing out of force, also when the process begins beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::{RestoreError, put, read};
use crate::store::{Batch, Store};

/// Before the name of a file in the store.
const FILE: &str = "file\n";

/// What a file said, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    name: String,
    text: String,
}

/// What is stored of files.
#[derive(Debug, Default)]
pub(super) struct Kept {
    stored: BTreeMap<String, Arc<str>>,
    /// Whether the store refused what files say.
    is_behind: bool,
}

impl Kept {
    /// What is in `store`.
    pub(super) fn restore(store: &dyn Store) -> Result<Self, RestoreError> {
        let stored = read::<Stored>(store, FILE)?.into_iter();
        let stored = stored.map(|one| (one.name, one.text.into())).collect();
        Ok(Self {
            stored,
            is_behind: false,
        })
    }

    /// The texts, by file.
    pub(super) const fn stored(&self) -> &BTreeMap<String, Arc<str>> {
        &self.stored
    }

    /// Whether the store has something else than files said last.
    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Stores what files `said` where that is something else. What cannot be stored is tried again the next time.
    pub(super) fn follow(&mut self, said: &BTreeMap<String, Arc<str>>, store: &dyn Store) {
        let batch = self.batch(said);
        let stored = if batch.is_empty() {
            Ok(())
        } else {
            store.commit(&batch)
        };
        let was_behind = std::mem::replace(&mut self.is_behind, stored.is_err());
        match stored {
            Ok(()) => self.stored.clone_from(said),
            Err(error) if !was_behind => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "what files say could not be stored; it is tried again");
            }
            Err(_) => {}
        }
    }

    fn batch(&self, said: &BTreeMap<String, Arc<str>>) -> Batch {
        let mut batch = Batch::default();
        for (name, text) in said {
            if self.stored.get(name) != Some(text) {
                let stored = Stored {
                    name: name.clone(),
                    text: text.to_string(),
                };
                put(&mut batch, &format!("{FILE}{name}"), &stored);
            }
        }
        for name in self.stored.keys().filter(|name| !said.contains_key(*name)) {
            batch.delete(format!("{FILE}{name}"));
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::InMemory;

    fn said(files: &[(&str, &str)]) -> BTreeMap<String, Arc<str>> {
        let files = files.iter();
        files
            .map(|(name, text)| ((*name).to_owned(), Arc::from(*text)))
            .collect()
    }

    #[test]
    fn what_files_say_is_there_after_a_restart() {
        let store = InMemory::default();
        let mut kept = Kept::restore(&store).unwrap();
        assert!(kept.stored().is_empty());
        for now in [
            said(&[("a.yaml", "1"), ("b.yaml", "2")]),
            said(&[("b.yaml", "3")]),
        ] {
            kept.follow(&now, &store);
            assert_eq!(Kept::restore(&store).unwrap().stored(), &now);
        }
        assert!(kept.batch(&said(&[("b.yaml", "3")])).is_empty());
    }
}
