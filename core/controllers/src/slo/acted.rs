//! What acting saved and cost: requests that were refused, by what means.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloop_model::{Outcome, Rule};

use crate::ScopeTotals;
use crate::world::Weighed;

/// By what requests are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// Breakers.
    Break,
    /// Shedding and retry budgets: what they refuse is counted as shed. Where requests go out, budgets refuse none.
    Shed,
    /// Deny rules.
    Deny,
    /// Deadlines.
    Deadline,
}

impl Means {
    /// By what `rule` refuses requests; nothing when it refuses none.
    #[must_use]
    pub const fn of(rule: &Rule) -> Option<Self> {
        match rule {
            Rule::Break { .. } | Rule::Trip(_) => Some(Self::Break),
            Rule::Shed { .. } | Rule::RetryBudget { .. } => Some(Self::Shed),
            Rule::Deny(_) => Some(Self::Deny),
            Rule::Deadline { .. } => Some(Self::Deadline),
            Rule::Count(_) | Rule::Fault(_) => None,
        }
    }
}

/// What acting saved and cost, as far as counts know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acted {
    /// By breakers.
    #[serde(flatten)]
    pub breakers: Refusals,
    /// By shedding.
    #[serde(default, skip_serializing_if = "Refusals::is_nothing")]
    pub shed: Refusals,
    /// By deny rules.
    #[serde(default, skip_serializing_if = "Refusals::is_nothing")]
    pub denied: Refusals,
    /// Requests that were refused because their deadline had passed. They are not weighed: nobody waited for the answer,
    /// whatever it would have been.
    #[serde(default, skip_serializing_if = "is_none")]
    pub late: u64,
}

/// Requests that were refused by one means.
///
/// What they would have become is estimated by what passed on the scope in the same seconds. Where refusing is
/// what lets the others be served, as shedding does in an overload, more of them would have been bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusals {
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that shadow mode would have refused.
    pub shadow_refused: u64,
    /// Among those: requests that met every objective, so that refusing would have cost.
    pub shadow_refused_good: u64,
    /// Among `refused`: requests that would have been bad, so that refusing saved. An estimate.
    #[serde(default)]
    pub refused_bad: u64,
    /// Among `refused`: requests of which that is not known.
    #[serde(default)]
    pub refused_unknown: u64,
}

impl Acted {
    /// What happened on a scope, since counting began.
    #[must_use]
    pub fn of(totals: &ScopeTotals) -> Self {
        let shadows = totals.shadows;
        Self {
            breakers: Refusals::of(
                totals.refused,
                Weighed {
                    bad_thousandths: totals.refused_bad_thousandths,
                    unknown: totals.refused_unknown,
                },
                (totals.shadow_refused, totals.shadow_refused_good),
            ),
            shed: Refusals::of(
                totals.count(Outcome::Shed),
                totals.shed,
                (shadows.shed, shadows.shed_good),
            ),
            denied: Refusals::of(
                totals.count(Outcome::Blocked),
                totals.denied,
                (shadows.denied, shadows.denied_good),
            ),
            late: totals.count(Outcome::DeadlinePassed),
        }
    }

    /// What was done by `means` alone.
    #[must_use]
    pub fn by(self, means: &BTreeSet<Means>) -> Self {
        let of = |one: Means, refusals: Refusals| {
            if means.contains(&one) {
                refusals
            } else {
                Refusals::default()
            }
        };
        Self {
            breakers: of(Means::Break, self.breakers),
            shed: of(Means::Shed, self.shed),
            denied: of(Means::Deny, self.denied),
            late: if means.contains(&Means::Deadline) {
                self.late
            } else {
                0
            },
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            breakers: self.breakers.plus(other.breakers),
            shed: self.shed.plus(other.shed),
            denied: self.denied.plus(other.denied),
            late: self.late.saturating_add(other.late),
        }
    }

    /// What happened since `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            breakers: self.breakers.since(before.breakers),
            shed: self.shed.since(before.shed),
            denied: self.denied.since(before.denied),
            late: self.late.saturating_sub(before.late),
        }
    }
}

impl Refusals {
    const fn of(refused: u64, weighed: Weighed, (shadow, shadow_good): (u64, u64)) -> Self {
        Self {
            refused,
            shadow_refused: shadow,
            shadow_refused_good: shadow_good,
            refused_bad: weighed.bad_thousandths.saturating_add(500) / 1_000,
            refused_unknown: weighed.unknown,
        }
    }

    /// Whether nothing was refused, nor would have been.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.refused == 0 && self.shadow_refused == 0
    }

    /// Among `refused`: requests that would have been good, so that refusing cost.
    #[must_use]
    pub const fn refused_good(&self) -> u64 {
        self.refused
            .saturating_sub(self.refused_bad)
            .saturating_sub(self.refused_unknown)
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            refused: self.refused.saturating_add(other.refused),
            shadow_refused: self.shadow_refused.saturating_add(other.shadow_refused),
            shadow_refused_good: self
                .shadow_refused_good
                .saturating_add(other.shadow_refused_good),
            refused_bad: self.refused_bad.saturating_add(other.refused_bad),
            refused_unknown: self.refused_unknown.saturating_add(other.refused_unknown),
        }
    }

    const fn since(self, before: Self) -> Self {
        Self {
            refused: self.refused.saturating_sub(before.refused),
            shadow_refused: self.shadow_refused.saturating_sub(before.shadow_refused),
            shadow_refused_good: self
                .shadow_refused_good
                .saturating_sub(before.shadow_refused_good),
            refused_bad: self.refused_bad.saturating_sub(before.refused_bad),
            refused_unknown: self.refused_unknown.saturating_sub(before.refused_unknown),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
