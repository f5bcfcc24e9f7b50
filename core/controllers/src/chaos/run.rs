//! One run of an experiment: from when it is due until its result stands.

mod learning;
mod limits;
mod shown;
mod trial;

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, Scope, WallTime};

use super::able::unable;
use super::comparison::{Comparison, POINTS_MAX};
use super::intent::{ChaosIntent, ChaosSpec, ChaosTarget, Ends};
use super::preflight::{self, Ready};
use super::stats::{ALPHA, discoveries};
use super::status::{
    BudgetSpent, ExperimentEvent, ExperimentPhase, ExperimentPlan, ExperimentVerdict,
};
use super::suggest::{Shadow, shadows};
use super::targets::{chosen, key, rule_id};
use crate::World;
use crate::words::Percent;
use crate::world::WantedArms;
use trial::expected;

/// What is remembered of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    /// When it was due.
    pub(super) due_at: WallTime,
    /// When it was first looked at; while one that was asked for waits for another to be over, the last look.
    begun_at: WallTime,
    /// The experiment as it was when faults began: what was counted is about that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec: Option<ChaosSpec>,
    pub(super) phase: ExperimentPhase,
    pub(super) started_at: Option<WallTime>,
    ended_at: Option<WallTime>,
    /// Why faults ended.
    ended_for: String,
    pub(super) because: String,
    verdict: Option<ExperimentVerdict>,
    plan: Option<ExperimentPlan>,
    /// The newest block taken in, by fault.
    seen: Vec<u64>,
    /// Requests that met each fault on its targets.
    met: Vec<u64>,
    /// Blocks that were there and could not be kept.
    #[serde(default)]
    lost: u64,
    /// When the newest block came.
    heard_at: WallTime,
    /// Requests that the primary objective had counted then.
    #[serde(default)]
    heard_of: u64,
    /// The same when faults began.
    #[serde(default)]
    begun_of: u64,
    comparisons: Vec<Comparison>,
    budgets: Vec<BudgetSpent>,
    /// The scopes that hypotheses are about, in the order of `budgets`.
    scopes: Vec<Scope>,
    events: Vec<ExperimentEvent>,
    /// What protection in shadow mode would have kept out until it began.
    shadows: Vec<Shadow>,
    /// Which comparisons were broken when that ended it, in their order; empty where something else did. False
    /// discoveries are held at the moment at which one stops, and what comes in later cannot take them back.
    #[serde(default)]
    found: Vec<bool>,
}

/// How long a run waits until it may begin: two reports and a push after documents and sidecars are there, and more than a short trouble.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The same of a run that only says what it would take: two reports. Somebody waits for the answer.
const PATIENCE_OF_TRIAL: Duration = Duration::from_secs(3);
/// Events of one run.
const EVENTS_MAX: usize = 100;

impl Run {
    /// A run that is due.
    pub(super) fn new(due_at: WallTime, now: WallTime) -> Self {
        Self {
            due_at,
            begun_at: now,
            spec: None,
            phase: ExperimentPhase::Preflight,
            started_at: None,
            ended_at: None,
            ended_for: String::new(),
            because: String::new(),
            verdict: None,
            plan: None,
            seen: Vec::new(),
            met: Vec::new(),
            lost: 0,
            heard_at: now,
            heard_of: 0,
            begun_of: 0,
            comparisons: Vec::new(),
            budgets: Vec::new(),
            scopes: Vec::new(),
            events: Vec::new(),
            shadows: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Moves on to `world.now()`.
    pub(super) fn step(&mut self, intent: &ChaosIntent, world: &World) {
        let now = world.now();
        self.rewind(now);
        let is_trial = intent.spec().trial_at == Some(self.due_at);
        self.wait_for_others(intent.spec(), world);
        let patience = if is_trial {
            PATIENCE_OF_TRIAL
        } else {
            PATIENCE
        };
        if intent.spec().stopped_at.is_some_and(|at| self.due_at <= at) {
            match self.phase {
                ExperimentPhase::Preflight => {
                    self.refuse(now, "somebody stopped it before it began".to_owned());
                }
                ExperimentPhase::Running => self.end(now, "somebody stopped it".to_owned()),
                ExperimentPhase::Draining | ExperimentPhase::Over => {}
            }
        }
        match self.phase {
            ExperimentPhase::Preflight => match preflight::check(intent, world) {
                Ok(ready) if is_trial => self.foresee(&ready, intent.spec(), now),
                Ok(ready) => self.start(intent.spec(), ready, world),
                Err(why) if now.since(self.begun_at) < patience => {
                    self.because = format!("waiting: {why}");
                }
                Err(why) if is_trial => self.refuse(now, format!("it would not begin: {why}")),
                Err(why) => self.refuse(now, format!("it did not begin: {why}")),
            },
            ExperimentPhase::Running => {
                let spec = self.spec(intent).clone();
                self.learn(&spec, world, false);
                let changed = intent.spec().changed_since(&spec);
                let changed = changed.map(|field| format!("{field} of it was changed"));
                match changed.or_else(|| self.reason_to_abort(&spec, world)) {
                    Some(why) => self.end(now, why),
                    None => self.end_when_due(&spec, now),
                }
            }
            ExperimentPhase::Draining => {
                let spec = self.spec(intent).clone();
                self.learn(&spec, world, false);
                let drain = limits::drain(world);
                if self.ended_at.is_none_or(|at| drain <= now.since(at)) {
                    self.conclude(&spec, world);
                }
            }
            ExperimentPhase::Over => {}
        }
    }

    /// The experiment as it was when faults began, or as it is if they did not.
    pub(super) fn spec<'a>(&'a self, intent: &'a ChaosIntent) -> &'a ChaosSpec {
        self.spec.as_ref().unwrap_or(intent.spec())
    }

    /// The scopes that hypotheses are about.
    pub(super) fn watched(&self) -> BTreeSet<Scope> {
        self.scopes.iter().cloned().collect()
    }

    /// What it wants to know of its arms; nothing before faults begin and when it is over.
    pub(super) fn wanted_arms(&self) -> Option<WantedArms> {
        let spec = self.spec.as_ref()?;
        if self.phase == ExperimentPhase::Over {
            return None;
        }
        let targets = chosen(spec).into_iter().map(ChaosTarget::scope);
        Some(WantedArms {
            experiments: (0..spec.faults.len()).map(|it| key(spec, it)).collect(),
            scopes: targets.chain(self.watched()).collect(),
        })
    }

    fn start(&mut self, spec: &ChaosSpec, ready: Ready, world: &World) {
        let now = world.now();
        self.spec = Some(spec.clone());
        self.seen = (0..spec.faults.len())
            .map(|index| world.newest_arm_block(key(spec, index)))
            .collect();
        self.met = vec![0; spec.faults.len()];
        for known in ready.known {
            for fault in 0..spec.faults.len() {
                let id = known.id.clone();
                self.comparisons
                    .push(Comparison::new(fault, id, known.tolerance, known.before));
            }
            self.budgets.push(BudgetSpent {
                objective: known.id,
                left: known.left,
                cap: known.left * spec.budget.as_fraction(),
                spent: 0,
            });
            self.scopes.push(known.scope);
        }
        self.comparisons.sort_by_key(|one| one.fault);
        self.shadows = self.shadows_now(spec, world);
        self.plan = Some(ready.plan);
        self.started_at = Some(now);
        self.hear(world);
        self.begun_of = self.heard_of;
        self.phase = ExperimentPhase::Running;
        let expected = expected(&ready.plan);
        self.tell(now, format!("faults begin; {expected}"));
    }

    /// Why faults must end now, whatever is known.
    fn reason_to_abort(&self, spec: &ChaosSpec, world: &World) -> Option<String> {
        let now = world.now();
        let started_at = self.started_at.unwrap_or(now);
        let known: Result<Vec<_>, String> = spec
            .hypothesis
            .iter()
            .map(|hypothesis| preflight::objective(hypothesis, world))
            .collect();
        let known = match known {
            Ok(known) => known,
            Err(why) => return Some(why),
        };
        if let Some(why) = preflight::trouble(spec, &known, spec.abort.burning, world) {
            return Some(why);
        }
        if let Some(why) = unable(spec, world) {
            return Some(why);
        }
        if let Some(other) = world.experimenting_before(&spec.name, started_at) {
            return Some(format!("the experiment {other} began before it"));
        }
        if 0 < self.lost {
            return Some(format!(
                "not enough is known: {} reports on its arms could not be kept, and what they said that was bad is missing",
                self.lost
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
        let is_spent = |budget: &&BudgetSpent| budget.cap <= budget.spent as f64;
        if let Some(budget) = self.budgets.iter().find(is_spent) {
            return Some(format!(
                "its budget is spent: {} requests of SLO {} were bad in the arms of faults, of {:.1} that it may spend",
                budget.spent, budget.objective.slo, budget.cap
            ));
        }
        if let Some(max) = spec.abort.bad_max.map(sloop_model::Share::as_fraction)
            && let Some(worse) = self.comparisons.iter().find(|one| one.is_worse_than(max))
        {
            return Some(format!(
                "surely more than {} of the requests of SLO {} were bad in the arm of {}",
                Percent(max),
                worse.objective.slo,
                rule_id(spec, worse.fault)
            ));
        }
        self.silence(spec, world)
    }

    /// Ends faults when it is decided, if that ends it, and when its time is over.
    fn end_when_due(&mut self, spec: &ChaosSpec, now: WallTime) {
        let started_at = self.started_at.unwrap_or(now);
        let lasting = Duration::from_millis(spec.lasting_ms);
        match (self.decided(), spec.ends) {
            (Some(ExperimentVerdict::Broken), Ends::WhenDecided) => {
                self.found = self.broken();
                self.end(now, "a hypothesis is surely broken".to_owned());
            }
            (Some(ExperimentVerdict::Held), Ends::WhenDecided) => {
                self.end(now, "all hypotheses surely hold".to_owned());
            }
            _ if lasting <= now.since(started_at) => self.end(now, "its time is over".to_owned()),
            _ => {}
        }
    }

    /// What all comparisons say together.
    ///
    /// Broken: a comparison of the primary hypothesis by itself, at a level that faults share; or one of
    /// all by e-BH, so that many hypotheses do not break one by chance. Held: all of them hold, each at the full
    /// level: to say "all" wrongly, the one that does not hold must be wrong.
    fn decided(&self) -> Option<ExperimentVerdict> {
        if self.comparisons.is_empty() {
            return None;
        }
        if self.broken().into_iter().any(|is_broken| is_broken) {
            Some(ExperimentVerdict::Broken)
        } else if self.comparisons.iter().all(|one| self.is_held(one)) {
            Some(ExperimentVerdict::Held)
        } else {
            None
        }
    }

    /// Whether a comparison surely holds, and its fault was tried.
    fn is_held(&self, one: &Comparison) -> bool {
        one.is_held() && self.met.get(one.fault).is_some_and(|met| 0 < *met)
    }

    /// Which comparisons are surely broken, in their order.
    fn broken(&self) -> Vec<bool> {
        let all = self.comparisons.iter();
        let logs: Vec<f64> = all.map(Comparison::broken_now).collect();
        let found = if self.found.is_empty() {
            discoveries(&logs, ALPHA)
        } else {
            self.found.clone()
        };
        let primary = self.budgets.first().map(|budget| &budget.objective);
        #[expect(clippy::cast_precision_loss, reason = "at most four faults")]
        let level = (self.seen.len().max(1) as f64 / ALPHA).ln();
        let all = self.comparisons.iter().zip(found);
        all.map(|(one, found)| found || (Some(&one.objective) == primary && level <= one.broken()))
            .collect()
    }

    fn end(&mut self, now: WallTime, why: String) {
        self.phase = ExperimentPhase::Draining;
        self.ended_at = Some(now);
        self.tell(now, format!("faults end: {why}"));
        self.ended_for = why;
    }

    fn refuse(&mut self, now: WallTime, why: String) {
        self.phase = ExperimentPhase::Over;
        self.verdict = Some(ExperimentVerdict::Inconclusive);
        self.tell(now, why);
    }

    fn conclude(&mut self, spec: &ChaosSpec, world: &World) {
        self.learn(spec, world, true);
        let verdict = self.decided().unwrap_or(ExperimentVerdict::Inconclusive);
        self.verdict = Some(verdict);
        self.phase = ExperimentPhase::Over;
        let told = self.outcome(spec, verdict, world.now());
        self.tell(world.now(), told);
    }

    fn tell(&mut self, at: WallTime, what: String) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(ExperimentEvent {
                at,
                what: what.clone(),
            });
        }
        self.because = what;
    }

    /// What protection in shadow mode would have kept out of the services that have a part in it.
    fn shadows_now(&self, spec: &ChaosSpec, world: &World) -> Vec<Shadow> {
        let mut services: BTreeSet<_> = self.scopes.iter().map(|scope| &scope.service).collect();
        services.extend(chosen(spec).into_iter().map(|target| &target.service));
        shadows(&services, world)
    }

    /// The objectives that it is about.
    pub(super) fn objectives(&self) -> impl Iterator<Item = &ObjectiveId> {
        self.budgets.iter().map(|budget| &budget.objective)
    }
}

/// How long a point of a chart is.
fn point_ms(spec: &ChaosSpec) -> u64 {
    spec.lasting_ms.div_ceil(POINTS_MAX).max(1_000)
}
