//! Tells people: evaluates OpenSLO's alert policies.
//!
//! A policy compares the burn rate of an SLO's objectives, and of their composite where there is one, over one window with a
//! threshold. As everywhere, "above" means *surely* above (Wilson's interval at
//! three standard deviations), so one error in a quiet night wakes nobody, and
//! "below" surely below; in between nothing begins and nothing ends. But a whole window in which nothing was bad ends what
//! fired because of too much: to be surely below 1.44 % takes 617 good requests, which a quiet service may never have in a window,
//! while no request at all ends it as well. If it goes on after all, the next window says so. A threshold
//! that the objective could never reach counts as seven eighths of the way from
//! its budget to everything, as for the windows of the SRE workbook.
//!
//! What is counted is what the budget counts: requests, or slices of time. A slice says nothing before it is over, so
//! where the window is shorter than a slice, it is as long as one. Slices that are good or bad as a whole surely burn
//! when they are enough to be sure of, or when the window's requests surely have more bad ones than a good slice may.
//!
//! Who wants to hear of it is told that Sloop acts, too: that breakers are ordered to open to protect the SLO, whatever it burns.
//! That is about the SLO, so it is said once, with its first objective.
//!
//! It says at each step which alerts there are ([`Signal::Alert`]); whoever
//! delivers them finds out what of it is news. It never acts on the mesh.
//! Of one that is not there any more because it was withdrawn while it fired, [`World::withdrawn_alerts`] says that it is over.

mod composite;
mod intent;
mod memory;
mod telling;

pub use intent::{AlertIntent, AlertTarget, AlertWhen, Comparison};
pub use memory::AlertMemory;
pub(crate) use memory::RESOLVED_KEPT;
pub use telling::{AlertReason, AlertTelling};

use core::time::Duration;
use std::collections::BTreeMap;

use memory::{State, Watched};
use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, ServiceName, Target, WallTime};

use crate::slo::{Tally, bad_share, share};
use crate::words::{Length, Percent};
use crate::{BudgetUnit, Controller, Decision, Signal, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct Alert;

/// An alert that people are told of, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertStatus {
    /// The policy.
    pub policy: String,
    /// The objective; of all objectives of a composite together the index is 4294967295.
    pub objective: ObjectiveId,
    /// The service that the SLO belongs to.
    pub service: ServiceName,
    /// The labels of the SLO, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the documents of the SLO and of the policy say beside that for people, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How bad it is, in the operator's words.
    pub severity: String,
    /// What it is about.
    pub kind: AlertKind,
    /// How it stands.
    pub state: AlertState,
    /// When it began.
    pub since_ms: WallTime,
    /// When it ended, once it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<WallTime>,
    /// What is known, in words, with the numbers.
    pub summary: String,
    /// Who is told. Empty while it is pending, and where nobody wants to hear of it.
    pub targets: Vec<AlertTarget>,
    /// Whether they are told of its end, too.
    #[serde(default)]
    pub tells_end: bool,
    /// Why it is over; nothing where its condition holds no more, and while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<AlertReason>,
    /// What is done about it; nothing where nothing was decided yet, or the SLO is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<Acting>,
}

/// What is done to protect an SLO that people are told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acting {
    /// The number of the decision in force.
    pub decision: u64,
    /// Why it was made, in words, with the numbers.
    pub because: String,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The condition of the policy holds.
    Breaching,
    /// Nobody reports.
    NoData,
    /// Breakers are ordered to open to protect the SLO.
    Acting,
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Not yet for as long as it must.
    Pending,
    /// It is there.
    Firing,
    /// It is over.
    Resolved,
}

impl Controller for Alert {
    type Intent = AlertIntent;
    type Memory = AlertMemory;
    const KIND: &'static str = "alert";
    const STAGE: Stage = Stage::Advise;

    fn step(&self, intent: &AlertIntent, memory: &mut AlertMemory, world: &World) -> Decision {
        let now = world.now();
        let lookback = Duration::from_millis(intent.lookback_ms);
        let after = intent.after();
        intent.remember(memory, world);
        let mut is_ordered = intent.acting && world.is_ordered(&intent.slo);
        let mut decision = Decision::default();
        let mut because = Vec::new();
        for (index, target) in &intent.objectives {
            let Some(watched) = memory.objectives.get_mut(index) else {
                continue;
            };
            let objective = intent.objective(*index);
            let known = world.reading(&objective, now.before(lookback));
            let counted = Counted::new(intent, &objective, world);
            let level = bad_share(intent.threshold, *target);
            let holds = counted.and_then(|counted| intent.holds(counted, level));
            watched.breaching = watched.breaching.next(holds, after, now);
            let is_silent = match known {
                Some(_) => Some(false),
                // Who has just begun to listen does not know.
                None => watched.is_watched_for(lookback, now).then_some(true),
            };
            watched.no_data = watched.no_data.next(is_silent, after, now);
            // An order is over in ten seconds: nobody is to wait for it to go on.
            let is_ordered = core::mem::take(&mut is_ordered);
            watched.acting = watched.acting.next(Some(is_ordered), Duration::ZERO, now);
            let summary = intent.summary(counted.filter(|_| known.is_some()), *target);
            for (kind, state) in watched.states() {
                if let Some(alert) = intent.alert(&objective, (kind, state), &summary) {
                    decision.signals.push(Signal::Alert(Box::new(alert)));
                }
            }
            because.push(format!("objective {index}: {summary}"));
        }
        if let Some(summary) = intent.step_composite(memory, &mut decision, world) {
            because.push(summary);
        }
        if because.is_empty() {
            because.push("not evaluated here: no objective has a source of ours".to_owned());
        }
        decision.because = because.join("; ");
        decision
    }
}

impl AlertIntent {
    fn objective(&self, index: u32) -> ObjectiveId {
        ObjectiveId {
            slo: self.slo.clone(),
            index,
        }
    }

    /// Makes room in `memory` for each objective, and forgets others. Of those that are not in it people may have been told
    /// before the process began.
    fn remember(&self, memory: &mut AlertMemory, world: &World) {
        let is_there = |index: &u32| self.objectives.iter().any(|(there, _)| there == index);
        memory.objectives.retain(|index, _| is_there(index));
        for (index, _) in &self.objectives {
            let restored = || {
                let objective = self.objective(*index);
                let told = |kind| world.told(&objective, kind, &self.policy);
                Watched::restored(told, world.now())
            };
            memory.objectives.entry(*index).or_insert_with(restored);
        }
    }

    /// Whether the condition surely holds, with its threshold at `level`; nothing when that is not sure.
    fn holds(&self, counted: Counted, level: f64) -> Option<bool> {
        let tally = counted.tally;
        let is_above = counted.surely_exceeds(level);
        // No slice is over yet, while requests come: that says nothing of how they end.
        let is_idle = tally.units().total == 0 && tally.requests.total == 0;
        let is_below = tally.stays_below(level) || is_idle;
        self.compared(is_above, is_below, counted.is_whole && tally.is_clean())
    }

    /// For how long the condition must hold before anybody is told.
    const fn after(&self) -> Duration {
        Duration::from_millis(self.after_ms)
    }

    /// Whether the condition surely holds where the burn rate surely is above, or below, the threshold. Where `is_clean`, nothing
    /// was bad in a whole window: that is below, however few there were, but not surely enough to begin anything.
    const fn compared(&self, is_above: bool, is_below: bool, is_clean: bool) -> Option<bool> {
        let (holds, fails) = match self.op {
            Comparison::Gt | Comparison::Gte => (is_above, is_below || is_clean),
            Comparison::Lt | Comparison::Lte => (is_below, is_above),
        };
        match (holds, fails) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }

    fn summary(&self, counted: Option<Counted>, target: Target) -> String {
        let Some(Counted { tally, length, .. }) = counted else {
            let lookback = Length(Duration::from_millis(self.lookback_ms));
            return format!("nobody reported in the last {lookback}");
        };
        let (units, worth) = (tally.units(), tally.worth());
        let bad = share(units.bad(), units.total);
        let burn = bad / target.budget_fraction();
        let (amount, total) = (units.bad().div_ceil(worth), units.total / worth);
        let counted = match tally.unit() {
            BudgetUnit::Requests => "requests",
            BudgetUnit::Slices => "slices",
        };
        format!(
            "{amount} of {total} {counted} ({}) were bad in the last {}: {burn:.1} times what a target of {} allows, against {} in the policy",
            Percent(bad),
            Length(length),
            Percent(target.as_fraction()),
            self.threshold,
        )
    }

    /// What there is to say about `state`, if anything.
    fn alert(
        &self,
        objective: &ObjectiveId,
        (kind, state): (AlertKind, State),
        summary: &str,
    ) -> Option<AlertStatus> {
        let is_wanted = match kind {
            AlertKind::Breaching => self.when.breaching,
            AlertKind::NoData => self.when.no_data,
            AlertKind::Acting => self.acting,
        };
        let (state, since, until) = match state {
            State::Calm => return None,
            State::Pending { since, .. } => (AlertState::Pending, since, None),
            State::Firing { since, .. } => (AlertState::Firing, since, None),
            State::Resolved { since, until } => (AlertState::Resolved, since, Some(until)),
        };
        let is_told = match state {
            AlertState::Pending => false,
            AlertState::Firing => is_wanted,
            AlertState::Resolved => is_wanted && self.when.resolved,
        };
        is_wanted.then(|| AlertStatus {
            policy: self.policy.clone(),
            objective: objective.clone(),
            service: self.service.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            severity: self.severity.clone(),
            kind,
            state,
            since_ms: since,
            until_ms: until,
            summary: summary.to_owned(),
            targets: if is_told {
                self.targets.clone()
            } else {
                Vec::new()
            },
            tells_end: self.when.resolved,
            reason: None,
            acting: None,
        })
    }
}

/// What was counted for an alert, in the unit of the budget.
#[derive(Clone, Copy, Debug)]
struct Counted {
    tally: Tally,
    /// In how long a time.
    length: Duration,
    /// Whether somebody reported on all of it.
    is_whole: bool,
    /// The share of bad requests that a slice which is good as a whole may have; nothing where there are no such slices.
    allowed_in_slice: Option<f64>,
}

impl Counted {
    /// What was counted of `objective` in the window of `intent`; nothing when not known.
    fn new(intent: &AlertIntent, objective: &ObjectiveId, world: &World) -> Option<Self> {
        let since = |length: Duration| world.now().before(length);
        let lookback = Duration::from_millis(intent.lookback_ms);
        let mut slices = intent.slices.iter();
        let Some((_, slicing)) = slices.find(|(index, _)| *index == objective.index) else {
            let reading = world.reading(objective, since(lookback))?;
            return Some(Self {
                tally: Tally::of_requests(reading.counts),
                length: lookback,
                is_whole: reading.is_whole(lookback),
                allowed_in_slice: None,
            });
        };
        let length = lookback.max(slicing.length());
        let reading = world.reading(objective, since(length))?;
        let sum = world
            .slices(objective, *slicing)?
            .since(world.now(), since(length));
        Some(Self {
            tally: Tally::of_slices(reading.counts, sum, *slicing),
            length,
            is_whole: reading.is_whole(length),
            allowed_in_slice: slicing.target().map(|target| 1.0 - target),
        })
    }

    /// Whether surely more than `level` was bad.
    fn surely_exceeds(&self, level: f64) -> bool {
        self.tally.surely_burns(level, self.allowed_in_slice)
    }
}

#[cfg(test)]
mod tests;
