//! Which scopes changed for the worse, and whether more than one sidecar says so.
//!
//! A [`Detector`] tells that something changed, and when. An order needs more: that
//! surely more than the breaker's level is bad since then, and that all but the
//! worst sidecar confirm it by what they saw since the change was first
//! suspected. That is sooner than windows ([`super::orders::Verdict`]) are,
//! which hold what was good before.
//!
//! To confirm takes less than to be sure: more than the level is bad there, too,
//! and a change is as likely as one that is suspected. Where one sidecar is bad
//! and the others are well, what they see speaks against it, however much the one says.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{BreakerRule, Scope, WallTime};

use crate::Counts;
use crate::budget::{Fleet, surely_above};
use crate::detect::{Change, Detector, Hypotheses};

/// What one intent watches. Bounded by [`Watches::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watches {
    /// Sorted by scope and objective, no duplicates.
    watches: Vec<Watch>,
    /// From when until when it is known that none is quiet for long, so that not each subject without a place looks at all.
    #[serde(skip)]
    full: Option<(WallTime, WallTime)>,
}

/// One objective on one scope, or, without an objective, all that is evidence on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    scope: Scope,
    objective: Option<u32>,
    detector: Detector,
    /// What the fleet had counted when it was last looked at.
    seen: Counts,
    /// What was new when something last was.
    #[serde(default)]
    newest: Counts,
    /// When that was; when it was first looked at before.
    #[serde(default)]
    at: WallTime,
    /// What each sidecar had counted when a change was first suspected.
    suspected: Option<BTreeMap<String, Counts>>,
}

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) scope: &'a Scope,
    /// The position of the objective whose counts these are.
    pub(super) objective: Option<u32>,
    pub(super) fleet: &'a Fleet,
}

impl Watches {
    /// As many scopes as a filter can have; more are judged by windows alone, unless one makes room.
    const MAX: usize = 1_024;
    /// One on which nothing new was seen for so long makes room for another: what it remembers says nothing of just now.
    const QUIET: Duration = Duration::from_secs(600);

    /// Takes in what `subject` counted since the last look. Returns the change after which surely more
    /// than the level of `rule` is bad, by the whole fleet and without the worst sidecar, if what came last is bad, too.
    pub(super) fn look(
        &mut self,
        subject: Subject<'_>,
        hypotheses: &Hypotheses,
        rule: &BreakerRule,
        now: WallTime,
    ) -> Option<Change> {
        let Subject { fleet, .. } = subject;
        let watch = self.watch(subject, now)?;
        let ever = fleet.ever();
        if ever.total < watch.seen.total {
            // The fleet made room, and begins anew.
            watch.seen = Counts::default();
        }
        let new = ever.minus(core::mem::replace(&mut watch.seen, ever));
        watch.detector.observe(hypotheses, new, now);
        if new.total != 0 {
            watch.newest = new;
            watch.at = now;
        }
        if !watch.detector.suspects() {
            watch.suspected = None;
            return None;
        }
        let before = watch.suspected.get_or_insert_with(|| {
            let nodes = fleet.nodes_ever();
            nodes.map(|(node, ever)| (node.to_owned(), ever)).collect()
        });
        let change = watch.detector.alarm()?;
        let level = rule.limits().failed_max;
        // Where there is little traffic, evidence stays for minutes after the service has healed.
        let goes_on = level.exceeded_by(watch.newest.bad(), watch.newest.total);
        let is_bad = |counts: Counts| surely_above(counts.bad(), counts.total, level.as_fraction());
        let is_enough = u64::from(rule.limits().calls_min) <= change.counts.total;
        let confirm = |others: Counts| {
            level.exceeded_by(others.bad(), others.total) && hypotheses.is_suspected(others)
        };
        // Who sees nothing bad reports later; where there is nobody else, the one speaks for all.
        let is_alone = fleet.is_alone(now);
        let is_confirmed = is_alone || confirm(without_worst(fleet, before));
        (goes_on && is_enough && is_bad(change.counts) && is_confirmed).then_some(change)
    }

    fn watch(&mut self, subject: Subject<'_>, now: WallTime) -> Option<&mut Watch> {
        let Subject {
            scope, objective, ..
        } = subject;
        let find = |watch: &Watch| (&watch.scope, watch.objective).cmp(&(scope, objective));
        let mut place = self.watches.binary_search_by(find);
        if place.is_err() && Self::MAX <= self.watches.len() {
            self.make_room(subject, now);
            place = self.watches.binary_search_by(find);
        }
        let place = match place {
            Ok(place) => place,
            Err(_) if Self::MAX <= self.watches.len() => return None,
            Err(place) => {
                let watch = Watch {
                    scope: scope.clone(),
                    objective,
                    detector: Detector::default(),
                    // What was counted before anybody looked may be long over.
                    seen: subject.fleet.ever(),
                    newest: Counts::default(),
                    at: now,
                    suspected: None,
                };
                self.watches.insert(place, watch);
                place
            }
        };
        self.watches.get_mut(place)
    }

    /// Forgets the one that is quiet for longest, in a look at all of them, if it is for long, and if there is something to see of `subject`.
    fn make_room(&mut self, subject: Subject<'_>, now: WallTime) {
        if subject.fleet.is_idle() {
            return;
        }
        if self
            .full
            .is_some_and(|(from, until)| from <= now && now < until)
        {
            return;
        }
        let all = self.watches.iter().enumerate();
        let quietest = all.min_by_key(|(_, watch)| watch.at.min(now));
        let Some((place, at)) = quietest.map(|(place, watch)| (place, watch.at.min(now))) else {
            return;
        };
        if Self::QUIET <= now.since(at) {
            self.watches.remove(place);
        } else {
            self.full = Some((now, at.after(Self::QUIET)));
        }
    }
}

/// What all but the worst sidecar saw since `before`.
fn without_worst(fleet: &Fleet, before: &BTreeMap<String, Counts>) -> Counts {
    let mut all = Counts::default();
    let mut worst = Counts::default();
    for (node, ever) in fleet.nodes_ever() {
        let seen = ever.minus(before.get(node).copied().unwrap_or_default());
        all = all.plus(seen);
        if worst.total == 0 || worst.bad() < seen.bad() {
            worst = seen;
        }
    }
    all.minus(worst)
}

#[cfg(test)]
mod tests {
    use sloop_model::{RouteName, ServiceName, Side};

    use super::*;
    use crate::budget::SeenBy;

    fn at(second: u64) -> WallTime {
        WallTime::from_millis(second * 1_000)
    }

    fn scope(number: usize) -> Scope {
        Scope {
            service: ServiceName::try_from("payments").unwrap(),
            route: RouteName::try_from(format!("r{number}").as_str()).unwrap(),
            side: Side::Server,
        }
    }

    /// What one sidecar saw at `second`.
    fn fleet(second: u64) -> Fleet {
        let mut fleet = Fleet::new();
        let seen_by = SeenBy {
            node: "a",
            service: "payments",
            from: at(second - 1),
            to: at(second),
            heard: at(second),
            others_by: at(second),
        };
        fleet.add(seen_by, Counts { total: 9, good: 9 });
        fleet
    }

    fn has_place(watches: &mut Watches, number: usize, fleet: &Fleet, second: u64) -> bool {
        let scope = scope(number);
        let subject = Subject {
            scope: &scope,
            objective: None,
            fleet,
        };
        watches.watch(subject, at(second)).is_some()
    }

    #[test]
    fn of_many_that_find_no_place_one_looks_at_all_until_there_may_be_one() {
        let mut watches = Watches::default();
        let seen = fleet(1_000);
        for number in 0..Watches::MAX {
            let second = 1_000 + u64::from(number == 7);
            assert!(has_place(&mut watches, number, &seen, second));
        }
        let full = |watches: &Watches| watches.full;
        assert!(!has_place(&mut watches, 5_000, &seen, 1_100));
        assert_eq!(full(&watches), Some((at(1_100), at(1_600))));
        for number in 5_000..105_000 {
            assert!(!has_place(&mut watches, number, &seen, 1_200));
        }
        assert_eq!(full(&watches), Some((at(1_100), at(1_600))), "none looked");
        // The clock was set back, and nobody knows.
        assert!(!has_place(&mut watches, 5_000, &seen, 1_050));
        assert_eq!(full(&watches), Some((at(1_050), at(1_600))));
        assert!(has_place(&mut watches, 5_000, &seen, 1_600));
    }

    #[test]
    fn scopes_that_were_quiet_for_long_make_room_for_others() {
        let mut watches = Watches::default();
        let mut watch = |number: usize, fleet: &Fleet, second: u64| {
            has_place(&mut watches, number, fleet, second)
        };
        let seen = fleet(1_000);
        for number in 0..Watches::MAX {
            assert!(watch(number, &seen, 1_000));
        }
        assert!(!watch(5_000, &seen, 1_599), "all were there lately");
        assert!(!watch(5_000, &Fleet::new(), 1_600), "nobody is on it");
        for number in 0..Watches::MAX {
            assert!(watch(5_000 + number, &seen, 1_600), "{number}");
        }
        assert!(!watch(0, &seen, 1_601));
        assert_eq!(watches.watches.len(), Watches::MAX);
        assert!(
            watches
                .watches
                .is_sorted_by_key(|watch| watch.scope.clone())
        );
    }
}
