//! YAML and JSON as a tree that knows where each value was written.
//!
//! YAML 1.2 is a superset of JSON, so there is one parser. The tree is built
//! from the parser's events and not by its own loader, because that one copies
//! every alias without a bound ("billion laughs"). Bounds are on bytes,
//! nesting, values, documents and copied values; reaching one refuses the file.
//!
//! Differences to the letter of YAML: a mapping may not have a key twice (the
//! specification says so, many readers do not), keys are scalars, `<<` merges
//! as in YAML 1.1 because people rely on it, and local tags are refused.

mod builder;
mod json;
mod scalar;

use saphyr_parser::{Marker, Parser, ScanError};

use builder::Builder;

/// Bytes of one file. 10,000 SLOs are about 10 MiB.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// Lists and mappings inside each other. The deepest document of OpenSLO needs 14.
pub const DEPTH_MAX: usize = 64;
/// Documents in one file.
pub const DOCUMENTS_MAX: usize = 10_000;
/// Values in one file, copies by aliases included: about 100 MB of memory.
pub const VALUES_MAX: usize = 1_000_000;
/// Values in one file that aliases copy.
pub const COPIES_MAX: usize = 100_000;

/// Where something was written: line and column from 1, counted in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number; finite or not.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the document; no key twice.
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as it is written: `1: a` has the key `1`.
    pub key: String,
    /// Where the key begins.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// Why a text cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// Where reading stopped.
    pub place: Place,
    /// Why.
    pub reason: Reason,
}

/// What stopped the reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not YAML.
    #[error("not readable as YAML or JSON: {0}")]
    Syntax(String),
    /// More of something than the bound.
    #[error("more than {max} {what}; split the file")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// Too many bytes.
    #[error("the file has {given} bytes; it may have at most {max}", max = FILE_BYTES_MAX)]
    TooLong {
        /// As given.
        given: usize,
    },
    /// Lists and mappings too deep inside each other.
    #[error("more than {max} lists and mappings inside each other", max = DEPTH_MAX)]
    TooDeep,
    /// The parser would take it for the end of the text.
    #[error("a NUL character; text files have none")]
    Nul,
    /// A key twice.
    #[error("the key {key:?} is there already, at line {line}")]
    KeyTwice {
        /// The key.
        key: String,
        /// Where the first one is.
        line: u32,
    },
    /// A list or mapping as a key.
    #[error("a key must be a text or a number")]
    KeyShape,
    /// `<<` with something that has no keys.
    #[error("\"<<\" merges mappings; give a mapping or a list of mappings")]
    Merge,
    /// An alias inside of what it names.
    #[error("the alias is inside of what it refers to")]
    Circle,
    /// A tag that says nothing to this reader.
    #[error("the tag {0:?} means nothing here; leave it out")]
    Tag(String),
}

/// Reads all documents of `text`; those with nothing in them are left out, the
/// others keep their number, from 1.
///
/// # Errors
///
/// At the first place that is not YAML, or where a bound is reached.
pub fn parse(text: &str) -> Result<Vec<(usize, Node)>, Unreadable> {
    let begin = Place { line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        let given = text.len();
        return Err(Reason::TooLong { given }.at(begin));
    }
    if let Some(before) = text.find('\0').and_then(|at| text.get(..at)) {
        return Err(Reason::Nul.at(place_after(before)));
    }
    let text = json::without_pairs(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut parser = Parser::new_from_str(&text);
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        builder.take(event, place(span.start))?;
    }
    Ok(builder.finish())
}

impl Reason {
    const fn at(self, place: Place) -> Unreadable {
        Unreadable {
            place,
            reason: self,
        }
    }
}

fn syntax(error: &ScanError) -> Unreadable {
    Reason::Syntax(error.info().to_owned()).at(place(*error.marker()))
}

fn place(marker: Marker) -> Place {
    let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place {
        line: bounded(marker.line()).max(1),
        column: bounded(marker.col()).saturating_add(1),
    }
}

fn place_after(text: &str) -> Place {
    let line = text.matches('\n').count();
    let column = text.rsplit('\n').next().unwrap_or(text).chars().count();
    place(Marker::new(0, line.saturating_add(1), column))
}

#[cfg(test)]
mod tests;
