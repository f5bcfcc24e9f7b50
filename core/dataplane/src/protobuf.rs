//! Protobuf, as much of it as reports and spans need.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.
//!
//! Nothing here is inlined: it runs once per second, and its copies at some
//! hundred fields would make the module far larger.
//!
//! # Why by hand
//!
//! It is the smallest. prost has code of its own for each field of each message,
//! and copies of all texts to fill the messages with. Spans in a module for Wasm
//! that encodes a report by prost (opt-level 3, LTO, one codegen unit, stripped), by
//!
//! | | bytes of module | more than without |
//! |---|---|---|
//! | no spans | 17,443 | |
//! | a writer of our own | 22,031 | 4,588 |
//! | prost, with just the messages and fields that are needed | 30,179 | 12,736 |
//! | `opentelemetry-proto` 0.33 | does not build | |
//!
//! The last brings the SDK along, and that a source of randomness that
//! `wasm32-unknown-unknown` does not have. The tests read what is written here with
//! the types that prost generates, and the other way round.

/// Writes fields one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// A message that is open: where its content begins.
#[derive(Debug)]
#[must_use = "hand it back to `Writer::close`"]
pub(crate) struct Open(usize);

/// How a value is laid out, in the low three bits of a key.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[inline(never)]
    pub(crate) fn number(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    /// A number that is left out when it is zero, as proto3 does it.
    #[inline(never)]
    pub(crate) fn count(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.number(field, value);
        }
    }

    /// Numbers in one field, without the zeros at their end, which readers add by themselves.
    #[inline(never)]
    pub(crate) fn counts(&mut self, field: u32, values: &[u64]) {
        let Some(last) = values.iter().rposition(|value| *value != 0) else {
            return;
        };
        let packed = self.open(field);
        for value in values.iter().take(last + 1) {
            self.varint(*value);
        }
        self.close(packed);
    }

    /// A text that is left out when it is empty, as proto3 does it.
    #[inline(never)]
    pub(crate) fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    #[inline(never)]
    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline(never)]
    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.key(field, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes, or a text, which must be UTF-8.
    #[inline(never)]
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, DELIMITED);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Begins a message. What is written until [`Writer::close`] belongs to it.
    #[inline(never)]
    pub(crate) fn open(&mut self, field: u32) -> Open {
        self.key(field, DELIMITED);
        // Most messages are attributes, whose length takes one byte.
        self.bytes.push(0);
        Open(self.bytes.len())
    }

    /// Ends the message that was begun last: writes its length in front of it.
    #[inline(never)]
    pub(crate) fn close(&mut self, open: Open) {
        let begin = open.0;
        let mut length = self.bytes.len().saturating_sub(begin);
        // The lowest seven bits go where room was left, the rest is pushed in between.
        let mut at = begin.saturating_sub(1);
        loop {
            let (low, rest) = low_and_rest(length as u64);
            if let Some(place) = self.bytes.get_mut(at) {
                *place = low;
            }
            if rest == 0 {
                return;
            }
            length >>= 7;
            at += 1;
            self.bytes.insert(at, 0);
        }
    }

    fn key(&mut self, field: u32, layout: u32) {
        self.varint(u64::from(field << 3 | layout));
    }

    #[inline(never)]
    fn varint(&mut self, mut value: u64) {
        loop {
            let (low, rest) = low_and_rest(value);
            self.bytes.push(low);
            if rest == 0 {
                return;
            }
            value = rest;
        }
    }
}

/// The next byte of a varint, and what is left for the bytes behind it.
const fn low_and_rest(value: u64) -> (u8, u64) {
    let [low, ..] = value.to_le_bytes();
    let rest = value >> 7;
    if rest == 0 {
        (low, 0)
    } else {
        (low | 0x80, rest)
    }
}

/// A value that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a layout that nobody here needs.
    Passed,
}

/// The next field of a message and its value. None at its end, or where it cannot be read: then there is something left.
pub(crate) fn next<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let mut rest = *message;
    let key = read_varint(&mut rest)?;
    let value = match u32::try_from(key & 7).ok()? {
        VARINT => Value::Number(read_varint(&mut rest)?),
        DELIMITED => {
            let length = usize::try_from(read_varint(&mut rest)?).ok()?;
            Value::Bytes(take(&mut rest, length)?)
        }
        FIXED64 => take(&mut rest, 8).map(|_| Value::Passed)?,
        FIXED32 => take(&mut rest, 4).map(|_| Value::Passed)?,
        _ => return None,
    };
    *message = rest;
    Some((key >> 3, value))
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_need() {
        for (value, expected) in [
            (0, &[8, 0][..]),
            (127, &[8, 127]),
            (128, &[8, 0x80, 1]),
            (300, &[8, 0xac, 2]),
        ] {
            let mut writer = Writer::default();
            writer.number(1, value);
            assert_eq!(writer.into_bytes(), expected, "{value}");
        }
    }

    #[test]
    fn a_message_knows_its_length_whatever_it_is() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let content = vec![7; length];
            let mut writer = Writer::default();
            let outer = writer.open(3);
            let inner = writer.open(2);
            writer.bytes(16, &content);
            writer.close(inner);
            writer.number(1, 5);
            writer.close(outer);
            let bytes = writer.into_bytes();
            let Some((3, Value::Bytes(mut outer))) = next(&mut &*bytes) else {
                panic!("{length}");
            };
            let Some((2, Value::Bytes(mut inner))) = next(&mut outer) else {
                panic!("{length}");
            };
            assert_eq!(next(&mut inner), Some((16, Value::Bytes(&content))));
            assert_eq!(next(&mut outer), Some((1, Value::Number(5))));
            assert!(inner.is_empty() && outer.is_empty());
        }
    }

    #[test]
    fn what_is_not_needed_is_passed_over() {
        let mut writer = Writer::default();
        writer.fixed64(1, 1);
        writer.fixed32(2, 1);
        writer.number(3, u64::MAX);
        let bytes = writer.into_bytes();
        let mut rest = &*bytes;
        assert_eq!(next(&mut rest), Some((1, Value::Passed)));
        assert_eq!(next(&mut rest), Some((2, Value::Passed)));
        assert_eq!(next(&mut rest), Some((3, Value::Number(u64::MAX))));
        assert_eq!(next(&mut rest), None);
    }

    proptest! {
        #[test]
        fn what_is_no_message_never_fails(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut rest = &*bytes;
            let mut fields = 0;
            while next(&mut rest).is_some() {
                fields += 1;
                prop_assert!(fields <= 64);
            }
        }
    }
}
