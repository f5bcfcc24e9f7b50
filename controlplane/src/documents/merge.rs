//! Chooses which content of each file is in force, so that the whole makes sense.
//!
//! A file counts with what it says, or with what it said before when that has
//! a problem. Leaving a file out can be a problem for others (a reference that
//! leads nowhere), so this repeats until nothing is wrong any more; each round
//! takes at least one content out of the choice, so it ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sloop_model::WallTime;

use super::applied::PREFIX;
use super::document::{self, Parsed};
use super::files::{self, FileError};
use super::fleet;
use super::reader::Finding;
use super::resolve::{Contribution, resolve};
use super::{Loaded, Remark};

/// Files to be put together.
#[derive(Debug, Default)]
pub(super) struct Merge {
    files: BTreeMap<String, Versions>,
    problems: Vec<Remark>,
    count: usize,
    documents: usize,
}

/// What was found in a file, or instead of files.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// What it says, right or wrong, and its text.
    Read(Arc<Parsed>, Arc<str>),
    /// Why it is no text.
    Unreadable(String),
    /// It is a folder; why nobody knows what is in it.
    Shut(String),
}

impl Content {
    /// What is in the file at `path`, read at `now`.
    pub(super) fn of(path: &Path, now: WallTime) -> Self {
        match files::read(path) {
            Ok(text) => Self::Read(Arc::new(document::read(&text, now)), text.into()),
            Err(error) => Self::Unreadable(FileError::to_string(&error)),
        }
    }

    /// Whether it could not be read, and what is in the file at `path` is something else than it was.
    pub(super) fn is_unread_news(&self, path: &Path) -> bool {
        match self {
            // What is in a folder is looked at all the time.
            Self::Read(..) | Self::Shut(_) => false,
            Self::Unreadable(message) => {
                files::read(path).map_or_else(|error| error.to_string() != *message, |_| true)
            }
        }
    }
}

/// The contents of a file that may be in force.
#[derive(Debug, Default)]
struct Versions {
    /// Cannot be in force; looked at to say all that is wrong with it at once.
    broken: Option<Arc<Parsed>>,
    current: Option<Arc<Parsed>>,
    previous: Option<Arc<Parsed>>,
    /// It was handed in, and files win.
    is_applied: bool,
}

impl Versions {
    fn chosen(&self) -> Option<&Arc<Parsed>> {
        self.current.as_ref().or(self.previous.as_ref())
    }
}

impl Merge {
    /// Adds the file at `path`, read at `now`.
    pub(super) fn add_file(&mut self, path: &Path, now: WallTime) {
        self.add_content(&path.display().to_string(), &Content::of(path, now));
    }

    /// Adds what was found in the file `name`. What was in a folder that is shut is for the caller to keep.
    pub(super) fn add_content(&mut self, name: &str, content: &Content) {
        match content {
            Content::Read(parsed, _) => self.add(name, Arc::clone(parsed)),
            Content::Unreadable(message) => {
                self.refuse(name, message);
                self.leave_out(name);
            }
            Content::Shut(message) => self.refuse(name, message),
        }
    }

    /// Of what `name` says nothing is known, unless it falls back on what it said before: nor what fleets should be.
    pub(super) fn leave_out(&mut self, name: &str) {
        self.files.entry(name.to_owned()).or_default();
    }

    /// Adds what the file `name` says.
    pub(super) fn add(&mut self, name: &str, parsed: Arc<Parsed>) {
        self.count += 1;
        self.put(name, parsed, false);
    }

    /// Adds what was handed in as `name`.
    pub(super) fn add_applied(&mut self, name: &str, parsed: Arc<Parsed>) {
        self.put(name, parsed, true);
    }

    fn put(&mut self, name: &str, parsed: Arc<Parsed>, is_applied: bool) {
        self.documents += parsed.count;
        self.problems.extend(remarks(name, &parsed.problems));
        let versions = self.files.entry(name.to_owned()).or_default();
        versions.is_applied = is_applied;
        if parsed.problems.is_empty() {
            versions.current = Some(parsed);
        } else {
            versions.broken = Some(parsed);
        }
    }

    /// Adds that `name` cannot be read.
    pub(super) fn refuse(&mut self, name: &str, message: &str) {
        self.problems.push(Remark {
            file: name.to_owned(),
            line: 0,
            column: 0,
            document: 0,
            path: String::new(),
            message: message.to_owned(),
        });
    }

    /// Lets what is there fall back on what it said before. What was handed in was right beside everything else then,
    /// so after a restart, too, it is not what gives way to a file that came later and contradicts it.
    pub(super) fn fall_back_on(&mut self, good: &BTreeMap<String, Arc<Parsed>>) {
        for (name, versions) in &mut self.files {
            let own = versions.current.as_ref().filter(|_| versions.is_applied);
            versions.previous = good.get(name).or(own).cloned();
        }
    }

    /// Keeps what those files said before that `are_meant`; whether there are any.
    pub(super) fn keep_files(
        &mut self,
        good: &BTreeMap<String, Arc<Parsed>>,
        are_meant: impl Fn(&str) -> bool,
    ) -> bool {
        let mut is_any = false;
        let files = good.iter().filter(|(name, _)| !name.starts_with(PREFIX));
        for (name, parsed) in files.filter(|(name, _)| are_meant(name)) {
            let versions = self.files.entry(name.clone()).or_default();
            versions.previous = Some(Arc::clone(parsed));
            is_any = true;
        }
        is_any
    }

    /// Puts all together. Also returns the content of each file that is in force.
    pub(super) fn finish(mut self, now: WallTime) -> (Loaded, BTreeMap<String, Arc<Parsed>>) {
        self.look_at_broken(now);
        let (contributions, outdone) = loop {
            let files = self.files.iter();
            let chosen = files.filter_map(|(name, versions)| Some((name, &**versions.chosen()?)));
            let (chosen, outdone) = self.without_outdone(chosen.collect());
            let contributions = round(chosen, now);
            if !self.take_out(&contributions) {
                break (contributions, outdone);
            }
        };
        self.problems.extend(outdone);
        let mut loaded = Loaded {
            files: self.count,
            documents: self.documents,
            problems: self.problems,
            ..Loaded::default()
        };
        let is_whole = self.files.values().all(|file| file.chosen().is_some());
        loaded.fleet = fleet::put_together(&contributions, is_whole, &mut loaded.problems);
        for (name, contribution) in contributions {
            let (_, notes) = contribution.sink.into_parts();
            loaded.notes.extend(remarks(&name, &notes));
            let declared = contribution.fleet.into_iter();
            let declared = declared.map(|(_, it)| (it.document, name.clone()));
            loaded.fleet_files.extend(declared);
            loaded.intents.extend(contribution.intents);
            loaded.route_sets.extend(contribution.route_sets);
            loaded.filter_settings.extend(contribution.filter_settings);
            loaded.access_rules.extend(contribution.access_rules);
        }
        let mut good = BTreeMap::new();
        for (name, versions) in &self.files {
            if let Some(parsed) = versions.chosen() {
                loaded.notes.extend(remarks(name, &parsed.notes));
                good.insert(name.clone(), Arc::clone(parsed));
                if versions.current.is_none() {
                    loaded.kept.push(name.clone());
                }
            }
        }
        loaded.problems.sort();
        loaded.problems.dedup();
        loaded.notes.sort();
        loaded.intents.sort();
        (loaded, good)
    }

    /// Collects what else is wrong with files that are refused already.
    fn look_at_broken(&mut self, now: WallTime) {
        let files = self.files.iter();
        let all = files.filter_map(|(name, versions)| {
            let chosen = versions.chosen().map(|parsed| &**parsed);
            Some((name, versions.broken.as_deref().or(chosen)?))
        });
        let (all, _) = self.without_outdone(all.collect());
        for (name, contribution) in round(all, now) {
            if self
                .files
                .get(&name)
                .is_some_and(|versions| versions.broken.is_some())
            {
                self.problems
                    .extend(remarks(&name, &contribution.sink.problems()));
            }
        }
    }

    /// Leaves out of `all` what was handed in and has the kind and name of a document in a file,
    /// and says so.
    fn without_outdone<'a>(
        &self,
        mut all: Vec<(&'a String, &'a Parsed)>,
    ) -> (Vec<(&'a String, &'a Parsed)>, Vec<Remark>) {
        let is_applied = |name: &String| self.files.get(name).is_some_and(|it| it.is_applied);
        let mut in_files = BTreeMap::new();
        for (name, parsed) in all.iter().filter(|(name, _)| !is_applied(name)) {
            let documents = parsed.documents.iter();
            in_files.extend(documents.map(|it| ((it.kind, it.name.as_str()), *name)));
        }
        let mut outdone = Vec::new();
        all.retain(|(name, parsed)| {
            let mut documents = parsed.documents.iter().filter(|_| is_applied(name));
            let winner = documents.find_map(|document| {
                let file = in_files.get(&(document.kind, document.name.as_str()))?;
                Some((document, *file))
            });
            outdone.extend(winner.map(|(document, file)| {
                let why = format!(
                    "the {} {} is in the file {file}, too, which wins; delete it here or there",
                    document.kind, document.name
                );
                Remark::of(name, &document.spot.says(why))
            }));
            winner.is_none()
        });
        (all, outdone)
    }

    /// Takes contents with problems out of the choice; says whether there were
    /// any. What files said before goes last: a newcomer must not drive it out.
    fn take_out(&mut self, contributions: &[(String, Contribution)]) -> bool {
        let wrong: Vec<_> = contributions
            .iter()
            .filter(|(_, contribution)| !contribution.sink.is_clean())
            .collect();
        let mut is_newcomer = false;
        for (name, contribution) in &wrong {
            if let Some(versions) = self.files.get_mut(name)
                && versions.current.take().is_some()
            {
                is_newcomer = true;
                let problems = contribution.sink.problems();
                self.problems.extend(remarks(name, &problems));
            }
        }
        if !is_newcomer {
            for (name, _) in &wrong {
                if let Some(versions) = self.files.get_mut(name) {
                    versions.previous = None;
                }
            }
        }
        !wrong.is_empty()
    }
}

fn round(files: Vec<(&String, &Parsed)>, now: WallTime) -> Vec<(String, Contribution)> {
    let files: Vec<(&str, &Parsed)> = files
        .into_iter()
        .map(|(name, parsed)| (name.as_str(), parsed))
        .collect();
    let names = files.iter().map(|(name, _)| (*name).to_owned());
    names.zip(resolve(&files, now)).collect()
}

fn remarks(file: &str, findings: &[Finding]) -> Vec<Remark> {
    let findings = findings.iter();
    findings.map(|finding| Remark::of(file, finding)).collect()
}
