//! What is kept of a document that is handed in: all that it says, as JSON.

use std::collections::BTreeMap;

use super::super::tree::{self, Node, Value};
use super::DocumentId;

/// Each document of `text` as JSON, those without kind or name left out.
pub(super) fn bodies(text: &str) -> BTreeMap<DocumentId, String> {
    let trees = tree::parse(text).unwrap_or_default();
    let roots = trees.iter().flat_map(|(_, node)| {
        if let Value::List(items) = &node.value {
            items.iter().collect()
        } else {
            vec![node]
        }
    });
    roots
        .filter_map(|root| {
            let id = DocumentId {
                kind: text_at(root, &["kind"])?,
                name: text_at(root, &["metadata", "name"])?,
            };
            Some((id, json(root).to_string()))
        })
        .collect()
}

fn text_at(node: &Node, path: &[&str]) -> Option<String> {
    match (&node.value, path) {
        (Value::Text(text), []) => Some(text.clone()),
        (Value::Map(entries), [first, rest @ ..]) => {
            let entry = entries.iter().find(|entry| entry.key == *first)?;
            text_at(&entry.node, rest)
        }
        _ => None,
    }
}

/// A value as a reader of JSON would have it; numbers that JSON lacks are nothing.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let fields = entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.node)));
            serde_json::Value::Object(fields.collect())
        }
    }
}
