//! What the objectives of a composite SLO add up to; the rules are those of [`CompositeStatus`].

use core::time::Duration;
use std::collections::BTreeMap;

use sloop_model::ObjectiveId;

use super::intent::{BudgetingMethod, SloIntent, SloObjective, Weight};
use super::measure::{Measured, millis};
use super::status::{CompositeBurn, CompositeStatus};
use super::windows::{FAST, pairs};
use crate::World;
use crate::world::Cut;

/// How the time of all objectives is cut into slices that `intents` budget by slices.
pub(crate) fn cuts<'a>(intents: impl Iterator<Item = &'a SloIntent>) -> BTreeMap<ObjectiveId, Cut> {
    let mut cuts = BTreeMap::new();
    for intent in intents {
        for (index, objective, _) in intent.counted() {
            if let Some(slicing) = objective.slicing {
                let members = Vec::new();
                cuts.insert(intent.objective_id(index), Cut { slicing, members });
            }
        }
        if let Some(cut) = common_cut(intent) {
            cuts.insert(intent.composite_id(), cut);
        }
    }
    cuts
}

/// The slices of the whole composite: those of its objectives, when they all are equally long.
fn common_cut(intent: &SloIntent) -> Option<Cut> {
    match intent.budgeting {
        BudgetingMethod::Timeslices => {}
        BudgetingMethod::Occurrences | BudgetingMethod::RatioTimeslices => return None,
    }
    let mut slicings = intent.weighed().map(|(_, objective, _)| objective.slicing);
    let slicing = slicings.next()??;
    let is_common =
        slicings.all(|other| other.map(|other| other.length()) == Some(slicing.length()));
    is_common.then(|| Cut {
        slicing,
        members: intent
            .weighed()
            .map(|(index, _, _)| intent.objective_id(index))
            .collect(),
    })
}

/// The status of the composite that `intent` is; nothing when it is none, or its objectives
/// have slices of different lengths, which no slice of the whole can be made of.
pub(super) fn composite(intent: &SloIntent, world: &World) -> Option<CompositeStatus> {
    let composite = Composite::new(intent, world)?;
    let now = world.now();
    let mut lengths: Vec<Duration> = FAST.into();
    let pairs = pairs(intent.window.length(now));
    lengths.extend(pairs.iter().flat_map(|pair| [pair.short, pair.long]));
    lengths.sort();
    lengths.dedup();
    let whole = intent.window.start(now).map(|start| now.since(start));
    let spent = whole.and_then(|length| composite.spent(length));
    Some(CompositeStatus {
        left_share: spent.map(|spent| 1.0 - spent),
        burn: lengths
            .into_iter()
            .map(|length| CompositeBurn {
                window_ms: millis(length),
                burn: composite.spent(length),
            })
            .collect(),
        is_complete: whole.is_some_and(|length| composite.is_complete(length)),
    })
}

struct Composite<'a> {
    intent: &'a SloIntent,
    world: &'a World,
    objectives: Vec<(u32, &'a SloObjective, Weight)>,
    /// The budget of the strictest objective, as a share of the whole.
    budget: f64,
}

impl<'a> Composite<'a> {
    fn new(intent: &'a SloIntent, world: &'a World) -> Option<Self> {
        let objectives: Vec<_> = intent.weighed().collect();
        let budgets = objectives
            .iter()
            .map(|(_, objective, _)| objective.target.budget_fraction());
        let budget = budgets.min_by(f64::total_cmp)?;
        let is_possible = match intent.budgeting {
            BudgetingMethod::Timeslices => common_cut(intent).is_some(),
            BudgetingMethod::Occurrences | BudgetingMethod::RatioTimeslices => true,
        };
        is_possible.then_some(Self {
            intent,
            world,
            objectives,
            budget,
        })
    }

    /// The burn rate over the last `length`, which over the SLO's window is the share of the
    /// budget that is spent; nothing when of no objective anything is known.
    fn spent(&self, length: Duration) -> Option<f64> {
        match self.intent.budgeting {
            BudgetingMethod::Occurrences => self.sum(length, |_| 1.0),
            BudgetingMethod::RatioTimeslices => {
                let missing = self.sum(length, |objective| objective.target.budget_fraction())?;
                Some(missing.min(1.0) / self.budget)
            }
            BudgetingMethod::Timeslices => {
                let now = self.world.now();
                let slices = self.world.slices(&self.intent.composite_id())?;
                let sum = slices.since(now, now.before(length));
                (sum.total != 0).then(|| super::share(sum.bad(), sum.total) / self.budget)
            }
        }
    }

    /// The objectives' burn rates, each times its weight and its `unit`.
    fn sum(&self, length: Duration, unit: fn(&SloObjective) -> f64) -> Option<f64> {
        let burns = self
            .objectives
            .iter()
            .filter_map(|&(index, objective, weight)| {
                let measured = Measured::new(self.intent, index, objective, self.world);
                let burn = measured.burn(length).burn?;
                Some(burn * weight.factor() * unit(objective))
            });
        burns.fold(None, |sum, burn| Some(sum.unwrap_or(0.0) + burn))
    }

    /// Whether of all objectives something is known of the last `length`.
    fn is_complete(&self, length: Duration) -> bool {
        self.objectives.iter().all(|&(index, objective, _)| {
            objective.source.is_some()
                && Measured::new(self.intent, index, objective, self.world)
                    .burn(length)
                    .counts
                    .is_some()
        })
    }
}
