//! What the objectives of a composite SLO add up to; the rules are those of [`CompositeStatus`].

use core::time::Duration;
use std::collections::BTreeMap;

use sloop_model::ObjectiveId;

use super::intent::{BudgetingMethod, SloIntent};
use super::measure::{Measured, longer, millis};
use super::share;
use super::status::{CompositeBurn, CompositeStatus, PairStatus};
use super::windows::{FAST, Pair, pairs};
use crate::World;
use crate::budget::{Slicing, surely_above, surely_least};
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

impl SloIntent {
    /// Whether all of its objectives together have a budget that is evaluated here: it is a composite of several, each of
    /// them is evaluated, and slices of the whole can be made of theirs.
    #[must_use]
    pub fn is_evaluated_together(&self) -> bool {
        let is_whole = match self.budgeting {
            BudgetingMethod::Timeslices => common_cut(self).is_some(),
            BudgetingMethod::Occurrences | BudgetingMethod::RatioTimeslices => true,
        };
        let mut objectives = self.objectives.iter();
        let is_counted = objectives.all(|it| it.weight.is_some() && it.source.is_some());
        1 < self.objectives.len() && is_counted && is_whole
    }
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
    let spent = whole.and_then(|length| composite.rate(length).burn);
    Some(CompositeStatus {
        left_share: spent.map(|spent| 1.0 - spent),
        burn: lengths
            .into_iter()
            .map(|length| composite.burn(length))
            .collect(),
        pairs: pairs
            .iter()
            .map(|pair| composite.pair_status(pair))
            .collect(),
        is_complete: whole.is_some_and(|length| composite.is_complete(length)),
    })
}

/// The objectives of a composite, and what is needed to read the world about them.
#[derive(Debug)]
pub(crate) struct Composite<'a> {
    intent: &'a SloIntent,
    world: &'a World,
    members: Vec<Member<'a>>,
    /// The budget of the strictest objective, as a share of the whole.
    budget: f64,
    /// The slices of the whole, where it is budgeted by those that are good or bad.
    slicing: Option<Slicing>,
}

#[derive(Debug)]
struct Member<'a> {
    measured: Measured<'a>,
    weight: f64,
    /// Whether it has a source of ours.
    is_counted: bool,
    /// The share of bad requests that a good slice may have, where slices are good or bad.
    allowed_in_slice: Option<f64>,
}

/// How fast a composite's budget is spent: 1 is exactly as fast as allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// The rate of what is known; nothing when that is nothing, or nothing was counted.
    pub(crate) burn: Option<f64>,
    /// What it surely is at least.
    pub(crate) least: f64,
    /// What it surely is at most; nothing while an objective is not known.
    pub(crate) most: Option<f64>,
}

impl<'a> Composite<'a> {
    /// The composite that `intent` is, seen in `world`; nothing when it is none, or its objectives have slices of
    /// different lengths.
    pub(crate) fn new(intent: &'a SloIntent, world: &'a World) -> Option<Self> {
        let members = intent.weighed().map(|(index, objective, weight)| Member {
            measured: Measured::new(intent, index, objective, world),
            weight: weight.factor(),
            is_counted: objective.source.is_some(),
            allowed_in_slice: objective
                .slicing
                .and_then(|slicing| slicing.target())
                .map(|target| 1.0 - target),
        });
        let members: Vec<Member<'a>> = members.collect();
        let budget = members.iter().map(Member::budget).min_by(f64::total_cmp)?;
        let slicing = match intent.budgeting {
            BudgetingMethod::Timeslices => Some(common_cut(intent)?.slicing),
            BudgetingMethod::Occurrences | BudgetingMethod::RatioTimeslices => None,
        };
        Some(Self {
            intent,
            world,
            members,
            budget,
            slicing,
        })
    }

    /// The burn rate over the last `length`, which over the SLO's window is the share of the
    /// budget that is spent.
    ///
    /// What the objectives surely burn adds up to what all surely burn: more than that may be sure, but it is never less.
    pub(crate) fn rate(&self, length: Duration) -> Rate {
        match self.intent.budgeting {
            BudgetingMethod::Occurrences => self.sum(length, |member| 1.0 / member.budget()),
            BudgetingMethod::RatioTimeslices => {
                let missing = self.sum(length, |_| 1.0);
                missing.map(|missing| missing.min(1.0) / self.budget)
            }
            BudgetingMethod::Timeslices => self.of_slices(length).map(|bad| bad / self.budget),
        }
    }

    /// `factor`, or what counts as that where not even a total outage burns so fast: as for one objective (`bad_share`)
    /// seven eighths of the way from the budget to everything.
    pub(crate) fn reachable(&self, factor: f64) -> f64 {
        let fastest = match self.intent.budgeting {
            BudgetingMethod::Occurrences => {
                let members = self.members.iter();
                members.map(|it| it.weight / it.budget()).sum::<f64>()
            }
            BudgetingMethod::RatioTimeslices => {
                let weight: f64 = self.members.iter().map(|it| it.weight).sum();
                weight.min(1.0) / self.budget
            }
            BudgetingMethod::Timeslices => 1.0 / self.budget,
        };
        if fastest <= 1.0 {
            return factor;
        }
        factor.min(fastest - (fastest - 1.0) / 8.0)
    }

    /// `length`, or that of a slice where it is longer: a slice says nothing before it is over.
    pub(crate) fn at_least_a_slice(&self, length: Duration) -> Duration {
        self.slicing
            .map_or(length, |slicing| length.max(slicing.length()))
    }

    /// Whether of any objective something is known of the last `length`.
    pub(crate) fn is_known(&self, length: Duration) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.measured.last(length).is_some())
    }

    /// Whether of all objectives something is known of the last `length`.
    fn is_complete(&self, length: Duration) -> bool {
        let mut members = self.members.iter();
        members.all(|member| member.is_counted && member.measured.last(length).is_some())
    }

    /// Whether it is complete, and of no objective requests came in it without a slice being over.
    pub(crate) fn is_settled(&self, length: Duration) -> bool {
        let mut tallies = self.members.iter().map(|it| it.measured.last(length));
        self.is_complete(length) && tallies.all(|it| it.is_none_or(|tally| !tally.is_open()))
    }

    fn burn(&self, length: Duration) -> CompositeBurn {
        let rate = self.rate(length);
        CompositeBurn {
            window_ms: millis(length),
            measured_ms: longer(self.at_least_a_slice(length), length),
            burn: rate.burn,
            low: rate.burn.map(|_| rate.least),
            high: rate.burn.and(rate.most),
        }
    }

    fn pair_status(&self, pair: &Pair) -> PairStatus {
        let windows = [pair.long, pair.short];
        let level = self.reachable(pair.factor);
        let burning = if windows.iter().all(|it| level < self.rate(*it).least) {
            Some(true)
        } else {
            let is_settled = windows.iter().all(|it| self.is_settled(*it));
            is_settled.then_some(false)
        };
        PairStatus {
            factor: pair.factor,
            long_ms: millis(pair.long),
            short_ms: millis(pair.short),
            burning,
        }
    }

    /// The objectives' shares of what was bad, each times its weight and its `unit`.
    fn sum(&self, length: Duration, unit: impl Fn(&Member<'_>) -> f64) -> Rate {
        let mut sum = Rate {
            burn: None,
            least: 0.0,
            most: Some(0.0),
        };
        for member in &self.members {
            let tally = member.measured.last(length);
            let Some(tally) = tally.filter(|_| member.is_counted) else {
                sum.most = None;
                continue;
            };
            let worth = member.weight * unit(member);
            if let Some(bad) = tally.bad_share() {
                sum.burn = Some(sum.burn.unwrap_or(0.0) + bad * worth);
            }
            sum.least += tally.surely_least() * worth;
            sum.most = sum.most.map(|most| most + tally.surely_most() * worth);
        }
        sum
    }

    /// The share of slices that were bad.
    fn of_slices(&self, length: Duration) -> Rate {
        let length = self.at_least_a_slice(length);
        let (now, id) = (self.world.now(), self.intent.composite_id());
        let slices = self
            .slicing
            .and_then(|slicing| self.world.slices(&id, slicing));
        let sum = slices.map(|slices| slices.since(now, now.before(length)));
        let Some(sum) = sum.filter(|sum| sum.total != 0) else {
            // While requests come, it says nothing that no slice is over yet.
            let is_idle =
                self.is_complete(length) && self.members.iter().all(|it| it.is_idle(length));
            return Rate {
                burn: None,
                least: 0.0,
                most: is_idle.then_some(0.0),
            };
        };
        let bad = share(sum.bad(), sum.total);
        let is_sure = self.members.iter().any(|it| it.surely_spoils(length));
        Rate {
            burn: Some(bad),
            least: if is_sure {
                bad
            } else {
                surely_least(sum.bad(), sum.total)
            },
            most: self.is_complete(length).then_some(bad),
        }
    }
}

impl Member<'_> {
    fn budget(&self) -> f64 {
        self.measured.target.budget_fraction()
    }

    fn is_idle(&self, length: Duration) -> bool {
        let tally = self.measured.last(length);
        tally.is_some_and(|tally| tally.requests.total == 0)
    }

    /// Whether the last `length` surely had more bad requests than a good slice may.
    fn surely_spoils(&self, length: Duration) -> bool {
        let tally = self.measured.last(length).zip(self.allowed_in_slice);
        tally.is_some_and(|(tally, allowed)| {
            surely_above(tally.requests.bad(), tally.requests.total, allowed)
        })
    }
}

impl Rate {
    fn map(self, scale: impl Fn(f64) -> f64) -> Self {
        Self {
            burn: self.burn.map(&scale),
            least: scale(self.least),
            most: self.most.map(&scale),
        }
    }
}
