//! What objectives imply, kept as long as they say the same: it is asked for in every step.

use sloop_model::{BreakerRule, DeadlineLimit, Judge, RetryRule, ShedRule, Target};

use super::{deadline, derive, retry, shed};
use crate::SloIntent;
use crate::detect::Hypotheses;
use crate::slo::Indicator;

/// What one objective implies; nothing of each where everything may be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Derived {
    pub(super) breaker: Option<BreakerRule>,
    pub(super) shed: Option<ShedRule>,
    pub(super) deadline: Option<DeadlineLimit>,
    pub(super) retries: Option<RetryRule>,
    pub(super) hypotheses: Option<Hypotheses>,
    from: Basis,
}

/// What it all follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Basis {
    target: Target,
    /// The longest good latency, in microseconds.
    within_us: Option<u64>,
    /// The longest latency that is not bad as such, in microseconds.
    slow_us: Option<u64>,
    judge: Judge,
}

impl Basis {
    fn of(target: Target, indicator: &Indicator) -> Self {
        Self {
            target,
            within_us: indicator.within_us,
            slow_us: indicator.slow_us(),
            judge: indicator.judge(),
        }
    }

    fn breaker(self) -> Option<BreakerRule> {
        let rule = derive::limits(self.target, self.slow_us)?;
        Some(derive::judged_by(rule, self.judge))
    }
}

/// The breaker that an objective with this `target` and `indicator` implies; nothing where everything may be bad.
pub(super) fn breaker(target: Target, indicator: &Indicator) -> Option<BreakerRule> {
    Basis::of(target, indicator).breaker()
}

/// That of all objectives of one SLO that are counted, in their order: as many as a document may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AllDerived(Vec<Derived>);

impl Derived {
    fn new(from: Basis) -> Self {
        let Basis {
            target,
            within_us,
            slow_us,
            judge,
        } = from;
        Self {
            breaker: from.breaker(),
            shed: shed::shed_limits(target, slow_us).map(|rule| shed::judged_by(rule, judge)),
            deadline: deadline::deadline_limit(target, within_us),
            retries: retry::retry_limits(target),
            hypotheses: Hypotheses::of(target),
            from,
        }
    }
}

impl AllDerived {
    /// Works out what is not known of `intent`.
    pub(super) fn follow(&mut self, intent: &SloIntent) {
        let mut counted = 0;
        for (_, objective, source) in intent.counted() {
            let from = Basis::of(objective.target, &source.indicator);
            match self.0.get_mut(counted) {
                Some(known) if known.from == from => {}
                Some(known) => *known = Derived::new(from),
                None => self.0.push(Derived::new(from)),
            }
            counted += 1;
        }
        self.0.truncate(counted);
    }

    /// One for each objective that is counted, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Derived> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(targets: &[u32]) -> SloIntent {
        let objective = |target: &u32| {
            serde_json::json!({"target": target, "source": {
                "service": "a", "route": "any", "side": "server", "indicator": {},
            }})
        };
        let body = serde_json::json!({
            "name": "a", "service": "a", "mode": "actionable", "budgeting": "occurrences",
            "window": {"rolling": 2_592_000_000_u64},
            "objectives": targets.iter().map(objective).collect::<Vec<_>>(),
        });
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn what_is_kept_is_what_the_objectives_say_now() {
        let mut kept = AllDerived::default();
        for targets in [
            &[999_000_000, 950_000_000][..],
            &[950_000_000],
            &[950_000_000, 999_000_000, 500_000_000],
            &[],
        ] {
            let intent = intent(targets);
            kept.follow(&intent);
            let anew: Vec<Derived> = intent
                .counted()
                .map(|(_, objective, source)| Basis::of(objective.target, &source.indicator))
                .map(Derived::new)
                .collect();
            assert_eq!(kept.0, anew);
        }
    }
}
