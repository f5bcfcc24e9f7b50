//! `baggage`: the values of two keys.
//!
//! An input is two lines with the keys of origin and journey, and then headers.

use sloop_dataplane::context::{Baggage, Word};
use sloop_dataplane::{HeaderMap, Request};
use sloop_model::{BaggageSource, DimensionSettings};

use crate::input::{Headers, Input};
use crate::tracestate::without_blanks;

/// Members that are looked at, and bytes of all lines.
const MEMBERS_MAX: usize = 64;
const BYTES_MAX: usize = 8_192;

/// Looks for both keys, and compares with a reader that is as plain as can be.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (origin, journey) = (key(input.line()), key(input.line()));
    let source = |key: &Option<String>| key.clone().map(|baggage| BaggageSource { baggage });
    let settings = DimensionSettings {
        origin: source(&origin),
        journey: source(&journey),
        ..DimensionSettings::default()
    };
    let headers = Headers::parse(input.rest());
    let bytes = headers.serialised();
    let found = Baggage::read(&Request::read(HeaderMap::new(&bytes)), &settings);
    let joined = headers.lines("baggage").join(&b',');
    for (word, key) in [(found.origin, origin), (found.journey, journey)] {
        let text = word.as_ref().map(Word::as_str);
        if let Some(text) = text {
            assert!((1..=Word::BYTES_MAX).contains(&text.len()));
            assert!(!text.chars().any(char::is_control));
        }
        if joined.len() <= BYTES_MAX {
            let expected = key.and_then(|key| value(&joined, key.as_bytes()));
            assert_eq!(text, expected.as_deref());
        }
    }
}

/// A key that is asked for; none for an empty line.
fn key(line: &[u8]) -> Option<String> {
    let key = core::str::from_utf8(line).ok()?;
    (!key.is_empty()).then(|| key.to_owned())
}

/// The first value of `key` in a list.
fn value(list: &[u8], key: &[u8]) -> Option<String> {
    let members = list.split(|byte| *byte == b',').take(MEMBERS_MAX);
    let pairs = members.map(|member| member.split(|byte| *byte == b';').next().unwrap());
    let value = pairs
        .filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&pair[..at], &pair[at + 1..]);
            (without_blanks(name) == key).then(|| without_blanks(value))
        })
        .next()?;
    let text = String::from_utf8(decoded(value)).ok()?;
    let is_word = (1..=64).contains(&text.len()) && !text.chars().any(char::is_control);
    is_word.then_some(text)
}

fn decoded(value: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        let byte = char::from(*value.get(at)?);
        byte.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                at += 3;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    bytes
}
