//! W3C `tracestate`: read, looked into, and rewritten without breaking what others said.
//!
//! Rules: <https://www.w3.org/TR/trace-context-2/#tracestate-header>. Several
//! lines are one list. A list with anything invalid in it is dropped as a
//! whole: its order is its meaning, so a part of it would be a lie.
//!
//! Keys are those of level 2 (they may begin with a digit), of which at most
//! one `@` is taken, with at most 241 characters before it and 14 behind it,
//! as level 1 and the public test suite demand. Empty members do not count
//! towards the 32.
//!
//! What is sent is one line. It is not cut to 512 characters, which the
//! specification asks to pass on *at least*: all of a list passes, unless it
//! is longer than any valid one could be ([`TraceState::BYTES_MAX`]). The last
//! members are left out only when ours would make more than 32.

use super::traceparent::trimmed;
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

const MEMBERS_MAX: usize = 32;

impl<'a> TraceState<'a> {
    /// Members of a list, as the specification has it.
    pub const MEMBERS_MAX: usize = MEMBERS_MAX;
    /// Bytes of all lines: 32 members of 256 bytes of key and of value, with `=`, comma and a space.
    pub const BYTES_MAX: usize = Self::MEMBERS_MAX * (256 + 1 + 256 + 2);

    /// A list without members.
    pub(super) const EMPTY: Self = Self {
        lines: Lines::Absent,
    };

    /// Reads a list. None when anything in it is invalid.
    pub(crate) fn read(lines: Lines<'a>) -> Option<Self> {
        let state = Self { lines };
        let mut bytes = 0;
        for line in lines.iter() {
            bytes += line.len() + 1;
            if Self::BYTES_MAX < bytes {
                return None;
            }
        }
        let mut keys: [&[u8]; MEMBERS_MAX] = [b""; MEMBERS_MAX];
        for (count, member) in state.texts().enumerate() {
            let StateMember { key, value } = split(member)?;
            let (known, free) = keys.split_at_mut_checked(count)?;
            if !is_key(key) || !is_value(value) || known.contains(&key) {
                return None;
            }
            // There is no place for a 33rd.
            *free.first_mut()? = key;
        }
        Some(state)
    }

    /// The value of `key`.
    pub fn find(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.members()
            .find(|member| member.key == key)
            .map(|member| member.value)
    }

    /// All members, in their order.
    pub fn members(&self) -> impl Iterator<Item = StateMember<'a>> {
        self.texts().filter_map(split)
    }

    /// Whether there is no list.
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self.lines, Lines::Absent)
    }

    /// Whether it came as it would be sent: one line, and not an empty one.
    pub(super) fn is_tidy(&self) -> bool {
        match self.lines {
            Lines::Absent => true,
            Lines::Once(_) => self.texts().next().is_some(),
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

    /// Members as they were written, without those that are empty.
    fn texts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .flat_map(|line| line.split(|byte| *byte == b','))
            .map(trimmed)
            .filter(|text| !text.is_empty())
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

fn split(text: &[u8]) -> Option<StateMember<'_>> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (key, value) = text.split_at_checked(at)?;
    Some(StateMember {
        key,
        value: value.get(1..)?,
    })
}

fn is_key(key: &[u8]) -> bool {
    match key.iter().position(|byte| *byte == b'@') {
        None => is_name(key, 256),
        Some(at) => {
            let tenant = key.get(..at).unwrap_or_default();
            let system = key.get(at + 1..).unwrap_or_default();
            is_name(tenant, 241) && is_name(system, 14)
        }
    }
}

/// Begins with a letter or digit, and has at most `length_max` characters that a key may have.
fn is_name(name: &[u8], length_max: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inner = |byte: &u8| is_plain(*byte) || matches!(*byte, b'_' | b'-' | b'*' | b'/');
    name.first().is_some_and(|first| is_plain(*first))
        && name.len() <= length_max
        && name.iter().all(is_inner)
}

/// Printable, without comma and equals sign; that it does not end with a space was seen to before.
fn is_value(value: &[u8]) -> bool {
    let is_allowed = |byte: &u8| matches!(*byte, b' '..=b'~') && !matches!(*byte, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(is_allowed)
}
