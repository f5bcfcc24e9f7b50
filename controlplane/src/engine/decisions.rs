//! What was decided, numbered, with what it was decided by and what became of it.
//!
//! A decision is new when its policies are: leases that are renewed and numbers
//! that move in the words are none. Numbers go on after a restart, because what
//! is kept is stored.

use std::collections::BTreeMap;

use sloop_controllers::{Acted, Decided, IntentId, ObjectiveStatus, Stage, Step, World};
use sloop_model::{Policy, Rule, Scope, WallTime};

use super::History;
use crate::admin::api::{DecisionEffect, DecisionExplained, DecisionTaken};

/// Decisions kept.
pub(super) const MAX: usize = 1_000;

/// Scopes of one decision whose effect is followed.
const SCOPES_MAX: usize = 64;

/// The history of decisions, and the one in force per controller and intent.
#[derive(Debug)]
pub(super) struct Decisions {
    history: History<DecisionExplained>,
    /// What holds: its number and its policies.
    current: BTreeMap<(Stage, IntentId), (u64, Vec<Policy>)>,
    /// Numbers of those that differ from what was last taken to be stored.
    changed: Vec<u64>,
    /// Of those that nobody has counted yet.
    stages: Vec<Stage>,
}

impl Decisions {
    /// Goes on after what an earlier process stored, in any order.
    pub(super) fn restored(mut stored: Vec<DecisionExplained>) -> Self {
        stored.sort_by_key(|one| one.decision.id);
        let mut history = History::of(MAX);
        for one in stored {
            history.take_back(one.decision.id, one);
        }
        Self {
            history,
            current: BTreeMap::new(),
            changed: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// Adds what `step` decided differently from the last one, and returns it in words. `objectives` says
    /// how those of an intent stand.
    pub(super) fn remember(
        &mut self,
        step: &Step,
        objectives: impl Fn(&IntentId) -> Vec<ObjectiveStatus>,
        world: &World,
    ) -> Vec<String> {
        let mut new = Vec::new();
        let mut current = BTreeMap::new();
        for one in &step.decisions {
            let key = (one.stage, one.intent.clone());
            let policies: Vec<Policy> = one.decision.policies.iter().map(lasting).collect();
            let before = self.current.remove(&key);
            let entry = match before {
                Some((id, known)) if known == policies => (id, known),
                before => {
                    let before = before.unwrap_or_default();
                    self.conclude(before.0, world);
                    let objectives = objectives(&one.intent);
                    let id = self.add(one, &before.1, (objectives, world));
                    let because = &one.decision.because;
                    new.push(format!(
                        "{id} {} ({:?}): {because}",
                        one.intent.0, one.stage
                    ));
                    (id, policies)
                }
            };
            current.insert(key, entry);
        }
        // What is left was withdrawn with its intent.
        for (id, _) in std::mem::take(&mut self.current).into_values() {
            self.conclude(id, world);
        }
        self.current = current;
        new
    }

    /// All that is kept, oldest first.
    pub(super) fn all(&self) -> Vec<DecisionTaken> {
        let kept = self.history.after(0);
        kept.map(|one| one.decision.clone()).collect()
    }

    /// All about the decision with this number, as it stands in `world`.
    pub(super) fn explain(&self, id: u64, world: &World) -> Option<DecisionExplained> {
        let mut one = self.history.get(id)?.clone();
        if self.current.values().any(|(current, _)| *current == id) {
            follow(&mut one.effects, world);
        }
        Some(one)
    }

    /// Takes those that are to be stored, each with its place: the number of places is bounded.
    pub(super) fn take_changes(&mut self) -> Vec<(u64, DecisionExplained)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let place = |id: u64| id % MAX as u64;
        changed
            .into_iter()
            .filter_map(|id| Some((place(id), self.history.get(id)?.clone())))
            .collect()
    }

    /// Takes the stage of each that was added since the last call; of the first [`MAX`].
    pub(super) fn take_stages(&mut self) -> Vec<Stage> {
        std::mem::take(&mut self.stages)
    }

    fn add(
        &mut self,
        decided: &Decided,
        before: &[Policy],
        (objectives, world): (Vec<ObjectiveStatus>, &World),
    ) -> u64 {
        let now = world.now();
        let decision = &decided.decision;
        let policies: Vec<Policy> = decision.policies.iter().map(lasting).collect();
        let make = |id| DecisionExplained {
            decision: DecisionTaken {
                id,
                at_ms: now.as_millis(),
                intent: decided.intent.0.clone(),
                stage: decided.stage,
                policies: policies.len(),
                because: decision.because.clone(),
            },
            given: without(&decision.policies, before),
            withdrawn: without(before, &policies),
            signals: decision.signals.clone(),
            objectives,
            effects: effects(&policies, world),
        };
        let id = self.history.add(make);
        self.changed.push(id);
        if self.stages.len() < MAX {
            self.stages.push(decided.stage);
        }
        id
    }

    /// Notes what became of a decision that holds no more.
    fn conclude(&mut self, id: u64, world: &World) {
        if let Some(one) = self.history.get_mut(id) {
            follow(&mut one.effects, world);
            for effect in &mut one.effects {
                effect.until_ms = Some(world.now().as_millis());
            }
            self.changed.push(id);
        }
    }
}

/// Those of `policies` that are not among `others`, but for leases.
fn without(policies: &[Policy], others: &[Policy]) -> Vec<Policy> {
    let is_new = |policy: &&Policy| !others.contains(&lasting(policy));
    policies.iter().filter(is_new).cloned().collect()
}

/// The scopes on which `policies` refuse requests, with what happened on them so far.
fn effects(policies: &[Policy], world: &World) -> Vec<DecisionEffect> {
    let covers = |policy: &Policy, scope: &Scope| {
        let refuses = match policy.rule {
            Rule::Break { .. } | Rule::Trip(_) | Rule::Shed { .. } | Rule::Deny(_) => true,
            Rule::Count(_) | Rule::Fault(_) => false,
        };
        refuses
            && policy.scope.service == scope.service
            && policy.scope.side == scope.side
            && (policy.scope.route.is_any() || policy.scope.route == scope.route)
    };
    let scopes = world.scopes();
    scopes
        .filter(|totals| policies.iter().any(|policy| covers(policy, &totals.scope)))
        .take(SCOPES_MAX)
        .map(|totals| DecisionEffect {
            scope: totals.scope.clone(),
            since_ms: world.now().as_millis(),
            until_ms: None,
            before: Acted::of(totals),
            acted: Acted::default(),
        })
        .collect()
}

/// Brings `effects` up to what `world` knows.
fn follow(effects: &mut [DecisionEffect], world: &World) {
    for effect in effects {
        if let Some(totals) = world.totals(&effect.scope) {
            effect.acted = Acted::of(totals).since(effect.before);
        }
    }
}

/// The policy without the moment when its lease ends, which moves without anybody deciding anything.
fn lasting(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    match &mut policy.rule {
        Rule::Break { expires_at_ms, .. } | Rule::Shed { expires_at_ms, .. } => {
            *expires_at_ms = WallTime::default();
        }
        Rule::Deny(rule) => *rule = rule.clone().ending_by(WallTime::default()),
        Rule::Fault(fault) => *fault = fault.clone().ending_by(WallTime::default()),
        Rule::Count(_) | Rule::Trip(_) => {}
    }
    policy
}
