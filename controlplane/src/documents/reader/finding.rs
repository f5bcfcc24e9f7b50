//! What is found in a file, and where it is collected.

use std::cell::RefCell;
use std::fmt::Display;

use super::super::tree::Place;
use super::words::join;

/// Findings of one file that are kept; nobody reads more.
const FINDINGS_MAX: usize = 100;

/// Something to say about a place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::documents) struct Finding {
    pub(in crate::documents) document: usize,
    pub(in crate::documents) place: Place,
    pub(in crate::documents) path: String,
    pub(in crate::documents) message: String,
}

/// Where complaints and notes of one file are collected.
#[derive(Debug, Default)]
pub(in crate::documents) struct Sink {
    problems: RefCell<Vec<Finding>>,
    notes: RefCell<Vec<Finding>>,
}

impl Sink {
    /// What is wrong, and what a reader should know.
    pub(in crate::documents) fn into_parts(self) -> (Vec<Finding>, Vec<Finding>) {
        (self.problems.into_inner(), self.notes.into_inner())
    }

    /// Whether nothing is wrong.
    pub(in crate::documents) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// What is wrong.
    pub(in crate::documents) fn problems(&self) -> Vec<Finding> {
        self.problems.borrow().clone()
    }

    pub(in crate::documents) fn refuse(&self, finding: Finding) {
        keep(&self.problems, finding);
    }

    pub(in crate::documents) fn note(&self, finding: Finding) {
        keep(&self.notes, finding);
    }
}

fn keep(list: &RefCell<Vec<Finding>>, finding: Finding) {
    let mut list = list.borrow_mut();
    if FINDINGS_MAX <= list.len() || list.contains(&finding) {
        return;
    }
    let is_last = list.len() + 1 == FINDINGS_MAX;
    list.push(if is_last {
        Finding {
            message: format!("and more: only the first {FINDINGS_MAX} findings of a file are said"),
            path: String::new(),
            ..finding
        }
    } else {
        finding
    });
}

/// A place that outlives the reading of its document, to speak about it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::documents) struct Spot {
    pub(in crate::documents) document: usize,
    pub(in crate::documents) place: Place,
    pub(in crate::documents) path: String,
}

impl Spot {
    /// A finding about this place.
    pub(in crate::documents) fn says(&self, message: impl Display) -> Finding {
        Finding {
            document: self.document,
            place: self.place,
            path: self.path.clone(),
            message: message.to_string(),
        }
    }

    /// The place of the field `name` in the value at this place.
    pub(in crate::documents) fn field(&self, name: &str) -> Self {
        Self {
            path: join(&self.path, name),
            ..self.clone()
        }
    }
}
