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
//!
//! What is under way in a scope is a line of its own behind the scope's, in the form of the others, so that a VM whose
//! module is of before it was told reads the board and leaves it whole: its scope is the other's with [`UNDER_WAY`] in
//! it, which is nobody's, its age is 0, its counts are the three of [`UnderWay`], and it has no opening. There are as many of these as
//! there is room for.

use sloop_model::Time;

use super::{Board, LINES_MAX, Line, Opening, PAGES_MAX, Page, ScopeKey, Told, UnderWay, fnv};
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

/// Makes a scope's key that of what is under way in it. Any number would do.
const UNDER_WAY: u64 = 0x9e37_79b9_7f4a_7c15;

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
    let mut room = LINES_MAX - lines.len();
    let told = lines.iter().filter(|line| line.told.under_way.is_some());
    let count = lines.len() + told.count().min(room);
    put_number(bytes, u64::try_from(count).unwrap_or(0));
    for line in lines {
        put_line(bytes, line, page.at);
        if let Some(under_way) = line.told.under_way
            && 0 < room
        {
            put_line(
                bytes,
                &under_way_line(line.scope, under_way, page.at),
                page.at,
            );
            room -= 1;
        }
    }
}

#[inline(never)]
fn put_line(bytes: &mut Vec<u8>, line: &Line, at: Time) {
    bytes.extend_from_slice(&line.scope.0.to_le_bytes());
    put_number(bytes, between(line.told.since, at));
    for counted in line.told.counted {
        put_number(bytes, counted);
    }
    let Some(opening) = line.told.opening else {
        bytes.push(0);
        return;
    };
    let cause = CAUSES.iter().position(|cause| *cause == opening.cause);
    bytes.push(cause.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(1));
    put_number(bytes, between(opening.at, at));
    put_number(bytes, between(opening.at, opening.until));
    put_number(bytes, opening.attempts.into());
}

const fn under_way_key(scope: ScopeKey) -> ScopeKey {
    ScopeKey(scope.0 ^ UNDER_WAY)
}

/// What a VM of before takes for a line.
pub(super) fn under_way_line(scope: ScopeKey, UnderWay(counts): UnderWay, at: Time) -> Line {
    Line {
        scope: under_way_key(scope),
        told: Told {
            since: at,
            counted: counts.map(u64::from),
            opening: None,
            under_way: None,
        },
    }
}

/// What `line` says to be under way in the scope of the line `before` it, if it is such a line.
fn under_way_of(before: &Line, line: &Line, at: Time) -> Option<UnderWay> {
    let is_told = line.scope == under_way_key(before.scope)
        && before.told.under_way.is_none()
        && line.told.since == at
        && line.told.opening.is_none();
    let counts = line.told.counted;
    is_told.then(|| UnderWay(counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX))))
}

#[inline(never)]
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
        let mut lines: Vec<Line> = Vec::new();
        for _ in 0..count {
            let line = self.line(at)?;
            if let Some(before) = lines.last_mut()
                && let Some(under_way) = under_way_of(before, &line, at)
            {
                before.told.under_way = Some(under_way);
            } else {
                lines.push(line);
            }
        }
        Some(Page { vm, at, lines })
    }

    #[inline(never)]
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
            under_way: None,
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

    #[inline(never)]
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
