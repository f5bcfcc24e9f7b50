//! Settles what several controllers want to shed on one scope.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{Mode, Policy, Rule, Scope, ShedRule, WallTime};

use super::on;
use crate::circuit_break::earlier;

/// Shedding that somebody wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedShed {
    pub(super) mode: Mode,
    pub(super) limits: Option<ShedRule>,
    pub(super) expires_at: WallTime,
}

/// Shedding by scope, as documents declare it and as SLOs imply it.
#[derive(Debug, Default)]
pub(super) struct Sheds {
    explicit: BTreeMap<Scope, WantedShed>,
    derived: BTreeMap<Scope, WantedShed>,
}

impl Sheds {
    /// Adds what is wanted on `scope`.
    pub(super) fn add(&mut self, scope: &Scope, wanted: WantedShed, is_explicit: bool) {
        let (list, settle): (_, fn(WantedShed, WantedShed) -> WantedShed) = if is_explicit {
            (&mut self.explicit, WantedShed::or)
        } else {
            (&mut self.derived, WantedShed::and)
        };
        list.entry(scope.clone())
            .and_modify(|known| *known = settle(*known, wanted))
            .or_insert(wanted);
    }

    /// Adds what holds to `policies`, and to `left_out` what has no bounds.
    pub(super) fn finish(&self, policies: &mut Vec<Policy>, left_out: &mut Vec<String>) {
        let scopes: BTreeSet<&Scope> = self.explicit.keys().chain(self.derived.keys()).collect();
        for scope in scopes {
            let wanted = self.on(scope);
            let Some((wanted, limits)) = wanted.and_then(|it| Some((it, it.limits?))) else {
                left_out.push(format!(
                    "shedding on {scope}: no SLO that acts or watches implies bounds; give limits"
                ));
                continue;
            };
            policies.push(Policy {
                scope: scope.clone(),
                rule: Rule::Shed {
                    mode: wanted.mode,
                    limits: Some(limits),
                    expires_at_ms: wanted.expires_at,
                },
            });
        }
    }

    /// What holds on `scope`.
    fn on(&self, scope: &Scope) -> Option<WantedShed> {
        let derived = on(&self.derived, scope).reduce(WantedShed::and);
        let Some(explicit) = on(&self.explicit, scope).next() else {
            return derived;
        };
        let implied = || derived.and_then(|wanted| wanted.limits);
        Some(WantedShed {
            limits: explicit.limits.or_else(implied),
            ..explicit
        })
    }
}

impl WantedShed {
    /// What two SLOs imply together: whichever is missed first.
    fn and(self, other: Self) -> Self {
        let limits = match (self.limits, other.limits) {
            (Some(one), Some(other)) => Some(earlier(one, other)),
            (one, other) => one.or(other),
        };
        Self {
            mode: self.mode.min(other.mode),
            limits,
            expires_at: self.expires_at.max(other.expires_at),
        }
    }

    /// Which of two documents holds: the one that acts, then the one with bounds, then the one that sheds less.
    fn or(self, other: Self) -> Self {
        let rank = |wanted: &Self| {
            let share_max = wanted.limits.map(|limits| limits.limits().share_max);
            (wanted.mode, share_max.is_none(), share_max)
        };
        let first = [self, other]
            .into_iter()
            .max_by_key(|one| Reverse(rank(one)));
        first.unwrap_or(self)
    }
}
