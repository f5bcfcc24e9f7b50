//! Watches the folder with documents, by looking at it again and again.
//!
//! Looking works on every file system, also where nobody is told of changes
//! (network file systems, mounted `ConfigMap`s). Files are read when the folder
//! was the same at two looks in a row: what somebody is still writing is not
//! half obeyed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sloop_controllers::Access;
use sloop_xds::fleet::Fleet;
use tokio::sync::mpsc;

use crate::admin::api::DocumentFile;
use crate::clock;
use crate::documents::{Folder, Loaded, Remark};
use crate::engine::Documents;

/// How often to look. A change takes effect within two looks.
const LOOK_GAP: Duration = Duration::from_millis(200);

/// How often to read again although nothing changed: calendar windows move on.
const READ_AGAIN: Duration = Duration::from_secs(60 * 60);

/// Entries that are looked at, folders inside each other that are followed: more is not meant.
const ENTRIES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 16;

/// The folder as it was at one look: when each entry was changed, and its length.
type Look = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// A folder under watch.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    folder: Folder,
    previous: Look,
    read: Look,
    read_at: Instant,
    loaded: Loaded,
}

impl Watched {
    /// Reads the folder at `path` for the first time.
    pub(super) fn begin(path: PathBuf) -> (Self, Documents) {
        let look = look(&path);
        let mut folder = Folder::new(path.clone());
        let loaded = folder.read(clock::wall());
        log(&loaded);
        let documents = documents(&loaded, &look);
        let watched = Self {
            path,
            folder,
            previous: look.clone(),
            read: look,
            read_at: Instant::now(),
            loaded,
        };
        (watched, documents)
    }

    /// Looks once. What the folder says, when that changed.
    fn look(&mut self) -> Option<Documents> {
        let look = look(&self.path);
        let is_settled = look == self.previous;
        let is_changed = look != self.read || self.read_at.elapsed() >= READ_AGAIN;
        self.previous = look;
        if !(is_settled && is_changed) {
            return None;
        }
        self.read.clone_from(&self.previous);
        self.read_at = Instant::now();
        let loaded = self.folder.read(clock::wall());
        if loaded == self.loaded {
            return None;
        }
        log(&loaded);
        self.loaded = loaded;
        Some(documents(&self.loaded, &self.read))
    }

    /// Looks until nobody wants to know any more.
    pub(super) async fn run(mut self, changes: mpsc::Sender<Documents>) {
        while !changes.is_closed() {
            tokio::time::sleep(LOOK_GAP).await;
            let looked = tokio::task::spawn_blocking(move || {
                let found = self.look();
                (self, found)
            });
            let found = match looked.await {
                Ok((same, found)) => {
                    self = same;
                    found
                }
                Err(error) => {
                    return tracing::error!(%error, "documents are not watched any more");
                }
            };
            if let Some(documents) = found
                && changes.send(documents).await.is_err()
            {
                return;
            }
        }
    }
}

/// Everything in `folder` and below, but for what begins with a dot and is no folder's link.
fn look(folder: &Path) -> Look {
    let mut look = Look::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            look.insert(folder, None);
            continue;
        };
        for entry in entries.flatten().take(ENTRIES_MAX) {
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

/// Says what is wrong, once per reading.
fn log(loaded: &Loaded) {
    for problem in &loaded.problems {
        tracing::warn!(
            file = problem.file,
            line = problem.line,
            path = problem.path,
            problem = problem.message,
            "a document is refused"
        );
    }
    tracing::info!(
        intents = loaded.intents.len(),
        files = loaded.files,
        problems = loaded.problems.len(),
        kept = ?loaded.kept,
        "documents are read"
    );
}

fn documents(loaded: &Loaded, look: &Look) -> Documents {
    let mut remarks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for remark in &loaded.problems {
        remarks
            .entry(&remark.file)
            .or_default()
            .push(sentence(remark));
    }
    let names: BTreeSet<String> = look
        .keys()
        .filter(|path| is_document(path))
        .map(|path| path.display().to_string())
        .chain(remarks.keys().map(|&file| file.to_owned()))
        .collect();
    let file = |file: String| {
        let problems = remarks.remove(file.as_str()).unwrap_or_default();
        DocumentFile {
            accepted: problems.is_empty(),
            problems,
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
        filter_settings: loaded.filter_settings.clone(),
        access: Arc::new(Access::new(loaded.access_rules.clone())),
        files: names.into_iter().map(file).collect(),
    }
}

fn is_document(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
}

fn sentence(remark: &Remark) -> String {
    let Remark {
        line,
        column,
        path,
        message,
        ..
    } = remark;
    format!("{line}:{column}: {path}: {message}")
}
