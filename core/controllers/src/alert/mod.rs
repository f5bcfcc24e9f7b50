//! Tells people: evaluates OpenSLO's alert policies.
//!
//! A policy compares the burn rate of an SLO's objectives over one window with a
//! threshold. As everywhere, "above" means *surely* above (Wilson's interval at
//! three standard deviations), so one error in a quiet night wakes nobody, and
//! "below" surely below; in between nothing begins and nothing ends. A threshold
//! that the objective could never reach counts as seven eighths of the way from
//! its budget to everything, as for the windows of the SRE workbook.
//!
//! What is counted are requests, also where a budget is of whole slices of time. A share of bad requests
//! that leaves every slice good spends nothing there, so the level is at least what makes a slice bad.
//!
//! It says at each step which alerts there are ([`Signal::Alert`]); whoever
//! delivers them finds out what of it is news. It never acts on the mesh.

mod intent;
mod memory;

pub use intent::{AlertIntent, AlertTarget, AlertWhen, Comparison};
pub use memory::AlertMemory;

use core::time::Duration;

use memory::{State, Watched};
use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, ServiceName, Target, WallTime};

use crate::budget::{surely_above, surely_below};
use crate::slo::{bad_share, share};
use crate::words::{Length, Percent};
use crate::{Controller, Counts, Decision, Signal, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct Alert;

/// An alert that people are told of, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertStatus {
    /// The policy.
    pub policy: String,
    /// The objective.
    pub objective: ObjectiveId,
    /// The service that the SLO belongs to.
    pub service: ServiceName,
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
        let after = Duration::from_millis(intent.after_ms);
        memory
            .objectives
            .resize(intent.objectives.len(), Watched::default());
        let mut decision = Decision::default();
        let mut because = Vec::new();
        for ((index, target), watched) in intent.objectives.iter().zip(&mut memory.objectives) {
            let objective = ObjectiveId {
                slo: intent.slo.clone(),
                index: *index,
            };
            let counts = world.counts(&objective, lookback);
            let level = intent.level(*index, *target);
            let holds = counts.and_then(|counts| intent.holds(counts, level));
            watched.breaching = watched.breaching.next(holds, after, now);
            watched.no_data = watched.no_data.next(Some(counts.is_none()), after, now);
            let mut summary = intent.summary(counts, *target);
            if let Some(allowed) = intent.allowed_in_slice(*index) {
                let allowed = Percent(allowed);
                summary.push_str(&format!(
                    "; judged by requests, of which a slice may have {allowed} bad"
                ));
            }
            for (kind, state) in watched.states() {
                if let Some(alert) = intent.alert(&objective, (kind, state), &summary) {
                    decision.signals.push(Signal::Alert(Box::new(alert)));
                }
            }
            because.push(format!("objective {index}: {summary}"));
        }
        if because.is_empty() {
            because.push("not evaluated here: no objective has a source of ours".to_owned());
        }
        decision.because = because.join("; ");
        decision
    }
}

impl AlertIntent {
    /// The share of requests of the objective at `index` that may be bad in a good slice; nothing when
    /// there are none that are good as a whole.
    fn allowed_in_slice(&self, index: u32) -> Option<f64> {
        let slices = self.slices.iter().find(|(known, _)| *known == index);
        Some(1.0 - slices?.1.target()?)
    }

    /// The share of bad requests that the threshold stands for.
    fn level(&self, index: u32, target: Target) -> f64 {
        let allowed = self.allowed_in_slice(index).unwrap_or(0.0);
        bad_share(self.threshold, target).max(allowed)
    }

    /// Whether the condition surely holds, with its threshold at `level`; nothing when that is not sure.
    fn holds(&self, counts: Counts, level: f64) -> Option<bool> {
        let is_above = surely_above(counts.bad(), counts.total, level);
        let is_below = surely_below(counts.bad(), counts.total, level) || counts.total == 0;
        let (holds, fails) = match self.op {
            Comparison::Gt | Comparison::Gte => (is_above, is_below),
            Comparison::Lt | Comparison::Lte => (is_below, is_above),
        };
        match (holds, fails) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }

    fn summary(&self, counts: Option<Counts>, target: Target) -> String {
        let lookback = Length(Duration::from_millis(self.lookback_ms));
        let Some(counts) = counts else {
            return format!("nobody reported in the last {lookback}");
        };
        let bad = share(counts.bad(), counts.total);
        let burn = bad / target.budget_fraction();
        format!(
            "{} of {} requests ({}) were bad in the last {lookback}: {burn:.1} times what a target of {} allows, against {} in the policy",
            counts.bad(),
            counts.total,
            Percent(bad),
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
        };
        let (state, since, until) = match state {
            State::Calm => return None,
            State::Pending { since } => (AlertState::Pending, since, None),
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
        })
    }
}

#[cfg(test)]
mod tests;
