//! Documents that were handed in over the HTTP API, and what a change of them would do.
//!
//! They stand beside the files of the folder as if each were a file of its own,
//! called `applied:KIND/NAME`. **The folder wins**: a document of which a file
//! has the kind and name is refused, and one whose kind and name a file gets
//! later is out of force until the file gives them up. So a folder that is kept
//! under version control always says what it seems to say.
//!
//! A change is planned first: it is checked together with all that is there,
//! and refused as a whole when anything is wrong that was not wrong before.

mod bodies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::document::{self, Parsed};
use super::references::still_referring;
use super::resolve::set_of;
use super::tree::{self, FILE_BYTES_MAX};
use super::{Folder, Remark};
use bodies::bodies;

/// Before the kind and name, where the names of files are.
pub(super) const PREFIX: &str = "applied:";

/// Which document it is: there is one of a kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct DocumentId {
    /// As `SLO`.
    pub kind: String,
    /// Its `metadata.name`.
    pub name: String,
}

impl fmt::Display for DocumentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.name)
    }
}

/// Documents that were handed in, each as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    documents: BTreeMap<DocumentId, String>,
}

impl Applied {
    /// As many as a file may have.
    pub const DOCUMENTS_MAX: usize = tree::DOCUMENTS_MAX;

    /// Bytes of all together: as many as a file may have.
    pub const BYTES_MAX: usize = FILE_BYTES_MAX;

    /// Those that were stored.
    #[must_use]
    pub fn restored(documents: impl IntoIterator<Item = (DocumentId, String)>) -> Self {
        Self {
            documents: documents.into_iter().collect(),
        }
    }

    /// The document `id` as JSON.
    #[must_use]
    pub fn get(&self, id: &DocumentId) -> Option<&str> {
        self.documents.get(id).map(String::as_str)
    }

    /// What stands in the place of the names of files, sorted.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.documents.keys().map(name)
    }

    /// What each stands as among the files, and what it says at `now`.
    pub(super) fn read(&self, now: WallTime) -> impl Iterator<Item = (String, Arc<Parsed>)> {
        let documents = self.documents.iter();
        documents.map(move |(id, text)| (name(id), Arc::new(document::read(text, now))))
    }

    fn change(&mut self, planned: &Planned) {
        match &planned.text {
            Some(text) => drop(self.documents.insert(planned.id.clone(), text.clone())),
            None => drop(self.documents.remove(&planned.id)),
        }
    }

    fn is_over_bounds(&self) -> Option<NotPlanned> {
        let bytes: usize = self.documents.values().map(String::len).sum();
        let too_many = Self::DOCUMENTS_MAX < self.documents.len() || Self::BYTES_MAX < bytes;
        too_many.then_some(NotPlanned::TooMany {
            documents: self.documents.len(),
            bytes,
        })
    }
}

fn name(id: &DocumentId) -> String {
    format!("{PREFIX}{id}")
}

/// What becomes of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It was not there.
    Created,
    /// It said something else.
    Configured,
    /// It said the same.
    Unchanged,
    /// It is not there any more.
    Deleted,
}

/// One document that a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub id: DocumentId,
    /// What becomes of it.
    pub became: Became,
    /// What it says then, as JSON; `None` when it is deleted.
    pub text: Option<String>,
}

/// A change that can be made, sorted by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What becomes of each document.
    pub documents: Vec<Planned>,
    /// What one should know of what was handed in, or of others because of the change.
    pub notes: Vec<Remark>,
}

/// Why a change cannot be made. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPlanned {
    /// Something is wrong that was not wrong before: with what was handed in, or with what refers to it.
    #[error("{}", said(.0))]
    Wrong(Vec<Remark>),
    /// No document was handed in.
    #[error("there is no document in what was handed in")]
    Nothing,
    /// All that was handed in would be more than fits.
    #[error(
        "{documents} documents with {bytes} bytes would have been handed in; at most {} with {} bytes can be: \
         put some into the folder",
        Applied::DOCUMENTS_MAX,
        Applied::BYTES_MAX
    )]
    TooMany {
        /// Documents that there would be.
        documents: usize,
        /// Bytes that they would have as JSON.
        bytes: usize,
    },
    /// There is no such document.
    #[error("there is no {0}")]
    Unknown(DocumentId),
    /// A file has it.
    #[error("{id} is in the file {file}; delete it there")]
    InFile {
        /// Which.
        id: DocumentId,
        /// The file.
        file: String,
    },
}

fn said(remarks: &[Remark]) -> String {
    let remarks: Vec<String> = remarks.iter().map(ToString::to_string).collect();
    format!(
        "nothing is changed, because of this:\n{}",
        remarks.join("\n")
    )
}

impl Folder {
    /// What was handed in so far.
    #[must_use]
    pub const fn applied(&self) -> &Applied {
        &self.applied
    }

    /// What handing in `texts` would do at `now`; each has a name to speak of it. Files are taken
    /// as they were at the last [`Folder::read`].
    ///
    /// # Errors
    ///
    /// When anything is wrong with them, by themselves or together with what is there; all at once.
    pub fn plan_apply(
        &self,
        texts: &[(String, String)],
        now: WallTime,
    ) -> Result<Plan, NotPlanned> {
        let mut after = self.applied.clone();
        let mut plan = Plan::default();
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        let mut handed_in = Vec::new();
        for (file, text) in texts {
            let mut parsed = document::read(text, now);
            let mut bodies = bodies(text);
            parsed.documents.retain(|document| {
                let id = DocumentId {
                    kind: document.kind.to_owned(),
                    name: document.name.clone(),
                };
                let refusal = if let Some(file) = self.file_of(&id) {
                    format!("there is a {id} in the file {file}, which wins; change it there")
                } else if seen.insert(id.clone()) {
                    let text = bodies.remove(&id);
                    plan.documents
                        .extend(text.map(|text| planned(&self.applied, id, text)));
                    return true;
                } else if document.body.is_lenient() {
                    format!("{id} is handed in twice")
                } else {
                    // Said when all are put together, with the place of the other.
                    return true;
                };
                problems.push(Remark::of(file, &document.spot.says(refusal)));
                false
            });
            handed_in.push((file.as_str(), Arc::new(parsed)));
        }
        plan.documents.iter().for_each(|one| after.change(one));
        let after_it = self.after(&without(&self.applied, &plan), &handed_in, now);
        problems.extend(after_it.problems);
        plan.notes = after_it.notes;
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            return Err(NotPlanned::Wrong(problems));
        }
        if plan.documents.is_empty() {
            return Err(NotPlanned::Nothing);
        }
        plan.documents.sort_by(|a, b| a.id.cmp(&b.id));
        after.is_over_bounds().map_or(Ok(plan), Err)
    }

    /// What deleting `id` would do at `now`.
    ///
    /// # Errors
    ///
    /// When it was not handed in, or when something refers to it.
    pub fn plan_delete(&self, id: &DocumentId, now: WallTime) -> Result<Plan, NotPlanned> {
        if self.applied.get(id).is_none() {
            return Err(match self.file_of(id) {
                Some(file) => NotPlanned::InFile {
                    id: id.clone(),
                    file: file.to_owned(),
                },
                None => NotPlanned::Unknown(id.clone()),
            });
        }
        let plan = Plan {
            documents: vec![Planned {
                id: id.clone(),
                became: Became::Deleted,
                text: None,
            }],
            notes: Vec::new(),
        };
        let after = self.after(&without(&self.applied, &plan), &[], now);
        let mut problems = after.problems;
        problems.extend(still_referring(&after.good, id));
        if problems.is_empty() {
            let mut notes = after.notes;
            notes.extend(left_to_envoy(id, &self.good, &after.good));
            Ok(Plan { notes, ..plan })
        } else {
            Err(NotPlanned::Wrong(problems))
        }
    }

    /// Makes the change `plan`; the next [`Folder::together`] shows it.
    pub fn carry_out(&mut self, plan: &Plan) {
        let documents = plan.documents.iter();
        documents.for_each(|planned| self.applied.change(planned));
    }

    /// The file that has the document `id` in force.
    fn file_of(&self, id: &DocumentId) -> Option<&str> {
        let mut files = self
            .good
            .iter()
            .filter(|(name, _)| !name.starts_with(PREFIX));
        let has = |parsed: &Parsed| {
            let mut documents = parsed.documents.iter();
            documents.any(|one| one.kind == id.kind && one.name == id.name)
        };
        let found = files.find(|(_, parsed)| has(parsed));
        found.map(|(name, _)| name.as_str())
    }

    /// What `applied` and `handed_in` would be beside the files.
    fn after(&self, applied: &Applied, handed_in: &[(&str, Arc<Parsed>)], now: WallTime) -> After {
        let (before, _) = self.merge(&self.applied, now).finish(now);
        let mut merge = self.merge(applied, now);
        // A file of the folder may have the same name as one that is handed in.
        let stand_in = |index: usize| format!("{PREFIX}{index}");
        for (index, (_, parsed)) in handed_in.iter().enumerate() {
            merge.add(&stand_in(index), Arc::clone(parsed));
        }
        let (after, good) = merge.finish(now);
        let named = |mut remark: Remark| {
            for (index, (file, _)) in handed_in.iter().enumerate() {
                if remark.file == stand_in(index) {
                    (*file).clone_into(&mut remark.file);
                }
                let said = format!("at {}:", stand_in(index));
                remark.message = remark.message.replace(&said, &format!("at {file}:"));
            }
            remark
        };
        let news = |after: Vec<Remark>, before: &[Remark]| {
            let named = after.into_iter().map(named);
            named.filter(|it| !before.contains(it)).collect()
        };
        After {
            problems: news(after.problems, &before.problems),
            notes: news(after.notes, &before.notes),
            good,
        }
    }
}

/// What there would be after a change.
#[derive(Debug)]
struct After {
    /// What would be wrong that is not wrong as it is.
    problems: Vec<Remark>,
    /// What would be worth knowing that is not as it is.
    notes: Vec<Remark>,
    /// What would be in force, by file.
    good: BTreeMap<String, Arc<Parsed>>,
}

/// What one should know when `id` is the last set that named routes of a service `before`.
fn left_to_envoy(
    id: &DocumentId,
    before: &BTreeMap<String, Arc<Parsed>>,
    after: &BTreeMap<String, Arc<Parsed>>,
) -> Option<Remark> {
    let document = before.get(&name(id))?.documents.first()?;
    let service = &set_of(document)?.service;
    let documents = after.values().flat_map(|parsed| &parsed.documents);
    let mut sets = documents.filter_map(set_of);
    let is_last = !sets.any(|set| set.service == *service);
    let why = format!(
        "no RouteSet names routes of {service} any more: inbound only names that Envoy gives hold, outbound none"
    );
    is_last.then(|| Remark::of(&name(id), &document.spot.says(why)))
}

fn planned(applied: &Applied, id: DocumentId, text: String) -> Planned {
    let became = match applied.get(&id) {
        None => Became::Created,
        Some(before) if before == text => Became::Unchanged,
        Some(_) => Became::Configured,
    };
    Planned {
        id,
        became,
        text: Some(text),
    }
}

/// `applied` without what `plan` is about.
fn without(applied: &Applied, plan: &Plan) -> Applied {
    let mut rest = applied.clone();
    for planned in &plan.documents {
        rest.documents.remove(&planned.id);
    }
    rest
}

#[cfg(test)]
mod tests;
