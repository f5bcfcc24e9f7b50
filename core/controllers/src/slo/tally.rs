//! What was counted in a window, in the unit of an error budget.

use sloop_model::ShareBounds;

use super::status::BudgetUnit;
use crate::Counts;
use crate::budget::{Slicing, bounds, surely_above, surely_below, surely_least};

/// What was counted in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests.
    pub(crate) requests: Counts,
    /// What the budget counts.
    units: Counts,
    /// What one slice is worth in `units`; nothing when they are requests.
    slice: Option<u64>,
}

impl Tally {
    /// Requests are counted themselves.
    pub(crate) const fn of_requests(requests: Counts) -> Self {
        Self {
            requests,
            units: requests,
            slice: None,
        }
    }

    /// `requests` are counted by slices, which add up to `sum`.
    pub(crate) const fn of_slices(requests: Counts, sum: Counts, slicing: Slicing) -> Self {
        Self {
            requests,
            units: sum,
            slice: Some(slicing.worth()),
        }
    }

    /// What the budget counts.
    pub(crate) const fn unit(&self) -> BudgetUnit {
        match self.slice {
            None => BudgetUnit::Requests,
            Some(_) => BudgetUnit::Slices,
        }
    }

    /// What is counted, and how much of it was good, in [`Tally::worth`]s of a request or slice.
    pub(crate) const fn units(&self) -> Counts {
        self.units
    }

    /// What one request or slice is worth in [`Tally::units`].
    pub(crate) fn worth(&self) -> u64 {
        self.slice.unwrap_or(1)
    }

    /// The share that was bad; nothing when nothing was counted.
    pub(crate) fn bad_share(&self) -> Option<f64> {
        (self.units.total != 0).then(|| share(self.units.bad(), self.units.total))
    }

    /// What that share may really be. Each request, or each slice, is one case.
    pub(crate) fn bounds(&self) -> Option<ShareBounds> {
        let worth = self.worth();
        let nearest = |amount: u64| amount.saturating_add(worth / 2) / worth;
        bounds(nearest(self.units.bad()), nearest(self.units.total))
    }

    /// Whether surely more than `limit` was bad. Shares of slices are as sure as the requests behind them.
    pub(crate) fn surely_exceeds(&self, limit: f64) -> bool {
        let cases = if self.worth() == 1 {
            self.units
        } else {
            self.requests
        };
        self.exceeds(limit) && surely_above(cases.bad(), cases.total, limit)
    }

    /// The same where slices that are good as a whole may have the share `allowed_in_slice` of bad requests: then it is sure, too,
    /// when the requests surely had more bad ones than that.
    pub(crate) fn surely_burns(&self, limit: f64, allowed_in_slice: Option<f64>) -> bool {
        let requests = self.requests;
        let are_bad = |allowed: f64| surely_above(requests.bad(), requests.total, allowed);
        self.surely_exceeds(limit) || (self.exceeds(limit) && allowed_in_slice.is_some_and(are_bad))
    }

    /// Whether requests came, and no slice with any is over: that says nothing of how it ends.
    pub(crate) const fn is_open(&self) -> bool {
        self.units.total == 0 && self.requests.total != 0
    }

    /// The share that surely was bad at least. Shares of slices are as sure as the requests behind them.
    pub(crate) fn surely_least(&self) -> f64 {
        let cases = if self.worth() == 1 {
            self.units
        } else {
            self.requests
        };
        let least = surely_least(cases.bad(), cases.total);
        self.bad_share().map_or(0.0, |bad| bad.min(least))
    }

    /// The share that surely was bad at most: nothing where nothing was counted, and everything where it is in slices that
    /// are not over yet. Of slices it is what was bad, as no window has enough of them to be surer.
    pub(crate) fn surely_most(&self) -> f64 {
        if self.requests.total == 0 && self.units.total == 0 {
            return 0.0;
        }
        let most = match self.slice {
            Some(_) => self.bad_share(),
            None => self.bounds().map(|bounds| bounds.high),
        };
        most.unwrap_or(1.0)
    }

    /// Whether less than `limit` was bad: of requests surely, of slices by their number, as no window has enough of
    /// them to be surer.
    pub(crate) fn stays_below(&self, limit: f64) -> bool {
        let stays = self.bad_share().is_some_and(|bad| bad < limit);
        match self.slice {
            Some(_) => stays,
            None => stays && surely_below(self.units.bad(), self.units.total, limit),
        }
    }

    /// Whether something was counted, and nothing of it was bad.
    pub(crate) const fn is_clean(&self) -> bool {
        self.units.total != 0 && self.units.bad() == 0 && self.requests.bad() == 0
    }

    /// Whether more than `limit` was bad, sure or not.
    pub(crate) fn exceeds(&self, limit: f64) -> bool {
        self.bad_share().is_some_and(|bad| limit < bad)
    }
}

/// `part / whole`; zero when there is nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "for formulas and people: 15 digits are enough"
)]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
