//! What becomes of a body, chunk by chunk.
//!
//! Envoy shows the filter the chunk that just came, or, while the filter
//! holds the body back, everything that it holds with the chunk behind it. A
//! [`BodyPlan`] is told how much it sees and says how much of that stays, what
//! is changed in it, and when it goes on. It never sees the bytes unless some
//! are to be changed.
//!
//! A slow body is held so that no byte goes on before its time at the given
//! pace. What is held sits in Envoy's buffer, which breaks the exchange when it
//! is full (1 MiB by default); so at most [`BodyPlan::HELD_BYTES_MAX`] are held, and
//! what comes beyond goes on at once with what was held. Nothing is held for longer
//! than [`Delay::MAX`] after the body began; that nothing is held after the fault has ended is up to who holds it.

use core::time::Duration;

use sloop_model::{BodyFault, Delay, Share, Time};

use super::draw::{Purpose, word_for};
use crate::random::mix;

/// What a fault does to one body.
#[derive(Clone, Debug)]
pub struct BodyPlan {
    fault: BodyFault,
    word: u64,
    began: Option<Time>,
    /// Bytes of the body that went on or are held.
    kept: u64,
    /// Bytes that are held.
    held: u64,
    /// Whether it is cut off: nothing more goes on.
    is_cut_off: bool,
}

/// What to do with what is visible of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyStep {
    /// How many of the visible bytes stay, from the first; the others are to be removed.
    pub keep: u64,
    /// The bytes to hand to [`BodyPlan::corrupt`], if any.
    pub corrupt: Option<Fresh>,
    /// What happens then.
    pub flow: BodyFlow,
    /// Whether it should have been held, but too much is already.
    pub is_over_cap: bool,
}

/// Bytes that were not visible before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Where they begin in what is visible; they end with what is kept.
    pub from: u64,
    /// Where they begin in the body.
    pub at: u64,
}

/// Whether what was kept goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFlow {
    /// At once.
    Pass,
    /// At this moment; then call [`BodyPlan::release`].
    Hold {
        /// When.
        until: Time,
    },
    /// At once, and on the next tick the stream is to be reset: reset now, the bytes would be lost.
    PassThenCut,
    /// It does not: reset the stream.
    Cut,
}

impl BodyPlan {
    /// A quarter of the buffer that Envoy has by default (`per_connection_buffer_limit_bytes`, 1 MiB).
    pub const HELD_BYTES_MAX: u64 = 256 * 1024;

    /// A plan for the body of the request whose draw was `word`.
    #[must_use]
    pub const fn new(fault: BodyFault, word: u64) -> Self {
        Self {
            fault,
            word: word_for(Purpose::Corruption, word),
            began: None,
            kept: 0,
            held: 0,
            is_cut_off: false,
        }
    }

    /// Whether the header `content-length` must go before the body begins: the length will be another.
    #[must_use]
    pub const fn changes_length(&self) -> bool {
        self.fault.truncate_after_bytes.is_some()
    }

    /// Decides, at `now`, about the `visible` bytes of the body, under a fault that ends at `ends`, as is known now.
    pub fn step(&mut self, visible: u64, now: Time, ends: Time) -> BodyStep {
        let fresh = visible.saturating_sub(self.held);
        let from = self.held.min(visible);
        let at = self.kept;
        let has_ended = ends <= now;
        let stays = self.staying(fresh, has_ended);
        self.kept = self.kept.saturating_add(stays);
        let keep = from + stays;
        let is_corrupted = self.fault.corrupt.is_some() && !has_ended && 0 < stays;
        let is_cut = stays < fresh && self.fault.cut_after_bytes.is_some();
        let (flow, is_over_cap) = match (is_cut, keep) {
            (true, 0) => (BodyFlow::Cut, false),
            (true, _) => (BodyFlow::PassThenCut, false),
            (false, _) if has_ended => (BodyFlow::Pass, false),
            (false, _) => self.pace(keep, now),
        };
        self.held = match flow {
            BodyFlow::Hold { .. } => keep,
            BodyFlow::Pass | BodyFlow::PassThenCut | BodyFlow::Cut => 0,
        };
        BodyStep {
            keep,
            corrupt: is_corrupted.then_some(Fresh { from, at }),
            flow,
            is_over_cap,
        }
    }

    /// How many bytes are held.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Learns that `bytes` are held, whatever [`BodyPlan::step`] wanted.
    pub const fn hold(&mut self, bytes: u64) {
        self.held = bytes;
    }

    /// Learns that what was held went on.
    pub const fn release(&mut self) {
        self.held = 0;
    }

    /// Changes the share of `bytes` that the fault asks for, of which the first is the body's `at`th.
    ///
    /// The body is cut into runs of `10_000 / share` bytes, each of which has one changed byte at a drawn place. So the
    /// share is exact, and the bytes are the same however the body came in chunks, and at every repetition.
    pub fn corrupt(&self, bytes: &mut [u8], at: u64) {
        let share = u64::from(u16::from(self.fault.corrupt.unwrap_or(Share::NONE)));
        let whole = u64::from(u16::from(Share::WHOLE));
        let start = |run: u64| run.checked_mul(whole)?.checked_div(share);
        // None: no body is that long.
        let Some(mut run) = at.checked_mul(share).map(|shares| shares / whole) else {
            return;
        };
        while let (Some(from), Some(to)) = (start(run), start(run + 1)) {
            let drawn = mix(self.word ^ run);
            let place = from + drawn % to.saturating_sub(from).max(1);
            run += 1;
            let Some(offset) = place.checked_sub(at) else {
                continue;
            };
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let Some(byte) = bytes.get_mut(offset) else {
                return;
            };
            // An odd mask always changes something.
            let [mask, ..] = drawn.to_be_bytes();
            *byte ^= mask | 1;
        }
    }

    /// How many of `fresh` bytes stay in the body.
    fn staying(&mut self, fresh: u64, has_ended: bool) -> u64 {
        let max = self
            .fault
            .truncate_after_bytes
            .or(self.fault.cut_after_bytes);
        let left = match max {
            // A body that was cut off stays so: bytes after a gap would be another fault.
            _ if self.is_cut_off => 0,
            Some(max) if !has_ended => max.saturating_sub(self.kept),
            Some(_) | None => u64::MAX,
        };
        self.is_cut_off |= left < fresh;
        fresh.min(left)
    }

    /// When the bytes that are here may go on, and whether that is too early.
    fn pace(&mut self, keep: u64, now: Time) -> (BodyFlow, bool) {
        let began = *self.began.get_or_insert(now);
        let Some(pace) = self.fault.bytes_per_second else {
            return (BodyFlow::Pass, false);
        };
        let micros = self.kept.saturating_mul(1_000_000) / u64::from(pace).max(1);
        let length = Duration::from_micros(micros).min(Delay::MAX);
        let until = began.after(length);
        if until <= now || keep == 0 {
            (BodyFlow::Pass, false)
        } else if Self::HELD_BYTES_MAX < keep {
            (BodyFlow::Pass, true)
        } else {
            (BodyFlow::Hold { until }, false)
        }
    }
}
