//! What one VM has read of the others.

use sloop_model::Time;

use super::{Board, FORGOTTEN_AFTER, Heard, Line, Page, ScopeKey, Told};
use crate::breaker::words::Tally;
use crate::sorted::SortedMap;

/// What one VM knows of the others, so that it counts nothing twice.
#[derive(Clone, Debug)]
pub struct Peers {
    vm: u64,
    /// Since when it may read. What was counted before is not news to anybody.
    since: Time,
    read_at: Time,
    /// By VM and scope, what was told last, and when.
    known: SortedMap<(u64, ScopeKey), (Time, Told)>,
}

impl Peers {
    /// Knows nobody. `vm` is its own name.
    #[must_use]
    pub const fn new(vm: u64, now: Time) -> Self {
        Self {
            vm,
            since: now,
            read_at: now,
            known: SortedMap::new(),
        }
    }

    /// Learns what is on the board at `now`, and says what is to be heard of it, sorted by scope.
    pub fn hear(&mut self, board: &Board, now: Time) -> Vec<Heard> {
        let mut heard = SortedMap::new();
        let vm = self.vm;
        for page in board.pages.iter().filter(|page| page.vm != vm) {
            self.learn(page, now, &mut heard);
        }
        self.read_at = now;
        self.known
            .retain(|(_, (at, _))| now.since(*at) < FORGOTTEN_AFTER);
        let heard = heard.into_entries().into_iter();
        heard.map(|(_, heard)| heard).collect()
    }

    fn learn(&mut self, page: &Page, now: Time, heard: &mut SortedMap<ScopeKey, Heard>) {
        let over = now.since(self.read_at);
        for Line { scope, told } in &page.lines {
            let Some(one) = heard.get_or_insert(*scope, || Heard::nothing(*scope, over)) else {
                continue;
            };
            one.workers = one.workers.saturating_add(1);
            if let Some(under_way) = told.under_way {
                one.elsewhere.add(under_way, page.at, now);
            }
            one.opening = match (one.opening, told.opening) {
                (Some(one), Some(other)) => Some(one.and(other)),
                (one, other) => one.or(other),
            };
            let before = match self.known.get(&(page.vm, *scope)) {
                // What it told later is known already.
                Some((at, _)) if page.at <= *at => continue,
                Some((at, before))
                    if before.since == told.since && now.since(*at) < FORGOTTEN_AFTER =>
                {
                    before.counted
                }
                // It began to count while it was being read, and was not read and forgotten since.
                _ if self.since <= told.since && now.since(told.since) < FORGOTTEN_AFTER => [0; 3],
                _ => told.counted,
            };
            one.tally.add(difference(before, told.counted));
            self.known.insert((page.vm, *scope), (page.at, *told));
        }
    }
}

fn difference(before: [u64; 3], after: [u64; 3]) -> Tally {
    let [total, failed, slow] = after;
    let [total_before, failed_before, slow_before] = before;
    let more = |after: u64, before| u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX);
    let total = more(total, total_before);
    Tally {
        total,
        failed: more(failed, failed_before).min(total),
        slow: more(slow, slow_before).min(total),
    }
}
