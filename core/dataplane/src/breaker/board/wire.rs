//! A board as bytes.
//!
//! A version, a checksum of the rest (eight bytes, little-endian), then the
//! pages to the end. Numbers are LEB128, as in protobuf, names eight bytes:
//!
//! - page: VM, moment, count of lines, the lines;
//! - line: scope, age of `since`, three counts, 0 or the opening's cause;
//! - with an opening: its age, how long it holds from its beginning, attempts.
//!
//! Ages are nanoseconds before the page's moment, at least 0.

use sloop_model::Time;

use super::{Board, LINES_MAX, Line, Opening, PAGES_MAX, Page, ScopeKey, Told, fnv};
use crate::breaker::words::Cause;

/// A reader of another version sees an empty board, so a change of the format needs a new key as well.
const VERSION: u8 = 1;
const CAUSES: [Cause; 5] = [
    Cause::Failures,
    Cause::Slowness,
    Cause::Fleet,
    Cause::Time,
    Cause::Recovered,
];

/// The bytes of `board`.
pub(super) fn written(board: &Board) -> Vec<u8> {
    let mut rest = Vec::new();
    for page in &board.pages {
        put_page(&mut rest, page);
    }
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&fnv(rest.iter().copied()).to_le_bytes());
    bytes.append(&mut rest);
    bytes
}

/// The board in `bytes`, if they are one.
pub(super) fn read(bytes: &[u8]) -> Option<Board> {
    let (&version, bytes) = bytes.split_first()?;
    let (checksum, rest) = bytes.split_first_chunk()?;
    if version != VERSION || u64::from_le_bytes(*checksum) != fnv(rest.iter().copied()) {
        return None;
    }
    let mut reader = Reader { rest };
    let mut board = Board::default();
    while !reader.rest.is_empty() {
        if board.pages.len() == PAGES_MAX {
            return None;
        }
        board.put(reader.page()?);
    }
    Some(board)
}

fn put_page(bytes: &mut Vec<u8>, page: &Page) {
    bytes.extend_from_slice(&page.vm.to_le_bytes());
    put_number(bytes, page.at.as_nanos());
    let lines = page.lines.get(..LINES_MAX).unwrap_or(&page.lines);
    put_number(bytes, u64::try_from(lines.len()).unwrap_or(0));
    for line in lines {
        bytes.extend_from_slice(&line.scope.0.to_le_bytes());
        put_number(bytes, between(line.told.since, page.at));
        for counted in line.told.counted {
            put_number(bytes, counted);
        }
        let Some(opening) = line.told.opening else {
            bytes.push(0);
            continue;
        };
        let cause = CAUSES.iter().position(|cause| *cause == opening.cause);
        bytes.push(cause.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(1));
        put_number(bytes, between(opening.at, page.at));
        put_number(bytes, between(opening.at, opening.until));
        put_number(bytes, opening.attempts.into());
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

const fn between(earlier: Time, later: Time) -> u64 {
    later.as_nanos().saturating_sub(earlier.as_nanos())
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn page(&mut self) -> Option<Page> {
        let vm = self.name()?;
        let at = Time::from_nanos(self.number()?);
        let count = usize::try_from(self.number()?).ok()?;
        if LINES_MAX < count {
            return None;
        }
        let lines = (0..count).map(|_| self.line(at)).collect::<Option<_>>()?;
        Some(Page { vm, at, lines })
    }

    fn line(&mut self, at: Time) -> Option<Line> {
        let scope = ScopeKey(self.name()?);
        let since = self.before(at)?;
        let counted = [self.number()?, self.number()?, self.number()?];
        let [total, failed, slow] = counted;
        if total < failed || total < slow {
            return None;
        }
        let opening = match self.byte()? {
            0 => None,
            cause => Some(self.opening(cause, at)?),
        };
        let told = Told {
            since,
            counted,
            opening,
        };
        Some(Line { scope, told })
    }

    fn opening(&mut self, cause: u8, at: Time) -> Option<Opening> {
        let cause = *CAUSES.get(usize::from(cause.checked_sub(1)?))?;
        let at = self.before(at)?;
        let until = at.as_nanos().checked_add(self.number()?)?;
        Some(Opening {
            at,
            until: Time::from_nanos(until),
            attempts: u32::try_from(self.number()?).ok()?,
            cause,
        })
    }

    fn before(&mut self, at: Time) -> Option<Time> {
        let before = at.as_nanos().checked_sub(self.number()?)?;
        Some(Time::from_nanos(before))
    }

    fn name(&mut self) -> Option<u64> {
        let (name, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*name))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if part << shift >> shift != part {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
