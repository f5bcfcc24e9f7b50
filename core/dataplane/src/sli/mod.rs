//! Counts of one scope since the last report.

mod latency;

use core::time::Duration;

use sloop_model::{Ended, Judgement, Objective, ObjectiveId, Outcome};

use crate::report::ObjectiveDelta;
pub(crate) use latency::Latency;

/// What ended in one scope. Shape: `objectives` begins with those in force, in
/// their order; behind them come those that a later configuration dropped while
/// they had counts or requests of theirs were under way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    pub(crate) objectives: Vec<ObjectiveDelta>,
    pub(crate) latency: Latency,
    pub(crate) delayed: u64,
    pub(crate) aborted: u64,
}

/// How a request ended, judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    /// Whether it met every objective of its scope; without objectives, whether it was served.
    pub(crate) is_good: bool,
}

impl Counts {
    /// Objectives beyond those in force: a scope whose objectives change with
    /// every push while one stream stays open must not grow for ever.
    const LEFT_MAX: usize = 64;

    /// Counts a request of `objectives` that ended as `ended` after `latency`.
    pub(crate) fn add(
        &mut self,
        objectives: &[Objective],
        ended: &Ended,
        latency: Duration,
    ) -> Judged {
        let outcome = Outcome::of(*ended);
        self.requests += 1;
        if let Some(count) = self.outcomes.get_mut(outcome.index()) {
            *count += 1;
        }
        if outcome.has_latency() {
            self.latency.record(latency);
        }
        let mut is_good = if objectives.is_empty() {
            outcome.is_served()
        } else {
            outcome.is_evidence()
        };
        for (position, objective) in objectives.iter().enumerate() {
            let good = match objective.judge(ended, outcome, latency) {
                Judgement::NotCounted => continue,
                Judgement::Good => 1,
                Judgement::Bad => 0,
            };
            is_good &= good == 1;
            if let Some(delta) = self.objective(position, &objective.id) {
                delta.total += 1;
                delta.good += good;
            }
        }
        Judged { outcome, is_good }
    }

    /// The counts of an objective: at its position, unless the configuration changed since the request began.
    fn objective(&mut self, position: usize, id: &ObjectiveId) -> Option<&mut ObjectiveDelta> {
        let is_at = |delta: &ObjectiveDelta| delta.id == *id;
        let found = match self.objectives.get(position) {
            Some(delta) if is_at(delta) => Some(position),
            Some(_) | None => self.objectives.iter().position(is_at),
        };
        let at = found.unwrap_or(self.objectives.len());
        if found.is_none() {
            if Self::LEFT_MAX <= at {
                return None;
            }
            self.objectives.push(ObjectiveDelta::none(id.clone()));
        }
        self.objectives.get_mut(at)
    }

    /// Puts `objectives` in force. What was counted for others stays until it is reported.
    pub(crate) fn adopt(&mut self, objectives: &[Objective]) {
        let mut before = core::mem::take(&mut self.objectives);
        for objective in objectives {
            let known = before.iter().position(|delta| delta.id == objective.id);
            self.objectives.push(known.map_or_else(
                || ObjectiveDelta::none(objective.id.clone()),
                |at| before.swap_remove(at),
            ));
        }
        before.retain(|delta| 0 < delta.total);
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
    }

    /// Whether there is nothing to report.
    pub(crate) const fn is_empty(&self) -> bool {
        self.requests == 0
    }

    /// Takes the counts out of the objectives, those without counts left out, sorted.
    pub(crate) fn take_objectives(&mut self, in_force: usize) -> Vec<ObjectiveDelta> {
        let mut taken: Vec<ObjectiveDelta> = self
            .objectives
            .iter_mut()
            .filter(|delta| 0 < delta.total)
            .map(ObjectiveDelta::take)
            .collect();
        self.objectives.truncate(in_force);
        taken.sort_by(|one, other| one.id.cmp(&other.id));
        taken
    }
}

#[cfg(test)]
mod tests;
