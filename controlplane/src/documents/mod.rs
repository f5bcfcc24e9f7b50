//! What operators declare: OpenSLO and our own kinds, from YAML and JSON.
//!
//! Reading has four layers, each in its own file: [`tree`] (text to values with
//! places), `reader` (values to types, all complaints at once), `openslo` and
//! `sloop` (the kinds, each document by itself), `resolve` (all documents
//! together: names, references, intents). Nothing of a file with a problem takes
//! effect: a [`Folder`] goes on with what the file said before, if it said
//! something right.
//!
//! The folder is the unit: names are unique over all its files, and documents may
//! refer to each other across files.

pub mod tree;

mod alerts;
mod applied;
mod document;
mod files;
mod fleet;
mod indicator;
mod intents;
mod merge;
mod metadata;
mod openslo;
mod reader;
mod references;
mod resolve;
mod schema;
mod sloop;
mod source;
mod suggest;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_controllers::{AccessRule, FilterSettings, IntentId, RouteSet};
use sloop_model::WallTime;
use sloop_xds::fleet::Declared;

pub use applied::{Applied, Became, DocumentId, NotPlanned, Plan, Planned};
pub use files::FileError;
pub(crate) use files::{has_documents, is_passed_over};
pub use schema::json_schema;
pub(crate) use suggest::perhaps;

use document::Parsed;
use merge::{Content, Merge};
use reader::Finding;

/// What all documents together say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// What controllers shall work on: its name, the controller's kind, and the intent as JSON.
    pub intents: Vec<(IntentId, &'static str, String)>,
    /// The routes of services, by name.
    pub route_sets: Vec<RouteSet>,
    /// What is declared for fleets of Envoys. `None`: not known, because a file that may declare
    /// something is left out, or because a reference leads nowhere; leave the fleets as they are.
    pub fleet: Option<Vec<Declared>>,
    /// The file of each document that declares something for fleets.
    pub fleet_files: BTreeMap<String, String>,
    /// What filters are told beside policies.
    pub filter_settings: Vec<FilterSettings>,
    /// Who may be whose sidecar, and report about what.
    pub access_rules: Vec<AccessRule>,
    /// What is wrong, sorted by file and place. Nothing of these files is in the other fields, unless they are [`Loaded::kept`].
    pub problems: Vec<Remark>,
    /// What a reader should know, and which stops nothing: above all what is "not evaluated here", and why.
    pub notes: Vec<Remark>,
    /// Files with problems of which an earlier content is in force.
    pub kept: Vec<String>,
    /// How many files were read.
    pub files: usize,
    /// How many documents they have.
    pub documents: usize,
}

/// Something to say about a place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Remark {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when it is about the file as a whole.
    pub line: u32,
    /// The column, from 1, in characters; 0 like the line.
    pub column: u32,
    /// The number of the document in the file, from 1; 0 when it is about the file as a whole.
    pub document: usize,
    /// The field, as `spec.objectives[0].target`; empty when it is about the document as a whole.
    pub path: String,
    /// What.
    pub message: String,
}

/// A folder with documents, read again and again, and what was handed in beside it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// What was found at the last reading, by file; or why the folder could not be read.
    found: Result<BTreeMap<String, Content>, String>,
    applied: Applied,
    /// What each file said when nothing was wrong with it.
    good: BTreeMap<String, Arc<Parsed>>,
    /// The texts of that.
    said: BTreeMap<String, Arc<str>>,
    /// What was declared for fleets when that was known.
    fleet: Option<Vec<Declared>>,
}

/// Reads `folder` and all below it once, as it is at `now`.
#[must_use]
pub fn read_dir(folder: &Path, now: WallTime) -> Loaded {
    Folder::new(folder.to_owned(), Applied::default()).read(now)
}

/// Reads files and folders, as they are at `now`.
#[must_use]
pub fn read_files(paths: &[PathBuf], now: WallTime) -> Loaded {
    read_all(paths, &[], now)
}

/// Reads documents from texts, each with a name to speak of it, as they are at `now`.
#[must_use]
pub fn read_texts(texts: &[(String, String)], now: WallTime) -> Loaded {
    read_all(&[], texts, now)
}

/// Reads files, folders and texts (each with a name to speak of it) as one, as they are at `now`.
#[must_use]
pub fn read_all(paths: &[PathBuf], texts: &[(String, String)], now: WallTime) -> Loaded {
    let mut merge = Merge::default();
    for path in paths {
        if path.is_dir() {
            match files::below(path) {
                Ok(below) => {
                    for (folder, error) in &below.shut {
                        merge.refuse(&folder.display().to_string(), &error.to_string());
                    }
                    below
                        .files
                        .iter()
                        .for_each(|path| merge.add_file(path, now));
                }
                Err(error) => merge.refuse(&path.display().to_string(), &error.to_string()),
            }
        } else {
            merge.add_file(path, now);
        }
    }
    for (name, text) in texts {
        merge.add(name, Arc::new(document::read(text, now)));
    }
    merge.finish(now).0
}

/// The files with documents in `folder` and below, sorted.
///
/// # Errors
///
/// When it or a folder below cannot be read, which is named, or has too much in it to be meant.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>, (PathBuf, FileError)> {
    let below = files::below(folder).map_err(|error| (folder.to_owned(), error))?;
    below.shut.into_iter().next().map_or(Ok(below.files), Err)
}

/// The kind of document that `given` means, in upper or lower case.
///
/// # Errors
///
/// When there is none; with the kind that was probably meant.
pub fn kind(given: &str) -> Result<&'static str, UnknownKind> {
    let known = openslo::KINDS.iter().chain(sloop::KINDS);
    let known: Vec<&'static str> = known.copied().collect();
    let mut same = known.iter().filter(|it| it.eq_ignore_ascii_case(given));
    same.next().copied().ok_or_else(|| UnknownKind {
        given: given.to_owned(),
        hint: suggest::hint(given, &known),
    })
}

/// Something is called a kind of document and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no kind of document; {hint}")]
pub struct UnknownKind {
    /// As given.
    given: String,
    /// What was probably meant, or what there is.
    hint: String,
}

/// Reads the text of a stream, to pass it to [`read_texts`].
///
/// # Errors
///
/// When it cannot be read, is too long, or is not a text.
pub fn read_stream(stream: impl Read) -> Result<String, FileError> {
    files::read_text(stream)
}

impl Remark {
    fn of(file: &str, finding: &Finding) -> Self {
        Self {
            file: file.to_owned(),
            line: finding.place.line,
            column: finding.place.column,
            document: finding.document,
            path: finding.path.clone(),
            message: finding.message.clone(),
        }
    }

    /// The same as a line for people that says that it stops nothing.
    #[must_use]
    pub fn as_note(&self) -> String {
        let noted = Self {
            message: format!("note: {}", self.message),
            ..self.clone()
        };
        noted.to_string()
    }
}

/// `file:line:column: field: message`, as compilers do; editors find the place.
impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file)?;
        if 0 < self.line {
            write!(formatter, "{}:{}:", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(formatter, " {}:", self.path)?;
        }
        write!(formatter, " {}", self.message)
    }
}

impl Folder {
    /// The folder at `path`, beside which `applied` was handed in. Nothing is read yet.
    #[must_use]
    pub const fn new(path: PathBuf, applied: Applied) -> Self {
        Self {
            path,
            found: Ok(BTreeMap::new()),
            applied,
            good: BTreeMap::new(),
            said: BTreeMap::new(),
            fleet: None,
        }
    }

    /// The same, when its files `said` this before the process began: those that have a problem now keep it.
    #[must_use]
    pub fn which_said(mut self, said: BTreeMap<String, Arc<str>>, now: WallTime) -> Self {
        let parsed = said
            .iter()
            .map(|(name, text)| (name.clone(), Arc::new(document::read(text, now))));
        self.good = parsed
            .filter(|(_, parsed)| parsed.problems.is_empty())
            .collect();
        self.said = said;
        self
    }

    /// The text of each file that is in force, by file: of one with a problem what it said before.
    #[must_use]
    pub const fn said(&self) -> &BTreeMap<String, Arc<str>> {
        &self.said
    }

    /// Reads all files, as they are at `now`, and puts all together.
    ///
    /// Calendar windows are listed for more than a year ahead: call it at least once in that time.
    pub fn read(&mut self, now: WallTime) -> Loaded {
        let name = |path: &Path| path.display().to_string();
        self.found = match files::below(&self.path) {
            Ok(below) => {
                let files = below.files.iter();
                let files = files.map(|path| (name(path), Content::of(path, now)));
                let shut = below.shut.iter();
                let shut = shut.map(|(path, error)| (name(path), Content::Shut(error.to_string())));
                Ok(files.chain(shut).collect())
            }
            Err(error) => Err(error.to_string()),
        };
        self.together(now)
    }

    /// Whether a file that could not be read at the last reading can be now. Looking at files does not tell: who may read one
    /// changes neither its length nor when it was changed.
    #[must_use]
    pub fn has_unread_news(&self) -> bool {
        let mut files = self.found.iter().flatten();
        files.any(|(name, content)| content.is_unread_news(Path::new(name)))
    }

    /// Puts together what was read last and what was handed in since. A file with problems keeps
    /// what it said at the last call without, a file that is gone says nothing any more.
    /// When the folder itself could not be read, everything is kept, and of a folder below what was in it. What is declared for
    /// fleets is kept as a whole when it is not known what it should be.
    pub fn together(&mut self, now: WallTime) -> Loaded {
        let (mut loaded, good) = self.merge(&self.applied, now).finish(now);
        self.good = good;
        self.said = self.texts();
        if loaded.fleet.is_some() {
            self.fleet.clone_from(&loaded.fleet);
        }
        loaded.fleet.clone_from(&self.fleet);
        loaded
    }

    /// The texts of what is good now. A file whose content is not what was read last kept what it said.
    fn texts(&self) -> BTreeMap<String, Arc<str>> {
        let found = |name: &str| self.found.as_ref().ok()?.get(name);
        let text = |(name, good): (&String, &Arc<Parsed>)| {
            let text = match found(name) {
                Some(Content::Read(parsed, text)) if Arc::ptr_eq(parsed, good) => text,
                Some(Content::Read(..) | Content::Unreadable(_) | Content::Shut(_)) | None => {
                    self.said.get(name)?
                }
            };
            Some((name.clone(), Arc::clone(text)))
        };
        self.good.iter().filter_map(text).collect()
    }

    /// All that was read last, with `applied` beside it.
    fn merge(&self, applied: &Applied, now: WallTime) -> Merge {
        let mut merge = Merge::default();
        match &self.found {
            Ok(files) => {
                for (name, content) in files {
                    merge.add_content(name, content);
                    if let Content::Shut(_) = content {
                        let is_below = |file: &str| Path::new(file).starts_with(name);
                        let is_kept = merge.keep_files(&self.good, is_below);
                        // Fleets stay as they are. After a restart that is what the store has of them.
                        if self.fleet.is_some() || !is_kept {
                            merge.leave_out(name);
                        }
                    }
                }
            }
            Err(message) => {
                merge.refuse(&self.path.display().to_string(), message);
                merge.keep_files(&self.good, |_| true);
            }
        }
        for (name, parsed) in applied.read(now) {
            merge.add_applied(&name, parsed);
        }
        merge.fall_back_on(&self.good);
        merge
    }
}

#[cfg(test)]
mod tests;
