//! What each file of the folder said when nothing was wrong with it, in the store: so a mistake in a file takes
//! nothing out of force, also when the process begins beside it.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Files of which the store refused what they said. Whether it has that is not known.
    doubted: BTreeSet<String>,
}

impl Kept {
    /// What is in `store`.
    pub(super) fn restore(store: &dyn Store) -> Result<Self, RestoreError> {
        let stored = read::<Stored>(store, FILE)?.into_iter();
        let stored = stored.map(|one| (one.name, one.text.into())).collect();
        Ok(Self {
            stored,
            doubted: BTreeSet::new(),
        })
    }

    /// The texts, by file.
    pub(super) const fn stored(&self) -> &BTreeMap<String, Arc<str>> {
        &self.stored
    }

    /// Whether the store may have something else than files said last.
    pub(super) fn is_behind(&self) -> bool {
        !self.doubted.is_empty()
    }

    /// Stores what files `said` where that is something else. What cannot be stored is tried again the next time.
    pub(super) fn follow(&mut self, said: &BTreeMap<String, Arc<str>>, store: &dyn Store) {
        let others = self.others(said);
        if others.is_empty() {
            return;
        }
        match store.commit(&batch(&others, said)) {
            Ok(()) => {
                self.doubted.clear();
                self.stored.clone_from(said);
            }
            Err(error) => {
                if !self.is_behind() {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "what files say could not be stored; it is tried again");
                }
                self.doubted = others;
            }
        }
    }

    /// The files that `said` something else than the store surely has, or are gone from there.
    fn others(&self, said: &BTreeMap<String, Arc<str>>) -> BTreeSet<String> {
        let names = self.stored.keys().chain(said.keys()).chain(&self.doubted);
        let is_other = |name: &&String| {
            self.doubted.contains(*name) || self.stored.get(*name) != said.get(*name)
        };
        names.filter(is_other).cloned().collect()
    }
}

/// Puts what the files called `names` said, and deletes those that say nothing.
fn batch(names: &BTreeSet<String>, said: &BTreeMap<String, Arc<str>>) -> Batch {
    let mut batch = Batch::default();
    for name in names {
        let key = format!("{FILE}{name}");
        match said.get(name) {
            Some(text) => {
                let stored = Stored {
                    name: name.clone(),
                    text: text.to_string(),
                };
                put(&mut batch, &key, &stored);
            }
            None => batch.delete(key),
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::orders::tests::Liar;
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
        assert!(kept.others(&said(&[("b.yaml", "3")])).is_empty());
    }

    #[test]
    fn what_was_refused_is_written_over_also_when_files_say_again_what_they_said() {
        let store = Liar::default();
        let mut kept = Kept::restore(&store).unwrap();
        let first = said(&[("a.yaml", "1"), ("b.yaml", "2")]);
        kept.follow(&first, &store);
        store.lies.store(true, Ordering::Relaxed);
        kept.follow(&said(&[("a.yaml", "other"), ("c.yaml", "3")]), &store);
        assert!(kept.is_behind() && kept.stored() == &first);
        kept.follow(&first, &store);
        assert!(kept.is_behind(), "it refused that, too");
        store.lies.store(false, Ordering::Relaxed);
        kept.follow(&first, &store);
        assert!(!kept.is_behind());
        assert_eq!(Kept::restore(&store).unwrap().stored(), &first);
    }
}
