//! W3C `tracestate`: read, looked into, and rewritten without breaking what others said.
//!
//! Rules: <https://www.w3.org/TR/trace-context-2/#tracestate-header>. Several
//! lines are one list. A list with anything invalid in it is dropped as a
//! whole: its order is its meaning, so a part of it would be a lie.
//!
//! Keys are those of level 2: they may begin with a digit, and `@` is a
//! character like others. A key that is there twice is no reason to drop the
//! list, since level 2 leaves it to senders that keys are unique: both pass,
//! and the first, which was written last, is what the key says. Empty members
//! do not count towards the 32.
//!
//! What is sent is one line. It is not cut to 512 characters, which the
//! specification asks to pass on *at least*: all of a list passes, unless it
//! is longer than any valid one could be ([`TraceState::BYTES_MAX`]). The last
//! members are left out only when ours would make more than 32.

use crate::headers::Lines;

/// A valid list. Empty when there was none.
#[derive(Clone, Copy, Debug)]
pub struct TraceState<'a> {
    lines: Lines<'a>,
}

/// One key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMember<'a> {
    /// As the grammar has it.
    pub key: &'a [u8],
    /// As the grammar has it; in a change, empty means to leave the key out.
    pub value: &'a [u8],
}

impl<'a> TraceState<'a> {
    /// Members of a list, as the specification has it.
    pub const MEMBERS_MAX: usize = 32;
    /// Bytes of all lines: 32 members of 256 bytes of key and of value, with `=`, comma and a space.
    pub const BYTES_MAX: usize = Self::MEMBERS_MAX * (256 + 1 + 256 + 2);

    /// A list without members.
    pub(super) const EMPTY: Self = Self {
        lines: Lines::Absent,
    };

    /// Reads a list, and what it says of `wanted`. None when anything in it is invalid.
    pub(crate) fn read(lines: Lines<'a>, wanted: &[u8]) -> Option<(Self, Option<&'a [u8]>)> {
        let mut bytes = 0;
        for line in lines.iter() {
            bytes += line.len() + 1;
            if Self::BYTES_MAX < bytes {
                return None;
            }
        }
        let mut found = None;
        let mut count = 0;
        for mut line in lines.iter() {
            while let Some(member) = next(&mut line) {
                let StateMember { key, value } = member?;
                count += 1;
                if Self::MEMBERS_MAX < count {
                    return None;
                }
                if key == wanted {
                    found = found.or(Some(value));
                }
            }
        }
        Some((Self { lines }, found))
    }

    /// The value of `key`.
    pub fn find(&self, key: &[u8]) -> Option<&'a [u8]> {
        if self.is_absent() {
            return None;
        }
        self.members()
            .find(|member| member.key == key)
            .map(|member| member.value)
    }

    /// All members, in their order.
    pub fn members(&self) -> impl Iterator<Item = StateMember<'a>> {
        let of_line = |mut line| core::iter::from_fn(move || next(&mut line).flatten());
        self.lines.iter().flat_map(of_line)
    }

    /// Whether there is no list.
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self.lines, Lines::Absent)
    }

    /// Whether it came as it would be sent: one line, and not an empty one.
    pub(super) fn is_tidy(&self) -> bool {
        match self.lines {
            Lines::Absent => true,
            Lines::Once(line) => run(line, SPACE | COMMA) < line.len(),
            Lines::Repeated(..) => false,
        }
    }

    /// Appends to `into`, which holds `count` members, all of this list but what `left_out` says.
    pub(super) fn append(
        &self,
        into: &mut Vec<u8>,
        count: usize,
        left_out: impl Fn(&[u8]) -> bool,
    ) {
        let others = self.members().filter(|member| !left_out(member.key));
        for member in others.take(Self::MEMBERS_MAX.saturating_sub(count)) {
            push(into, member);
        }
    }
}

/// Appends a member to a list.
pub(super) fn push(into: &mut Vec<u8>, member: StateMember<'_>) {
    if !into.is_empty() {
        into.push(b',');
    }
    into.extend_from_slice(member.key);
    into.push(b'=');
    into.extend_from_slice(member.value);
}

/// Takes the next member from a line, without what is empty. None at the end; in it, None for what is invalid.
fn next<'a>(line: &mut &'a [u8]) -> Option<Option<StateMember<'a>>> {
    let empty = run(line, SPACE | COMMA);
    let rest = line.get(empty..)?;
    if rest.is_empty() {
        *line = rest;
        return None;
    }
    let member = split(rest);
    // What is behind an invalid one is not looked at.
    *line = member.map_or(b"", |(_, rest)| rest);
    Some(member.map(|(member, _)| member))
}

/// The member that `text` begins with, and what is behind it: nothing, or a comma.
fn split(text: &[u8]) -> Option<(StateMember<'_>, &[u8])> {
    let (key, rest) = text.split_at_checked(run(text, KEY))?;
    let rest = rest.strip_prefix(b"=")?;
    let (value, rest) = rest.split_at_checked(run(rest, VALUE))?;
    let rest = rest.get(run(rest, SPACE)..)?;
    let mut value = value;
    while let [inner @ .., b' '] = value {
        value = inner;
    }
    let is_value = (1..=256).contains(&value.len());
    let is_whole = matches!(rest.first(), None | Some(b','));
    (is_key(key) && is_value && is_whole).then_some((StateMember { key, value }, rest))
}

/// What a byte may be part of.
const SPACE: u8 = 1;
const COMMA: u8 = 2;
const KEY: u8 = 4;
const KEY_FIRST: u8 = 8;
const VALUE: u8 = 16;

/// The parts of each byte.
static PARTS: [u8; 256] = {
    let mut parts = [0; 256];
    let mut left: &mut [u8] = &mut parts;
    let mut byte = 0_u8;
    while let [first, rest @ ..] = left {
        *first = match byte {
            b' ' => SPACE | VALUE,
            b'\t' => SPACE,
            b',' => COMMA,
            b'=' => 0,
            b'a'..=b'z' | b'0'..=b'9' => KEY | KEY_FIRST | VALUE,
            b'_' | b'-' | b'*' | b'/' | b'@' => KEY | VALUE,
            b'!'..=b'~' => VALUE,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        left = rest;
    }
    parts
};

/// Whether `byte` may be part of one of `wanted`.
fn is_part(byte: u8, wanted: u8) -> bool {
    let parts = PARTS.get(usize::from(byte)).copied().unwrap_or_default();
    parts & wanted != 0
}

/// How many bytes of `text`, from its beginning, are one of `wanted`.
fn run(text: &[u8], wanted: u8) -> usize {
    text.iter()
        .position(|byte| !is_part(*byte, wanted))
        .unwrap_or(text.len())
}

/// Whether characters that a key may have are one.
fn is_key(key: &[u8]) -> bool {
    let first = key.first();
    first.is_some_and(|first| is_part(*first, KEY_FIRST)) && key.len() <= 256
}
