//! Builds the tree from the parser's events.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, ScalarStyle};

use super::{
    COPIES_MAX, DEPTH_MAX, DOCUMENTS_MAX, Entry, Node, Place, Reason, Unreadable, VALUES_MAX,
    Value, scalar,
};

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Builder {
    documents: Vec<(usize, Node)>,
    started: usize,
    open: Vec<Open>,
    anchored: BTreeMap<usize, Anchored>,
    anchors_open: BTreeSet<usize>,
    values: usize,
    copies: usize,
}

/// A list or mapping whose end has not come yet.
#[derive(Debug)]
struct Open {
    anchor: usize,
    place: Place,
    content: Content,
}

#[derive(Debug)]
enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<Key>,
        merges: Vec<Node>,
    },
}

#[derive(Debug)]
struct Key {
    text: String,
    place: Place,
    merges: bool,
}

/// A value that aliases may copy.
#[derive(Debug)]
struct Anchored {
    node: Node,
    values: usize,
    depth: usize,
}

impl Builder {
    /// Takes the next event, which begins at `place`.
    pub(super) fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Unreadable> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.begin_document().map_err(|reason| reason.at(place)),
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(key) = self.key_awaited() {
                    let merges = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                    *key = Some(Key {
                        text: text.into_owned(),
                        place,
                        merges,
                    });
                    return self.count(1).map_err(|reason| reason.at(place));
                }
                let value = scalar::value(text, style, tag.as_deref())
                    .map_err(|reason| reason.at(place))?;
                self.add(Node { place, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, place, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(anchor, place, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.copy(anchor, place),
        }
    }

    /// All documents with something in them, each with its number.
    pub(super) fn finish(self) -> Vec<(usize, Node)> {
        self.documents
    }

    fn begin_document(&mut self) -> Result<(), Reason> {
        self.anchored.clear();
        self.started += 1;
        within("documents in one file", self.started, DOCUMENTS_MAX)
    }

    fn count(&mut self, values: usize) -> Result<(), Reason> {
        self.values += values;
        within("values in one file", self.values, VALUES_MAX)
    }

    /// The slot for the next key, when a mapping waits for one.
    fn key_awaited(&mut self) -> Option<&mut Option<Key>> {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Map { key, .. }) if key.is_none() => Some(key),
            _ => None,
        }
    }

    fn open(&mut self, anchor: usize, place: Place, content: Content) -> Result<(), Unreadable> {
        if self.key_awaited().is_some() {
            return Err(Reason::KeyShape.at(place));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Reason::TooDeep.at(place));
        }
        self.anchors_open.insert(anchor);
        self.open.push(Open {
            anchor,
            place,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unreadable> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        self.anchors_open.remove(&open.anchor);
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map {
                entries, merges, ..
            } => {
                let mut known = keys_once(&entries)?;
                let mut all = entries;
                for merged in merges {
                    merge(&mut all, &mut known, merged)?;
                }
                Value::Map(all)
            }
        };
        let place = open.place;
        self.add(Node { place, value }, open.anchor)
    }

    fn copy(&mut self, anchor: usize, place: Place) -> Result<(), Unreadable> {
        if self.key_awaited().is_some() {
            return Err(Reason::KeyShape.at(place));
        }
        if self.anchors_open.contains(&anchor) {
            return Err(Reason::Circle.at(place));
        }
        let Some(anchored) = self.anchored.get(&anchor) else {
            return Err(Reason::Circle.at(place));
        };
        if self.open.len() + anchored.depth > DEPTH_MAX {
            return Err(Reason::TooDeep.at(place));
        }
        self.copies += anchored.values;
        within("values that aliases copy", self.copies, COPIES_MAX)
            .map_err(|reason| reason.at(place))?;
        let (node, values) = (anchored.node.clone(), anchored.values);
        self.count(values).map_err(|reason| reason.at(place))?;
        self.attach(node)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Unreadable> {
        self.count(1).map_err(|reason| reason.at(node.place))?;
        if anchor != 0 {
            let (values, depth) = extent(&node);
            self.copies += values;
            within("values that aliases copy", self.copies, COPIES_MAX)
                .map_err(|reason| reason.at(node.place))?;
            let node = node.clone();
            self.anchored.insert(
                anchor,
                Anchored {
                    node,
                    values,
                    depth,
                },
            );
        }
        self.attach(node)
    }

    fn attach(&mut self, node: Node) -> Result<(), Unreadable> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None if node.value == Value::Null => {}
            None => self.documents.push((self.started, node)),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map {
                entries,
                key,
                merges,
            }) => match key.take() {
                Some(key) if key.merges => merges.push(node),
                Some(key) => entries.push(Entry {
                    key: key.text,
                    place: key.place,
                    node,
                }),
                None => return Err(Reason::KeyShape.at(node.place)),
            },
        }
        Ok(())
    }
}

fn within(what: &'static str, given: usize, max: usize) -> Result<(), Reason> {
    if given <= max {
        Ok(())
    } else {
        Err(Reason::TooMany { what, max })
    }
}

/// How many values a tree has, and how deep it is.
fn extent(node: &Node) -> (usize, usize) {
    let children: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Map(entries) => entries.iter().map(|entry| &entry.node).collect(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {
            return (1, 0);
        }
    };
    let (values, depth) = children
        .into_iter()
        .map(extent)
        .fold((0, 0), |(values, depth): (usize, usize), (more, deeper)| {
            (values + more, depth.max(deeper))
        });
    (values + 1, depth + 1)
}

/// The keys of `entries`.
fn keys_once(entries: &[Entry]) -> Result<BTreeSet<String>, Unreadable> {
    let mut lines = BTreeMap::new();
    for entry in entries {
        if let Some(line) = lines.insert(entry.key.clone(), entry.place.line) {
            let key = entry.key.clone();
            return Err(Reason::KeyTwice { key, line }.at(entry.place));
        }
    }
    Ok(lines.into_keys().collect())
}

/// Adds the entries of `merged` whose keys are not `known` yet.
fn merge(
    entries: &mut Vec<Entry>,
    known: &mut BTreeSet<String>,
    merged: Node,
) -> Result<(), Unreadable> {
    match merged.value {
        Value::Map(more) => {
            for entry in more {
                if known.insert(entry.key.clone()) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::List(items) => items
            .into_iter()
            .try_for_each(|item| merge(entries, known, item)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {
            Err(Reason::Merge.at(merged.place))
        }
    }
}
