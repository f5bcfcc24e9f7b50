//! Settles what several controllers want to shed on one scope.

use core::cmp::{Ordering, Reverse};

use sloop_model::{Mode, Policy, Rule, Scope, ShedRule, WallTime};

use crate::by_scope::ByScope;
use crate::circuit_break::earlier;

/// Shedding that somebody wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedShed {
    pub(super) mode: Mode,
    pub(super) limits: Option<ShedRule>,
    pub(super) expires_at: WallTime,
}

/// Shedding that is wanted, as documents declare it and as SLOs imply it.
#[derive(Debug, Default)]
pub(super) struct Sheds {
    explicit: Vec<(Scope, WantedShed)>,
    derived: Vec<(Scope, WantedShed)>,
}

/// The same by scope.
#[derive(Debug)]
struct Settled {
    explicit: ByScope<WantedShed>,
    derived: ByScope<WantedShed>,
}

impl Sheds {
    /// Adds what is wanted on `scope`.
    pub(super) fn add(&mut self, scope: &Scope, wanted: WantedShed, is_explicit: bool) {
        let list = if is_explicit {
            &mut self.explicit
        } else {
            &mut self.derived
        };
        list.push((scope.clone(), wanted));
    }

    /// Adds what holds to `policies`, and to `left_out` what has no bounds.
    pub(super) fn finish(self, policies: &mut Vec<Policy>, left_out: &mut Vec<String>) {
        let settled = Settled {
            explicit: ByScope::new(self.explicit, WantedShed::or),
            derived: ByScope::new(self.derived, WantedShed::and),
        };
        let is_declared = |scope: &Scope| settled.explicit.get(scope).is_some();
        let explicit = settled.explicit.iter();
        let explicit = explicit.map(|(scope, wanted)| (scope, settled.declared(scope, wanted)));
        let derived = settled.derived.iter();
        let derived = derived
            .filter(|(scope, _)| !is_declared(scope))
            .map(|(scope, own)| (scope, settled.implied(scope, own)));
        for (scope, wanted) in explicit.chain(derived) {
            let Some(limits) = wanted.limits else {
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
}

impl Settled {
    /// What holds on `scope`, on which a document declares `own`.
    fn declared(&self, scope: &Scope, own: WantedShed) -> WantedShed {
        let implied = || {
            let derived = self.derived.get(scope);
            let derived = derived.map(|derived| self.widened(scope, derived));
            derived.or_else(|| self.derived.get_around(scope))
        };
        WantedShed {
            limits: own.limits.or_else(|| implied()?.limits),
            ..own
        }
    }

    /// What holds on `scope`, on which SLOs imply `own` and no document declares anything.
    fn implied(&self, scope: &Scope, own: WantedShed) -> WantedShed {
        let own = self.widened(scope, own);
        match self.explicit.get_around(scope) {
            None => own,
            Some(declared) => WantedShed {
                limits: declared.limits.or(own.limits),
                ..declared
            },
        }
    }

    /// What SLOs imply on `scope` when they imply `own` there, with what they imply on all routes of its service.
    fn widened(&self, scope: &Scope, own: WantedShed) -> WantedShed {
        let around = self.derived.get_around(scope);
        around.map_or(own, |around| own.and(around))
    }
}

impl WantedShed {
    /// What two SLOs imply together: whichever is missed first; but one that only watches must not make one that
    /// acts shed more.
    fn and(self, other: Self) -> Self {
        match self.mode.cmp(&other.mode) {
            Ordering::Less => return self,
            Ordering::Greater => return other,
            Ordering::Equal => {}
        }
        let limits = match (self.limits, other.limits) {
            (Some(one), Some(other)) => Some(earlier(one, other)),
            (one, other) => one.or(other),
        };
        Self {
            mode: self.mode,
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
