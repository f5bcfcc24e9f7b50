//! Which reports were counted already.
//!
//! A filter sends a report until it is acknowledged, and only then the next, so
//! the newest sequence of each incarnation is all there is to know. Late and
//! repeated reports carry one that was seen; a gap means that this control
//! plane's store is younger than the filter.

use core::time::Duration;
use std::collections::BTreeMap;

use sloop_model::WallTime;

/// An incarnation that was quiet for a day is over: filters report every interval,
/// a minute at most, even with nothing to count, and give up a report only with their VM.
pub const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Incarnations kept. Ten thousand sidecars of four workers, each restarted once
/// a day, stay below; 24 bytes each.
pub const INCARNATIONS_MAX: usize = 100_000;

/// What a report counts took at least so long: reports that were late come close together, and a first one may be about
/// a time before we listened.
const SPAN_MIN: Duration = Duration::from_secs(60);

/// Of a VM that we do not know we believe that it counted for so long, as while there was no control plane.
const SPAN_UNKNOWN_MAX: Duration = Duration::from_secs(60 * 60);

/// The newest report of each incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    seen: BTreeMap<u64, Seen>,
}

/// The newest report of one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its sequence.
    pub sequence: u64,
    /// When it came, by our own clock.
    pub at: WallTime,
}

/// What to do with a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Count it.
    Next,
    /// Count it; some before it never came.
    AfterGap,
    /// It is counted.
    Repeated,
}

impl Ledger {
    /// Takes in what an earlier process wrote down.
    pub fn restore(&mut self, incarnation: u64, seen: Seen) {
        self.seen.insert(incarnation, seen);
    }

    /// Notes a report, and says what to do with it.
    pub fn note(&mut self, incarnation: u64, sequence: u64, at: WallTime) -> Verdict {
        let last = self.seen.get(&incarnation).map_or(0, |seen| seen.sequence);
        if sequence <= last {
            return Verdict::Repeated;
        }
        self.seen.insert(incarnation, Seen { sequence, at });
        if sequence - last == 1 {
            Verdict::Next
        } else {
            Verdict::AfterGap
        }
    }

    /// The newest report of `incarnation`.
    #[must_use]
    pub fn seen(&self, incarnation: u64) -> Option<Seen> {
        self.seen.get(&incarnation).copied()
    }

    /// For how long `incarnation` may have counted what it reports at `now`: since its last report by our own clock; of
    /// one that never reported, for as long as it `says`, within bounds.
    #[must_use]
    pub fn span(&self, incarnation: u64, says: Duration, now: WallTime) -> Duration {
        let span = match self.seen(incarnation) {
            Some(seen) => now.since(seen.at),
            None => says.min(SPAN_UNKNOWN_MAX),
        };
        span.max(SPAN_MIN)
    }

    /// Whether there are so many that some should go before their day is over.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        // A tenth of room, so that not every newcomer costs a search for the quietest.
        self.seen.len() > INCARNATIONS_MAX + INCARNATIONS_MAX / 10
    }

    /// Drops the incarnations that are over at `now`, and the quietest beyond
    /// [`INCARNATIONS_MAX`]; returns them.
    pub fn forget(&mut self, now: WallTime) -> Vec<u64> {
        let mut by_age: Vec<(WallTime, u64)> = self
            .seen
            .iter()
            .map(|(&incarnation, seen)| (seen.at, incarnation))
            .collect();
        by_age.sort_unstable();
        let beyond = by_age.len().saturating_sub(INCARNATIONS_MAX);
        let over: Vec<u64> = by_age
            .into_iter()
            .enumerate()
            .take_while(|&(index, (at, _))| index < beyond || now.since(at) >= FORGET_AFTER)
            .map(|(_, (_, incarnation))| incarnation)
            .collect();
        for incarnation in &over {
            self.seen.remove(incarnation);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_millis(1_000_000_000);

    #[test]
    fn each_report_counts_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.note(7, 1, NOW), Verdict::Next);
        assert_eq!(ledger.note(7, 1, NOW), Verdict::Repeated);
        assert_eq!(ledger.note(7, 2, NOW), Verdict::Next);
        assert_eq!(ledger.note(7, 1, NOW), Verdict::Repeated, "late");
        assert_eq!(ledger.note(8, 1, NOW), Verdict::Next, "another VM");
        assert_eq!(ledger.note(7, 0, NOW), Verdict::Repeated);
    }

    #[test]
    fn a_gap_is_told_and_closed() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.note(7, 5, NOW), Verdict::AfterGap);
        assert_eq!(ledger.note(7, 4, NOW), Verdict::Repeated);
        assert_eq!(ledger.note(7, 6, NOW), Verdict::Next);
        assert_eq!(ledger.note(7, u64::MAX, NOW), Verdict::AfterGap);
    }

    #[test]
    fn what_a_vm_counts_took_since_its_last_report_by_our_own_clock() {
        let mut ledger = Ledger::default();
        let (minute, hour) = (SPAN_MIN, SPAN_UNKNOWN_MAX);
        assert_eq!(ledger.span(7, Duration::ZERO, NOW), minute);
        assert_eq!(ledger.span(7, 2 * minute, NOW), 2 * minute);
        assert_eq!(ledger.span(7, Duration::MAX, NOW), hour);
        ledger.note(7, 1, NOW);
        assert_eq!(ledger.span(7, Duration::MAX, NOW), minute);
        let later = NOW.after(2 * hour);
        assert_eq!(ledger.span(7, Duration::ZERO, later), 2 * hour);
        let before = WallTime::default();
        assert_eq!(ledger.span(7, hour, before), minute, "clock went back");
    }

    #[test]
    fn an_incarnation_is_over_after_a_quiet_day() {
        let mut ledger = Ledger::default();
        ledger.note(7, 1, NOW);
        ledger.note(8, 1, NOW.after(Duration::from_secs(1)));
        let almost = NOW.after(FORGET_AFTER - Duration::from_millis(1));
        assert!(ledger.forget(almost).is_empty());
        assert_eq!(ledger.forget(NOW.after(FORGET_AFTER)), [7]);
        assert_eq!(ledger.seen(7), None);
        assert!(ledger.seen(8).is_some());
        assert!(
            ledger.forget(WallTime::default()).is_empty(),
            "clock went back"
        );
    }

    #[test]
    fn the_quietest_goes_when_there_are_too_many() {
        let mut ledger = Ledger::default();
        for incarnation in 0..=(INCARNATIONS_MAX as u64) {
            ledger.note(
                incarnation,
                1,
                NOW.after(Duration::from_millis(incarnation)),
            );
        }
        assert_eq!(ledger.forget(NOW), [0]);
        assert!(ledger.forget(NOW).is_empty());
    }
}
