//! What the process knows, as one value: reports and documents go in, policies come out.
//!
//! Pure but for the [`Store`] that it is restored from: the moment is an
//! argument, and what must be stored is returned as a [`Batch`], so that counts
//! and the ledger that keeps them from being counted twice are always written
//! together.

mod absent;
mod acted;
mod breakers;
mod decisions;
mod denials;
mod effects;
mod experiments;
mod fleet;
mod health;
mod history;
mod journeys;
mod noted;
mod pace;
mod recent;
mod restore;
mod routes;
mod shown;
mod spending;
mod values;
mod views;

pub use absent::Absent;
pub use breakers::BreakerCounts;
pub use experiments::{NotAsked, Order};
pub use fleet::{Fleet, Reporter, Told};
pub use history::History;
pub use pace::Pace;
pub use recent::{Reading, Recent};
pub use restore::RestoreError;
pub(crate) use restore::{put, read};
pub use shown::Shown;
pub use views::Crowded;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sloop_controllers::{
    Access, Controllers, FilterSettings, Input, IntentId, Journeys, RouteSet, SloStatus, Step,
    World, fleet_objective,
};
use sloop_model::{ExperimentKey, Rule, Scope, ServiceName, WallTime};
use sloop_xds::fleet::Fleet as Declarations;

use crate::admin::api::{DocumentFile, Event, Happened};
use crate::ingest::{Ledger, Report, Verdict};
use crate::record::{self, Line};
use crate::store::{Batch, Store};
use decisions::Decisions;
use denials::Denials;
use experiments::Experiments;
use health::Healths;
use noted::Noted;

/// Events kept. Each has about 200 bytes; a fleet of a hundred that trips and recovers makes a thousand.
const EVENTS_MAX: usize = 10_000;

/// Scopes of which recent readings are kept, beyond which newer ones have none: those that the world has room for
/// ([`World::SCOPES_MAX`]), where no service takes it from others, and some that it has forgotten.
const RECENT_MAX: usize = 50_000;

/// Recent readings of a scope without news for this long make room. They say nothing
/// any more but when the newest report came.
const RECENT_KEPT: Duration = Duration::from_secs(60 * 60);

/// Experiments whose names are kept: reports only have their keys.
const EXPERIMENTS_MAX: usize = 1_000;

/// What the process knows.
#[derive(Debug)]
pub struct Engine {
    world: World,
    controllers: Controllers,
    ledger: Ledger,
    noted: Noted,
    fleet: Fleet,
    healths: Healths,
    recent: BTreeMap<Scope, Box<Recent>>,
    denials: Denials,
    journeys: Journeys,
    experiments: BTreeMap<ExperimentKey, String>,
    documents: Documents,
    bodies: BTreeMap<IntentId, (&'static str, String)>,
    step: Step,
    /// How many there were: what depends on policies alone is found once for each.
    steps: u64,
    /// What people see of the SLOs after `step`: worked out when somebody looks.
    slos: OnceCell<Arc<[SloStatus]>>,
    events: History<Event>,
    decisions: Decisions,
    /// What happened since it was last taken, if it is to be recorded.
    recorded: Option<Vec<Line>>,
    chaos: Experiments,
}

/// What the documents say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// What is asked for: the kind that controllers know and the body as JSON.
    pub intents: BTreeMap<IntentId, (&'static str, String)>,
    /// Routes by name.
    pub route_sets: Vec<RouteSet>,
    /// What is declared for fleets of Envoys; `None` when that is not known.
    pub fleet: Option<Arc<Declarations>>,
    /// The file of each document that declares something for fleets.
    pub fleet_files: BTreeMap<String, String>,
    /// What filters are told beside policies.
    pub filter_settings: Vec<FilterSettings>,
    /// Who may be whose sidecar, and report about what.
    pub access: Arc<Access>,
    /// How the files stand.
    pub files: Vec<DocumentFile>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it was counted, now or before.
    pub verdict: Verdict,
    /// What the whole fleet saw on the scopes that it was about.
    pub readings: Vec<(Scope, Reading)>,
}

impl Engine {
    /// Moves the clock. What is taken in afterwards happens at `now`.
    pub fn advance(&mut self, now: WallTime) {
        self.record(|| Input::Now(now));
        self.world.begin_step(now);
    }

    /// For how long the sidecar may have counted what `report` says, by the moment of the last [`Engine::advance`].
    #[must_use]
    pub fn span(&self, report: &Report) -> Duration {
        let says = report.to.since(report.from);
        let now = self.world.now();
        self.ledger.span(report.incarnation, says, now)
    }

    /// Takes in a report at the moment of the last [`Engine::advance`]. It is
    /// counted for good when the next [`Engine::changes`] are stored.
    pub fn take(&mut self, report: &Report) -> Taken {
        let now = self.world.now();
        let last = self.ledger.seen(report.incarnation).map(|it| it.at);
        let verdict = self.ledger.note(report.incarnation, report.sequence, now);
        match verdict {
            Verdict::Repeated => {}
            Verdict::Next | Verdict::AfterGap => {
                self.healths.take(report, last, now);
                self.count(report, now);
            }
        }
        let interval = self.world.report_interval();
        let readings = report.scopes.iter().filter_map(|counts| {
            let recent = self.recent.get(&counts.scope)?;
            Some((counts.scope.clone(), recent.reading(interval, now)))
        });
        Taken {
            verdict,
            readings: readings.collect(),
        }
    }

    /// Learns to the sidecars of which services changes are on their way.
    pub fn set_changing(&mut self, services: BTreeSet<ServiceName>) {
        if *self.changing() != services {
            self.record(|| Input::Changing(services.clone()));
            self.world.set_changing(services);
        }
    }

    /// Learns how often sidecars report when all is well, in milliseconds. Once, after recording began.
    pub fn set_report_interval(&mut self, interval_ms: u32) {
        self.record(|| Input::ReportsEvery { interval_ms });
        let interval = Duration::from_millis(interval_ms.into());
        self.world.set_report_interval(interval);
    }

    /// How often sidecars report when all is well.
    #[must_use]
    pub fn report_interval(&self) -> Duration {
        self.world.report_interval()
    }

    /// The services to the sidecars of which changes are on their way, as it was last told.
    #[must_use]
    pub const fn changing(&self) -> &BTreeSet<ServiceName> {
        self.world.changing()
    }

    /// What must be stored since the last call: counts, and which reports they are from.
    #[must_use]
    pub fn changes(&mut self) -> Batch {
        let mut batch = Batch::default();
        for key in self.world.take_gone() {
            restore::delete_cell(&mut batch, &key);
        }
        for cell in self.world.take_changes() {
            restore::put_cell(&mut batch, &cell);
        }
        self.noted.changes(&self.ledger, &mut batch);
        for (place, decision) in self.decisions.take_changes() {
            restore::put_decision(&mut batch, place, &decision);
        }
        for place in self.decisions.take_held() {
            restore::put_standing(&mut batch, place);
        }
        self.chaos.changes(&mut batch);
        batch
    }

    /// Begins to record what happens: what is in the store, and everything from now on.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn begin_record(&mut self, store: &dyn Store) -> Result<(), RestoreError> {
        let cells = restore::cells(store)?;
        self.recorded = Some(vec![Line::Input(Input::Restore(cells))]);
        Ok(())
    }

    /// Takes what happened since the last call; nothing when nothing is recorded.
    #[must_use]
    pub fn take_record(&mut self) -> Vec<Line> {
        let recorded = self.recorded.as_mut();
        recorded.map(std::mem::take).unwrap_or_default()
    }

    fn record(&mut self, input: impl FnOnce() -> Input) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(Line::Input(input()));
        }
    }

    /// Lets all controllers decide for `now`. Returns the policies that should hold.
    pub fn step(&mut self, now: WallTime) -> &Step {
        self.record(|| Input::Step(now));
        self.world.begin_step(now);
        self.step = self.controllers.step(&mut self.world);
        self.steps += 1;
        self.slos.take();
        // Worked out when the first decision is new: in most steps none is.
        let about = OnceCell::new();
        let objectives = |id: &IntentId| {
            let about = about.get_or_init(|| self.step.by_intent());
            let about = about.get(id).map_or(&[][..], Vec::as_slice);
            self.controllers.objective_statuses(id, &self.world, about)
        };
        let new = self.decisions.remember(&self.step, objectives, &self.world);
        if let Some(recorded) = &mut self.recorded {
            let sha256 = record::digest(&self.step);
            recorded.push(Line::Decided { sha256, new });
        }
        let is_kept = |name: &str, due_at, phase| self.chaos.phase(name, due_at) == Some(phase);
        let experiments = self.controllers.experiments(&self.world, is_kept);
        self.chaos.keep(experiments);
        self.remember_experiments();
        &self.step
    }

    /// Puts what the documents say in the place of what they said before.
    /// Returns what no controller takes; the rest holds.
    pub fn set_documents(&mut self, documents: Documents, now: WallTime) -> Vec<String> {
        let mut intents = documents.intents.clone();
        self.chaos.overlay(&mut intents);
        let mut refused = Vec::new();
        let gone: Vec<IntentId> = self
            .bodies
            .keys()
            .filter(|id| !intents.contains_key(id))
            .cloned()
            .collect();
        if !gone.is_empty() {
            self.keep_experiments();
        }
        for id in gone {
            self.controllers.remove(&id);
            self.chaos.withdraw(&id);
            self.bodies.remove(&id);
            self.record(|| Input::Remove(id.clone()));
        }
        for (id, intent) in &intents {
            if self.bodies.get(id) == Some(intent) {
                continue;
            }
            let (kind, body) = intent;
            match self.controllers.put(id, kind, body) {
                Ok(()) => {
                    self.bodies.insert(id.clone(), intent.clone());
                    self.record(|| Input::Put {
                        id: id.clone(),
                        kind: (*kind).to_owned(),
                        body: body.clone(),
                    });
                }
                Err(error) => refused.push(format!("{}: {error}", id.0)),
            }
        }
        self.learn_routes(&documents.route_sets);
        let problems = documents.files.iter().map(|file| file.problems.len()).sum();
        let intents = self.bodies.len();
        self.documents = documents;
        self.tell(now, now, Happened::Documents { intents, problems });
        refused
    }

    /// Drops what is over. Call it once a minute or so. The answer is how many VMs of filters ended.
    pub fn forget(&mut self, now: WallTime) -> usize {
        let gone = self.fleet.forget(now);
        self.healths.forget(now);
        self.recent
            .retain(|_, recent| now.since(recent.reported) < RECENT_KEPT);
        self.noted.note_all(self.ledger.forget(now));
        gone
    }

    /// Adds an event that happened at `at` and was learned of at `seen`.
    pub fn tell(&mut self, at: WallTime, seen: WallTime, happened: Happened) {
        self.events.add(|id| Event {
            id,
            at_ms: at.as_millis(),
            seen_ms: seen.as_millis(),
            happened,
        });
    }

    /// What was decided last.
    #[must_use]
    pub const fn last_step(&self) -> &Step {
        &self.step
    }

    fn count(&mut self, report: &Report, now: WallTime) {
        self.noted.note(report.incarnation);
        if self.ledger.is_crowded() {
            self.noted.note_all(self.ledger.forget(now));
        }
        self.record(|| Input::Observe(Box::new(report.observed().into())));
        self.controllers.tell_sources(&mut self.world);
        self.world.observe_kept(report.observed());
        spending::attribute(&mut self.world, report);
        for told in self.fleet.take(report, now) {
            self.tell(told.at, now, told.happened);
        }
        self.denials.add(&report.group, &report.denials);
        journeys::observe(&mut self.journeys, report, now);
        for (counts, details) in report.scopes.iter().zip(&report.details) {
            let judged = || fleet_objective(&counts.scope, &self.step.policies).cloned();
            if let Some(recent) = self.recent.get_mut(&counts.scope) {
                recent.take(counts, (self.steps, judged), details, now);
            } else if self.recent.len() < RECENT_MAX && self.world.totals(&counts.scope).is_some() {
                let recent = self.recent.entry(counts.scope.clone()).or_default();
                recent.take(counts, (self.steps, judged), details, now);
            }
        }
    }

    /// Keeps the names of faults, also after they were withdrawn: their last counts come later.
    fn remember_experiments(&mut self) {
        let faults = self
            .step
            .policies
            .iter()
            .filter_map(|policy| match &policy.rule {
                Rule::Fault(fault) => Some((fault.key(), fault.id().to_owned())),
                Rule::Break { .. }
                | Rule::Count(_)
                | Rule::Trip(_)
                | Rule::Shed { .. }
                | Rule::Deny(_)
                | Rule::RetryBudget { .. }
                | Rule::Deadline { .. } => None,
            });
        let current: Vec<_> = faults.take(EXPERIMENTS_MAX).collect();
        let is_new = |(key, _): &&(ExperimentKey, String)| !self.experiments.contains_key(key);
        let new = current.iter().filter(is_new).count();
        if EXPERIMENTS_MAX < self.experiments.len() + new {
            self.experiments.clear();
        }
        self.experiments.extend(current);
    }
}

#[cfg(test)]
mod tests;
