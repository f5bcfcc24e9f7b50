//! What an operator declares with an SLO.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::{
    Objective, ObjectiveId, Scope, Selector, ServiceName, Side, SloName, Target, WallTime,
};

use crate::RouteSelector;
use crate::words::Length;

/// One SLO: which share of which requests must be good, over which time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloIntent {
    /// Its name.
    pub name: SloName,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The service that it belongs to in the document. What is counted is in each objective's source.
    pub service: ServiceName,
    /// Whether Sloop acts on it.
    pub mode: SloMode,
    /// The time that its error budget is for.
    pub window: SloWindow,
    /// How good is summed up over time.
    pub budgeting: BudgetingMethod,
    /// Its objectives; the position is the index in [`ObjectiveId`].
    pub objectives: Vec<SloObjective>,
}

/// Whether Sloop acts on an SLO.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
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

/// The time that an error budget is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SloWindow {
    /// The time up to now, of this length in milliseconds. Counts are kept for 90 days; of a longer window only those are known.
    Rolling(u64),
    /// From one moment of the calendar to the next. Whoever reads the document knows
    /// time zones and lists the moments; this crate only compares them.
    Calendar {
        /// How a person would say it, as `1 month, Europe/Paris`.
        text: String,
        /// When windows begin, ascending, at least one. The last one never ends.
        starts: Vec<WallTime>,
    },
}

/// How good is summed up over time, in OpenSLO's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetingMethod {
    /// Good requests among all.
    Occurrences,
    /// Good slices of time among all. Counted as [`BudgetingMethod::Occurrences`]; the status says so.
    Timeslices,
    /// The mean of the slices' ratios. Counted as [`BudgetingMethod::Occurrences`]; the status says so.
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
    /// What is counted; nothing when the document names a source that is not ours ("not evaluated here").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SloSource>,
}

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

impl SloIntent {
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
}

impl SloWindow {
    /// As long as counts are kept.
    pub(crate) const KEPT: Duration = Duration::from_secs(90 * 86_400);
    /// The shortest window that a ring of seconds can tell.
    const SHORTEST: Duration = Duration::from_secs(5);
    /// A calendar window that never ends is judged like the workbook's.
    const USUAL: Duration = Duration::from_secs(30 * 86_400);

    /// When the window that `now` lies in began.
    pub(crate) fn start(&self, now: WallTime) -> WallTime {
        match self {
            Self::Rolling(_) => now.before(self.length(now)),
            Self::Calendar { starts, .. } => starts
                .iter()
                .rev()
                .find(|start| **start <= now)
                .copied()
                .unwrap_or(now),
        }
    }

    /// The whole length of the window that `now` lies in, as far as counts are kept.
    pub(crate) fn length(&self, now: WallTime) -> Duration {
        let length = match self {
            Self::Rolling(_) => self.declared(),
            Self::Calendar { starts, .. } => starts
                .iter()
                .find(|start| now < **start)
                .map_or(Self::USUAL, |end| end.since(self.start(now))),
        };
        length.clamp(Self::SHORTEST, Self::KEPT)
    }

    /// The length as declared; zero for a calendar window, which has none of its own.
    pub(crate) const fn declared(&self) -> Duration {
        match self {
            Self::Rolling(length_ms) => Duration::from_millis(*length_ms),
            Self::Calendar { .. } => Duration::ZERO,
        }
    }
}

impl core::fmt::Display for SloWindow {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Rolling(_) => write!(formatter, "rolling {}", Length(self.declared())),
            Self::Calendar { text, .. } => formatter.write_str(text),
        }
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
}

impl Indicator {
    /// What the filter counts for it under the name `id`.
    #[must_use]
    pub fn objective(&self, id: ObjectiveId) -> Objective {
        Objective {
            id,
            total: self.total.clone(),
            good: self.good.clone(),
            bad: self.bad.clone(),
            within_us: self.within_us,
        }
    }
}
