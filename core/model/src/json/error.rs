//! What is wrong with a piece of JSON, and where.

use std::borrow::Cow;
use std::error::Error;

/// Something wrong at a place.
#[derive(Debug, thiserror::Error)]
#[error("{}{what}", at(path))]
pub struct Problem {
    /// The field, as `scopes[0].breaker.limits`; empty for the whole.
    pub path: String,
    /// What is wrong with it.
    #[source]
    pub what: InvalidJson,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJson {
    /// Something else was wanted.
    #[error("is {found}; it must be {wanted}")]
    Kind {
        /// What is there.
        found: &'static str,
        /// What should be.
        wanted: &'static str,
    },
    /// A number beyond what its field can hold.
    #[error("is {given}; it must be at most {max}")]
    TooLarge {
        /// As given.
        given: u64,
        /// The bound.
        max: u64,
    },
    /// Not one of the words that are known here.
    #[error("is {given:?}; it must be one of {}", words.join(", "))]
    Word {
        /// As given.
        given: String,
        /// Those that are known.
        words: &'static [&'static str],
    },
    /// A field is missing.
    #[error("has no {name}, which it must have")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A field that nobody knows.
    #[error("has an unknown field {name:?}; known are {}", known.join(", "))]
    Unknown {
        /// As given.
        name: String,
        /// Those that are known.
        known: Vec<&'static str>,
    },
    /// A field is there more than once.
    #[error("has {name} twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// The value breaks a rule of its type.
    #[error(transparent)]
    Value(Box<dyn Error + Send + Sync>),
}

fn at(path: &str) -> Cow<'_, str> {
    if path.is_empty() {
        Cow::Borrowed("")
    } else {
        Cow::Owned(format!("{path}: "))
    }
}
