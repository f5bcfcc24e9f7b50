//! Reads typed values out of a tree, and says everything that is wrong at once.
//!
//! [`At`] is a place in a document: a value, its path, and where complaints go.
//! Its methods answer `None` when there is nothing fitting, after they complained.
//! So a caller goes on with what it has; a file with any complaint is refused as
//! a whole, and what was made of it is never used. As in JSON readers of Go,
//! `null` is the same as leaving the field out.

mod below;
mod finding;
mod words;

use std::fmt::Display;

pub(super) use finding::{Finding, Sink, Spot};
pub(super) use words::quoted;

use words::{described, join};

use super::suggest;
use super::tree::{Entry, Node, Place, Value};

/// A value in a document.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    node: &'a Node,
    spot: Spot,
    sink: &'a Sink,
}

impl<'a> At<'a> {
    /// The value `node` at `spot`; complaints go to `sink`.
    pub(super) fn new(node: &'a Node, spot: Spot, sink: &'a Sink) -> Self {
        Self { node, spot, sink }
    }

    pub(super) fn spot(&self) -> &Spot {
        &self.spot
    }

    pub(super) fn sink(&self) -> &'a Sink {
        self.sink
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    /// Complains about this value.
    pub(super) fn refuse(&self, message: impl Display) {
        self.sink.refuse(self.spot.says(message));
    }

    /// Complains, unless `result` is fine.
    pub(super) fn accept<T>(&self, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.refuse(error)).ok()
    }

    /// This value as a mapping whose keys are among `known`.
    pub(super) fn fields(&self, known: &'static [&'static str]) -> Option<Fields<'a>> {
        let fields = self.any_fields()?;
        for entry in fields.entries {
            if !known.contains(&entry.key.as_str()) {
                let hint = suggest::hint(&entry.key, known);
                fields
                    .entry(entry)
                    .at_key(entry.place)
                    .refuse(format!("unknown field; {hint}"));
            }
        }
        Some(fields)
    }

    /// This value as a mapping with any keys.
    pub(super) fn any_fields(&self) -> Option<Fields<'a>> {
        let Value::Map(entries) = &self.node.value else {
            self.mismatch("a mapping");
            return None;
        };
        Some(Fields {
            at: self.clone(),
            entries,
        })
    }

    /// This value as a list of at most `max` items; `null` is an empty one.
    pub(super) fn items(&self, max: usize) -> Option<Vec<Self>> {
        let items: &'a [Node] = if let Value::List(items) = &self.node.value {
            items
        } else if self.node.value == Value::Null {
            &[]
        } else {
            self.mismatch("a list");
            return None;
        };
        if max < items.len() {
            let given = items.len();
            self.refuse(format!("has {given} items; it may have at most {max}"));
            return None;
        }
        let numbered = items.iter().enumerate();
        Some(
            numbered
                .map(|(index, node)| self.item(index, node))
                .collect(),
        )
    }

    fn item(&self, index: usize, node: &'a Node) -> Self {
        let spot = Spot {
            document: self.spot.document,
            place: node.place,
            path: format!("{}[{index}]", self.spot.path),
        };
        Self::new(node, spot, self.sink)
    }

    /// This value as a text; `null` is an empty one.
    pub(super) fn text(&self) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            Some(text)
        } else if self.node.value == Value::Null {
            Some("")
        } else {
            self.mismatch("a text");
            None
        }
    }

    /// This value as `true` or `false`.
    pub(super) fn bool(&self) -> Option<bool> {
        let Value::Bool(value) = self.node.value else {
            self.mismatch("true or false");
            return None;
        };
        Some(value)
    }

    /// This value as a finite number.
    pub(super) fn number(&self) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "OpenSLO's numbers are floating point; beyond 2^53 nobody counts on units"
        )]
        if let Value::Integer(value) = self.node.value {
            return Some(value as f64);
        }
        if let Value::Float(value) = self.node.value
            && value.is_finite()
        {
            return Some(value);
        }
        self.mismatch("a finite number");
        None
    }

    /// This value as a whole number of the type `T`.
    pub(super) fn whole<T: TryFrom<i64> + Bounds>(&self) -> Option<T> {
        if let Value::Integer(value) = self.node.value
            && let Ok(value) = T::try_from(value)
        {
            return Some(value);
        }
        self.mismatch(&format!("a whole number from 0 to {}", T::MAX_TEXT));
        None
    }

    /// This value as a text that is one of `known`, each with its meaning.
    pub(super) fn word<T: Clone>(&self, known: &[(&str, T)]) -> Option<T> {
        let given = self.text()?;
        if let Some((_, meaning)) = known.iter().find(|(word, _)| *word == given) {
            return Some(meaning.clone());
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let hint = suggest::perhaps(given, &words);
        self.refuse(format!(
            "is {}; it must be one of {}{hint}",
            quoted(given),
            words.join(", ")
        ));
        None
    }

    /// This value as a text that a constructor accepts.
    pub(super) fn parse<T>(&self) -> Option<T>
    where
        T: TryFrom<&'a str>,
        T::Error: Display,
    {
        self.accept(T::try_from(self.text()?))
    }

    /// Complains that this value should be something else.
    pub(super) fn mismatch(&self, wanted: &str) {
        let given = described(&self.node.value);
        self.refuse(format!("is {given}; it must be {wanted}"));
    }

    fn at_key(mut self, place: Place) -> Self {
        self.spot.place = place;
        self
    }
}

/// The largest value of a whole number, for messages.
pub(super) trait Bounds {
    /// In digits.
    const MAX_TEXT: &'static str;
}

impl Bounds for u16 {
    const MAX_TEXT: &'static str = "65535";
}

impl Bounds for u32 {
    const MAX_TEXT: &'static str = "4294967295";
}

impl Bounds for u64 {
    const MAX_TEXT: &'static str = "9223372036854775807";
}

/// A mapping in a document.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    at: At<'a>,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// The mapping itself.
    pub(super) fn at(&self) -> &At<'a> {
        &self.at
    }

    /// Keys and values in the order of the document.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.key.as_str(), self.entry(entry)))
    }

    /// Whether the field is there, be it `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }

    /// The field, unless it is left out or `null`.
    pub(super) fn get(&self, name: &str) -> Option<At<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (entry.node.value != Value::Null).then(|| self.entry(entry))
    }

    /// The field; complains when it is left out, `null`, or an empty text or mapping.
    pub(super) fn required(&self, name: &str) -> Option<At<'a>> {
        let found = self.get(name);
        let is_empty = match found.as_ref().map(|at| &at.node.value) {
            None => true,
            Some(Value::Text(text)) => text.is_empty(),
            Some(Value::Map(entries)) => entries.is_empty(),
            Some(_) => false,
        };
        if is_empty {
            let missing = match self.entries.iter().find(|entry| entry.key == name) {
                Some(entry) => self.entry(entry).spot,
                None => self.at.spot.field(name),
            };
            self.at.sink.refuse(missing.says("is required"));
            return None;
        }
        found
    }

    /// The field as a text; empty when it is left out.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.get(name).and_then(|at| at.text()).unwrap_or_default()
    }

    /// The field as a text that must not be empty.
    pub(super) fn required_text(&self, name: &str) -> Option<&'a str> {
        self.required(name)?.text()
    }

    fn entry(&self, entry: &'a Entry) -> At<'a> {
        let spot = Spot {
            document: self.at.spot.document,
            // Where nothing stands, the key is what people look for.
            place: if entry.node.value == Value::Null {
                entry.place
            } else {
                entry.node.place
            },
            path: join(&self.at.spot.path, &entry.key),
        };
        At::new(&entry.node, spot, self.at.sink)
    }
}
