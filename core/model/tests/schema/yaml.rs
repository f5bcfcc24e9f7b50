//! As much of YAML as the examples for Envoy and Istio are written in.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// All documents of `text`.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    let mut found = Vec::new();
    while let Some(event) = events.next() {
        if let Some(document) = value(event, &mut events) {
            found.push(document);
        }
    }
    found
}

/// The value that `first` begins, if it begins one.
fn value<'a>(first: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Option<Value> {
    match first {
        Event::Scalar(text, ScalarStyle::Plain, ..) => {
            let number_or_word = serde_json::from_str(&text);
            Some(number_or_word.unwrap_or_else(|_| text.into()))
        }
        Event::Scalar(text, ..) => Some(text.into()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            while let Some(item) = events.next().and_then(|event| value(event, events)) {
                items.push(item);
            }
            Some(items.into())
        }
        Event::MappingStart(..) => {
            let mut members = Map::new();
            while let Some(Event::Scalar(name, ..)) = events.next() {
                let first = events.next().unwrap();
                members.insert(name.into_owned(), value(first, events).unwrap());
            }
            Some(members.into())
        }
        Event::Alias(_) => panic!("the examples have no aliases"),
        Event::Nothing
        | Event::StreamStart
        | Event::StreamEnd
        | Event::DocumentStart(_)
        | Event::DocumentEnd
        | Event::SequenceEnd
        | Event::MappingEnd => None,
    }
}
