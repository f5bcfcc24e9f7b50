//! Watches the folder with documents, by looking at it again and again.
//!
//! Looking works on every file system, also where nobody is told of changes
//! (network file systems, mounted `ConfigMap`s). Files are read when the folder
//! was the same at two looks in a row: what somebody is still writing is not
//! half obeyed. What is handed in over the API goes through here, too, so that
//! all documents change one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sloop_controllers::Access;
use sloop_xds::fleet::Fleet;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::kept::Kept;
use super::orders::{self, DocumentOrder, NotChanged, Orders};
use crate::admin::api::DocumentFile;
use crate::clock;
use crate::documents::{Applied, Folder, Loaded, Plan, Remark, has_documents, is_passed_over};
use crate::engine::{Documents, RestoreError};
use crate::store::Store;

/// How often to look. A change takes effect within two looks.
const LOOK_GAP: Duration = Duration::from_millis(200);

/// How often to read again although nothing changed: calendar windows move on.
const READ_AGAIN: Duration = Duration::from_secs(60 * 60);

/// How often to try to read files that could not be read.
const UNREAD_AGAIN: Duration = Duration::from_secs(2);

/// How often to try to store what could not be stored.
const STORE_AGAIN: Duration = Duration::from_secs(2);

/// Entries that are looked at, folders inside each other that are followed: more is not meant.
const ENTRIES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 16;

/// The folder as it was at one look: when each entry was changed, and its length.
type Look = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// Documents that changed.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) documents: Documents,
    /// Dropped when the loop has taken them.
    pub(super) taken: oneshot::Sender<()>,
}

/// What came of an order.
type Outcome = Result<Plan, NotChanged>;

/// What one round of work came to.
#[derive(Debug, Default)]
struct Worked {
    documents: Option<Documents>,
    answer: Option<(oneshot::Sender<Outcome>, Outcome)>,
}

/// A folder under watch.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    store: Arc<dyn Store>,
    folder: Folder,
    kept: Kept,
    orders: Orders,
    /// When it was last tried to store what could not be stored.
    stored_at: Instant,
    previous: Look,
    read: Look,
    read_at: Instant,
    /// When it was last tried to read what could not be read.
    tried_at: Instant,
    loaded: Loaded,
}

impl Watched {
    /// Reads the folder at `path` for the first time in this process; what was handed in beside it, and what its files
    /// said before, is in `store`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or what is in it makes no sense.
    pub(super) fn begin(
        path: PathBuf,
        store: Arc<dyn Store>,
    ) -> Result<(Self, Documents), RestoreError> {
        let look = look(&path);
        let now = clock::wall();
        let mut kept = Kept::restore(&*store)?;
        let folder = Folder::new(path.clone(), orders::restore(&*store)?);
        let mut folder = folder.which_said(kept.stored().clone(), now);
        let loaded = folder.read(now);
        kept.follow(folder.said(), &*store);
        log(&loaded, &[]);
        let documents = documents(&loaded, &look, folder.applied());
        let watched = Self {
            path,
            store,
            folder,
            kept,
            orders: Orders::default(),
            stored_at: Instant::now(),
            previous: look.clone(),
            read: look,
            read_at: Instant::now(),
            tried_at: Instant::now(),
            loaded,
        };
        Ok((watched, documents))
    }

    /// Looks once. What the folder says, when that changed.
    fn look(&mut self) -> Option<Documents> {
        self.settle();
        let look = look(&self.path);
        let is_settled = look == self.previous;
        let is_due = self.read_at.elapsed() >= READ_AGAIN;
        let is_changed = look != self.read || is_due || self.has_unread_news();
        self.previous = look;
        if !(is_settled && is_changed) {
            return None;
        }
        self.read.clone_from(&self.previous);
        self.read_at = Instant::now();
        let loaded = self.folder.read(clock::wall());
        self.kept.follow(self.folder.said(), &*self.store);
        self.news(loaded)
    }

    /// Whether something can be read that could not before, when it is time to try.
    fn has_unread_news(&mut self) -> bool {
        if self.tried_at.elapsed() < UNREAD_AGAIN {
            return false;
        }
        self.tried_at = Instant::now();
        self.folder.has_unread_news()
    }

    /// Stores what could not be stored before, when it is time to try.
    fn settle(&mut self) {
        let is_behind = self.kept.is_behind() || self.orders.is_behind();
        if !is_behind || self.stored_at.elapsed() < STORE_AGAIN {
            return;
        }
        self.stored_at = Instant::now();
        self.orders.settle(&*self.store);
        self.kept.follow(self.folder.said(), &*self.store);
    }

    /// What is said now, when that is something else than before.
    fn news(&mut self, loaded: Loaded) -> Option<Documents> {
        if loaded == self.loaded {
            return None;
        }
        log(&loaded, &self.loaded.notes);
        self.loaded = loaded;
        let applied = self.folder.applied();
        Some(documents(&self.loaded, &self.read, applied))
    }

    /// Does what was asked for.
    fn obey(&mut self, order: DocumentOrder) -> Worked {
        let now = clock::wall();
        let (change, is_trial) = (order.change, order.is_trial);
        let result = if is_trial {
            Orders::plan(&self.folder, &change, now)
        } else {
            let orders = &mut self.orders;
            orders.obey(&mut self.folder, &*self.store, &change, now)
        };
        let is_changed = result.is_ok() && !is_trial;
        let loaded = is_changed.then(|| self.folder.together(now));
        if is_changed {
            self.kept.follow(self.folder.said(), &*self.store);
        }
        Worked {
            documents: loaded.and_then(|loaded| self.news(loaded)),
            answer: Some((order.answer, result)),
        }
    }

    /// Looks, and does what is asked for, until nobody wants to know any more.
    pub(super) async fn run(
        mut self,
        updates: mpsc::Sender<Update>,
        mut orders: mpsc::Receiver<DocumentOrder>,
    ) {
        let mut looks = tokio::time::interval(LOOK_GAP);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let order = tokio::select! {
                () = updates.closed() => return,
                _ = looks.tick() => None,
                Some(order) = orders.recv() => Some(order),
            };
            let work = tokio::task::spawn_blocking(move || {
                let worked = match order {
                    Some(order) => self.obey(order),
                    None => Worked {
                        documents: self.look(),
                        answer: None,
                    },
                };
                (self, worked)
            });
            let worked = match work.await {
                Ok((same, worked)) => {
                    self = same;
                    worked
                }
                Err(error) => {
                    return tracing::error!(%error, "documents are not watched any more");
                }
            };
            if let Some(documents) = worked.documents
                && !hand_over(&updates, documents).await
            {
                return;
            }
            if let Some((answer, result)) = worked.answer {
                // Who asked may have gone.
                drop(answer.send(result));
            }
        }
    }
}

/// Gives `documents` to the loop and waits until it has taken them. Whether there is a loop.
async fn hand_over(updates: &mpsc::Sender<Update>, documents: Documents) -> bool {
    let (taken, is_taken) = oneshot::channel();
    let is_sent = updates.send(Update { documents, taken }).await.is_ok();
    // The other end says nothing: it is dropped.
    drop(is_taken.await);
    is_sent
}

/// Everything in `folder` and below that is read, and so nothing that is passed over.
fn look(folder: &Path) -> Look {
    let mut look = Look::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            look.insert(folder, None);
            continue;
        };
        for entry in entries.flatten().take(ENTRIES_MAX) {
            if is_passed_over(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            // Follows links: that is how a mounted ConfigMap changes.
            let metadata = fs::metadata(&path).ok();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < DEPTH_MAX {
                waiting.push((path.clone(), depth + 1));
            }
            let stamp = metadata.and_then(|it| Some((it.modified().ok()?, it.len())));
            look.insert(path, stamp);
            if look.len() >= ENTRIES_MAX {
                return look;
            }
        }
    }
    look
}

/// Says what is wrong, once per reading, and what one should know but for what was `noted` before.
fn log(loaded: &Loaded, noted: &[Remark]) {
    for problem in &loaded.problems {
        tracing::warn!(
            file = problem.file,
            line = problem.line,
            path = problem.path,
            problem = problem.message,
            "a document is refused"
        );
    }
    for note in loaded.notes.iter().filter(|it| !noted.contains(it)) {
        tracing::info!(
            file = note.file,
            line = note.line,
            path = note.path,
            note = note.message,
            "a document is not all that it may seem"
        );
    }
    tracing::info!(
        intents = loaded.intents.len(),
        files = loaded.files,
        problems = loaded.problems.len(),
        notes = loaded.notes.len(),
        kept = ?loaded.kept,
        "documents are read"
    );
}

fn documents(loaded: &Loaded, look: &Look, applied: &Applied) -> Documents {
    let mut remarks = by_file(&loaded.problems);
    let mut notes = by_file(&loaded.notes);
    let names: BTreeSet<String> = look
        .keys()
        .filter(|path| has_documents(path))
        .map(|path| path.display().to_string())
        .chain(applied.names())
        .chain(remarks.keys().map(|&file| file.to_owned()))
        .chain(loaded.kept.iter().cloned())
        .collect();
    let file = |file: String| {
        let problems = remarks.remove(file.as_str()).unwrap_or_default();
        let kept = loaded.kept.contains(&file);
        DocumentFile {
            accepted: problems.is_empty() && !kept,
            kept,
            problems,
            notes: notes.remove(file.as_str()).unwrap_or_default(),
            file,
        }
    };
    Documents {
        intents: loaded
            .intents
            .iter()
            .map(|(id, kind, body)| (id.clone(), (*kind, body.clone())))
            .collect(),
        route_sets: loaded.route_sets.clone(),
        fleet: loaded.fleet.clone().map(|it| Arc::new(Fleet::new(it))),
        fleet_files: loaded.fleet_files.clone(),
        filter_settings: loaded.filter_settings.clone(),
        access: Arc::new(Access::new(loaded.access_rules.clone())),
        files: names.into_iter().map(file).collect(),
    }
}

/// Sentences by the file that they are about.
fn by_file(remarks: &[Remark]) -> BTreeMap<&str, Vec<String>> {
    let mut sentences: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for remark in remarks {
        let of_file = sentences.entry(&remark.file).or_default();
        of_file.push(sentence(remark));
    }
    sentences
}

/// As a remark is said to people, but for the file.
fn sentence(remark: &Remark) -> String {
    let said = remark.to_string();
    let said = said.strip_prefix(&format!("{}:", remark.file));
    said.map_or_else(
        || remark.message.clone(),
        |said| said.trim_start().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::InMemory;

    const SLO: &str = "{apiVersion: openslo/v1, kind: Service, metadata: {name: a}}";

    /// As after its permissions were mended: neither its length nor when it was changed are others.
    #[test]
    fn a_file_that_could_not_be_read_is_read_soon_after_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let write = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let file = fs::File::options().write(true).open(&file).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        write(&[0xff; SLO.len()]);
        let store = Arc::new(InMemory::default());
        let (mut watched, documents) = Watched::begin(folder.path().to_owned(), store).unwrap();
        assert_eq!(documents.files[0].problems, ["is not UTF-8 from byte 0 on"]);
        write(SLO.as_bytes());
        assert_eq!(watched.look(), None, "it is not time yet");
        let tries = |watched: &mut Watched| {
            watched.tried_at = watched.tried_at.checked_sub(UNREAD_AGAIN).unwrap();
            watched.look()
        };
        let documents = tries(&mut watched).unwrap();
        assert!(documents.files[0].accepted, "{documents:?}");
        assert_eq!(tries(&mut watched), None, "it is read");
    }

    #[test]
    fn what_is_said_of_a_file_is_as_people_read_it() {
        let mut remark = Remark {
            file: "a.yaml".to_owned(),
            line: 3,
            column: 7,
            document: 1,
            path: "spec.service".to_owned(),
            message: "is missing".to_owned(),
        };
        assert_eq!(sentence(&remark), "3:7: spec.service: is missing");
        remark.path.clear();
        assert_eq!(sentence(&remark), "3:7: is missing");
        remark.line = 0;
        assert_eq!(sentence(&remark), "is missing");
    }
}
