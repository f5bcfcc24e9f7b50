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
    /// As many scopes as a filter can have; more are judged by windows alone.
    const MAX: usize = 1_024;

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
        let watch = self.watch(subject)?;
        let ever = fleet.ever();
        let new = ever.minus(core::mem::replace(&mut watch.seen, ever));
        watch.detector.observe(hypotheses, new, now);
        if new.total != 0 {
            watch.newest = new;
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

    fn watch(&mut self, subject: Subject<'_>) -> Option<&mut Watch> {
        let Subject {
            scope, objective, ..
        } = subject;
        let place = self
            .watches
            .binary_search_by(|watch| (&watch.scope, watch.objective).cmp(&(scope, objective)));
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
                    suspected: None,
                };
                self.watches.insert(place, watch);
                place
            }
        };
        self.watches.get_mut(place)
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
