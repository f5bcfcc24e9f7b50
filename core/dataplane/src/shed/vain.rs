//! Whether shedding has nothing to set against what is slow.

use core::time::Duration;

use sloop_model::{Share, ShedRule};

use super::seen::Seen;

/// How long all that passes is late, with the most shed that may be, until that is the end of what shedding can do:
/// longer than it takes to drain what half a second of twice the load leaves.
const AT_ITS_END: Duration = Duration::from_secs(1);
/// How long too much may be slow until something has to come of it: a queue that fills is seen within some steps, and a
/// step waits for a second where little is asked.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// For how long it has not had anything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vain {
    /// Nothing was served in time although no more may be shed.
    at_most: Duration,
    /// More was slow than may be, and no more was shed than always is.
    at_least: Duration,
}

impl Vain {
    /// Learns what was seen while `level` was shed.
    pub(super) fn learn(&mut self, rule: &ShedRule, seen: &Seen, level: Share) {
        let limits = rule.limits();
        let is_all_bad = seen.slow.saturating_add(seen.failed) == seen.judged;
        count(
            &mut self.at_most,
            is_all_bad && limits.share_max <= level,
            seen,
        );
        // By the plain share: who is asked a few times a second is never sure of a small one.
        let allowed = limits.slow_max.map_or(0, |max| u64::from(u16::from(max)));
        let is_exceeded = seen.judged * allowed < seen.slow * 10_000;
        // What says nothing ends nothing.
        if level <= limits.share_min && seen.judged == 0 {
            return;
        }
        count(
            &mut self.at_least,
            is_exceeded && level <= limits.share_min,
            seen,
        );
    }

    /// Whether it has done all that it may, in vain: what callers gave up on may be a queue that only a pause drains.
    pub(super) fn is_at_its_end(self) -> bool {
        AT_ITS_END <= self.at_most
    }

    /// Whether too much is slow, and nothing comes of it: it is no queue, or what was seen is too little to tell.
    pub(super) fn has_no_answer(self) -> bool {
        ANSWERS_WITHIN <= self.at_least
    }
}

/// Counts the time since the last step, while it is so.
fn count(time: &mut Duration, is_so: bool, seen: &Seen) {
    let more = time.saturating_add(seen.elapsed);
    *time = if is_so { more } else { Duration::ZERO };
}
