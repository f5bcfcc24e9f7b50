//! Reads typed values out of a tree, and says everything that is wrong at once.
//!
//! [`At`] is a place in a document: a value, its path, and where complaints go.
//! Its methods answer `None` when there is nothing fitting, after they complained.
//! So a caller goes on with what it has; a file with any complaint is refused as
//! a whole, and what was made of it is never used. As in JSON readers of Go,
//! `null` is the same as leaving the field out.

use std::cell::RefCell;
use std::fmt::Display;

use super::suggest;
use super::tree::{Entry, Node, Place, Value};

/// Complaints of one file that are kept; nobody reads more.
pub(super) const FINDINGS_MAX: usize = 100;

/// Something to say about a place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) document: usize,
    pub(super) place: Place,
    pub(super) path: String,
    pub(super) message: String,
}

/// Where complaints and notes of one file are collected.
#[derive(Debug, Default)]
pub(super) struct Sink {
    problems: RefCell<Vec<Finding>>,
    notes: RefCell<Vec<Finding>>,
}

impl Sink {
    /// What is wrong, and what a reader should know.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<Finding>) {
        (self.problems.into_inner(), self.notes.into_inner())
    }

    /// Whether nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// What is wrong.
    pub(super) fn problems(&self) -> Vec<Finding> {
        self.problems.borrow().clone()
    }

    pub(super) fn refuse(&self, finding: Finding) {
        keep(&self.problems, finding);
    }

    pub(super) fn note(&self, finding: Finding) {
        keep(&self.notes, finding);
    }
}

fn keep(list: &RefCell<Vec<Finding>>, finding: Finding) {
    let mut list = list.borrow_mut();
    if list.len() < FINDINGS_MAX && !list.contains(&finding) {
        list.push(finding);
    }
}

/// A place that outlives the reading of its document, to speak about it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) document: usize,
    pub(super) place: Place,
    pub(super) path: String,
}

impl Spot {
    /// A finding about this place.
    pub(super) fn says(&self, message: impl Display) -> Finding {
        Finding {
            document: self.document,
            place: self.place,
            path: self.path.clone(),
            message: message.to_string(),
        }
    }

    /// The place of the field `name` in the value at this place.
    pub(super) fn field(&self, name: &str) -> Self {
        Self {
            path: join(&self.path, name),
            ..self.clone()
        }
    }
}

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
        match &self.node.value {
            Value::Map(entries) => Some(Fields {
                at: self.clone(),
                entries,
            }),
            other => self.mismatch(other, "a mapping"),
        }
    }

    /// This value as a list of at most `max` items; `null` is an empty one.
    pub(super) fn items(&self, max: usize) -> Option<Vec<Self>> {
        let items: &'a [Node] = match &self.node.value {
            Value::List(items) => items,
            Value::Null => &[],
            other => return self.mismatch(other, "a list"),
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

    /// This value as a text.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Null => Some(""),
            other => self.mismatch(other, "a text"),
        }
    }

    /// This value as `true` or `false`.
    pub(super) fn bool(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(value) => Some(*value),
            other => self.mismatch(other, "true or false"),
        }
    }

    /// This value as a finite number.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.node.value {
            #[expect(
                clippy::cast_precision_loss,
                reason = "OpenSLO's numbers are floating point; beyond 2^53 nobody counts on units"
            )]
            Value::Integer(value) => Some(*value as f64),
            Value::Float(value) if value.is_finite() => Some(*value),
            other => self.mismatch(other, "a finite number"),
        }
    }

    /// This value as a whole number of the type `T`.
    pub(super) fn whole<T: TryFrom<i64> + Bounds>(&self) -> Option<T> {
        let wanted = || format!("a whole number from 0 to {}", T::MAX_TEXT);
        match &self.node.value {
            Value::Integer(value) => match T::try_from(*value) {
                Ok(value) => Some(value),
                Err(_) => self.mismatch(&self.node.value, &wanted()),
            },
            other => self.mismatch(other, &wanted()),
        }
    }

    /// This value as a text that is one of `known`, each with its meaning.
    pub(super) fn word<T: Clone>(&self, known: &[(&str, T)]) -> Option<T> {
        let given = self.text()?;
        if let Some((_, meaning)) = known.iter().find(|(word, _)| *word == given) {
            return Some(meaning.clone());
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let hint = match suggest::closest(given, &words) {
            Some(word) => format!("; did you mean {word:?}?"),
            None => String::new(),
        };
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

    fn mismatch<T>(&self, given: &Value, wanted: &str) -> Option<T> {
        self.refuse(format!("is {}; it must be {wanted}", described(given)));
        None
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
            place: match entry.node.value {
                Value::Null => entry.place,
                _ => entry.node.place,
            },
            path: join(&self.at.spot.path, &entry.key),
        };
        At::new(&entry.node, spot, self.at.sink)
    }
}

/// `path.key`, or `path['key']` when the key is no plain word.
fn join(path: &str, key: &str) -> String {
    let is_word = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match (is_word, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}['{}']", shortened(key, 400).escape_debug()),
    }
}

/// A text as people see it in a message: quoted, and not without end.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text, 80))
}

fn shortened(text: &str, shown: usize) -> String {
    match text.char_indices().nth(shown) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => format!("the text {}", quoted(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}
