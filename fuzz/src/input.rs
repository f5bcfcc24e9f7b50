//! What fuzz inputs look like: a few letters that decide, then what is parsed.
//!
//! Headers are written as people write them, one per line, so that seeds can be
//! read and a mutation of one byte is a mutation of one header.

use sloop_dataplane::serialised;

/// An input, taken from its beginning.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// One of `count` possibilities, by the next byte; the first when there is none. `0` in a seed is the first as
    /// well, for counts up to 4, 6, 8, 12, 16, 24 and 48.
    pub(crate) fn choice(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    /// Whether the next byte is odd, as `1` is.
    pub(crate) fn flag(&mut self) -> bool {
        self.choice(2) == 1
    }

    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.rest.split_first().unwrap_or((&0, b""));
        self.rest = rest;
        *byte
    }

    /// Eight bytes as a number, low ones first. Missing ones are zero.
    pub(crate) fn number(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }

    /// What is before the next end of a line.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        line
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Headers, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers<'a>(pub(crate) Vec<(&'a str, &'a [u8])>);

impl<'a> Headers<'a> {
    /// Reads lines of the form `name: value`. Others are no headers.
    pub(crate) fn parse(text: &'a [u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        Self(lines.filter_map(header).collect())
    }

    /// The lines of one header.
    pub(crate) fn lines(&self, name: &str) -> Vec<&'a [u8]> {
        let named = self.0.iter().filter(|(given, _)| *given == name);
        named.map(|(_, value)| *value).collect()
    }

    /// As the host would hand them over.
    pub(crate) fn serialised(&self) -> Vec<u8> {
        serialised(&self.0)
    }

    /// These without those called `name`.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(given, _)| *given != name);
        self
    }

    /// These, and one more.
    pub(crate) fn with(mut self, name: &'a str, value: &'a [u8]) -> Self {
        self.0.push((name, value));
        self
    }
}

/// Takes a line apart at the first colon behind the first byte, since names of pseudo-headers begin with one.
fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = 1 + line.get(1..)?.iter().position(|byte| *byte == b':')?;
    let name = core::str::from_utf8(line.get(..colon)?).ok()?;
    let value = line.get(colon + 1..)?;
    Some((name, value.strip_prefix(b" ").unwrap_or(value)))
}
