//! What is remembered of an SLO between steps: whether the rate of failures changed.

use serde::{Deserialize, Serialize};
use sloop_model::{Target, WallTime};

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
}

impl SloMemory {
    /// Objectives that an SLO can have; of more the rest is judged by windows alone.
    const OBJECTIVES_MAX: usize = 1_000;

    /// Takes in what was counted for the objective at `index` since the last step, of all that was
    /// `ever` counted. Returns the change for the worse that surely was, while it goes on.
    pub(super) fn look(
        &mut self,
        index: u32,
        target: Target,
        ever: Counts,
        now: WallTime,
    ) -> Option<Change> {
        let place = usize::try_from(index).ok()?;
        if Self::OBJECTIVES_MAX <= place {
            return None;
        }
        if self.objectives.len() <= place {
            self.objectives.resize(place + 1, Looked::default());
        }
        let looked = self.objectives.get_mut(place)?;
        let hypotheses = looked.hypotheses(target)?;
        // What was counted before anybody looked may be long over.
        let new = ever.minus(looked.seen.replace(ever).unwrap_or(ever));
        looked.detector.observe(&hypotheses, new, now);
        looked.detector.alarm()
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
