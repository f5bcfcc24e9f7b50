//! Settles which retry budget holds on one scope.

use core::cmp::{Ordering, Reverse};

use sloop_model::{Mode, Policy, RetryRule, Rule, Scope, WallTime};

use crate::by_scope::ByScope;
use crate::circuit_break::fewer;

/// A retry budget that somebody wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedRetries {
    pub(super) mode: Mode,
    pub(super) limits: RetryRule,
    pub(super) expires_at: WallTime,
}

/// Retry budgets that are wanted, as documents declare them and as SLOs imply them.
#[derive(Debug, Default)]
pub(super) struct Retries {
    explicit: Vec<(Scope, WantedRetries)>,
    derived: Vec<(Scope, WantedRetries)>,
}

impl Retries {
    /// Adds what is wanted on `scope`.
    pub(super) fn add(&mut self, scope: &Scope, wanted: WantedRetries, is_explicit: bool) {
        let list = if is_explicit {
            &mut self.explicit
        } else {
            &mut self.derived
        };
        list.push((scope.clone(), wanted));
    }

    /// Adds what holds to `policies`.
    pub(super) fn finish(self, policies: &mut Vec<Policy>) {
        let explicit = ByScope::new(self.explicit, WantedRetries::or);
        let derived = ByScope::new(self.derived, WantedRetries::and);
        let implied = derived.iter().filter_map(|(scope, own)| {
            let around = derived.get_around(scope);
            let own = around.map_or(own, |around| own.and(around));
            let is_declared = explicit.get(scope).is_some();
            // On all routes of a service a document holds on each.
            let held = explicit.get_around(scope).unwrap_or(own);
            (!is_declared).then_some((scope, held))
        });
        let held = explicit.iter().chain(implied);
        policies.extend(held.map(|(scope, wanted)| Policy {
            scope: scope.clone(),
            rule: Rule::RetryBudget {
                mode: wanted.mode,
                limits: wanted.limits,
                expires_at_ms: wanted.expires_at,
            },
        }));
    }
}

impl WantedRetries {
    /// What two SLOs imply together: one that only watches must not make an enforced one stricter.
    fn and(self, other: Self) -> Self {
        match self.mode.cmp(&other.mode) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal => Self {
                mode: self.mode,
                limits: fewer(self.limits, other.limits),
                expires_at: self.expires_at.max(other.expires_at),
            },
        }
    }

    /// Which of two documents holds: the one that acts, then the one that allows for fewer.
    fn or(self, other: Self) -> Self {
        let first = [self, other]
            .into_iter()
            .max_by_key(|one| Reverse((one.mode, one.limits)));
        first.unwrap_or(self)
    }
}
