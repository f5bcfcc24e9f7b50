//! Envoy's YAML as a message, by the descriptors of Envoy's messages.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value as Json;
use serde_path_to_error::{Segment, Track};
use sloop_xds_protos::ENVOY_DESCRIPTORS;

use super::super::super::reader::{At, quoted};
use super::super::super::tree::{Node, Value};

/// All messages of Envoy. Read when the first resource is: it takes some time and megabytes.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    // They are part of this program, and a test reads them; without them every type is unknown.
    DescriptorPool::decode(ENVOY_DESCRIPTORS).unwrap_or_default()
});

/// The field that says which message an object is.
const TYPE: &str = "@type";

/// Messages that JSON writes in a way of their own (<https://protobuf.dev/programming-guides/json/>).
const OF_PROTOBUF: &str = "google.protobuf.";

/// The message with this name; `None` when Envoy has none.
pub(super) fn descriptor(type_url: &str) -> Option<MessageDescriptor> {
    let (_, name) = type_url.rsplit_once('/')?;
    POOL.get_message_by_name(name)
}

/// Reads an object that says by `@type` which message it is. `None` after a complaint.
pub(super) fn read(at: &At<'_>) -> Option<DynamicMessage> {
    if !is_below_fine(at) {
        return None;
    }
    read_own(at)
}

/// Reads all typed objects inside of `at`, the innermost first: their complaints name the place exactly.
fn is_below_fine(at: &At<'_>) -> bool {
    let below: Vec<At<'_>> = match &at.node().value {
        Value::Map(_) => match at.any_fields() {
            Some(fields) => fields.all().map(|(_, at)| at).collect(),
            None => Vec::new(),
        },
        Value::List(_) => at.items(usize::MAX).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => {
            Vec::new()
        }
    };
    let mut is_fine = true;
    for at in below {
        is_fine &= is_below_fine(&at);
        if is_fine && type_of(&at).is_some_and(|name| !name.contains(OF_PROTOBUF)) {
            is_fine = read_own(&at).is_some();
        }
    }
    is_fine
}

fn type_of<'a>(at: &At<'a>) -> Option<&'a str> {
    let Value::Map(entries) = &at.node().value else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.key == TYPE)?;
    match &entry.node.value {
        Value::Text(name) => Some(name),
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

fn read_own(at: &At<'_>) -> Option<DynamicMessage> {
    let type_at = at.any_fields()?.required(TYPE)?;
    let Some(descriptor) = descriptor(type_at.text()?) else {
        type_at.refuse(format!(
            "is {}; Envoy has no such message",
            quoted(type_at.text().unwrap_or_default())
        ));
        return None;
    };
    let mut json = json(at.node());
    if let Json::Object(fields) = &mut json {
        fields.remove(TYPE);
    }
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(json, &mut track);
    match DynamicMessage::deserialize(descriptor, tracked) {
        Ok(message) => Some(message),
        Err(error) => {
            let path = track.path();
            let place = path.iter().try_fold(at.clone(), below);
            let place = place.unwrap_or_else(|deepest| deepest);
            place.refuse(on_one_line(&error.to_string()));
            None
        }
    }
}

/// What is wrong may repeat what was written.
fn on_one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

/// One step down a path; the place itself when the path does not lead on.
fn below<'a>(at: At<'a>, segment: &Segment) -> Result<At<'a>, At<'a>> {
    let next = match segment {
        Segment::Map { key } => at
            .any_fields()
            .and_then(|fields| fields.all().find(|(name, _)| name == key))
            .map(|(_, at)| at),
        Segment::Seq { index } => at
            .items(usize::MAX)
            .and_then(|items| items.into_iter().nth(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    next.ok_or(at)
}

/// The same as JSON, where keys are sorted.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        // As protobuf's JSON writes what JSON has no number for.
        Value::Float(value) if !value.is_finite() => Json::from(value.to_string()),
        Value::Float(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json(&entry.node)))
            .collect(),
    }
}
