//! Who spent the budgets of all objectives.

use core::time::Duration;
use std::collections::BTreeMap;

use sloop_model::{ObjectiveId, WallTime};

use super::{Counted, World};
use crate::budget::{Spending, Spent, SpentBy};

/// The spending of every objective that had a bad request.
pub(super) type AllSpending = BTreeMap<ObjectiveId, Spending>;

impl World {
    /// Adds `bad` requests that `spender` caused up to `at` among those `counted`, unless these do not count.
    /// Who the route and the sidecar was, observations say; this is for what they do not.
    pub fn attribute(
        &mut self,
        counted: Counted<'_>,
        spender: (SpentBy, &str),
        bad: u64,
        at: WallTime,
    ) {
        // Every objective that was observed has a series, and these are bounded.
        let objective = counted.objective;
        let counts = || self.series.contains_key(objective) && self.sources.may_count(counted);
        if bad != 0 && counts() {
            let at = at.min(self.now);
            let bad = bad.min(Self::COUNT_MAX);
            if let Some(spending) = self.spending.get_mut(objective) {
                spending.add(objective, spender, bad, at);
            } else {
                let spending = self.spending.entry(objective.clone()).or_default();
                spending.add(objective, spender, bad, at);
            }
        }
    }

    /// Who spent an objective's budget in the last `length`, up to 90 days: by kind, and then who
    /// spent most first. The routes add up to all of it; what other kinds lack to
    /// that is not known. Empty when nothing was spent.
    #[must_use]
    pub fn spent(&self, objective: &ObjectiveId, length: Duration) -> Vec<Spent> {
        let spending = self.spending.get(objective);
        spending.map_or_else(Vec::new, |spending| spending.spent(self.now, length))
    }

    /// Drops what no window reaches any more, and says that it is no longer to be stored.
    pub(super) fn forget_spending(&mut self) {
        let now = self.now;
        for (id, spending) in &mut self.spending {
            spending.forget_idle(id, now);
            self.gone.extend(spending.take_gone(id));
        }
        self.spending.retain(|_, spending| !spending.is_empty());
    }
}
