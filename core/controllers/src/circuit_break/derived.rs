//! What objectives imply, kept as long as they say the same: it is asked for in every step.

use sloop_model::{BreakerRule, DeadlineLimit, RetryRule, ShedRule, Target};

use super::{deadline, derive, retry, shed};
use crate::SloIntent;
use crate::detect::Hypotheses;

/// What one objective implies; nothing of each where everything may be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Derived {
    pub(super) breaker: Option<BreakerRule>,
    pub(super) shed: Option<ShedRule>,
    pub(super) deadline: Option<DeadlineLimit>,
    pub(super) retries: Option<RetryRule>,
    pub(super) hypotheses: Option<Hypotheses>,
    /// What it all follows from: the target, and the longest good latency in microseconds.
    from: (Target, Option<u64>),
}

/// That of all objectives of one SLO that are counted, in their order: as many as a document may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AllDerived(Vec<Derived>);

impl Derived {
    fn new((target, within_us): (Target, Option<u64>)) -> Self {
        Self {
            breaker: derive::limits(target, within_us),
            shed: shed::shed_limits(target, within_us),
            deadline: deadline::deadline_limit(target, within_us),
            retries: retry::retry_limits(target),
            hypotheses: Hypotheses::of(target),
            from: (target, within_us),
        }
    }
}

impl AllDerived {
    /// Works out what is not known of `intent`.
    pub(super) fn follow(&mut self, intent: &SloIntent) {
        let mut counted = 0;
        for (_, objective, source) in intent.counted() {
            let from = (objective.target, source.indicator.within_us);
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
                .map(|(_, objective, source)| (objective.target, source.indicator.within_us))
                .map(Derived::new)
                .collect();
            assert_eq!(kept.0, anew);
        }
    }
}
