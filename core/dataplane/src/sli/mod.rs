//! Counts of one scope since the last report.

mod about;
pub(crate) mod dimension;
mod latency;
mod tally;

use sloop_model::{
    Dimension, DimensionSettings, DimensionValue, Ended, Judgement, LatencyCounts, Objective,
    ObjectiveId, Outcome, Scope,
};

use crate::report::{DimensionDelta, ObjectiveDelta};
use crate::sorted::sort_few;
use crate::stats::{Shown, StatsBook, Values, show_objective};
pub(crate) use about::{About, Said};
pub(crate) use dimension::{Cells, Dimensions, Slots, attempt, wanted};
pub use dimension::{Seen, caller_uri};
pub use latency::Latency;
pub(crate) use tally::Tally;

/// What ended in one scope. Shape: `objectives` begins with those in force, in
/// their order; behind them come those that a later configuration dropped while
/// they had counts or requests of theirs were under way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    pub(crate) objectives: Vec<Tally>,
    pub(crate) latency: Latency,
    pub(crate) delayed: u64,
    pub(crate) aborted: u64,
    /// Attempts beyond the first.
    pub(crate) retries: u64,
    /// From the first request with a dimension on.
    dimensions: Option<Box<Dimensions>>,
    /// From the first time on that the counts were shown as statistics.
    shown: Option<Box<Shown>>,
}

/// How a request ended, judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    /// Whether it met every objective that counts it; where none does, whether it was served.
    pub(crate) is_good: bool,
    /// Whether it broke an objective that it is about; where none counts it, whether the service failed.
    pub(crate) is_bad: bool,
    /// Whether it broke one that is about all requests.
    pub(crate) is_bad_for_all: bool,
    /// Where its values are counted.
    pub(crate) cells: Cells,
}

/// Where a request counts besides the scope.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// In the rows of its values.
    Rows(&'a Slots),
    /// In no rows of its own: where the scope counted its values, and by objective alone.
    Cells(Cells),
}

/// The position of a caller's counts, and its name.
#[derive(Clone, Debug)]
pub(crate) struct CallerCell {
    pub(crate) at: usize,
    pub(crate) caller: DimensionValue,
}

/// A request that ended, and where it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// What was in force when it began.
    pub(crate) objectives: &'a [Objective],
    /// Which of these it is about, and so judged by.
    pub(crate) about: About,
    pub(crate) ended: &'a Ended,
    /// From its headers to its end, in whole microseconds.
    pub(crate) latency_us: u64,
    pub(crate) place: Place<'a>,
    /// Whether `objectives` are still in force, so that each is counted at its position.
    pub(crate) is_in_force: bool,
}

/// What was counted, to be reported.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) requests: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    /// Sorted by id, those without counts left out.
    pub(crate) objectives: Vec<ObjectiveDelta>,
    pub(crate) latency: LatencyCounts,
    pub(crate) delayed: u64,
    pub(crate) aborted: u64,
    pub(crate) retries: u64,
    pub(crate) dimensions: Vec<DimensionDelta>,
}

impl Counts {
    /// Objectives beyond those in force: a scope whose objectives change with
    /// every push while one stream stays open must not grow for ever.
    const LEFT_MAX: usize = 64;

    /// Where a request counts besides the scope. `over_cap` counts values that found no room.
    pub(crate) fn slots(
        &mut self,
        settings: &DimensionSettings,
        seen: &Seen<'_>,
        over_cap: &mut u64,
    ) -> Slots {
        self.dimensions
            .get_or_insert_default()
            .slots(settings, seen, over_cap)
    }

    /// Counts a request.
    pub(crate) fn add(&mut self, request: Request<'_>) -> Judged {
        let Request {
            objectives,
            about,
            ended,
            latency_us,
            place,
            is_in_force,
        } = request;
        let outcome = Outcome::of(*ended);
        self.requests += 1;
        if let Some(count) = self.outcomes.get_mut(outcome.index()) {
            *count += 1;
        }
        if outcome.has_latency() {
            self.latency.record(latency_us);
        }
        let cells = match (place, &mut self.dimensions) {
            (Place::Cells(cells), _) => cells,
            (Place::Rows(slots), Some(dimensions)) if slots.is_some() => {
                dimensions.count(slots, outcome.class())
            }
            (Place::Rows(_), Some(_) | None) => Cells::default(),
        };
        let is_evidence = outcome.is_evidence();
        let mut is_good = outcome.is_served();
        let mut is_bad = false;
        let mut is_bad_for_all = false;
        for (position, objective) in about.of(objectives) {
            let has_met = match objective.judge(ended, outcome, latency_us) {
                Judgement::NotCounted => continue,
                Judgement::Good => true,
                Judgement::Bad => false,
            };
            if has_met {
                is_good |= is_evidence;
            } else {
                is_bad = true;
                is_bad_for_all |= objective.only.is_none();
            }
            let tally = if is_in_force {
                self.objectives.get_mut(position)
            } else {
                self.objective(position, &objective.id)
            };
            if let Some(tally) = tally {
                tally.add(has_met, cells);
            }
        }
        // It failed, and none counts it: those that do say that it is good, or bad.
        is_bad |= is_evidence && !is_good;
        Judged {
            outcome,
            is_good: is_good && !is_bad,
            is_bad,
            is_bad_for_all,
            cells,
        }
    }

    /// The counts of an objective of an earlier configuration. Most have the position that they had.
    fn objective(&mut self, position: usize, id: &ObjectiveId) -> Option<&mut Tally> {
        let is_at = |tally: &Tally| tally.delta.id == *id;
        let found = match self.objectives.get(position) {
            Some(tally) if is_at(tally) => Some(position),
            Some(_) | None => self.objectives.iter().position(is_at),
        };
        let at = found.unwrap_or(self.objectives.len());
        if found.is_none() {
            if Self::LEFT_MAX <= at {
                return None;
            }
            self.objectives.push(Tally::none(id.clone()));
        }
        self.objectives.get_mut(at)
    }

    /// Puts `objectives` in force. What was counted for others stays until it is reported.
    pub(crate) fn adopt(&mut self, objectives: &[Objective]) {
        let mut before = core::mem::take(&mut self.objectives);
        for objective in objectives {
            let known = before
                .iter()
                .position(|tally| tally.delta.id == objective.id);
            self.objectives.push(known.map_or_else(
                || Tally::none(objective.id.clone()),
                |at| before.swap_remove(at),
            ));
        }
        before.retain(|tally| 0 < tally.delta.total);
        self.objectives.append(&mut before);
    }

    /// Adds what another scope counted, all but its objectives, which are not this scope's.
    pub(crate) fn fold(&mut self, other: &Self) {
        self.requests += other.requests;
        for (count, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *count += more;
        }
        self.latency.fold(&other.latency);
        self.delayed += other.delayed;
        self.aborted += other.aborted;
        self.retries += other.retries;
        if let Some(other) = &other.dimensions {
            self.dimensions.get_or_insert_default().fold(other);
        }
        if let Some(other) = &other.shown {
            self.shown.get_or_insert_default().fold(other);
        }
    }

    /// Whether there is nothing to report.
    pub(crate) const fn is_empty(&self) -> bool {
        self.requests == 0
    }

    /// Takes the counts out. The first `in_force` objectives stay.
    pub(crate) fn take(&mut self, in_force: usize) -> Taken {
        if self.shown.is_some() {
            let values = self.values();
            if let Some(shown) = &mut self.shown {
                shown.drained(&values);
            }
        }
        let dimensions = self.take_dimensions();
        let counted = |tally: &&mut Tally| 0 < tally.delta.total;
        let objectives = self.objectives.iter_mut().filter(counted);
        let mut objectives: Vec<ObjectiveDelta> = objectives.map(Tally::take).collect();
        sort_few(&mut objectives, |one, other| one.id.cmp(&other.id));
        self.objectives.truncate(in_force);
        Taken {
            requests: core::mem::take(&mut self.requests),
            outcomes: core::mem::take(&mut self.outcomes),
            objectives,
            latency: self.latency.take(),
            delayed: core::mem::take(&mut self.delayed),
            aborted: core::mem::take(&mut self.aborted),
            retries: core::mem::take(&mut self.retries),
            dimensions,
        }
    }

    /// Takes the counts of the dimensions out, before those of the objectives.
    fn take_dimensions(&mut self) -> Vec<DimensionDelta> {
        let Some(dimensions) = &self.dimensions else {
            return Vec::new();
        };
        let counted = self.counted();
        let deltas = dimensions.counted().map(|row| DimensionDelta {
            dimension: row.dimension,
            value: row.value,
            classes: row.classes,
            objectives: counted.iter().map(|tally| tally.cell(row.cell)).collect(),
        });
        let deltas = deltas.collect();
        if let Some(dimensions) = &mut self.dimensions {
            dimensions.clear();
        }
        deltas
    }

    /// Callers that had requests since the last report and have names. Ask before [`Counts::take`].
    pub(crate) fn callers(&self) -> Vec<CallerCell> {
        let counted = self.dimensions.iter().flat_map(|rows| rows.counted());
        let callers = counted.filter(|row| row.dimension == Dimension::Caller);
        let named = callers.filter(|row| {
            let name = row.value.as_str();
            name != DimensionValue::OTHER && name != DimensionValue::UNKNOWN
        });
        let cells = named.map(|row| CallerCell {
            at: row.cell,
            caller: row.value,
        });
        cells.collect()
    }

    /// Whether any objective counted a request at the position `at`.
    pub(crate) fn has(&self, at: usize) -> bool {
        let mut objectives = self.objectives.iter();
        objectives.any(|tally| 0 < tally.cell(at).0)
    }

    /// Objectives with counts, sorted by id: as many as [`Counts::take`] will have, in their order.
    pub(crate) fn counted(&self) -> Vec<&Tally> {
        let all = self.objectives.iter();
        let mut counted: Vec<&Tally> = all.filter(|tally| 0 < tally.delta.total).collect();
        sort_few(&mut counted, |one, other| one.delta.id.cmp(&other.delta.id));
        counted
    }

    /// Shows what was not shown yet as statistics of `scope`.
    pub(crate) fn show(&mut self, scope: &Scope, book: &mut StatsBook) {
        let values = self.values();
        self.shown
            .get_or_insert_default()
            .show(scope, &values, book);
        for tally in &mut self.objectives {
            show_objective(tally, scope, book);
        }
    }

    fn values(&self) -> Values {
        Values::of(&self.outcomes, &self.latency, self.retries)
    }
}

#[cfg(test)]
mod tests;
