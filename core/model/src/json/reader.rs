//! A value that is being read, and what is found wrong on the way.

use core::cell::OnceCell;
use std::error::Error;

use super::error::{Broken, InvalidJson};
use super::{FromJson, Json, Problem};

/// What is wrong. Only the first is kept, so that the answer does not depend on what is read after it.
#[derive(Debug, Default)]
pub(super) struct Problems {
    first: OnceCell<Problem>,
}

impl Problems {
    pub(super) fn into_first(self) -> Option<Problem> {
        self.first.into_inner()
    }
}

/// A value and where it is.
///
/// Reading never stops: what is wrong goes to a list, and some value of the
/// right type takes its place, which nobody sees. To stop at each field would
/// need code there that takes apart again what was read before: that was half of
/// the size of all readers.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    json: &'r Json<'r>,
    at: At<'r>,
    problems: &'r Problems,
}

/// A place: the way to it, from the inside.
#[derive(Clone, Copy)]
struct At<'r> {
    step: Step,
    parent: Option<&'r Self>,
}

#[derive(Clone, Copy)]
enum Step {
    Whole,
    Field(&'static str),
    Item(usize),
}

impl<'r> Reader<'r> {
    /// The whole.
    pub(super) const fn of(json: &'r Json<'r>, problems: &'r Problems) -> Self {
        let at = At {
            step: Step::Whole,
            parent: None,
        };
        Self { json, at, problems }
    }

    /// The value.
    pub(crate) const fn json(&self) -> &'r Json<'r> {
        self.json
    }

    /// A field of it, of which this is the value.
    pub(super) const fn field(&'r self, name: &'static str, json: &'r Json<'r>) -> Self {
        self.inner(Step::Field(name), json)
    }

    const fn inner(&'r self, step: Step, json: &'r Json<'r>) -> Self {
        let at = At {
            step,
            parent: Some(&self.at),
        };
        Self {
            json,
            at,
            problems: self.problems,
        }
    }

    /// Says what is wrong with the value.
    pub(crate) fn refuse(&self, what: InvalidJson) {
        if self.problems.first.get().is_none() {
            let path = self.at.path();
            // Kept by nobody if there is one already, which was just ruled out.
            let _ = self.problems.first.set(Problem { path, what });
        }
    }

    /// Says that something else was wanted.
    pub(crate) fn wants(&self, wanted: &'static str) {
        let found = self.json.kind();
        self.refuse(InvalidJson::Kind { found, wanted });
    }

    /// Says which rule of its type the value breaks, if it breaks one.
    pub(crate) fn check<E: Error + Send + Sync + 'static>(&self, checked: Result<(), E>) {
        if let Err(error) = checked {
            self.refuse(InvalidJson::Value(Broken::by(error)));
        }
    }

    /// What was made of the value; `instead`, which nobody sees, where it breaks a rule of its type.
    pub(crate) fn valid<T, E: Error + Send + Sync + 'static>(
        &self,
        made: Result<T, E>,
        instead: impl FnOnce() -> T,
    ) -> T {
        match made {
            Ok(value) => value,
            Err(error) => {
                self.check(Err(error));
                instead()
            }
        }
    }

    /// The number, at most `max`.
    pub(super) fn number(&self, max: u64) -> u64 {
        match self.json {
            Json::Number(number) if *number <= max => return *number,
            Json::Number(given) => self.refuse(InvalidJson::TooLarge { given: *given, max }),
            Json::Null
            | Json::Bool(_)
            | Json::OtherNumber(_)
            | Json::Text(_)
            | Json::List(_)
            | Json::Object(_) => self.wants("a whole number that is not negative"),
        }
        0
    }

    /// The text.
    pub(crate) fn text(&self) -> &'r str {
        if let Json::Text(text) = self.json {
            return text;
        }
        self.wants("a string");
        ""
    }

    /// The position of the text among `words`.
    pub(crate) fn word(&self, words: &'static [&'static str]) -> usize {
        if let Json::Text(given) = self.json {
            match words.iter().position(|word| word == given) {
                Some(index) => return index,
                None => self.refuse(InvalidJson::Word {
                    given: given.clone().into_owned(),
                    words,
                }),
            }
        } else {
            self.wants("a string");
        }
        0
    }

    /// Reads each item of the list.
    pub(super) fn each(&self, read: &mut dyn FnMut(Reader<'_>)) {
        let Json::List(items) = self.json else {
            self.wants("a list");
            return;
        };
        for (index, item) in items.iter().enumerate() {
            read(self.inner(Step::Item(index), item));
        }
    }

    /// The two items of the list.
    pub(crate) fn pair<T: FromJson, U: FromJson>(&self) -> (T, U) {
        let (one, other) = if let Json::List(items) = self.json
            && let [one, other] = &**items
        {
            (one, other)
        } else {
            self.wants("a list of two");
            (&Json::Null, &Json::Null)
        };
        (
            T::from_json(self.inner(Step::Item(0), one)),
            U::from_json(self.inner(Step::Item(1), other)),
        )
    }

    /// The one member of the object: the position of its name among `names`, and its value.
    pub(crate) fn variant(
        &'r self,
        names: &'static [&'static str],
        wanted: &'static str,
    ) -> (usize, Self) {
        let Json::Object(members) = self.json else {
            self.wants("an object");
            return (0, self.nothing());
        };
        let is_known = |name: &str| names.contains(&name);
        if let Some((given, _)) = members.iter().find(|(name, _)| !is_known(name)) {
            self.refuse(InvalidJson::Unknown {
                name: given.clone().into_owned(),
                known: names.to_vec(),
            });
        }
        let [(given, json)] = &**members else {
            self.wants(wanted);
            return (0, self.nothing());
        };
        match names.iter().enumerate().find(|(_, name)| *name == given) {
            Some((index, name)) => (index, self.field(name, json)),
            None => (0, self.nothing()),
        }
    }

    /// Null in the place of the value.
    pub(super) const fn nothing(&self) -> Self {
        Self {
            json: &Json::Null,
            at: self.at,
            problems: self.problems,
        }
    }
}

impl At<'_> {
    /// As `scopes[0].breaker.limits`.
    fn path(&self) -> String {
        let mut path = self.parent.map(Self::path).unwrap_or_default();
        match self.step {
            Step::Whole => {}
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Item(index) => {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
            }
        }
        path
    }
}
