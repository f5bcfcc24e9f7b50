//! What shadow decisions of a run suggest: which protection would have kept out what, and nothing that is not counted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloop_model::{Scope, ServiceName};

use super::status::BudgetSpent;
use crate::words::Percent;
use crate::{ScopeTotals, ShadowCounts, World};

/// What protection in shadow mode would have kept out of one scope since counting began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shadow {
    scope: Scope,
    /// Requests that a breaker would have refused, and the good ones among them.
    refused: u64,
    refused_good: u64,
    others: ShadowCounts,
}

/// One kind of protection on one scope, over a run.
struct KeptOut {
    protection: &'static str,
    all: u64,
    good: u64,
}

/// The shadows of all scopes of these services.
pub(super) fn shadows(services: &BTreeSet<&ServiceName>, world: &World) -> Vec<Shadow> {
    let of = |totals: &ScopeTotals| Shadow {
        scope: totals.scope.clone(),
        refused: totals.shadow_refused,
        refused_good: totals.shadow_refused_good,
        others: totals.shadows,
    };
    let here = world
        .scopes()
        .filter(|totals| services.contains(&totals.scope.service));
    here.map(of).collect()
}

/// What was kept out since `before`, where more of it was bad all the same than was good. `scopes` are those that
/// `budgets` are counted on.
pub(super) fn suggestions(
    before: &[Shadow],
    now: &[Shadow],
    budgets: &[BudgetSpent],
    scopes: &[Scope],
) -> Vec<String> {
    let mut told = Vec::new();
    for shadow in now {
        let since = before.iter().find(|known| known.scope == shadow.scope);
        let budget = scopes
            .iter()
            .position(|scope| includes(scope, &shadow.scope));
        let budget = budget.and_then(|index| budgets.get(index));
        let useful = kept_out(since, shadow)
            .into_iter()
            .filter(KeptOut::is_useful);
        told.extend(useful.map(|one| one.told(&shadow.scope, budget)));
    }
    told
}

/// Whether requests of `part` are requests of `whole`.
fn includes(whole: &Scope, part: &Scope) -> bool {
    let is_route = whole.route.is_any() || whole.route == part.route;
    whole.service == part.service && whole.side == part.side && is_route
}

fn kept_out(before: Option<&Shadow>, now: &Shadow) -> [KeptOut; 3] {
    let since = |count: fn(&Shadow) -> u64| count(now).saturating_sub(before.map_or(0, count));
    [
        KeptOut {
            protection: "the breaker",
            all: since(|one| one.refused),
            good: since(|one| one.refused_good),
        },
        KeptOut {
            protection: "shedding",
            all: since(|one| one.others.shed),
            good: since(|one| one.others.shed_good),
        },
        KeptOut {
            protection: "a deny rule",
            all: since(|one| one.others.denied),
            good: since(|one| one.others.denied_good),
        },
    ]
}

impl KeptOut {
    const fn bad(&self) -> u64 {
        self.all.saturating_sub(self.good)
    }

    /// Whether it would have kept out more bad requests than good ones.
    const fn is_useful(&self) -> bool {
        self.good < self.bad()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
    fn told(&self, scope: &Scope, budget: Option<&BudgetSpent>) -> String {
        let Self {
            protection, all, ..
        } = self;
        let bad = self.bad();
        let share = budget.filter(|budget| 0.0 < budget.left).map(|budget| {
            let share = Percent(bad as f64 / budget.left);
            format!(
                ": {share} of what was left of the budget of SLO {}, saved unless its indicator counts what is kept out",
                budget.objective.slo
            )
        });
        format!(
            "{protection} on {scope} is in shadow mode; it would have kept out {all} requests, {bad} of which were bad all the same{}",
            share.unwrap_or_default()
        )
    }
}
