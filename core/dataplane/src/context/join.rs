//! Joining by `x-request-id`, for applications that forward nothing else.
//!
//! The inbound filter remembers what it sent to the application under the
//! request's id; an outbound request that says nothing about its trace is put
//! below what was remembered. Bounded: four places per set, the id chooses the
//! set, and the oldest of a set gives way; before it what expired, and what
//! is of a later moment, as the clock was set back since. Nothing is found after it expired.
//!
//! Across workers the same entry travels through Envoy's shared data, as bytes
//! ([`Remembered::write`], [`Remembered::read`]). Shared data can never be
//! deleted, so ids share [`RequestKey::SHARED_SLOTS`] keys, and the last one
//! stays.
//!
//! What this cannot do: when a service is entered twice under one request id
//! (A calls B calls A), the later entry counts for both. Whoever chooses the
//! same id joins the same trace; ids from outside are replaced by Envoy unless
//! it is told otherwise.

use core::time::Duration;

use sloop_model::{JoinSettings, WallTime};

use super::hex;
use super::member::Said;
use super::traceparent::{Parent, TraceId};
use crate::headers::Request;
use crate::random::mix;

/// An `x-request-id`, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(u64);

/// What an inbound request sent to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The span that the outbound request is below; [`Parent::UNKNOWN`] where its trace is not known: it begins one.
    pub parent: Parent,
    /// What was said besides.
    pub said: Said,
}

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    key: RequestKey,
    at: WallTime,
    joined: Joined,
}

/// The inbound requests that a worker remembers.
#[derive(Clone, Debug)]
pub struct JoinTable {
    sets: Vec<[Option<Remembered>; WAYS]>,
    expiry: Duration,
}

/// Places per set: a full table loses little before it is full, and four are compared in no time.
const WAYS: usize = 4;

impl RequestKey {
    /// Keys in Envoy's shared data, which keeps them for as long as it lives; about half a megabyte.
    pub const SHARED_SLOTS: u32 = 4_096;
    /// A UUID has 36 bytes; nothing that identifies a request is this long.
    const ID_BYTES_MAX: usize = 128;

    /// The key of `request`. None without an id, or with one of more than 128 bytes.
    #[must_use]
    pub fn of(request: &Request<'_>) -> Option<Self> {
        if request.id.is_empty() || Self::ID_BYTES_MAX < request.id.len() {
            return None;
        }
        let (words, rest) = request.id.as_chunks::<8>();
        let mut last = [0; 8];
        last.get_mut(..rest.len())?.copy_from_slice(rest);
        let words = words.iter().chain(core::iter::once(&last));
        let length = u64::try_from(request.id.len()).unwrap_or(u64::MAX);
        let mixed = words.fold(length, |sum, word| mix(sum ^ u64::from_le_bytes(*word)));
        Some(Self(mixed))
    }

    /// The key in Envoy's shared data.
    #[must_use]
    pub fn shared(self) -> [u8; 16] {
        let slot = u32::try_from(self.0 % u64::from(Self::SHARED_SLOTS)).unwrap_or(0);
        let mut key = *b"sloopjn.00000000";
        if let Some((_, digits)) = key.split_last_chunk_mut::<8>() {
            *digits = hex::digits(slot);
        }
        key
    }
}

impl JoinTable {
    /// A table that remembers nothing. Its memory, about 120 bytes per entry, is taken here.
    #[must_use]
    pub fn new(settings: JoinSettings) -> Self {
        let sets = usize::try_from(settings.entries()).unwrap_or(0) / WAYS;
        Self {
            sets: vec![[None; WAYS]; sets.max(1)],
            expiry: settings.expiry(),
        }
    }

    /// Remembers at `at` what was sent to the application, and gives it back for others to learn.
    pub fn remember(&mut self, key: RequestKey, joined: Joined, at: WallTime) -> Remembered {
        let entry = Remembered { key, at, joined };
        let expiry = self.expiry;
        let rank = |slot: &&mut Option<Remembered>| {
            slot.map_or((true, false, WallTime::default()), |old| {
                (old.key != key, old.holds(at, expiry), old.at)
            })
        };
        if let Some(slot) = self
            .set(key)
            .and_then(|set| set.iter_mut().min_by_key(rank))
        {
            *slot = Some(entry);
        }
        entry
    }

    /// What was remembered under `key`, if it still holds at `now`.
    #[must_use]
    pub fn find(&self, key: RequestKey, now: WallTime) -> Option<Joined> {
        let set = self.sets.get(self.index(key))?;
        set.iter()
            .flatten()
            .find(|entry| entry.key == key && entry.is_valid(now, self.expiry))
            .map(|entry| entry.joined)
    }

    /// What another worker remembered, as shared data has it, if it is about `key` and holds at `now`.
    #[must_use]
    pub fn find_shared(&self, bytes: &[u8], key: RequestKey, now: WallTime) -> Option<Joined> {
        let entry = Remembered::read(bytes)?;
        (entry.key == key && entry.is_valid(now, self.expiry)).then_some(entry.joined)
    }

    fn set(&mut self, key: RequestKey) -> Option<&mut [Option<Remembered>; WAYS]> {
        let index = self.index(key);
        self.sets.get_mut(index)
    }

    /// By the upper bits, as the lower ones choose the key in shared data.
    fn index(&self, key: RequestKey) -> usize {
        let sets = u64::try_from(self.sets.len()).unwrap_or(1);
        usize::try_from((key.0 >> 32) % sets).unwrap_or(0)
    }
}

/// Version 1 of the bytes: version, key, moment, trace, span, flags, and the value of a `sloop=` member. Without a trace
/// all of its numbers are zero, which an earlier reader leaves alone.
const VERSION: u8 = 1;

impl Remembered {
    /// Appends the entry to `into`, as bytes for other workers.
    pub fn write(&self, into: &mut Vec<u8>) {
        let Joined { parent, said } = &self.joined;
        into.push(VERSION);
        for word in [
            self.key.0,
            self.at.as_millis(),
            parent.trace.high,
            parent.trace.low,
            parent.span,
        ] {
            into.extend_from_slice(&word.to_le_bytes());
        }
        into.push(parent.flags);
        said.write(b"", into);
    }

    /// Reads what [`Remembered::write`] wrote. None for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (words, rest) = rest.split_at_checked(40)?;
        let (flags, member) = rest.split_first()?;
        let [key, at, high, low, span] = words.as_chunks::<8>().0 else {
            return None;
        };
        let parent = Parent {
            trace: TraceId {
                high: u64::from_le_bytes(*high),
                low: u64::from_le_bytes(*low),
            },
            span: u64::from_le_bytes(*span),
            flags: *flags,
        };
        if *version != VERSION || Parent::SAMPLED | Parent::RANDOM < *flags {
            return None;
        }
        if parent != Parent::UNKNOWN && parent.checked().is_none() {
            return None;
        }
        let said = Said::parse(member)?;
        let joined = Joined { parent, said };
        Some(Self {
            key: RequestKey(u64::from_le_bytes(*key)),
            at: WallTime::from_millis(u64::from_le_bytes(*at)),
            joined,
        })
    }

    /// Whether it is of before `now`, and is still found.
    fn holds(&self, now: WallTime, expiry: Duration) -> bool {
        self.at <= now && self.is_valid(now, expiry)
    }

    fn is_valid(&self, now: WallTime, expiry: Duration) -> bool {
        now.since(self.at) < expiry
    }
}

#[cfg(test)]
mod tests;
