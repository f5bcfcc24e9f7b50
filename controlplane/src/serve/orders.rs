//! Documents that were handed in: where they are stored, and how one asks for a change of them.

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;
use tokio::sync::oneshot;

use crate::documents::{Applied, DocumentId, Folder, NotPlanned, Plan};
use crate::engine::{RestoreError, put, read};
use crate::store::{Batch, Store, StoreError};

/// Before the kind and name of a document in the store.
const DOCUMENT: &str = "document\n";

/// A document, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    id: DocumentId,
    text: String,
}

/// A change of documents that somebody asks for.
#[derive(Debug)]
pub struct DocumentOrder {
    /// What to change.
    pub change: DocumentChange,
    /// Only say what it would do.
    pub is_trial: bool,
    /// Who asks.
    pub answer: oneshot::Sender<Result<Plan, NotChanged>>,
}

/// What to change.
#[derive(Clone, Debug)]
pub enum DocumentChange {
    /// Texts with documents, each with a name to speak of it.
    Apply(Vec<(String, String)>),
    /// One document.
    Delete(DocumentId),
}

/// Why documents were not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// It makes no sense.
    #[error(transparent)]
    Planned(#[from] NotPlanned),
    /// It could not be stored.
    #[error("the change could not be stored, and nothing is changed; try again later")]
    Store(#[from] StoreError),
}

/// What was handed in before.
pub(super) fn restore(store: &dyn Store) -> Result<Applied, RestoreError> {
    let stored = read::<Stored>(store, DOCUMENT)?;
    let documents = stored.into_iter();
    Ok(Applied::restored(documents.map(|one| (one.id, one.text))))
}

/// Changes of documents, and what the store may have of those that it refused.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// What was there before changes that the store refused. Whether it has them is not known.
    owed: Batch,
}

impl Orders {
    /// What would be done to `folder` at `now`.
    pub(super) fn plan(
        folder: &Folder,
        change: &DocumentChange,
        now: WallTime,
    ) -> Result<Plan, NotChanged> {
        Ok(match change {
            DocumentChange::Apply(texts) => folder.plan_apply(texts, now)?,
            DocumentChange::Delete(id) => folder.plan_delete(id, now)?,
        })
    }

    /// Makes a change durable, and then has `folder` say it; at `now`.
    ///
    /// What is refused is not in force, and is not after a restart either: with the first change that the store takes,
    /// or by [`Orders::settle`], it says again what was there before.
    pub(super) fn obey(
        &mut self,
        folder: &mut Folder,
        store: &dyn Store,
        change: &DocumentChange,
        now: WallTime,
    ) -> Result<Plan, NotChanged> {
        let plan = Self::plan(folder, change, now)?;
        let mut changes = self.owed.clone();
        changes.then(batch(plan.documents.iter().map(|planned| {
            let text = planned.text.as_deref();
            (&planned.id, text)
        })));
        if let Err(error) = store.commit(&changes) {
            let ids = plan.documents.iter().map(|planned| &planned.id);
            self.owed
                .then(batch(ids.map(|id| (id, folder.applied().get(id)))));
            return Err(error.into());
        }
        self.owed = Batch::default();
        folder.carry_out(&plan);
        Ok(plan)
    }

    /// Whether the store may have what was refused.
    pub(super) fn is_behind(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Has the store say what is in force, where that is not known.
    pub(super) fn settle(&mut self, store: &dyn Store) {
        if self.is_behind() && store.commit(&self.owed).is_ok() {
            self.owed = Batch::default();
        }
    }
}

fn batch<'a>(documents: impl Iterator<Item = (&'a DocumentId, Option<&'a str>)>) -> Batch {
    let mut batch = Batch::default();
    for (id, text) in documents {
        let key = format!("{DOCUMENT}{id}");
        match text {
            Some(text) => {
                let (id, text) = (id.clone(), text.to_owned());
                put(&mut batch, &key, &Stored { id, text });
            }
            None => batch.delete(key),
        }
    }
    batch
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::ErrorKind;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::store::InMemory;

    const SERVICE: &str = "{apiVersion: openslo/v1, kind: Service, metadata: {name: a}}";

    /// Obeys, and says how many documents are handed in now, and how many are stored.
    fn counts(folder: &mut Folder, change: &DocumentChange, is_trial: bool) -> (usize, usize) {
        thread_local! { static STORE: InMemory = InMemory::default(); }
        STORE.with(|store| {
            let (mut orders, now) = (Orders::default(), WallTime::from_millis(1));
            if is_trial {
                Orders::plan(folder, change, now).unwrap();
            } else {
                orders.obey(folder, store, change, now).unwrap();
            }
            let stored = restore(store).unwrap();
            (folder.applied().names().count(), stored.names().count())
        })
    }

    #[test]
    fn what_holds_is_stored_and_a_trial_changes_nothing() {
        let mut folder = Folder::new("/nowhere".into(), Applied::default());
        let apply = DocumentChange::Apply(vec![("a".to_owned(), SERVICE.to_owned())]);
        assert_eq!(counts(&mut folder, &apply, true), (0, 0));
        assert_eq!(counts(&mut folder, &apply, false), (1, 1));
        let delete = DocumentChange::Delete(DocumentId {
            kind: "Service".to_owned(),
            name: "a".to_owned(),
        });
        assert_eq!(counts(&mut folder, &delete, true), (1, 1));
        assert_eq!(counts(&mut folder, &delete, false), (0, 0));
    }

    /// A store that has what it is given and says that it has not, as where only the last `fsync` failed.
    #[derive(Debug, Default)]
    pub(in crate::serve) struct Liar {
        inside: InMemory,
        pub(in crate::serve) lies: AtomicBool,
    }

    impl Store for Liar {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inside.get(key)
        }

        fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
            self.inside.each(prefix, see)
        }

        fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
            self.inside.commit(batch)?;
            if self.lies.load(Ordering::Relaxed) {
                return Err(StoreError::Failed {
                    path: "/full".into(),
                    source: Box::new(redb::Error::Io(ErrorKind::StorageFull.into())),
                });
            }
            Ok(())
        }
    }

    #[test]
    fn what_was_refused_is_taken_back_whatever_the_store_has_of_it() {
        let store = Liar::default();
        let mut folder = Folder::new("/nowhere".into(), Applied::default());
        let mut orders = Orders::default();
        let now = WallTime::from_millis(1);
        let apply = |names: &[&str]| {
            let texts = names.iter().map(|name| {
                let text = SERVICE.replace("name: a", &format!("name: {name}"));
                ((*name).to_owned(), text)
            });
            DocumentChange::Apply(texts.collect())
        };
        let names = |applied: &Applied| applied.names().collect::<Vec<_>>();
        let mut obey = |folder: &mut Folder, names: &[&str]| {
            let obeyed = orders.obey(folder, &store, &apply(names), now);
            (obeyed.is_ok(), orders.is_behind())
        };
        assert_eq!(obey(&mut folder, &["a"]), (true, false));
        store.lies.store(true, Ordering::Relaxed);
        assert_eq!(obey(&mut folder, &["b", "c"]), (false, true));
        assert_eq!(names(folder.applied()), ["applied:Service/a"]);
        assert_eq!(restore(&store).unwrap().names().count(), 3, "it has it");
        store.lies.store(false, Ordering::Relaxed);
        assert_eq!(obey(&mut folder, &["c"]), (true, false));
        let kept = ["applied:Service/a", "applied:Service/c"];
        assert_eq!(names(&restore(&store).unwrap()), kept);
        store.lies.store(true, Ordering::Relaxed);
        assert_eq!(obey(&mut folder, &["d"]), (false, true));
        store.lies.store(false, Ordering::Relaxed);
        orders.settle(&store);
        assert!(!orders.is_behind());
        assert_eq!(names(&restore(&store).unwrap()), kept);
    }
}
