//! Changes on their way: from a few nodes of a cohort to all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloop_model::{ServiceName, Side, WallTime};
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{Now, Rejected, Rollout, RolloutPace, Told, Wanted};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::Actor;
use crate::admin::api::Happened;
use crate::ads::{self, StreamId};
use crate::clock;
use crate::engine::Pace;
use crate::publish::side_of;

/// How often to look at the nodes that try something. Reports come each second.
const LOOK_GAP: Duration = Duration::from_millis(250);

/// For so many intervals of reports after the store took nothing it is not known yet how nodes are: the first report of
/// each that is taken then is of before, and the second also about all that came since.
const BEHIND_INTERVALS: u32 = 2;

/// What is heard at one go, beside what else there is to do.
const HEARD_MAX: usize = 256;

/// Who speaks after others is heard with more of them, so much later: to listen for each wakes the loop for each. As many as may
/// wait meanwhile ([`Hub::events`](ads::Hub::events)) do not speak in many times that.
const HEARD_GAP: Duration = Duration::from_millis(5);

/// How a cohort gets what it should have.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) pace: Pace,
    pub(super) rollout: Rollout,
    /// Since when it is known to have no node; `None` while it has one.
    pub(super) deserted_since: Option<Instant>,
}

impl Course {
    /// The course of a cohort of which an earlier process took back `rejected`.
    pub(super) fn new(pace: Pace, rejected: Option<Rejected>) -> Self {
        Self {
            pace,
            rollout: Rollout::restored(rejected),
            deserted_since: None,
        }
    }
}

impl Actor {
    /// Lets changes go out as carefully as this.
    pub(in crate::serve) fn pace(&mut self, rollout: RolloutPace) {
        self.rollout = rollout;
    }

    /// Takes in what a node said, and what else nodes have said meanwhile: after a push thousands speak at once, and
    /// what is due need not be looked for after each. When all was heard nobody is listened to for a moment.
    pub(super) fn hear_all(
        &mut self,
        event: Result<Arc<ads::Event>, RecvError>,
        events: &mut broadcast::Receiver<Arc<ads::Event>>,
    ) {
        let mut accepted = Vec::new();
        self.hear(event, &mut accepted);
        for _ in 0..HEARD_MAX {
            match events.try_recv() {
                Ok(event) => self.hear(Ok(event), &mut accepted),
                Err(TryRecvError::Lagged(missed)) => {
                    self.hear(Err(RecvError::Lagged(missed)), &mut accepted);
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => {
                    self.listens_at = Some(Instant::now() + HEARD_GAP);
                    break;
                }
            }
        }
        self.hub.set_accepted(accepted);
    }

    fn hear(
        &mut self,
        event: Result<Arc<ads::Event>, RecvError>,
        accepted: &mut Vec<(StreamId, Side, u64)>,
    ) {
        match event {
            Ok(event) => {
                let (at, stream) = (event.at, event.stream);
                let heard = self
                    .acknowledgements
                    .hear(&event, &self.publisher, &self.meters.push);
                for happened in heard {
                    if let Happened::Acknowledged {
                        side, generation, ..
                    } = &happened
                    {
                        accepted.push((stream, *side, *generation));
                    }
                    self.engine.tell(at, at, happened);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "missed what nodes said");
                self.has_missed = true;
            }
        }
    }

    /// Finds out what nodes accepted when they were not heard: the hub knows it all the same.
    pub(super) fn renew_accepted(&mut self) {
        if !std::mem::take(&mut self.has_missed) {
            return;
        }
        self.hub.renew_accepted(|name, version| {
            let pushed = side_of(name).and(self.publisher.pushed(version))?;
            Some((pushed.side, pushed.generation))
        });
    }

    /// Lets the nodes of `cohort` have what is wanted, step by step.
    pub(super) fn go(&mut self, cohort: &Cohort, wanted: Wanted, now: WallTime) {
        let Some(course) = self.cohorts.get_mut(cohort) else {
            return;
        };
        let told = course.rollout.want(wanted, &self.rollout, both(now));
        self.heed(cohort, told, now);
        // What was counted until now was counted without the change.
        self.take_loads();
        self.look(cohort, now);
    }

    /// When the nodes that try changes, or did until lately, should be looked at; `None` when there are none.
    pub(super) fn look_due(&self) -> Option<Instant> {
        let now = clock::monotonic();
        let mut courses = self.cohorts.values();
        let is_watching = courses.any(|course| course.rollout.is_watching(now));
        is_watching.then(|| self.looked + LOOK_GAP)
    }

    /// The services to the sidecars of which changes are on their way.
    pub(super) fn changing(&self) -> BTreeSet<ServiceName> {
        let under_way = self.cohorts.iter();
        let under_way = under_way.filter(|(_, course)| course.rollout.is_under_way());
        // A cluster that is no service's name belongs to no service that documents could name.
        under_way
            .filter_map(|(cohort, _)| ServiceName::try_from(cohort.service.as_str()).ok())
            .collect()
    }

    /// Looks at those nodes, when it is time.
    pub(super) fn look_at_rollouts(&mut self, now: Instant) {
        if self.look_due().is_none_or(|due| now < due) {
            return;
        }
        self.looked = now;
        self.take_loads();
        let (at, time) = (clock::wall(), clock::monotonic());
        let watched: Vec<Cohort> = self
            .cohorts
            .iter()
            .filter(|(_, course)| course.rollout.is_watching(time))
            .map(|(cohort, _)| cohort.clone())
            .collect();
        for cohort in watched {
            self.look(&cohort, at);
        }
    }

    /// Takes in what Envoys counted meanwhile.
    pub(super) fn take_loads(&mut self) {
        let counted = self.hub.take_loads();
        self.engine.take_loads(&counted, clock::wall());
    }

    /// Reports are taken again, at `now`.
    pub(super) fn hear_again(&mut self, now: Instant) {
        self.hears_from = now + self.engine.report_interval() * BEHIND_INTERVALS;
    }

    /// Whether what nodes count is heard: not while their reports are refused, and for a while after.
    fn hears(&self, now: Instant) -> bool {
        self.trouble.borrow().is_none() && self.hears_from <= now
    }

    fn look(&mut self, cohort: &Cohort, now: WallTime) {
        let hears = self.hears(Instant::now());
        let both = both(now);
        let Some(course) = self.cohorts.get_mut(cohort) else {
            return;
        };
        if course.rollout.is_watching(both.time) {
            let mut seen = self.hub.seen(cohort);
            for node in &mut seen {
                node.tally = self.engine.tally(&cohort.service, &node.node);
            }
            if !hears {
                course.rollout.hears_nothing();
            }
            let told = course.rollout.step(&seen, &self.rollout, both);
            for node in &seen {
                let who = (cohort.service.as_str(), node.node.as_str());
                self.engine
                    .follow(who, course.rollout.phase(&node.node), now);
            }
            self.heed(cohort, told, now);
        }
        let Some(course) = self.cohorts.get_mut(cohort) else {
            return;
        };
        if let Some(offer) = course.rollout.offer() {
            self.hub.offer(cohort, offer);
        }
        self.hub.set_stage(cohort, course.rollout.stage());
    }

    /// Does what follows from what happened to a change.
    fn heed(&mut self, cohort: &Cohort, told: Option<Told>, now: WallTime) {
        let group = cohort.to_string();
        let (result, happened, batch) = match told {
            None => return,
            Some(Told::Trying(nodes)) => {
                self.publisher.goes_on(cohort, now);
                tracing::info!(%cohort, nodes, "nodes try a change");
                ("trying", Happened::Trying { group, nodes }, None)
            }
            Some(Told::Finished { revision }) => {
                tracing::info!(%cohort, "all nodes get a change");
                self.publisher.goes_on(cohort, now);
                let batch = self.publisher.accept(cohort, &revision);
                // Configurations move from those that tried them to all.
                if let Some(course) = self.cohorts.get_mut(cohort) {
                    course.pace.want();
                }
                ("finished", Happened::RolledOut { group }, Some(batch))
            }
            Some(Told::RolledBack(rejected)) => {
                let reason = rejected.because.clone();
                tracing::error!(%cohort, reason, "a change is taken back");
                let batch = self.publisher.reject(cohort, rejected);
                let happened = Happened::RolledBack { group, reason };
                ("rolled_back", happened, Some(batch))
            }
        };
        self.meters.push.rollout(result);
        self.engine.tell(now, now, happened);
        if let Some(batch) = batch {
            self.commits.add(batch, [], Instant::now());
        }
    }
}

/// The moment that the wall clock calls `wall`, which is now.
fn both(wall: WallTime) -> Now {
    let time = clock::monotonic();
    Now { wall, time }
}

#[cfg(test)]
mod tests;
