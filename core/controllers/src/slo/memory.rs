//! What is remembered of an SLO between steps: whether the rate of failures changed, and when it last burned.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::{Target, WallTime};

use super::measure::Measured;
use super::status::ChangeStatus;
use super::tally::share;
use crate::budget::bounds;
use crate::detect::{Change, Detector, Hypotheses};
use crate::{Counts, Speed};

/// Per objective, in the order of the document. A restart loses it, and knows again within requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloMemory {
    objectives: Vec<Looked>,
}

/// What was seen of one objective.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Looked {
    detector: Detector,
    /// What it is tested for, which follows from the target: worked out once.
    #[serde(skip)]
    hypotheses: Option<(Target, Option<Hypotheses>)>,
    /// What the fleet had counted when it was last looked at; nothing before the first look.
    seen: Option<Counts>,
    /// When it last burned faster than slowly, of the last [`SloMemory::LATELY`].
    #[serde(default)]
    burned_at: Option<WallTime>,
    /// Whether it was asked what was counted before the process began.
    #[serde(default)]
    has_looked_back: bool,
}

impl SloMemory {
    /// Objectives that an SLO can have; of more the rest is judged by windows alone.
    const OBJECTIVES_MAX: usize = 1_000;
    /// As long as counts are kept by the second, and as the short window of the fastest pair that wakes people.
    pub(crate) const LATELY: Duration = Duration::from_secs(300);

    /// Takes in what was counted for the objective at `index` since the last step, of all that was
    /// `ever` counted. Returns the change for the worse that surely was, while it goes on.
    pub(super) fn look(
        &mut self,
        index: u32,
        target: Target,
        ever: Counts,
        now: WallTime,
    ) -> Option<Change> {
        let looked = self.looked(index)?;
        let hypotheses = looked.hypotheses(target)?;
        // What was counted before anybody looked may be long over.
        let new = ever.minus(looked.seen.replace(ever).unwrap_or(ever));
        looked.detector.observe(&hypotheses, new, now);
        looked.detector.alarm()
    }

    /// Takes in how fast the objective at `index` burns. Returns when it last burned faster than slowly, of the last
    /// [`Self::LATELY`]. Of the time before the first look what is stored tells, once somebody reports again: sudden changes that no
    /// window showed are not in it.
    pub(super) fn burned(
        &mut self,
        index: u32,
        speed: Option<Speed>,
        measured: &Measured<'_>,
    ) -> Option<WallTime> {
        let now = measured.now();
        let looked = self.looked(index)?;
        if !looked.has_looked_back && now < measured.fresh_until() {
            looked.has_looked_back = true;
            looked.burned_at = looked.burned_at.max(measured.burned_within(Self::LATELY));
        }
        if Some(Speed::Slow) < speed {
            looked.burned_at = Some(now);
        }
        // A moment that lies ahead was before the clock stepped back.
        let is_lately = |at: &WallTime| *at <= now && now.since(*at) < Self::LATELY;
        looked.burned_at = looked.burned_at.filter(is_lately);
        looked.burned_at
    }

    fn looked(&mut self, index: u32) -> Option<&mut Looked> {
        let place = usize::try_from(index).ok()?;
        if Self::OBJECTIVES_MAX <= place {
            return None;
        }
        if self.objectives.len() <= place {
            self.objectives.resize(place + 1, Looked::default());
        }
        self.objectives.get_mut(place)
    }
}

impl Looked {
    /// What a change of an objective with this target is tested for.
    fn hypotheses(&mut self, target: Target) -> Option<Hypotheses> {
        match self.hypotheses {
            Some((known, hypotheses)) if known == target => hypotheses,
            Some(_) | None => {
                let hypotheses = Hypotheses::of(target);
                self.hypotheses = Some((target, hypotheses));
                hypotheses
            }
        }
    }
}

/// How fast the budget burns since `change`.
pub(super) fn speed(change: Change, target: Target) -> Speed {
    let burn = share(change.counts.bad(), change.counts.total) / target.budget_fraction();
    match burn {
        14.4.. => Speed::Now,
        6.0.. => Speed::Page,
        _ => Speed::Fast,
    }
}

/// What people see of `change`.
pub(super) fn status(change: Change, target: Target) -> ChangeStatus {
    let budget = target.budget_fraction();
    let bounds = bounds(change.counts.bad(), change.counts.total);
    ChangeStatus {
        since_ms: change.at,
        counts: change.counts,
        burn: share(change.counts.bad(), change.counts.total) / budget,
        low: bounds.map_or(0.0, |bounds| bounds.low / budget),
    }
}
