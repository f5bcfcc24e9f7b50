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

/// The contents of a file that may be in force.
#[derive(Debug, Default)]
struct Versions {
    /// Cannot be in force; looked at to say all that is wrong with it at once.
    broken: Option<Parsed>,
    current: Option<Arc<Parsed>>,
    previous: Option<Arc<Parsed>>,
}

impl Versions {
    fn chosen(&self) -> Option<&Arc<Parsed>> {
        self.current.as_ref().or(self.previous.as_ref())
    }
}

impl Merge {
    /// Adds the file at `path`, read at `now`.
    pub(super) fn add_file(&mut self, path: &Path, now: WallTime) {
        let name = path.display().to_string();
        match files::read(path) {
            Ok(text) => self.add(&name, document::read(&text, now)),
            Err(error) => {
                self.refuse(&name, &error);
                self.files.entry(name).or_default();
            }
        }
    }

    /// Adds what the file `name` says.
    pub(super) fn add(&mut self, name: &str, parsed: Parsed) {
        self.count += 1;
        self.documents += parsed.count;
        self.problems.extend(remarks(name, &parsed.problems));
        let versions = self.files.entry(name.to_owned()).or_default();
        if parsed.problems.is_empty() {
            versions.current = Some(Arc::new(parsed));
        } else {
            versions.broken = Some(parsed);
        }
    }

    /// Adds that `name` cannot be read.
    pub(super) fn refuse(&mut self, name: &str, error: &FileError) {
        self.problems.push(Remark {
            file: name.to_owned(),
            line: 0,
            column: 0,
            document: 0,
            path: String::new(),
            message: error.to_string(),
        });
    }

    /// Lets files that are there fall back on what they said before.
    pub(super) fn fall_back_on(&mut self, good: &BTreeMap<String, Arc<Parsed>>) {
        for (name, versions) in &mut self.files {
            versions.previous = good.get(name).cloned();
        }
    }

    /// Keeps what all files said before.
    pub(super) fn keep_all(&mut self, good: &BTreeMap<String, Arc<Parsed>>) {
        for (name, parsed) in good {
            let versions = self.files.entry(name.clone()).or_default();
            versions.previous = Some(Arc::clone(parsed));
        }
    }

    /// Puts all together. Also returns the content of each file that is in force.
    pub(super) fn finish(mut self, now: WallTime) -> (Loaded, BTreeMap<String, Arc<Parsed>>) {
        self.look_at_broken(now);
        let contributions = loop {
            let files = self.files.iter();
            let chosen = files.filter_map(|(name, versions)| Some((name, &**versions.chosen()?)));
            let contributions = round(chosen, now);
            if !self.take_out(&contributions) {
                break contributions;
            }
        };
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
            Some((name, versions.broken.as_ref().or(chosen)?))
        });
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

fn round<'a>(
    files: impl Iterator<Item = (&'a String, &'a Parsed)>,
    now: WallTime,
) -> Vec<(String, Contribution)> {
    let files: Vec<(&str, &Parsed)> = files
        .map(|(name, parsed)| (name.as_str(), parsed))
        .collect();
    let names = files.iter().map(|(name, _)| (*name).to_owned());
    names.zip(resolve(&files, now)).collect()
}

fn remarks(file: &str, findings: &[Finding]) -> Vec<Remark> {
    let remark = |finding: &Finding| Remark {
        file: file.to_owned(),
        line: finding.place.line,
        column: finding.place.column,
        document: finding.document,
        path: finding.path.clone(),
        message: finding.message.clone(),
    };
    findings.iter().map(remark).collect()
}
