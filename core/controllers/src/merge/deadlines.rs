//! Settles which deadline the requests of one scope have.

use core::cmp::Reverse;

use sloop_model::{DeadlineLimit, Mode, Policy, Rule, Scope, WallTime};

use crate::by_scope::ByScope;

/// A deadline that somebody wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedDeadline {
    pub(super) mode: Mode,
    pub(super) limit: DeadlineLimit,
    pub(super) expires_at: WallTime,
}

/// Deadlines that are wanted.
#[derive(Debug, Default)]
pub(super) struct Deadlines(Vec<(Scope, WantedDeadline)>);

impl Deadlines {
    /// Adds what is wanted on `scope`.
    pub(super) fn add(&mut self, scope: &Scope, wanted: WantedDeadline) {
        self.0.push((scope.clone(), wanted));
    }

    /// Adds what holds to `policies`.
    pub(super) fn finish(self, policies: &mut Vec<Policy>) {
        let settled = ByScope::new(self.0, WantedDeadline::and);
        policies.extend(settled.iter().map(|(scope, own)| {
            let around = settled.get_around(scope);
            let holds = around.map_or(own, |around| own.and(around));
            Policy {
                scope: scope.clone(),
                rule: Rule::Deadline {
                    mode: holds.mode,
                    limit_ms: holds.limit,
                    expires_at_ms: holds.expires_at,
                },
            }
        }));
    }
}

impl WantedDeadline {
    /// What two SLOs imply together: one that acts holds before one that only watches, and of two that do the same the
    /// more patient, since what is late for the other may be good for it.
    fn and(self, other: Self) -> Self {
        let rank = |wanted: &Self| (Reverse(wanted.mode), wanted.limit);
        let first = [self, other].into_iter().max_by_key(rank);
        let first = first.unwrap_or(self);
        let expires_at = if self.mode == other.mode {
            self.expires_at.max(other.expires_at)
        } else {
            first.expires_at
        };
        Self {
            expires_at,
            ..first
        }
    }
}
