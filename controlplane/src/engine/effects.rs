//! Totals of what was done on purpose to the requests of a scope, and of the arms of experiments.
//!
//! As of [`super::values`]: since this process first heard of the scope, for people to look at, not stored.

use std::collections::BTreeMap;

use sloop_controllers::ArmCounts;
use sloop_model::{Arm, Criticality, ExperimentKey, FilterConfig, ObjectiveId, Outcome};

use super::recent::percentile;
use crate::admin::api::{
    ArmStatus, FaultTotals, Latency, ObjectiveTotals, RetryTotals, ShedTotals,
};
use crate::ingest::{Effects, Shed};

/// Arms kept of one scope, both of as many experiments as it may have faults. What comes later is left out.
const ARMS_MAX: usize = 2 * FilterConfig::FAULTS_MAX;

/// What was done on purpose.
#[derive(Clone, Debug, Default)]
pub(super) struct Effected {
    delayed: u64,
    aborted: u64,
    shed: Option<Shed>,
    shadow_denied: u64,
    shadow_denied_good: u64,
    retries: RetryTotals,
    arms: BTreeMap<(ExperimentKey, Arm), Totals>,
}

#[derive(Clone, Debug, Default)]
struct Totals {
    requests: u64,
    outcomes: [u64; Outcome::ALL.len()],
    objectives: BTreeMap<ObjectiveId, (u64, u64)>,
    latency: BTreeMap<u64, u64>,
}

impl Effected {
    /// Takes in what a report said.
    pub(super) fn add(&mut self, effects: &Effects, arms: &[ArmCounts]) {
        for (sum, more) in [
            (&mut self.delayed, effects.delayed),
            (&mut self.aborted, effects.aborted),
            (&mut self.shadow_denied, effects.shadow_denied),
            (&mut self.shadow_denied_good, effects.shadow_denied_good),
            (&mut self.retries.refused, effects.retries.refused),
            (&mut self.retries.shadow, effects.retries.shadow),
            (&mut self.retries.shadow_good, effects.retries.shadow_good),
        ] {
            *sum = sum.saturating_add(more);
        }
        if let Some(more) = &effects.shed {
            let shed = self.shed.get_or_insert_default();
            for (sum, more) in shed.by_class.iter_mut().zip(more.by_class) {
                *sum = sum.saturating_add(more);
            }
            shed.shadow = shed.shadow.saturating_add(more.shadow);
            shed.shadow_good = shed.shadow_good.saturating_add(more.shadow_good);
            shed.given_up = shed.given_up.saturating_add(more.given_up);
        }
        for counts in arms {
            let key = (counts.experiment, counts.arm);
            if self.arms.len() < ARMS_MAX || self.arms.contains_key(&key) {
                self.arms.entry(key).or_default().add(counts);
            }
        }
    }

    /// What faults did; absent when they did nothing.
    pub(super) fn faults(&self) -> Option<FaultTotals> {
        let totals = FaultTotals {
            delayed: self.delayed,
            aborted: self.aborted,
        };
        (totals != FaultTotals::default()).then_some(totals)
    }

    /// What shedding did; absent where none was reported.
    pub(super) fn shed(&self) -> Option<ShedTotals> {
        let shed = self.shed.as_ref()?;
        let classes = Criticality::ALL.iter().zip(shed.by_class);
        Some(ShedTotals {
            by_class: classes
                .filter(|(_, count)| 0 < *count)
                .map(|(class, count)| (class.name().to_owned(), count))
                .collect(),
            shadow: shed.shadow,
            shadow_good: shed.shadow_good,
            given_up: shed.given_up,
        })
    }

    /// What retry budgets did; absent when they did nothing.
    pub(super) fn retries(&self) -> Option<RetryTotals> {
        (self.retries != RetryTotals::default()).then_some(self.retries)
    }

    /// Requests that deny rules in shadow mode would have refused, and the good ones among them.
    pub(super) const fn shadow_denied(&self) -> (u64, u64) {
        (self.shadow_denied, self.shadow_denied_good)
    }

    /// How the arms of experiments went; `names` has the experiments that are known by name.
    pub(super) fn arms(&self, names: &BTreeMap<ExperimentKey, String>) -> Vec<ArmStatus> {
        let arms = self.arms.iter();
        let mut all: Vec<ArmStatus> = arms
            .map(|((key, arm), totals)| {
                let name = names.get(key).cloned();
                let name = name.unwrap_or_else(|| format!("{:08x}", key.bits()));
                totals.status(name, *arm)
            })
            .collect();
        all.sort_by(|one, other| (&one.experiment, one.arm).cmp(&(&other.experiment, other.arm)));
        all
    }
}

impl Totals {
    fn add(&mut self, counts: &ArmCounts) {
        self.requests = self.requests.saturating_add(counts.requests);
        for (sum, more) in self.outcomes.iter_mut().zip(counts.outcomes) {
            *sum = sum.saturating_add(more);
        }
        for objective in &counts.objectives {
            let is_known = self.objectives.contains_key(&objective.id);
            if is_known || self.objectives.len() < FilterConfig::OBJECTIVES_MAX {
                let (total, good) = self.objectives.entry(objective.id.clone()).or_default();
                *total = total.saturating_add(objective.total);
                *good = good.saturating_add(objective.good);
            }
        }
        for (value, count) in &counts.latency {
            let known = self.latency.entry(*value).or_default();
            *known = known.saturating_add(*count);
        }
    }

    fn status(&self, experiment: String, arm: Arm) -> ArmStatus {
        let outcomes = Outcome::ALL.iter().zip(self.outcomes);
        let objectives = self.objectives.iter();
        ArmStatus {
            experiment,
            arm,
            requests: self.requests,
            outcomes: outcomes
                .filter(|(_, count)| 0 < *count)
                .map(|(outcome, count)| (outcome.name().to_owned(), count))
                .collect(),
            objectives: objectives
                .map(|(id, (total, good))| ObjectiveTotals {
                    slo: id.slo.clone(),
                    objective: id.index,
                    total: *total,
                    good: *good,
                })
                .collect(),
            latency: self.latency(),
        }
    }

    fn latency(&self) -> Option<Latency> {
        let counts = self.latency.values();
        let count = counts.fold(0_u64, |sum, one| sum.saturating_add(*one));
        Some(Latency {
            count,
            p50_us: percentile(&self.latency, count, 50)?,
            p99_us: percentile(&self.latency, count, 99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Retries;

    fn arm(experiment: u32, arm: Arm, latency: u64) -> ArmCounts {
        ArmCounts {
            experiment: ExperimentKey::from_bits(experiment),
            arm,
            requests: 4,
            outcomes: Outcome::ALL.map(|outcome| if outcome == Outcome::Success { 4 } else { 0 }),
            objectives: Vec::new(),
            latency: vec![(latency, 4)],
            retries: 0,
            callers: Vec::new(),
        }
    }

    #[test]
    fn arms_add_up_under_the_name_of_their_experiment() {
        let mut effected = Effected::default();
        let known = ExperimentKey::of("slow");
        for _ in 0..3 {
            let arms = [
                arm(known.bits(), Arm::Fault, 900),
                arm(known.bits(), Arm::Control, 90),
                arm(7, Arm::Control, 5),
            ];
            effected.add(&Effects::default(), &arms);
        }
        let names = BTreeMap::from([(known, "slow".to_owned())]);
        let arms = effected.arms(&names);
        let seen: Vec<_> = arms
            .iter()
            .map(|one| (one.experiment.as_str(), one.arm, one.requests))
            .collect();
        assert_eq!(
            seen,
            [
                ("00000007", Arm::Control, 12),
                ("slow", Arm::Fault, 12),
                ("slow", Arm::Control, 12)
            ]
        );
        assert_eq!(arms[1].latency.unwrap().p50_us, 900);
        assert_eq!(arms[1].outcomes["success"], 12);
    }

    #[test]
    fn arms_beyond_the_cap_are_left_out() {
        let mut effected = Effected::default();
        for experiment in 0..100 {
            effected.add(&Effects::default(), &[arm(experiment, Arm::Fault, 1)]);
        }
        assert_eq!(effected.arms(&BTreeMap::new()).len(), ARMS_MAX);
    }

    #[test]
    fn what_was_done_adds_up_and_nothing_is_absent() {
        let mut effected = Effected::default();
        assert_eq!((effected.faults(), effected.shed()), (None, None));
        assert_eq!(effected.retries(), None);
        let effects = Effects {
            delayed: 1,
            shed: Some(Shed {
                by_class: [2, 0, 0, 0],
                given_up: 1,
                ..Shed::default()
            }),
            retries: Retries {
                refused: 3,
                ..Retries::default()
            },
            ..Effects::default()
        };
        effected.add(&effects, &[]);
        effected.add(&effects, &[]);
        assert_eq!(effected.faults().unwrap().delayed, 2);
        assert_eq!(effected.retries().unwrap().refused, 6);
        let shed = effected.shed().unwrap();
        assert_eq!((shed.by_class["sheddable"], shed.given_up), (4, 2));
        assert_eq!(shed.by_class.len(), 1);
    }
}
