//! A change goes to a few nodes first, and to all when these are well.
//!
//! States: *settled* (all nodes are offered the same), *first* (a few nodes are
//! offered what is new), *share* (a share of them is). A stage ends when all of
//! its nodes have taken the change over and were quiet for a while: no refusal,
//! no Wasm VM begun anew, not clearly more failed requests than elsewhere. Then
//! the next stage begins. What a node refuses, or what makes one unwell, is
//! taken back from all at once and not tried again; another change is.
//!
//! A node that is gone for long is replaced, by one that came since if there is one, and when
//! too many go that tried a change, it is taken back: what ends an Envoy cannot be refused by it. A stage
//! whose nodes do not answer waits, since that is not known to be well; so does one
//! of which nothing is heard ([`Rollout::hears_nothing`]).
//!
//! What must not wait is part of what all nodes get meanwhile ([`Wanted::at_once`]),
//! and of what is tried.

mod asking;
mod health;
mod load;
mod returning;
mod tally;
mod trial;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sloop_model::{Time, WallTime};

pub use asking::Asking;
pub use health::{Counts, Health};
pub use load::{Asked, InvalidLoad, LoadPace, LoadReport, LoadReporter};
pub use tally::{Phase, Runs, Tally};

use crate::{Offer, Snapshot, Version};
use returning::Returning;
use trial::{Finding, Trial};

/// The moment that it is, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What nodes refused and what they report is compared with.
    pub wall: WallTime,
    /// By which it is measured how long something takes: a step of the wall clock makes nothing longer or shorter.
    pub time: Time,
}

/// How carefully changes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutPace {
    /// Nodes that try first; 0 means that all get everything at once.
    pub first: usize,
    /// Nodes that try then, in hundredths of all, at most 100.
    pub share_percent: usize,
    /// How long they must be well before it goes on.
    pub quiet: Duration,
}

impl Default for RolloutPace {
    fn default() -> Self {
        Self {
            first: 1,
            share_percent: 10,
            // Ten reports of a sidecar: what breaks at once is seen, and a change is out within half a minute.
            quiet: Duration::from_secs(10),
        }
    }
}

impl RolloutPace {
    /// Everything goes to all nodes at once.
    pub const NONE: Self = Self {
        first: 0,
        share_percent: 100,
        quiet: Duration::ZERO,
    };

    /// Reports that must fit into the quiet time of a stage: of a node the first is about the time before, too, and counts for
    /// nothing, by the second it is judged, and one may be late.
    const REPORTS_MIN: u32 = 3;

    /// The shortest quiet time by which changes are judged, where nodes report each `interval`; zero when they go to all at once.
    #[must_use]
    pub fn quiet_min(&self, interval: Duration) -> Duration {
        if self.first == 0 {
            Duration::ZERO
        } else {
            interval.saturating_mul(Self::REPORTS_MIN)
        }
    }

    /// How many of `all` nodes the share is, rounded up.
    fn of(&self, all: usize) -> usize {
        all.saturating_mul(self.share_percent)
            .div_ceil(100)
            .min(all)
    }
}

/// What a cohort should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What all nodes get at once: what they have, with what must not wait.
    pub at_once: Arc<Snapshot>,
    /// What they get in the end. Equal to `at_once` when nothing is to be tried.
    pub whole: Arc<Snapshot>,
    /// Names what is in `whole` but for what must not wait.
    pub revision: Version,
    /// What becomes of Wasm VMs where `whole` takes the place of `at_once`.
    pub vms: Vms,
}

/// What a change does to the Wasm VMs of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vms {
    /// They go on; one that begins anew has crashed.
    Stay,
    /// They begin anew, as with another module.
    Begin,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub node: String,
    /// What is in force on it as a whole, by [`Snapshot::version`].
    pub has: Option<Version>,
    /// What it refused last, if it still does or did so lately: when that was, and why. It counts also when it was over soon.
    pub refusal: Option<(WallTime, String)>,
    /// What was counted of it, each part as [`Rollout::phase`] said.
    pub tally: Tally,
}

/// What happened to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It goes to so many nodes.
    Trying(usize),
    /// All nodes get it.
    Finished {
        /// Which one.
        revision: Version,
    },
    /// It was taken back.
    RolledBack(Rejected),
}

/// How changes stand, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// All nodes are offered the same.
    #[default]
    Settled,
    /// Some nodes try a change.
    Trying {
        /// Which change.
        revision: Version,
        /// Their ids.
        nodes: Arc<BTreeSet<String>>,
        /// Since when these do.
        since: WallTime,
    },
    /// The last change was taken back.
    RolledBack(Rejected),
}

/// A change that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which one.
    pub revision: Version,
    /// Why.
    pub because: String,
    /// When.
    pub at: WallTime,
}

/// The way of changes to the nodes of one cohort.
#[derive(Debug, Default)]
pub struct Rollout {
    stable: Option<Arc<Snapshot>>,
    /// The change that all nodes got last, if one went step by step.
    finished: Option<Version>,
    trial: Option<Trial>,
    rejected: Option<Rejected>,
    /// Nodes that tried a change and should not any more.
    returning: Returning,
}

impl Rollout {
    /// The way of changes where `rejected` was taken back by an earlier process.
    #[must_use]
    pub fn restored(rejected: Option<Rejected>) -> Self {
        Self {
            rejected,
            ..Self::default()
        }
    }

    /// Takes what the cohort should have, at `now`. Says so when all nodes get a change at once.
    ///
    /// What is wanted may come later than what happened since it was made: a change that
    /// has finished stays with all nodes, and one that was taken back stays away.
    pub fn want(&mut self, wanted: Wanted, pace: &RolloutPace, now: Now) -> Option<Told> {
        let Wanted {
            at_once,
            whole,
            revision,
            vms,
        } = wanted;
        if self.finished.as_ref() == Some(&revision) || at_once == whole {
            self.end_trial(now);
            self.stable = Some(whole);
            // Somebody took back what was taken back here.
            self.rejected
                .take_if(|rejected| rejected.revision != revision);
            return None;
        }
        if pace.first == 0 {
            self.stable = Some(whole);
            return Some(self.finish(revision));
        }
        self.stable = Some(at_once);
        if let Some(rejected) = &self.rejected
            && rejected.revision == revision
        {
            self.end_trial(now);
            return None;
        }
        match &mut self.trial {
            Some(trial) if trial.revision() == &revision => trial.renew(whole),
            _ => {
                self.end_trial(now);
                self.trial = Some(Trial::of((whole, vms), revision, now));
            }
        }
        None
    }

    /// Lets nobody try what is tried. Who did comes back.
    fn end_trial(&mut self, now: Now) {
        if let Some(trial) = self.trial.take() {
            self.returning.add(trial.nodes(), now.time);
        }
    }

    /// What is counted of nodes is not heard at the next [`Rollout::step`]: what is tried does not go on by that, and the time
    /// for which nodes must be well begins anew. What is known to be wrong takes it back all the same.
    pub const fn hears_nothing(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.hears_nothing();
        }
    }

    /// Looks at the nodes that are connected, at `now`; says what happened. `seen` has no id twice.
    pub fn step(&mut self, seen: &[Seen], pace: &RolloutPace, now: Now) -> Option<Told> {
        if let Some(stable) = &self.stable {
            self.returning.look(seen, stable.version(), now.time);
        }
        let trial = self.trial.as_mut()?;
        match trial.look(seen, pace, now, &self.returning) {
            Finding::Nothing => None,
            Finding::Others(count) => Some(Told::Trying(count)),
            Finding::Well => {
                self.stable = Some(Arc::clone(trial.snapshot()));
                let revision = trial.revision().clone();
                Some(self.finish(revision))
            }
            Finding::Unwell(because) => {
                let rejected = Rejected {
                    revision: trial.revision().clone(),
                    because,
                    at: now.wall,
                };
                self.end_trial(now);
                self.rejected = Some(rejected.clone());
                Some(Told::RolledBack(rejected))
            }
        }
    }

    fn finish(&mut self, revision: Version) -> Told {
        self.trial = None;
        self.rejected = None;
        self.finished = Some(revision.clone());
        Told::Finished { revision }
    }

    /// What the nodes are offered; `None` before anything was wanted.
    #[must_use]
    pub fn offer(&self) -> Option<Offer> {
        let stable = Arc::clone(self.stable.as_ref()?);
        Some(match &self.trial {
            Some(trial) => Offer::on_trial(
                stable,
                Arc::clone(trial.snapshot()),
                Arc::clone(trial.nodes()),
            ),
            None => Offer::to_all(stable),
        })
    }

    /// Whether a change is on its way.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether [`Rollout::step`] should be called again soon after `now`: while a change is on its way, and until who tried
    /// one has come back from it.
    #[must_use]
    pub fn is_watching(&self, now: Time) -> bool {
        self.is_under_way() || self.returning.is_awaited(now)
    }

    /// How what is counted of `node` is to be taken from now on. It changes with [`Rollout::step`], whose reader of counts
    /// should learn of it before nodes are offered anything else.
    #[must_use]
    pub fn phase(&self, node: &str) -> Phase {
        let tried = self.trial.as_ref().filter(|it| !it.nodes().is_empty());
        let tries = tried.is_some_and(|it| it.nodes().contains(node));
        let runs = if tries || self.returning.includes(node) {
            Runs::Other
        } else {
            Runs::Usual
        };
        Phase {
            runs,
            stage: tried.map(Trial::since),
        }
    }

    /// How the last change stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match (&self.trial, &self.rejected) {
            (Some(trial), _) => Stage::Trying {
                revision: trial.revision().clone(),
                nodes: Arc::clone(trial.nodes()),
                since: trial.since(),
            },
            (None, Some(rejected)) => Stage::RolledBack(rejected.clone()),
            (None, None) => Stage::Settled,
        }
    }
}

#[cfg(test)]
mod tests;
