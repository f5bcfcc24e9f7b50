//! Experiments: which were asked for, and what came of every run.
//!
//! A run is stored when its phase changes, so a control plane that begins again knows that it
//! began: it is then over, because nobody knows what its arms had seen, and is not begun again. What came of it stays.

mod asking;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sloop_controllers::{
    Chaos, ChaosIntent, Controller, ExperimentEvent, ExperimentPhase, ExperimentStatus,
    ExperimentVerdict, IntentId,
};
use sloop_model::WallTime;

use super::{Engine, RestoreError, put, read};
use crate::store::{Batch, Store};
pub use order::{NotAsked, Order};

/// Runs, by the store's key.
const RUN: &str = "experiment\n";

/// What was asked for, by the store's key.
const ASKED: &str = "asked\n";

/// Runs that are kept: one a day for more than two years. Each has about 30 KB.
const RUNS_MAX: usize = 1_000;

/// Experiments that were asked for. The one that was asked for first makes room.
const ASKED_MAX: usize = 200;

/// All that is known of experiments.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    /// By name.
    asked: BTreeMap<String, Asked>,
    /// By name and when they were due. Of those that go on, as they were when their phase changed.
    runs: BTreeMap<Key, ExperimentStatus>,
    /// When the newest run was due that an earlier process began, or that a document had which was withdrawn.
    past: BTreeMap<String, WallTime>,
    changed: BTreeSet<Key>,
    changed_asked: BTreeSet<String>,
}

type Key = (String, WallTime);

/// An experiment that somebody asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asked {
    name: String,
    /// What was handed in, without a schedule; nothing when a document in the folder says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<ChaosIntent>,
    /// When it was asked for last.
    asked_at: WallTime,
    /// When it was to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_at: Option<WallTime>,
    /// Whether only what it would take was asked for.
    #[serde(default)]
    is_trial: bool,
}

impl Experiments {
    /// What an earlier process stored. Runs that went on then are over.
    pub(super) fn restore(store: &dyn Store) -> Result<Self, RestoreError> {
        let mut experiments = Self::default();
        for run in read::<ExperimentStatus>(store, RUN)? {
            experiments.runs.insert((run.name.clone(), run.due_at), run);
        }
        for (key, run) in &mut experiments.runs {
            if run.phase != ExperimentPhase::Over {
                interrupt(run, BEGAN_AGAIN);
                experiments.changed.insert(key.clone());
            }
        }
        let runs = experiments.runs.keys();
        // In the order of their names and when they were due.
        experiments.past = runs.cloned().collect();
        for mut asked in read::<Asked>(store, ASKED)? {
            // Stores of before have schedules of what was handed in.
            asked.intent = asked.intent.map(ChaosIntent::when_asked);
            experiments.asked.insert(asked.name.clone(), asked);
        }
        Ok(experiments)
    }

    /// Adds to what documents ask for what people asked for besides, and what has run before.
    pub(super) fn overlay(&self, intents: &mut BTreeMap<IntentId, (&'static str, String)>) {
        for (name, asked) in &self.asked {
            self.lay_over(name, Some(asked), intents);
        }
        for name in self
            .past
            .keys()
            .filter(|name| !self.asked.contains_key(*name))
        {
            self.lay_over(name, None, intents);
        }
    }

    fn lay_over(
        &self,
        name: &str,
        asked: Option<&Asked>,
        intents: &mut BTreeMap<IntentId, (&'static str, String)>,
    ) {
        let id = id(name);
        let declared = intents.get(&id);
        let declared = declared.and_then(|(_, body)| serde_json::from_str(body).ok());
        let handed_in = || asked.and_then(|asked| asked.intent.clone());
        let Some(mut intent): Option<ChaosIntent> = declared.or_else(handed_in) else {
            return;
        };
        if let Some(asked) = asked {
            intent = if asked.is_trial {
                intent.tried(asked.asked_at)
            } else {
                intent.asked(asked.asked_at)
            };
        }
        if let Some(at) = asked.and_then(|asked| asked.stopped_at) {
            intent = intent.stopped(at);
        }
        if let Some(at) = self.past.get(name) {
            intent = intent.ran(*at);
        }
        match serde_json::to_string(&intent) {
            Ok(body) => drop(intents.insert(id, (Chaos::KIND, body))),
            // It was read from JSON, so it can be written as such.
            Err(error) => tracing::error!(name, %error, "an experiment cannot be written"),
        }
    }

    /// Keeps what `now` is to be seen of runs.
    pub(super) fn keep(&mut self, statuses: Vec<ExperimentStatus>) {
        for status in statuses {
            let key = (status.name.clone(), status.due_at);
            let before = self.runs.get(&key);
            if before.is_none_or(|before| before.phase != status.phase) {
                self.changed.insert(key.clone());
            }
            self.runs.insert(key, status);
        }
        while RUNS_MAX < self.runs.len() {
            let Some(oldest) = self.dispensable() else {
                break;
            };
            self.runs.remove(&oldest);
            if self.newest_due(&oldest.0).is_none() {
                self.past.remove(&oldest.0);
            }
            self.changed.insert(oldest);
        }
    }

    /// The oldest run that a newer one of its name followed, as the newest is what keeps one that is to run once from
    /// running again; else the oldest.
    fn dispensable(&self) -> Option<(String, WallTime)> {
        let followed = self.runs.keys().zip(self.runs.keys().skip(1));
        let followed = followed.filter(|((name, _), (next, _))| name == next);
        let followed = followed
            .map(|(run, _)| run)
            .min_by_key(|(_, due_at)| *due_at);
        let oldest = || self.runs.keys().min_by_key(|(_, due_at)| *due_at);
        followed.or_else(oldest).cloned()
    }

    /// What went on of a document that is gone is over, and what has run of it does not run again when the document comes back.
    pub(super) fn withdraw(&mut self, gone: &IntentId) {
        let runs = self.runs.iter_mut();
        for (key, run) in runs.filter(|((name, _), _)| id(name) == *gone) {
            if run.phase != ExperimentPhase::Over {
                interrupt(run, WITHDRAWN);
                self.changed.insert(key.clone());
            }
            // In the order of when they were due.
            let (name, due_at) = key;
            self.past.insert(name.clone(), *due_at);
        }
    }

    /// The runs of `name`, by when they were due.
    fn runs_of(
        &self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = (WallTime, &ExperimentStatus)> {
        let all = (name.to_owned(), WallTime::default())
            ..=(name.to_owned(), WallTime::from_millis(u64::MAX));
        let runs = self.runs.range(all);
        runs.map(|((_, due_at), run)| (*due_at, run))
    }

    /// When the newest run of `name` was due that is known.
    fn newest_due(&self, name: &str) -> Option<WallTime> {
        self.runs_of(name).next_back().map(|(due_at, _)| due_at)
    }

    /// Where a run is, by what is kept of it.
    pub(super) fn phase(&self, name: &str, due_at: WallTime) -> Option<ExperimentPhase> {
        let run = self.runs.get(&(name.to_owned(), due_at));
        run.map(|run| run.phase)
    }

    /// Whether all is known of a run.
    fn is_over(&self, name: &str, due_at: WallTime) -> bool {
        self.phase(name, due_at) == Some(ExperimentPhase::Over)
    }

    /// What must be stored since the last call.
    pub(super) fn changes(&mut self, batch: &mut Batch) {
        for key in std::mem::take(&mut self.changed) {
            let stored = format!("{RUN}{}\n{:016x}", key.0, key.1.as_millis());
            match self.runs.get(&key) {
                Some(run) => put(batch, &stored, run),
                None => batch.delete(stored),
            }
        }
        for name in std::mem::take(&mut self.changed_asked) {
            let stored = format!("{ASKED}{name}");
            match self.asked.get(&name) {
                Some(asked) => put(batch, &stored, asked),
                None => batch.delete(stored),
            }
        }
    }

    fn is_running(&self, name: &str) -> bool {
        let mut runs = self.runs_of(name);
        runs.any(|(_, run)| run.phase != ExperimentPhase::Over)
    }

    fn ask(&mut self, asked: Asked) {
        let is_new = !self.asked.contains_key(&asked.name);
        if is_new && ASKED_MAX <= self.asked.len() {
            let first = self.asked.values().min_by_key(|asked| asked.asked_at);
            if let Some(name) = first.map(|asked| asked.name.clone()) {
                self.asked.remove(&name);
                self.changed_asked.insert(name);
            }
        }
        self.changed_asked.insert(asked.name.clone());
        self.asked.insert(asked.name.clone(), asked);
    }
}

impl Engine {
    /// Runs of experiments, those that were due last first.
    #[must_use]
    pub fn experiments(&self) -> Vec<ExperimentStatus> {
        let runs = self.chaos.runs.values();
        let mut runs: Vec<_> = runs.map(|run| self.as_it_stands(run)).collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.due_at));
        runs
    }

    /// The run of `name` that was due at `due_at`, or the newest one.
    #[must_use]
    pub fn experiment(&self, name: &str, due_at: Option<WallTime>) -> Option<ExperimentStatus> {
        let runs = self.chaos.runs.values().rev();
        let mut runs = runs.filter(|run| run.name == name);
        let fits = |run: &&ExperimentStatus| due_at.is_none_or(|due_at| run.due_at == due_at);
        runs.find(fits).map(|run| self.as_it_stands(run))
    }

    /// A run of which `kept` is kept, worked out anew while it goes on.
    fn as_it_stands(&self, kept: &ExperimentStatus) -> ExperimentStatus {
        if kept.phase == ExperimentPhase::Over {
            return kept.clone();
        }
        let is_other = |name: &str, due_at, _| name != kept.name || due_at != kept.due_at;
        let mut runs = self.controllers.experiments(&self.world, is_other);
        runs.pop().unwrap_or_else(|| kept.clone())
    }

    /// Keeps runs that go on as they stand: the last that can be seen of those that are withdrawn.
    pub(super) fn keep_experiments(&mut self) {
        let is_over = |name: &str, due_at, _| self.chaos.is_over(name, due_at);
        let running = self.controllers.experiments(&self.world, is_over);
        self.chaos.keep(running);
    }
}

fn id(name: &str) -> IntentId {
    IntentId(format!("ChaosExperiment/{name}"))
}

const BEGAN_AGAIN: &str = "interrupted: the control plane began again, and what the arms had seen is lost; faults ended by themselves";
const WITHDRAWN: &str = "interrupted: its document is gone; faults ended";

fn interrupt(run: &mut ExperimentStatus, why: &str) {
    run.phase = ExperimentPhase::Over;
    run.verdict = Some(ExperimentVerdict::Inconclusive);
    why.clone_into(&mut run.because);
    run.events.push(ExperimentEvent {
        at: run.ended_at.or(run.started_at).unwrap_or(run.due_at),
        what: why.to_owned(),
    });
}

#[cfg(test)]
mod tests;
