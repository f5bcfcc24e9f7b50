//! Conditions on the path, compiled.

use sloop_model::PathMatch;

use crate::bytes::{begins_with, is_same};

#[derive(Debug)]
pub(super) enum Path {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Template(Vec<Segment>),
}

#[derive(Debug)]
pub(super) enum Segment {
    /// This text.
    Text(Box<[u8]>),
    /// Anything but nothing.
    Any,
}

impl Path {
    pub(super) fn new(rule: &PathMatch) -> Self {
        match rule {
            PathMatch::Exact(path) => Self::Exact(path.as_bytes().into()),
            PathMatch::Prefix(path) => Self::Prefix(path.as_bytes().into()),
            PathMatch::Template(pattern) => {
                Self::Template(pattern.split('/').map(Segment::new).collect())
            }
        }
    }

    /// Whether `path`, without its query, fits.
    pub(super) fn fits(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => is_same(exact, path),
            Self::Prefix(prefix) => begins_with(path, prefix),
            Self::Template(segments) => {
                let mut given = path.split(|byte| *byte == b'/');
                segments
                    .iter()
                    .all(|segment| given.next().is_some_and(|given| segment.fits(given)))
                    && given.next().is_none()
            }
        }
    }
}

impl Segment {
    fn new(text: &str) -> Self {
        if text.starts_with('{') && text.ends_with('}') {
            Self::Any
        } else {
            Self::Text(text.as_bytes().into())
        }
    }

    fn fits(&self, given: &[u8]) -> bool {
        match self {
            Self::Text(text) => is_same(text, given),
            Self::Any => !given.is_empty(),
        }
    }
}
