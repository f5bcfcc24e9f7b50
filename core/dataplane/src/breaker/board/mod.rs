//! One sidecar behaves as one: what its workers tell each other.
//!
//! Each worker of Envoy has a VM and in it breakers of its own, which see only
//! the requests of that worker. The VMs share a *board*: bytes under one key of
//! Envoy's shared data, which the shell rewrites by compare-and-swap on its
//! tick. On it each VM has one [`Page`], which only it writes, with a line for
//! each scope that had traffic or an opening lately.
//!
//! On each tick the shell
//! 1. gets the bytes and their number for compare-and-swap, and reads them
//!    ([`Board::read`]);
//! 2. gives the board to [`Peers::hear`], and each [`Heard`] to the breaker of
//!    its scope ([`super::Breaker::hear`]);
//! 3. asks each breaker what it tells ([`super::Breaker::tell`]) and makes a
//!    [`Page`] of that;
//! 4. sets what [`Board::with`] makes of the board and the page; if another VM
//!    was faster, begins again, a few times at most; the next tick does what
//!    this one could not.
//!
//! What a VM counts is told as a number that only grows, and read as the
//! difference to what was read before (a grow-only counter: Shapiro et al.,
//! "Conflict-free replicated data types", 2011). So a page may be lost,
//! repeated, or read out of turn, and nothing is counted twice. Of two pages of
//! one VM the later one holds; so merging is commutative, associative and
//! idempotent.
//!
//! Bounds: what one VM saw, another knows when both have had a tick. A VM that
//! died is forgotten after [`SILENCE_MAX`]; what it told ages out of the windows
//! like anything else. The bytes carry a version and a checksum: what cannot be
//! read is an empty board, which is whole again when every VM had a tick.
//!
//! Moments are those of the host's monotonic clock, which all VMs of a process
//! share.

mod peers;
mod wire;

use core::time::Duration;

use sloop_model::{Scope, Side, Time};

use super::words::{Cause, Tally};
pub use peers::Peers;

/// A VM that was not heard of for so long is gone. Workers whose ticks are rarer break alone; for windows of
/// a second, ticks of a tenth of one are as often as its buckets change.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A line that was not read for so long counts from then on, not from its beginning. Longer than
/// [`SILENCE_MAX`], so that who left the board for a while is known when it comes back.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// What is under way elsewhere is believed for so long: a worker that has requests tells it several times a second, and who
/// tells nothing any more has none.
pub const UNDER_WAY_FOR: Duration = Duration::from_secs(2);
/// Pages on a board. Above this, those that are oldest are left out; Envoy has a worker per core.
pub const PAGES_MAX: usize = 128;
/// Lines on a page: scopes with a breaker and traffic in the last [`SILENCE_MAX`]. More than these
/// break alone, worker by worker.
pub const LINES_MAX: usize = 256;

/// Names a scope among the workers of a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeKey(pub u64);

impl ScopeKey {
    /// The key of `scope`.
    ///
    /// A hash (FNV-1a, 64 bits), since workers number their scopes differently.
    /// Two of a thousand scopes have the same one with a probability of 3e-14,
    /// and then open together.
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        let side = match scope.side {
            Side::Server => 0,
            Side::Client => 1,
        };
        let names = [scope.service.as_str(), scope.route.as_str()];
        // No name has a byte 0xff, which is not UTF-8.
        let bytes = names.iter().flat_map(|name| name.bytes().chain([0xff]));
        Self(fnv([side].into_iter().chain(bytes)))
    }
}

/// A breaker's verdict that all workers obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// When it opened. Names the opening: no two happen at once.
    pub at: Time,
    /// Until when it stays open.
    pub until: Time,
    /// Failed attempts to close before it.
    pub attempts: u32,
    /// Why.
    pub cause: Cause,
}

/// What one breaker tells the other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When the first of `counted` ended. Names the count: it grows while this stays.
    pub since: Time,
    /// Requests of this worker from then on: all, failed, slow.
    pub counted: [u64; 3],
    /// The last opening, while it holds.
    pub opening: Option<Opening>,
    /// What is under way, where that matters; none, too, from a VM whose module is of before it was told, and of scopes
    /// for which there is no room ([`LINES_MAX`]).
    pub under_way: Option<UnderWay>,
}

/// Requests of one or several workers that were let pass, did not end, and may still end well: all; those that have been
/// under way for more than a quarter of the breaker's window; those for more than the window, each among those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay(pub(super) [u32; 3]);

/// What one VM tells about one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The scope.
    pub scope: ScopeKey,
    /// What its breaker tells.
    pub told: Told,
}

/// What one VM tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The VM's name, random: its incarnation.
    pub vm: u64,
    /// When it was written.
    pub at: Time,
    /// At most [`LINES_MAX`], in any order, no scope twice.
    pub lines: Vec<Line>,
}

/// What a breaker hears of the other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The scope.
    pub scope: ScopeKey,
    /// What they counted since it last heard of them.
    pub tally: Tally,
    /// The latest opening of any of them, until all are over.
    pub opening: Option<Opening>,
    /// How many workers there are with requests of this scope, this one included.
    pub workers: u32,
    /// Over how long `tally` was counted, at most: since the board was last read.
    pub over: Duration,
    /// What is under way in the others.
    pub elsewhere: Elsewhere,
}

/// What is under way in the workers that told it lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Their sum.
    pub under_way: UnderWay,
    /// How many workers these are.
    pub tellers: u32,
    /// Workers that told of it before, and are quiet since: they have nothing under way. Of others nothing is known.
    pub quiet: u32,
    /// When the first of them told it. What passed since is not in it.
    pub at: Time,
}

impl Opening {
    /// The later of two, until both are over.
    pub(super) fn and(self, other: Self) -> Self {
        let later = self.max(other);
        Self {
            until: self.until.max(other.until),
            attempts: self.attempts.max(other.attempts),
            ..later
        }
    }
}

impl UnderWay {
    /// All of them.
    pub(super) const fn all(self) -> u32 {
        let Self([all, ..]) = self;
        all
    }

    fn add(&mut self, Self(more): Self) {
        for (sum, more) in self.0.iter_mut().zip(more) {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Elsewhere {
    /// Nobody told anything.
    pub(super) const NOTHING: Self = Self {
        under_way: UnderWay([0; 3]),
        tellers: 0,
        quiet: 0,
        at: Time::from_nanos(u64::MAX),
    };

    /// Learns what a worker told at `at`, `now`.
    fn add(&mut self, under_way: UnderWay, at: Time, now: Time) {
        if UNDER_WAY_FOR <= now.since(at) {
            self.quiet = self.quiet.saturating_add(1);
            return;
        }
        self.under_way.add(under_way);
        self.tellers = self.tellers.saturating_add(1);
        self.at = self.at.min(at);
    }
}

impl Heard {
    const fn nothing(scope: ScopeKey, over: Duration) -> Self {
        Self {
            scope,
            tally: Tally {
                total: 0,
                failed: 0,
                slow: 0,
            },
            opening: None,
            workers: 1,
            over,
            elsewhere: Elsewhere::NOTHING,
        }
    }
}

/// All pages: sorted by VM, none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    pages: Vec<Page>,
}

impl Board {
    /// The bytes that the board becomes when `mine` is put there.
    #[must_use]
    pub fn with(mut self, mine: Page) -> Vec<u8> {
        let vm = mine.vm;
        self.put(mine);
        self.shorten(vm);
        wire::written(&self)
    }

    /// The pages in `bytes` of VMs that may be alive at `now`. Nonsense is an empty board.
    #[must_use]
    pub fn read(bytes: &[u8], now: Time) -> Self {
        let mut board = wire::read(bytes).unwrap_or_default();
        board
            .pages
            .retain(|page| now.since(page.at) < SILENCE_MAX && page.at.since(now) < SILENCE_MAX);
        board
    }

    /// Puts a page there, unless there is a later one of the same VM.
    fn put(&mut self, mut page: Page) {
        page.lines.truncate(LINES_MAX);
        match self.pages.binary_search_by_key(&page.vm, |page| page.vm) {
            Err(at) => self.pages.insert(at, page),
            Ok(at) => {
                if let Some(there) = self.pages.get_mut(at)
                    && there.at <= page.at
                {
                    *there = page;
                }
            }
        }
    }

    /// Leaves out the oldest pages above the maximum, but that of `vm`.
    fn shorten(&mut self, vm: u64) {
        while PAGES_MAX < self.pages.len() {
            let others = self.pages.iter().filter(|page| page.vm != vm);
            let Some(oldest) = others.map(|page| (page.at, page.vm)).min() else {
                return;
            };
            self.pages.retain(|page| page.vm != oldest.1);
        }
    }
}

/// FNV-1a over 64 bits (Fowler, Noll, Vo; the constants are theirs).
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
