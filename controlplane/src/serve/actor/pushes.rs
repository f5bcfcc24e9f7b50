//! The publishing half of the loop: which cohorts there are, and what each should have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloop_xds::fleet::Cohort;
use sloop_xds::{Offer, Snapshot};

use super::{Actor, After};
use crate::admin::api::Happened;
use crate::clock;
use crate::engine::Pace;
use crate::publish::{Pushed, Wanted};

/// Pushes to one cohort are at least this far apart. Each costs Envoy's main
/// thread 5 ms and a kilobyte that it never gives back.
const PUSH_GAP: Duration = Duration::from_secs(1);

/// Things left out of one push that are said: nobody reads more.
const LEFT_OUT_MAX: usize = 32;

impl Actor {
    /// Notes cohorts; those that are new are pushed to at once.
    pub(super) fn meet(&mut self, seen: BTreeSet<Cohort>) {
        for cohort in seen {
            self.cohorts.entry(cohort).or_insert_with(|| {
                let mut pace = Pace::of(PUSH_GAP);
                pace.want();
                pace
            });
        }
    }

    pub(super) fn want_pushes(&mut self) {
        self.cohorts.values_mut().for_each(Pace::want);
    }

    /// When the next push is due. None is while a step is wanted: what brought that
    /// about would be pushed in two parts, the second one [`PUSH_GAP`] later.
    pub(super) fn push_due(&self, now: Instant) -> Option<Instant> {
        if self.steps.due(now).is_some() {
            return None;
        }
        self.cohorts.values().filter_map(|pace| pace.due(now)).min()
    }

    /// Pushes to the cohorts that are due.
    pub(super) fn push(&mut self, now: Instant) {
        if self.push_due(now).is_none_or(|due| now < due) {
            return;
        }
        let due: Vec<Cohort> = self
            .cohorts
            .iter()
            .filter(|(_, pace)| pace.is_due(now))
            .map(|(cohort, _)| cohort.clone())
            .collect();
        for cohort in due {
            let changed = self.prepare(&cohort, now);
            if let Some(pace) = self.cohorts.get_mut(&cohort) {
                if changed {
                    pace.done(now);
                } else {
                    pace.give_up();
                }
            }
        }
    }

    /// Makes what `cohort` should have and sends it on its way. Returns whether anything changed.
    fn prepare(&mut self, cohort: &Cohort, now: Instant) -> bool {
        let wanted = Wanted {
            route_sets: self.engine.route_sets(),
            policies: &self.policies,
            fleet: &self.fleet,
            filter_settings: self.engine.filter_settings(),
            module: self
                .modules
                .get(&cohort.service)
                .copied()
                .unwrap_or_default(),
        };
        let at = clock::wall();
        let prepared = match self.publisher.prepare(cohort, wanted, at) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::warn!(%cohort, %error, "no service can have this name");
                return false;
            }
        };
        for reason in prepared.troubles {
            tracing::error!(%cohort, reason, "what is declared is not pushed");
            self.meters.push.withheld();
            let group = cohort.to_string();
            self.engine
                .tell(at, at, Happened::HeldBack { group, reason });
        }
        for (side, reason) in prepared.withheld {
            tracing::error!(%cohort, %side, reason, "a configuration is not pushed");
            self.meters.push.withheld();
            let group = cohort.service.clone();
            self.engine.tell(
                at,
                at,
                Happened::Withheld {
                    group,
                    side,
                    reason,
                },
            );
        }
        for (side, what) in prepared.left_out.into_iter().take(LEFT_OUT_MAX) {
            tracing::info!(%cohort, %side, what, "not in the configuration");
            let group = cohort.service.clone();
            self.engine
                .tell(at, at, Happened::LeftOut { group, side, what });
        }
        let Some(snapshot) = prepared.snapshot else {
            return false;
        };
        let publish = After::Publish {
            cohort: cohort.clone(),
            snapshot,
            changed: prepared.changed,
        };
        self.commits.add(prepared.batch, [publish], now);
        self.commits.hurry(now);
        true
    }

    pub(super) fn publish(&mut self, cohort: &Cohort, snapshot: Arc<Snapshot>, changed: &[Pushed]) {
        self.hub.offer(cohort, Offer::to_all(snapshot));
        let now = clock::wall();
        for pushed in changed {
            self.meters.push.pushed();
            let happened = Happened::Push {
                group: cohort.service.clone(),
                side: pushed.side,
                generation: pushed.generation,
            };
            self.engine.tell(pushed.at, now, happened);
        }
    }
}

#[cfg(test)]
mod tests;
