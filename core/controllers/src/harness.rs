//! Runs any set of controllers over one world.

use core::any::Any;
use core::fmt::Debug;
use std::collections::BTreeMap;

use serde::Serialize;
use sloop_model::{Policy, WallTime};

use crate::slo::{cuts, describe};
use crate::{
    Chaos, Controller, Decision, ExperimentPhase, ExperimentStatus, IntentId, ObjectiveStatus, Slo,
    SloStatus, Stage, World, merge,
};

/// All controllers, each with its intents and what it remembers of them.
#[derive(Debug, Default)]
pub struct Controllers {
    loops: BTreeMap<(Stage, &'static str), Box<dyn Loop>>,
    /// Whether SLOs were declared or withdrawn since the last step.
    are_slos_new: bool,
}

/// The outcome of one step over all intents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// What was decided for each intent, earlier stages first.
    pub decisions: Vec<Decided>,
    /// What the data plane must do: the decisions' policies, merged, sorted, no duplicates.
    pub policies: Vec<Policy>,
    /// What lost when they were merged, in words.
    pub left_out: Vec<String>,
    /// When to step again at the latest.
    pub wake_at: Option<WallTime>,
}

/// What one controller decided for one intent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decided {
    /// For what.
    pub intent: IntentId,
    /// The stage of the controller; with `kind` it names the controller.
    pub stage: Stage,
    /// The kind of intent.
    pub kind: &'static str,
    /// What.
    pub decision: Decision,
}

/// Why an intent was turned down.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIntent {
    /// Nobody serves this kind.
    #[error("no controller takes intents of kind {0:?}")]
    UnknownKind(String),
    /// The controller cannot read it.
    #[error("intent of kind {kind:?} does not parse")]
    Unreadable {
        /// The kind it claims to be.
        kind: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Step {
    /// What was decided about each intent, earlier stages first.
    #[must_use]
    pub fn by_intent(&self) -> BTreeMap<&IntentId, Vec<&Decided>> {
        let mut about: BTreeMap<&IntentId, Vec<&Decided>> = BTreeMap::new();
        for decided in &self.decisions {
            about.entry(&decided.intent).or_default().push(decided);
        }
        about
    }
}

impl Controllers {
    /// Adds `controller`.
    #[must_use]
    pub fn with<C: Controller + 'static>(mut self, controller: C) -> Self {
        let slot = Slot {
            controller,
            intents: BTreeMap::new(),
        };
        self.loops.insert((C::STAGE, C::KIND), Box::new(slot));
        self
    }

    /// The stage of each controller and the kind of intents that it takes, which together name it, in the order of stages.
    pub fn names(&self) -> impl Iterator<Item = (Stage, &'static str)> {
        self.loops.keys().copied()
    }

    /// Accepts or replaces an intent, for every controller that takes its kind.
    /// What was remembered of it is kept.
    ///
    /// # Errors
    ///
    /// When no controller takes `kind`, or one cannot read `body`; then nothing has changed.
    pub fn put(&mut self, id: &IntentId, kind: &str, body: &str) -> Result<(), InvalidIntent> {
        let mut takers: Vec<_> = self
            .loops
            .iter_mut()
            .filter(|((_, taken), _)| *taken == kind)
            .map(|(_, slot)| slot)
            .collect();
        if takers.is_empty() {
            return Err(InvalidIntent::UnknownKind(kind.to_owned()));
        }
        for slot in &takers {
            slot.check(body)?;
        }
        takers.iter_mut().try_for_each(|slot| slot.put(id, body))?;
        self.are_slos_new |= kind == Slo::KIND;
        Ok(())
    }

    /// Withdraws an intent and forgets it.
    pub fn remove(&mut self, id: &IntentId) {
        let is_slo = self.intents::<Slo>().any(|(known, _)| known == id);
        self.are_slos_new |= is_slo;
        for slot in self.loops.values_mut() {
            slot.remove(id);
        }
    }

    /// Tells `world` where the objectives that are wanted count, if they changed. Call it before a report is taken in
    /// ([`World::observe`]); a step does it as well.
    pub fn tell_sources(&mut self, world: &mut World) {
        if core::mem::take(&mut self.are_slos_new) {
            world.count_where(self.intents::<Slo>().map(|(_, intent)| intent));
        }
    }

    /// Steps every intent once, stage by stage.
    pub fn step(&mut self, world: &mut World) -> Step {
        let mut step = Step::default();
        self.tell_sources(world);
        world.cut(&cuts(self.intents::<Slo>().map(|(_, intent)| intent)));
        world.note_beginnings(self.intents::<Slo>().map(|(_, intent)| intent));
        for ((stage, kind), slot) in &mut self.loops {
            let decisions = slot.step(world);
            let signals = decisions.iter().flat_map(|(_, decision)| &decision.signals);
            world.add_signals(signals.cloned());
            step.decisions
                .extend(decisions.into_iter().map(|(intent, decision)| Decided {
                    intent,
                    stage: *stage,
                    kind,
                    decision,
                }));
        }
        world.end_step();
        let experiments = self.slot::<Chaos>();
        let experiments = experiments.iter().flat_map(|slot| slot.intents.values());
        world.want_arms(experiments.filter_map(|(_, memory)| memory.wanted_arms()));
        step.wake_at = step
            .decisions
            .iter()
            .filter_map(|decided| decided.decision.wake_at)
            .min();
        (step.policies, step.left_out) = merge(&step.decisions);
        world.note_orders(&step.policies);
        world.note_held(&step.policies);
        step
    }

    /// The intents of one controller.
    pub fn intents<C: Controller + 'static>(
        &self,
    ) -> impl Iterator<Item = (&IntentId, &C::Intent)> {
        self.slot::<C>()
            .into_iter()
            .flat_map(|slot| slot.intents.iter().map(|(id, (intent, _))| (id, intent)))
    }

    fn slot<C: Controller + 'static>(&self) -> Option<&Slot<C>> {
        let slot = self.loops.get(&(C::STAGE, C::KIND))?;
        slot.as_any().downcast_ref()
    }

    /// What people see of the newest run of every experiment after a step, in the order of intents, but for those of which
    /// `is_known` says, by name, when they were due and where they are, that enough is known. What is seen of a run is dear to work
    /// out, where it has many latencies.
    #[must_use]
    pub fn experiments(
        &self,
        world: &World,
        is_known: impl Fn(&str, WallTime, ExperimentPhase) -> bool,
    ) -> Vec<ExperimentStatus> {
        self.slot::<Chaos>()
            .into_iter()
            .flat_map(|slot| slot.intents.values())
            .filter(|(intent, memory)| {
                let newest = memory.newest();
                newest.is_some_and(|(due_at, phase)| !is_known(&intent.spec().name, due_at, phase))
            })
            .filter_map(|(intent, memory)| memory.status(intent, world))
            .collect()
    }

    /// How the objectives of an SLO stand after a step in which the decisions `about` it were made; none when `id` is
    /// no SLO.
    #[must_use]
    pub fn objective_statuses(
        &self,
        id: &IntentId,
        world: &World,
        about: &[&Decided],
    ) -> Vec<ObjectiveStatus> {
        let slot = self
            .loops
            .get(&(Slo::STAGE, Slo::KIND))
            .and_then(|slot| slot.as_any().downcast_ref::<Slot<Slo>>());
        let intent = slot.and_then(|slot| slot.intents.get(id));
        intent.map_or_else(Vec::new, |(intent, _)| {
            describe(intent, world, about).objectives
        })
    }

    /// What people see of every SLO after `step`, in the order of intents.
    #[must_use]
    pub fn slo_statuses(&self, world: &World, step: &Step) -> Vec<SloStatus> {
        let about = step.by_intent();
        let about = |id| about.get(id).map_or(&[][..], Vec::as_slice);
        self.intents::<Slo>()
            .map(|(id, intent)| describe(intent, world, about(id)))
            .collect()
    }
}

/// A [`Slot`] with its types hidden, so that different controllers fit one list.
trait Loop: Debug + Send {
    fn check(&self, body: &str) -> Result<(), InvalidIntent>;
    fn put(&mut self, id: &IntentId, body: &str) -> Result<(), InvalidIntent>;
    fn remove(&mut self, id: &IntentId);
    fn step(&mut self, world: &mut World) -> Vec<(IntentId, Decision)>;
    fn as_any(&self) -> &dyn Any;
}

#[derive(Debug)]
struct Slot<C: Controller> {
    controller: C,
    intents: BTreeMap<IntentId, (C::Intent, C::Memory)>,
}

impl<C: Controller> Slot<C> {
    fn read(body: &str) -> Result<C::Intent, InvalidIntent> {
        serde_json::from_str(body).map_err(|source| InvalidIntent::Unreadable {
            kind: C::KIND,
            source,
        })
    }
}

impl<C: Controller + 'static> Slot<C> {
    /// Steps those that wait for their turn.
    fn step_waiting(&mut self, world: &mut World) -> BTreeMap<IntentId, Decision> {
        let (controller, now) = (&self.controller, world.now());
        let waiting = self
            .intents
            .iter_mut()
            .filter_map(|(id, (intent, memory))| {
                let since = controller.waits_since(intent, memory, now)?;
                Some((since, id, intent, memory))
            });
        let mut waiting: Vec<_> = waiting.collect();
        // Stable, and in the order of ids before.
        waiting.sort_by_key(|(since, ..)| *since);
        let decided = waiting.into_iter().map(|(_, id, intent, memory)| {
            let decision = controller.step(intent, memory, world);
            world.note_beginnings_of_experiments(&decision.signals);
            (id.clone(), decision)
        });
        decided.collect()
    }
}

impl<C: Controller + 'static> Loop for Slot<C> {
    fn check(&self, body: &str) -> Result<(), InvalidIntent> {
        Self::read(body).map(|_| ())
    }

    fn put(&mut self, id: &IntentId, body: &str) -> Result<(), InvalidIntent> {
        let intent = Self::read(body)?;
        let memory = self
            .intents
            .remove(id)
            .map(|(_, memory)| memory)
            .unwrap_or_default();
        self.intents.insert(id.clone(), (intent, memory));
        Ok(())
    }

    fn remove(&mut self, id: &IntentId) {
        self.intents.remove(id);
    }

    fn step(&mut self, world: &mut World) -> Vec<(IntentId, Decision)> {
        let mut first = self.step_waiting(world);
        let controller = &self.controller;
        let mut decide = |id: &IntentId, intent: &C::Intent, memory: &mut C::Memory| {
            let decided = first.remove(id);
            decided.unwrap_or_else(|| controller.step(intent, memory, world))
        };
        self.intents
            .iter_mut()
            .map(|(id, (intent, memory))| (id.clone(), decide(id, intent, memory)))
            .collect()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{
        "name": "pay", "service": "payments", "mode": "actionable",
        "window": {"rolling": 2592000000}, "budgeting": "occurrences",
        "objectives": [{"target": 999000000, "source": {
            "service": "payments", "route": {"named": "charge"}, "side": "server", "indicator": {}
        }}]
    }"#;

    fn id() -> IntentId {
        IntentId("SLO/pay".into())
    }

    #[test]
    fn every_controller_of_a_kind_gets_the_intent() {
        let mut all = Controllers::with_all();
        all.put(&id(), "slo", BODY).unwrap();
        let step = all.step(&mut World::default());
        let stages: Vec<Stage> = step.decisions.iter().map(|decided| decided.stage).collect();
        assert_eq!(stages, [Stage::Measure, Stage::Protect]);
        assert_eq!(
            step.policies.len(),
            4,
            "a count, a breaker, shedding and a retry budget"
        );
        assert!(step.wake_at.is_some());
    }

    #[test]
    fn a_withdrawn_intent_takes_its_policies_with_it() {
        let mut all = Controllers::with_all();
        all.put(&id(), "slo", BODY).unwrap();
        all.remove(&id());
        assert_eq!(all.step(&mut World::default()), Step::default());
    }

    #[test]
    fn a_bad_intent_is_turned_down_where_it_comes_in() {
        let mut all = Controllers::with_all();
        all.put(&id(), "slo", BODY).unwrap();
        let whole = BODY.replace("999000000", "1000000000");
        let InvalidIntent::Unreadable { source, .. } = all.put(&id(), "slo", &whole).unwrap_err()
        else {
            panic!("the kind is known");
        };
        assert!(source.to_string().contains("below 1"), "{source}");
        assert!(all.put(&id(), "slow", BODY).is_err());
        let step = all.step(&mut World::default());
        assert_eq!(step.decisions.len(), 2, "the one before still holds");
    }

    #[test]
    fn the_same_inputs_give_the_same_step() {
        let step = || {
            let mut all = Controllers::with_all();
            all.put(&id(), "slo", BODY).unwrap();
            let mut world = World::default();
            world.begin_step(WallTime::from_millis(1_700_000_000_000));
            all.step(&mut world)
        };
        assert_eq!(step(), step());
    }
}
