//! Whether shedding has nothing to set against what is slow.

use sloop_model::{Share, ShedRule};

/// How long all that passes is late, with the most shed that may be, until that is the end of what shedding can do:
/// longer than it takes to drain what half a second of twice the load leaves.
const AT_ITS_END_US: u64 = 1_000_000;
/// How long too much may be slow until something has to come of it: a queue that fills is seen within some steps, and a
/// step waits for a second where little is asked.
const ANSWERS_WITHIN_US: u64 = 1_000_000;
/// As long again as it takes to believe it: chance makes some steps look well.
const IN_DOUBT_US_MAX: u64 = 2 * ANSWERS_WITHIN_US;
/// After so long without a request what was seen before says nothing of what is slow: twice Envoy's default route timeout
/// (15 s), as who is asked seldom hears nothing for as long while a request hangs.
const SILENCE_US: u64 = 30_000_000;
/// What is remembered of the share that is slow: the last 32 to 64 that were judged, of which twice a small share is told
/// from that share. Steps hold ten of a busy service, and one of a service that is seldom asked.
const REMEMBERED: u32 = 64;

/// How requests ended since the last step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Those that say something.
    pub(super) judged: u32,
    /// How many of these failed.
    pub(super) failed: u32,
    /// How many of these were slow.
    pub(super) slow: u32,
    /// In how long a time, in microseconds.
    pub(super) us: u64,
}

/// For how long it has not had anything, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vain {
    /// Nothing was served in time although no more may be shed.
    at_most_us: u64,
    idle: Idle,
}

/// What is known while no more is shed than always is.
#[derive(Clone, Copy, Debug, Default)]
struct Idle {
    /// For how long more was slow than may be, less how long it was not; at most [`IN_DOUBT_US_MAX`].
    exceeded_us: u64,
    /// Requests that are remembered, and how many of them were slow.
    judged: u32,
    slow: u32,
}

impl Vain {
    /// Learns what was seen while `level` was shed.
    #[inline(never)]
    pub(super) fn learn(&mut self, rule: &ShedRule, ended: Ended, level: Share) {
        let limits = rule.limits();
        let is_all_bad = ended.slow.saturating_add(ended.failed) == ended.judged;
        self.at_most_us = if is_all_bad && limits.share_max <= level {
            self.at_most_us.saturating_add(ended.us)
        } else {
            0
        };
        if limits.share_min < level || SILENCE_US <= ended.us {
            self.idle = Idle::default();
        } else if ended.judged != 0 {
            // What says nothing ends nothing.
            self.idle
                .learn(limits.slow_max.unwrap_or(Share::NONE), ended);
        }
    }

    /// Whether it has done all that it may, in vain: what callers gave up on may be a queue that only a pause drains.
    pub(super) const fn is_at_its_end(self) -> bool {
        AT_ITS_END_US <= self.at_most_us
    }

    /// Whether too much is slow, and nothing comes of it: it is no queue, or what was seen is too little to tell.
    pub(super) const fn has_no_answer(self) -> bool {
        ANSWERS_WITHIN_US <= self.idle.exceeded_us
    }
}

impl Idle {
    /// Goes by the plain share, in this step or of what is remembered: who is asked a few times a second is never sure
    /// of a small one.
    fn learn(&mut self, slow_max: Share, ended: Ended) {
        if REMEMBERED <= self.judged {
            (self.judged, self.slow) = (self.judged / 2, self.slow / 2);
        }
        self.judged = self.judged.saturating_add(ended.judged);
        self.slow = self.slow.saturating_add(ended.slow);
        let allowed = u64::from(u16::from(slow_max));
        let exceeds =
            |slow: u32, judged: u32| u64::from(judged) * allowed < u64::from(slow) * 10_000;
        let is_exceeded = exceeds(ended.slow, ended.judged) || exceeds(self.slow, self.judged);
        self.exceeded_us = if is_exceeded {
            self.exceeded_us
                .saturating_add(ended.us)
                .min(IN_DOUBT_US_MAX)
        } else {
            self.exceeded_us.saturating_sub(ended.us)
        };
    }
}
