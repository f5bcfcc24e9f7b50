//! What is wrong with a piece of JSON, and where.

use core::any::Any;
use core::fmt;
use std::borrow::Cow;

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
    #[error("is \"{}\"; it must be one of {}", given.escape_default(), words.join(", "))]
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
    #[error("has an unknown field \"{}\"; known are {}", name.escape_default(), known.join(", "))]
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
    #[error("{0}")]
    Value(Broken),
}

/// What a type says about a value that breaks one of its rules.
///
/// Its words and its type alone: whatever else an error can do would be in the filter's module for each
/// type of error, and there nobody asks for it.
pub struct Broken(Box<dyn Says + Send + Sync>);

/// What is left of an error.
trait Says: fmt::Display + Any {}

impl<T: fmt::Display + Any> Says for T {}

impl Broken {
    pub(super) fn by(error: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// The error, if it is of this type.
    #[must_use]
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        let error: &dyn Any = &*self.0;
        error.downcast_ref()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

fn at(path: &str) -> Cow<'_, str> {
    if path.is_empty() {
        Cow::Borrowed("")
    } else {
        Cow::Owned(format!("{path}: "))
    }
}
