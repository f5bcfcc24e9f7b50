//! What an operator declares with an SLO.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{
    DeadlineLimit, DimensionValue, Judge, Mode, Objective, ObjectiveId, Only, Scope, Selector,
    ServiceName, Side, SloName, Target, WallTime, slow_us,
};

use super::window::SloWindow;
use crate::RouteSelector;
use crate::budget::Slicing;

/// One SLO: which share of which requests must be good, over which time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloIntent {
    /// Its name.
    pub name: SloName,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What people tell it from others by, by key: at most 32, of at most 256 bytes each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The service that it belongs to in the document. What is counted is in each objective's source.
    pub service: ServiceName,
    /// Whether Sloop acts on it.
    pub mode: SloMode,
    /// How long its requests have.
    #[serde(default, skip_serializing_if = "DeadlineChoice::is_derived")]
    pub deadline: DeadlineChoice,
    /// The time that its error budget is for.
    pub window: SloWindow,
    /// How good is summed up over time. What slices there are is in each objective.
    pub budgeting: BudgetingMethod,
    /// Its objectives; the position is the index in [`ObjectiveId`].
    #[serde(deserialize_with = "in_no_more_room")]
    pub objectives: Vec<SloObjective>,
}

/// Reads a list, which nearly always has one, and gives back the room that was made for four.
fn in_no_more_room<'de, D>(read: D) -> Result<Vec<SloObjective>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let mut objectives = Vec::deserialize(read)?;
    objectives.shrink_to_fit();
    Ok(objectives)
}

/// Whether Sloop acts on an SLO.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SloMode {
    /// It counts and says.
    #[default]
    Monitored,
    /// It also decides what it would do, and counts what that would have saved or cost.
    Shadow,
    /// It acts.
    Actionable,
}

impl SloMode {
    /// What the protection that it implies may do; nothing when it implies none.
    pub(crate) const fn protection(self) -> Option<Mode> {
        match self {
            Self::Monitored => None,
            Self::Shadow => Some(Mode::Shadow),
            Self::Actionable => Some(Mode::Enforce),
        }
    }
}

/// How long the requests have that an SLO counts, as it is declared.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineChoice {
    /// As its objectives imply.
    #[default]
    Derived,
    /// This SLO gives none; others on the same requests may.
    Off,
    /// So long, all of them.
    Limit(DeadlineLimit),
}

impl DeadlineChoice {
    fn is_derived(&self) -> bool {
        *self == Self::Derived
    }
}

/// How good is summed up over time, in OpenSLO's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetingMethod {
    /// Good requests among all.
    Occurrences,
    /// Good slices of time among all.
    Timeslices,
    /// The mean of the slices' ratios.
    RatioTimeslices,
}

/// One objective of an SLO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloObjective {
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The share of requests that must be good.
    pub target: Target,
    /// The slices of time that its budget is counted in, and then `target` is about slices;
    /// nothing when requests are counted themselves ([`BudgetingMethod::Occurrences`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slicing: Option<Slicing>,
    /// What it weighs in the SLO's composite; nothing when the SLO is no composite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// What is counted; nothing when the document names a source that is not ours ("not evaluated here").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SloSource>,
}

/// How much an objective matters in a composite, in millionths, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(core::num::NonZeroU64);

/// Which requests an objective counts, and which of them are good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloSource {
    /// The service that is asked.
    pub service: ServiceName,
    /// Which of its routes.
    pub route: RouteSelector,
    /// Whose sidecars count.
    pub side: Side,
    /// What is good.
    pub indicator: Indicator,
}

/// What is counted and what is good; the fields are those of [`Objective`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// Which of these requests, by method, caller and origin; all when absent. On the client's side callers are the services
    /// whose sidecars count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Box<Only>>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Selector>,
    /// What is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Selector>,
    /// What is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<Selector>,
    /// The longest good latency in whole microseconds, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_us: Option<u64>,
}

/// What people call the objective at `index`: its position, or `composite` for all of them together.
#[must_use]
pub fn objective_name(index: u32) -> String {
    match index {
        SloIntent::COMPOSITE => "composite".to_owned(),
        _ => index.to_string(),
    }
}

impl Weight {
    /// What OpenSLO takes when none is given.
    pub const ONE: Self = match core::num::NonZeroU64::new(1_000_000) {
        Some(millionths) => Self(millionths),
        None => Self(core::num::NonZeroU64::MIN),
    };
    /// The heaviest: a billion times the usual one.
    const MAX: f64 = 1e15;

    /// The weight nearest to `factor`, which must be above 0: between a millionth and a
    /// billion times the usual one.
    #[must_use]
    pub fn nearest(factor: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "held in a range of whole numbers"
        )]
        let millionths = (factor * 1e6).round().clamp(1.0, Self::MAX) as u64;
        Self(core::num::NonZeroU64::new(millionths).unwrap_or(core::num::NonZeroU64::MIN))
    }

    /// The number to multiply with.
    #[must_use]
    pub fn factor(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 10^15")]
        let millionths = self.0.get() as f64;
        millionths / 1e6
    }
}

impl SloIntent {
    /// How much of the window that `now` lies in is over: all of a rolling one, nothing before the first one.
    #[must_use]
    pub fn so_far(&self, now: WallTime) -> Duration {
        self.window
            .start(now)
            .map_or(Duration::ZERO, |start| now.since(start))
    }

    /// Stands for the composite of all objectives where an index of one is asked for.
    pub const COMPOSITE: u32 = u32::MAX;

    /// The name under which the slices of its composite are kept.
    pub(crate) fn composite_id(&self) -> ObjectiveId {
        self.objective_id(Self::COMPOSITE)
    }

    /// The objectives of a composite with their positions and weights; none when it is no composite.
    pub(crate) fn weighed(&self) -> impl Iterator<Item = (u32, &SloObjective, Weight)> {
        (0..)
            .zip(&self.objectives)
            .filter_map(|(index, objective)| Some((index, objective, objective.weight?)))
    }

    /// The name of the objective at `index`.
    #[must_use]
    pub fn objective_id(&self, index: u32) -> ObjectiveId {
        ObjectiveId {
            slo: self.name.clone(),
            index,
        }
    }

    /// The objectives that have a source of ours, with their positions.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (u32, &SloObjective, &SloSource)> {
        (0..)
            .zip(&self.objectives)
            .filter_map(|(index, objective)| Some((index, objective, objective.source.as_ref()?)))
    }

    /// What the protection that it implies may do; nothing when it implies none. An SLO on some requests of a route alone
    /// implies none: what protects is the same for all requests of a route.
    pub(crate) fn protection(&self) -> Option<Mode> {
        let is_whole = self
            .counted()
            .all(|(.., source)| source.indicator.only.is_none());
        self.mode.protection().filter(|_| is_whole)
    }
}

impl SloSource {
    /// The scope that it counts on; every route of the service when none is named.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            service: self.service.clone(),
            route: self.route.route_name(),
            side: self.side,
        }
    }

    /// Whether requests of `scope` are counted.
    pub(crate) fn covers(&self, scope: &Scope) -> bool {
        self.service == scope.service && self.side == scope.side && self.route.covers(&scope.route)
    }

    /// The callers that it names; outbound these are the services whose sidecars count it.
    pub(crate) fn callers(&self) -> impl Iterator<Item = &str> {
        let only = self.indicator.only.iter();
        only.flat_map(|only| &only.caller)
            .map(DimensionValue::as_str)
    }

    /// Whether sidecars of `service` count it on its scopes: outbound those of the callers that it names, if it names any.
    pub(crate) fn is_counted_by(&self, service: &str) -> bool {
        let only = self.indicator.only.as_ref();
        self.side == Side::Server || only.is_none_or(|only| only.is_for_calls_of(service))
    }
}

impl Indicator {
    /// What the filter counts for it under the name `id`.
    #[must_use]
    pub fn objective(&self, id: ObjectiveId) -> Objective {
        Objective {
            id,
            only: self.only.clone(),
            total: self.total.clone(),
            good: self.good.clone(),
            bad: self.bad.clone(),
            within_us: self.within_us,
            guards: None,
        }
    }

    /// The longest latency that is not bad as such, in whole microseconds.
    pub(crate) fn slow_us(&self) -> Option<u64> {
        slow_us(self.within_us, self.bad.as_ref())
    }

    /// By what protection must judge to judge as this does: outcomes are enough where it selects nothing.
    pub(crate) const fn judge(&self) -> Judge {
        match (&self.total, &self.good, &self.bad) {
            (None, None, None) => Judge::Outcomes,
            (_, _, _) => Judge::Objectives,
        }
    }
}
