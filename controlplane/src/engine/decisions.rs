//! What was decided, numbered, with what it was decided by and what became of it.
//!
//! A decision is new when its policies are: leases that are renewed and numbers
//! that move in the words are none. What is kept is stored, so after a restart numbers
//! go on, and what is decided again as it was is nothing new. For that, what holds is stored apart from the history, in which
//! it may have been decided too long ago: with thousands of intents, most of it was.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sloop_controllers::{Decided, IntentId, ObjectiveStatus, Stage, Step, World};
use sloop_model::{Policy, Rule, WallTime};

use super::{History, acted};
use crate::admin::api::{DecisionEffect, DecisionExplained, DecisionTaken};

/// Decisions kept.
pub(super) const MAX: usize = 1_000;

/// Decisions that are named as having a part in what another one did.
const SHARED_MAX: usize = 64;

/// The history of decisions, and the one in force per controller and intent.
#[derive(Debug)]
pub(super) struct Decisions {
    history: History<DecisionExplained>,
    /// What holds, by the stage of who decided it and the intent.
    current: BTreeMap<Stage, BTreeMap<IntentId, Held>>,
    /// Steps that were remembered.
    steps: u64,
    /// Numbers of those that differ from what was last taken to be stored.
    changed: Vec<u64>,
    /// The same of what holds.
    changed_held: BTreeSet<(Stage, IntentId)>,
    /// The controllers of those that nobody has counted yet, as [`Decided`] names them.
    uncounted: Vec<(Stage, &'static str)>,
}

/// A decision in force.
#[derive(Debug)]
struct Held {
    /// Its number.
    id: u64,
    /// But for their leases.
    policies: Vec<Policy>,
    /// Why, as it was decided.
    because: String,
    /// The number of the last step that had it.
    step: u64,
}

/// A decision as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    #[serde(flatten)]
    explained: DecisionExplained,
    /// Where stores of before have all its policies but for their leases, while it is in force: it is a [`Standing`] there, too.
    #[serde(default, skip_serializing)]
    held: Option<Vec<Policy>>,
}

/// What holds for one intent by one stage, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    stage: Stage,
    intent: IntentId,
    /// The number of the decision.
    id: u64,
    /// All its policies but for their leases.
    policies: Vec<Policy>,
    /// Why; stores of before have it in the history alone, or no more.
    #[serde(default)]
    because: String,
}

/// What became of the place of one that holds: its key, and what is there; nothing when it holds no more.
pub(super) type Place = (String, Option<Standing>);

impl Decisions {
    /// Goes on after what an earlier process stored, in any order.
    pub(super) fn restored(mut stored: Vec<Stored>, standing: Vec<Standing>) -> Self {
        stored.sort_by_key(|one| one.explained.decision.id);
        let mut all = Self {
            history: History::of(MAX),
            current: BTreeMap::new(),
            steps: 0,
            changed: Vec::new(),
            changed_held: BTreeSet::new(),
            uncounted: Vec::new(),
        };
        for Stored { explained, held } in stored {
            let DecisionTaken { id, stage, .. } = explained.decision;
            if let Some(policies) = held {
                let intent = IntentId(explained.decision.intent.clone());
                all.changed_held.insert((stage, intent.clone()));
                let because = explained.decision.because.clone();
                all.hold(stage, intent, (id, policies, because));
            }
            all.history.take_back(id, explained);
        }
        for Standing {
            stage,
            intent,
            id,
            policies,
            because,
        } in standing
        {
            let because = if because.is_empty() {
                let decided = all.history.get(id);
                decided.map_or(because, |one| one.decision.because.clone())
            } else {
                because
            };
            all.hold(stage, intent, (id, policies, because));
        }
        all
    }

    /// Notes that the decision with the number `id` holds, with these policies but for their leases, and why.
    fn hold(
        &mut self,
        stage: Stage,
        intent: IntentId,
        (id, policies, because): (u64, Vec<Policy>, String),
    ) {
        let held = Held {
            id,
            policies,
            because,
            step: self.steps,
        };
        self.current.entry(stage).or_default().insert(intent, held);
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
        self.steps += 1;
        for one in &step.decisions {
            let held = self.current.entry(one.stage).or_default();
            // Nearly all of them, in nearly every step.
            if let Some(held) = held.get_mut(&one.intent)
                && is_held(&held.policies, &one.decision.policies)
            {
                held.step = self.steps;
                if held.because.is_empty() {
                    held.because.clone_from(&one.decision.because);
                    self.changed_held.insert((one.stage, one.intent.clone()));
                }
                continue;
            }
            let before = held.remove(&one.intent);
            let (ended, before) = before.map_or((0, Vec::new()), |it| (it.id, it.policies));
            self.conclude(ended, &before, world);
            let id = self.add(one, &before, (objectives(&one.intent), world));
            let because = &one.decision.because;
            new.push(format!(
                "{id} {} ({:?}): {because}",
                one.intent.0, one.stage
            ));
            let policies = one.decision.policies.iter().map(lasting).collect();
            let held = (id, policies, because.clone());
            self.hold(one.stage, one.intent.clone(), held);
            self.changed_held.insert((one.stage, one.intent.clone()));
        }
        self.conclude_withdrawn(world);
        new
    }

    /// Notes what became of decisions that were withdrawn with their intents: the last step had none of them.
    fn conclude_withdrawn(&mut self, world: &World) {
        let mut withdrawn = Vec::new();
        for (stage, held) in &mut self.current {
            held.retain(|intent, held| {
                let is_here = held.step == self.steps;
                if !is_here {
                    withdrawn.push((held.id, std::mem::take(&mut held.policies)));
                    self.changed_held.insert((*stage, intent.clone()));
                }
                is_here
            });
        }
        for (id, policies) in withdrawn {
            self.conclude(id, &policies, world);
        }
    }

    /// All that is kept, oldest first.
    pub(super) fn all(&self) -> Vec<DecisionTaken> {
        let kept = self.history.after(0);
        kept.map(|one| one.decision.clone()).collect()
    }

    /// The number of what holds for `intent` by `stage`, why, and its policies but for their leases.
    pub(super) fn in_force(
        &self,
        stage: Stage,
        intent: &IntentId,
    ) -> Option<(u64, &str, &[Policy])> {
        let held = self.current.get(&stage)?.get(intent)?;
        Some((held.id, &held.because, &held.policies))
    }

    /// All about the decision with this number, as it stands in `world`.
    pub(super) fn explain(&self, id: u64, world: &World) -> Option<DecisionExplained> {
        let mut one = self.history.get(id)?.clone();
        if let Some(held) = self.held().find(|held| held.id == id) {
            acted::follow(&mut one, &held.policies, world);
        }
        for effect in &mut one.effects {
            effect.shared_with = self.sharing(id, effect);
        }
        Some(one)
    }

    /// Those in force.
    fn held(&self) -> impl Iterator<Item = &Held> {
        self.current.values().flat_map(BTreeMap::values)
    }

    /// Other decisions that refused requests where and while the decision `id` had this `effect`, by the same means.
    fn sharing(&self, id: u64, effect: &DecisionEffect) -> BTreeSet<u64> {
        let began = |id: u64| self.history.get(id).map(|one| one.decision.at_ms);
        let in_force = self.held().filter(|held| {
            effect
                .until_ms
                .is_none_or(|until| began(held.id) < Some(until))
                && acted::refuses_by(&held.policies, &effect.scope)
                    .any(|means| effect.by.contains(&means))
        });
        let over = self.history.after(0).filter(|one| {
            let mut effects = one.effects.iter();
            effects.any(|other| acted::is_shared(effect, other))
        });
        let all = in_force.map(|held| held.id);
        let all = all.chain(over.map(|one| one.decision.id));
        all.filter(|other| *other != id).take(SHARED_MAX).collect()
    }

    /// Takes those that are to be stored, each with its place: the number of places is bounded.
    pub(super) fn take_changes(&mut self) -> Vec<(u64, Stored)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let stored = |id| {
            let explained = self.history.get(id)?.clone();
            let held = None;
            Some((id % MAX as u64, Stored { explained, held }))
        };
        changed.into_iter().filter_map(stored).collect()
    }

    /// Takes where what holds changed, to be stored: one place for each intent and stage.
    pub(super) fn take_held(&mut self) -> Vec<Place> {
        let changed = std::mem::take(&mut self.changed_held);
        let place = |(stage, intent): (Stage, IntentId)| {
            let key = format!("{stage:?}\n{}", intent.0);
            let held = self.current.get(&stage).and_then(|held| held.get(&intent));
            let standing = held.map(|held| Standing {
                stage,
                intent,
                id: held.id,
                policies: held.policies.clone(),
                because: held.because.clone(),
            });
            (key, standing)
        };
        changed.into_iter().map(place).collect()
    }

    /// Takes the controller of each that was added since the last call, its stage and kind; of the first [`MAX`].
    pub(super) fn take_uncounted(&mut self) -> Vec<(Stage, &'static str)> {
        std::mem::take(&mut self.uncounted)
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
            effects: acted::effects(&policies, world),
        };
        let id = self.history.add(make);
        self.changed.push(id);
        if self.uncounted.len() < MAX {
            self.uncounted.push((decided.stage, decided.kind));
        }
        id
    }

    /// Notes what became of a decision that holds no more, and had these `policies`.
    fn conclude(&mut self, id: u64, policies: &[Policy], world: &World) {
        if let Some(one) = self.history.get_mut(id) {
            acted::follow(one, policies, world);
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

/// Whether `policies` are those that are `held`, but for leases.
fn is_held(held: &[Policy], policies: &[Policy]) -> bool {
    let is_same = |(held, policy): (&Policy, &Policy)| match policy.rule {
        // These have no lease, and what is counted is long.
        Rule::Count(_) | Rule::Trip(_) => policy == held,
        Rule::Break { .. }
        | Rule::Shed { .. }
        | Rule::Deny(_)
        | Rule::RetryBudget { .. }
        | Rule::Deadline { .. }
        | Rule::Fault(_) => lasting(policy) == *held,
    };
    held.len() == policies.len() && held.iter().zip(policies).all(is_same)
}

/// The policy without the moment when its lease ends, which moves without anybody deciding anything.
fn lasting(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    match &mut policy.rule {
        Rule::Break { expires_at_ms, .. }
        | Rule::Shed { expires_at_ms, .. }
        | Rule::RetryBudget { expires_at_ms, .. }
        | Rule::Deadline { expires_at_ms, .. } => {
            *expires_at_ms = WallTime::default();
        }
        Rule::Deny(rule) => *rule = rule.clone().ending_by(WallTime::default()),
        Rule::Fault(fault) => *fault = fault.clone().ending_by(WallTime::default()),
        Rule::Count(_) | Rule::Trip(_) => {}
    }
    policy
}
