//! The loop: everything that happens goes through here, one thing after the other.
//!
//! It waits for what comes first, tells the values that know, and carries out
//! what they say. No decisions and no protocol live here.

mod arrivals;
mod counts;
mod durable;
mod forgetting;
mod inputs;
mod pushes;
mod rollouts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloop_controllers::{AlertStatus, Step};
use sloop_model::{Module, Policy, WallTime};
use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::rollout::RolloutPace;
use tokio::sync::watch;

use super::acknowledgements::Acknowledgements;
use super::commits::Commits;
use super::watch::Update;
use crate::ads::Hub;
use crate::clock;
use crate::engine::{Documents, Engine, Pace, Shown};
use crate::ingest::ReportLimits;
use crate::metrics::DoorMetrics;
use crate::publish::Publisher;
use crate::record::Recorder;
use crate::store::Store;
use counts::Counts;
use durable::After;
pub(crate) use durable::Trouble;
pub use inputs::{Change, Stored, View};
pub(super) use inputs::{Inputs, Meters};
use rollouts::Course;

/// Steps are at least this far apart, however much happens.
const STEP_GAP: Duration = Duration::from_millis(100);

/// Steps are at least so many times as far apart as the last one took, so that they leave three quarters of the loop's time to
/// reports: each of these that says of failures wants a step, and one about thousands of SLOs takes as long as [`STEP_GAP`].
const STEP_SHARE: u32 = 4;

/// Steps are at most this far apart, however little happens: windows move on.
const STEP_LATEST: Duration = Duration::from_secs(1);

/// How often metrics are shown how SLOs and breakers stand when nobody asks: as often as exporters look that
/// do not ask. For thousands of SLOs it costs as much as a step.
const SHOWN_EVERY: Duration = Duration::from_secs(10);

/// Reports taken at one go.
const ARRIVALS_MAX: usize = 256;

/// Reports that follow others wait for so long to be taken together: each go costs as much as several reports, and
/// what is taken waits longer to become durable.
const ARRIVALS_GAP: Duration = Duration::from_millis(2);

/// The loop's own state.
#[derive(Debug)]
pub(super) struct Actor {
    engine: Engine,
    publisher: Publisher,
    hub: Hub,
    commits: Commits<After>,
    acknowledgements: Acknowledgements,
    meters: Meters,
    shown: watch::Sender<Shown>,
    alerts: watch::Sender<Arc<[AlertStatus]>>,
    /// What is wrong with the store, while it takes nothing.
    trouble: watch::Sender<Option<Trouble>>,
    steps: Pace,
    stepped: Instant,
    /// When metrics were last shown it.
    shown_at: Instant,
    wake_at: Option<WallTime>,
    policies: Vec<Policy>,
    /// What is declared for fleets; `None` until that is known.
    fleet: Option<Arc<Fleet>>,
    cohorts: BTreeMap<Cohort, Course>,
    /// How carefully changes go out.
    rollout: RolloutPace,
    /// When changes that are on their way were last looked at.
    looked: Instant,
    /// What the sidecars of each group run, as they say.
    modules: BTreeMap<String, Module>,
    forgot: Instant,
    /// Whether nodes said something that was not heard.
    has_missed: bool,
    /// When reports are taken again; `None` while they are taken as they come.
    takes_at: Option<Instant>,
    /// When nodes are listened to again; `None` while they are heard as they speak.
    listens_at: Option<Instant>,
    /// From when on what nodes count is heard, unless the store takes nothing.
    hears_from: Instant,
    recorder: Option<Recorder>,
    /// What reports may count.
    counts: Counts,
}

impl Actor {
    pub(super) fn new(
        engine: Engine,
        publisher: Publisher,
        store: Arc<dyn Store>,
        hub: Hub,
        meters: Meters,
    ) -> Self {
        let now = Instant::now();
        Self {
            engine,
            publisher,
            hub,
            commits: Commits::to(store),
            acknowledgements: Acknowledgements::default(),
            meters,
            shown: watch::Sender::default(),
            alerts: watch::Sender::new(Arc::from([])),
            trouble: watch::Sender::default(),
            steps: Pace::of(STEP_GAP),
            stepped: now,
            shown_at: now,
            wake_at: None,
            policies: Vec::new(),
            fleet: None,
            cohorts: BTreeMap::new(),
            rollout: RolloutPace::default(),
            looked: now,
            modules: BTreeMap::new(),
            forgot: now,
            has_missed: false,
            takes_at: None,
            listens_at: None,
            hears_from: now,
            recorder: None,
            counts: Counts::default(),
        }
    }

    /// Leaves out of reports what is beyond these limits, and counts that by `metrics`.
    pub(super) fn bound(&mut self, limits: ReportLimits, metrics: DoorMetrics) {
        self.counts = Counts::within(limits, metrics);
    }

    /// Records what is decided by with `recorder`.
    pub(super) fn record(&mut self, recorder: Option<Recorder>) {
        self.recorder = recorder;
    }

    /// How SLOs and breakers stood lately, for metrics. Whoever asks for metrics renews it before.
    pub(super) fn shown(&self) -> watch::Sender<Shown> {
        self.shown.clone()
    }

    /// Which alerts there were at the last step.
    pub(super) fn alerts(&self) -> watch::Receiver<Arc<[AlertStatus]>> {
        self.alerts.subscribe()
    }

    /// What is wrong with the store, while it takes nothing.
    pub(super) fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    /// Takes the documents in before anybody is answered, and decides once.
    pub(super) fn begin(&mut self, documents: Documents) {
        self.take_documents(documents);
        self.work();
    }

    /// Runs until `inputs.stop` says so or nobody is left to say it; then everything taken in is durable, unless the store hangs.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        let mut arrivals = Vec::with_capacity(ARRIVALS_MAX);
        loop {
            let now = Instant::now();
            self.takes_at.take_if(|at| *at <= now);
            self.listens_at.take_if(|at| *at <= now);
            let due = tokio::time::Instant::from_std(self.due(now));
            tokio::select! {
                _ = inputs.stop.wait_for(|stop| *stop) => break,
                1.. = inputs.arrivals.recv_many(&mut arrivals, ARRIVALS_MAX), if self.takes_at.is_none() => {
                    // With as many as can be taken at one go there are more.
                    if arrivals.len() < ARRIVALS_MAX {
                        self.takes_at = Some(Instant::now() + ARRIVALS_GAP);
                    }
                    self.take_arrivals(&mut arrivals);
                }
                Some(view) = inputs.views.recv() => view(&self.engine),
                Some(change) = inputs.changes.recv() => self.change(change),
                Some(Update { documents, taken: _taken }) = inputs.documents.recv() => self.take_documents(documents),
                event = inputs.ads.recv(), if self.listens_at.is_none() => self.hear_all(event, &mut inputs.ads),
                Ok(()) = inputs.cohorts.changed() => {
                    let seen = inputs.cohorts.borrow_and_update().clone();
                    self.meet(seen);
                }
                ended = self.commits.ended() => self.conclude(ended),
                () = tokio::time::sleep_until(due) => {}
            }
            self.work();
        }
        while let Ok(arrival) = inputs.arrivals.try_recv() {
            arrivals.push(arrival);
        }
        self.take_arrivals(&mut arrivals);
        self.finish(durable::ENDS_WITHIN).await;
    }

    /// Does what is due.
    fn work(&mut self) {
        let now = Instant::now();
        self.look_at_commit(now);
        let wakes = self.wake_at.is_some_and(|wake_at| wake_at <= clock::wall());
        if wakes || now.duration_since(self.stepped) >= STEP_LATEST {
            self.steps.want();
        }
        if self.steps.is_due(now) {
            self.step(now);
        }
        self.push(now);
        self.look_at_rollouts(now);
        self.forget(now);
        self.start_commit(now);
        if let Some(recorder) = &mut self.recorder {
            let lines = self.engine.take_record();
            if !lines.is_empty() {
                recorder.append(lines);
            }
        }
    }

    /// When something is due at the latest.
    fn due(&self, now: Instant) -> Instant {
        let wake = self.wake_at.map(|at| now + at.since(clock::wall()));
        let others = [
            self.steps.due(now),
            self.push_due(now),
            self.look_due(),
            self.commits.due(),
            self.commits.hangs_at(),
            self.takes_at,
            self.listens_at,
            wake.map(|wake| wake.max(self.stepped + self.steps.gap())),
        ];
        others
            .into_iter()
            .flatten()
            .fold(self.stepped + STEP_LATEST, Instant::min)
    }

    fn take_documents(&mut self, documents: Documents) {
        let refused_files = documents.files.iter().filter(|file| !file.accepted).count();
        self.meters
            .documents
            .loaded(documents.intents.len(), refused_files);
        self.hub.set_access(Arc::clone(&documents.access));
        if let Some(fleet) = &documents.fleet {
            self.fleet = Some(Arc::clone(fleet));
            self.hub.set_fleet(Arc::clone(fleet));
        }
        for refused in self.engine.set_documents(documents, clock::wall()) {
            tracing::error!(refused, "no controller takes this intent");
        }
        self.steps.want();
        self.want_pushes();
    }

    fn change(&mut self, change: Change) {
        let Change { change, stored } = change;
        change(&mut self.engine);
        self.tell_stored(stored, Instant::now());
        self.steps.want();
    }

    fn step(&mut self, now: Instant) {
        let begun = Instant::now();
        self.renew_accepted();
        self.take_loads();
        let changing = self.changing();
        self.engine.set_changing(changing);
        let step = self.engine.step(clock::wall());
        self.wake_at = step.wake_at;
        if step.policies != self.policies {
            let hurried = pushes::hurried(&self.policies, &step.policies);
            self.policies.clone_from(&step.policies);
            log_left_out(step);
            self.want_policies(&hurried);
        }
        if SHOWN_EVERY <= now.duration_since(self.shown_at) {
            let shown = self.engine.shown(&self.hub.accepted());
            self.shown.send_replace(shown);
            self.shown_at = now;
        }
        let modules = self.engine.modules();
        if modules != self.modules {
            self.modules = modules;
            self.want_pushes();
        }
        let alerts = self.engine.alerts();
        if self.alerts.borrow()[..] != alerts[..] {
            self.alerts.send_replace(Arc::from(alerts));
        }
        self.commits.want(now);
        self.counts.crowded(self.engine.crowded());
        let decided = self.engine.take_decided();
        let took = begun.elapsed();
        self.meters.step.stepped(took, &decided);
        self.steps.keep_apart(step_gap(took));
        self.steps.done(now);
        self.stepped = now;
    }
}

/// How far apart steps are at least after one that took so long.
fn step_gap(took: Duration) -> Duration {
    (took * STEP_SHARE).clamp(STEP_GAP, STEP_LATEST)
}

fn log_left_out(step: &Step) {
    for left_out in &step.left_out {
        tracing::info!(left_out, "settled between controllers");
    }
}

#[cfg(test)]
mod tests;
