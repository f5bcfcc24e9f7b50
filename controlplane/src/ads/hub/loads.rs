//! What Envoys say that they counted, until somebody takes it; and of which services it is wanted soon.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sloop_model::WallTime;
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{Health, Stage};
use tokio::sync::watch;

use super::{Hub, lock};

/// Whose counts they are: a group, and the node's id, which is only what the node says.
pub(in crate::ads) type Who = (Arc<str>, Arc<str>);

/// What nodes counted since it was last taken, by group and id.
pub type Counted = BTreeMap<(Arc<str>, Arc<str>), Load>;

/// What a node counted in one report, or in some that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// So much.
    pub health: Health,
    /// The time that it is about began then or earlier.
    pub from: WallTime,
}

/// The cohorts that try a change, and since when their nodes do.
pub(in crate::ads) type Stages = BTreeMap<Cohort, WallTime>;

/// What is between the streams of load reports and who judges by them.
#[derive(Debug, Default)]
pub(super) struct Loads {
    counted: Mutex<Counted>,
    trying: watch::Sender<Arc<Stages>>,
}

impl Loads {
    pub(super) fn set_stage(&self, cohort: &Cohort, stage: &Stage) {
        let since = match stage {
            Stage::Trying { since, .. } => Some(*since),
            Stage::Settled | Stage::RolledBack(_) => None,
        };
        self.set(cohort, since);
    }

    pub(super) fn set(&self, cohort: &Cohort, since: Option<WallTime>) {
        self.trying.send_if_modified(|trying| {
            let differs = trying.get(cohort).copied() != since;
            if differs {
                let trying = Arc::make_mut(trying);
                match since {
                    Some(since) => trying.insert(cohort.clone(), since),
                    None => trying.remove(cohort),
                };
            }
            differs
        });
    }
}

impl Hub {
    /// What nodes counted by their load reports since the last call.
    #[must_use]
    pub fn take_loads(&self) -> Counted {
        std::mem::take(&mut *lock(&self.shared.loads.counted))
    }

    /// Notes what a node counted since its last report. Whether there was room: as many nodes as there may be streams
    /// are noted until somebody takes it.
    pub(in crate::ads) fn note_load(&self, who: &Who, load: Load) -> bool {
        let mut counted = lock(&self.shared.loads.counted);
        if let Some(sum) = counted.get_mut(who) {
            sum.health = sum.health.plus(load.health);
            sum.from = sum.from.min(load.from);
            return true;
        }
        let has_room = counted.len() < self.shared.limits.streams_max;
        if has_room {
            counted.insert(who.clone(), load);
        }
        has_room
    }

    /// The cohorts that try a change.
    pub(in crate::ads) fn trying(&self) -> watch::Receiver<Arc<Stages>> {
        self.shared.loads.trying.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::AdsLimits;
    use super::*;
    use crate::clock;

    #[test]
    fn counts_add_up_until_they_are_taken_and_so_many_nodes_have_room() {
        let limits = AdsLimits {
            streams_max: 2,
            ..AdsLimits::default()
        };
        let hub = Hub::new(limits, clock::wall);
        let who = |id: &str| -> Who { ("edge".into(), id.into()) };
        let one = |from_ms| Load {
            health: Health {
                vms: 0,
                requests: 3,
                failed: 1,
            },
            from: WallTime::from_millis(from_ms),
        };
        let says = [("a", 5), ("b", 4), ("c", 3), ("a", 9)];
        let noted = says.map(|(id, from_ms)| hub.note_load(&who(id), one(from_ms)));
        assert_eq!(noted, [true, true, false, true]);
        let taken = hub.take_loads();
        let taken = taken.values();
        let taken: Vec<_> = taken
            .map(|it| (it.health.requests, it.from.as_millis()))
            .collect();
        assert_eq!(taken, [(6, 5), (3, 4)]);
        assert!(hub.take_loads().is_empty() && hub.note_load(&who("c"), one(0)));
    }

    #[test]
    fn a_cohort_is_tried_on_until_its_change_is_over_or_it_is_forgotten() {
        let hub = Hub::new(AdsLimits::default(), clock::wall);
        let [one, other] = ["one", "other"].map(Cohort::of_service);
        let trying = hub.trying();
        let stage = || Stage::Trying {
            revision: sloop_xds::Version::claimed("1"),
            nodes: Arc::default(),
            since: clock::wall(),
        };
        hub.set_stage(&one, stage());
        hub.set_stage(&other, stage());
        assert_eq!(trying.borrow().len(), 2);
        hub.set_stage(&one, Stage::Settled);
        assert_eq!(trying.borrow().keys().collect::<Vec<_>>(), [&other]);
        assert!(hub.forget(&other) && trying.borrow().is_empty());
    }
}
