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
    #[error("the change could not be stored; try again")]
    Store(#[from] StoreError),
}

/// What was handed in before.
pub(super) fn restore(store: &dyn Store) -> Result<Applied, RestoreError> {
    let stored = read::<Stored>(store, DOCUMENT)?;
    let documents = stored.into_iter();
    Ok(Applied::restored(documents.map(|one| (one.id, one.text))))
}

/// Makes a change durable, and then has `folder` say it; at `now`.
pub(super) fn obey(
    folder: &mut Folder,
    store: &dyn Store,
    change: &DocumentChange,
    is_trial: bool,
    now: WallTime,
) -> Result<Plan, NotChanged> {
    let plan = match change {
        DocumentChange::Apply(texts) => folder.plan_apply(texts, now)?,
        DocumentChange::Delete(id) => folder.plan_delete(id, now)?,
    };
    if !is_trial {
        store.commit(&batch(&plan))?;
        folder.carry_out(&plan);
    }
    Ok(plan)
}

fn batch(plan: &Plan) -> Batch {
    let mut batch = Batch::default();
    for planned in &plan.documents {
        let key = format!("{DOCUMENT}{}", planned.id);
        match &planned.text {
            Some(text) => {
                let stored = Stored {
                    id: planned.id.clone(),
                    text: text.clone(),
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
    use super::*;
    use crate::store::InMemory;

    const SERVICE: &str = "{apiVersion: openslo/v1, kind: Service, metadata: {name: a}}";

    /// Obeys, and says how many documents are handed in now, and how many are stored.
    fn counts(folder: &mut Folder, change: &DocumentChange, is_trial: bool) -> (usize, usize) {
        thread_local! { static STORE: InMemory = InMemory::default(); }
        STORE.with(|store| {
            obey(folder, store, change, is_trial, WallTime::from_millis(1)).unwrap();
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
}
