//! What was shown of the counts of one scope.

use sloop_model::{Outcome, Scope};

use super::book::{Place, StatsBook};
use super::{
    LATENCY_BOUNDS_US, LATENCY_BUCKET, LATENCY_COUNT, LATENCY_SUM, OBJECTIVE_REQUESTS, REQUESTS,
    RETRIES, Stat, TROUBLE, name_of,
};
use crate::report::Trouble;
use crate::sli::{Latency, Tally};

/// One counter: how much of a count was shown.
///
/// The count may begin anew at any time, after it was reported; then
/// `seen` goes down by as much, below zero if some of it was not shown yet. So it
/// is kept modulo 2^64, and the difference is right all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    seen: u64,
    place: Place,
}

impl Metric {
    /// Nothing was shown.
    pub(crate) const NONE: Self = Self {
        seen: 0,
        place: Place::Unknown,
    };

    /// The count, which is `value`, begins anew.
    pub(crate) const fn drained(&mut self, value: u64) {
        self.seen = self.seen.wrapping_sub(value);
    }

    /// Another count, of which `other` was shown, is added to this one.
    pub(crate) const fn fold(&mut self, other: &Self) {
        self.seen = self.seen.wrapping_add(other.seen);
    }

    /// Shows what `value` has more than was shown.
    pub(crate) fn show(&mut self, value: u64, book: &mut StatsBook, name: impl Fn() -> String) {
        let by = value.wrapping_sub(self.seen);
        if by == 0 {
            return;
        }
        self.seen = value;
        if book.may_have_room(self.place) {
            self.place = book.place(&name());
        }
        match self.place {
            Place::At(metric) => book.add(metric, by, name),
            Place::Unknown | Place::OverCap(_) => {}
        }
    }
}

const OUTCOMES: usize = Outcome::ALL.len();
const BOUNDS: usize = LATENCY_BOUNDS_US.len();
/// Outcomes, bounds and `+Inf`, sum, count, retries.
const VALUES: usize = OUTCOMES + BOUNDS + 4;

/// What was shown of a scope, all but its objectives.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    metrics: [Metric; VALUES],
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            metrics: [Metric::NONE; VALUES],
        }
    }
}

/// The counts of a scope as they stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values([u64; VALUES]);

impl Values {
    pub(crate) fn of(outcomes: &[u64; OUTCOMES], latency: &Latency, retries: u64) -> Self {
        let mut values = [0; VALUES];
        let (by_outcome, rest) = values.split_at_mut(OUTCOMES);
        by_outcome.copy_from_slice(outcomes);
        let (bounds, rest) = rest.split_at_mut(BOUNDS);
        let (mut count, mut sum) = (0_u64, 0_u64);
        for (bucket, here) in latency.iter() {
            let middle = bucket.middle_us();
            count += here;
            sum = sum.wrapping_add(middle.wrapping_mul(here));
            for (bound, below) in LATENCY_BOUNDS_US.iter().zip(&mut *bounds) {
                if middle <= *bound {
                    *below += here;
                }
            }
        }
        rest.copy_from_slice(&[count, sum, count, retries]);
        Self(values)
    }
}

impl Shown {
    /// The counts, which are `values`, begin anew.
    pub(crate) fn drained(&mut self, values: &Values) {
        for (metric, value) in self.metrics.iter_mut().zip(values.0) {
            metric.drained(value);
        }
    }

    /// The counts of another scope are added to this one's.
    pub(crate) fn fold(&mut self, other: &Self) {
        for (metric, other) in self.metrics.iter_mut().zip(&other.metrics) {
            metric.fold(other);
        }
    }

    /// Shows what `values` have more than was shown.
    pub(crate) fn show(&mut self, scope: &Scope, values: &Values, book: &mut StatsBook) {
        for (position, (metric, value)) in self.metrics.iter_mut().zip(values.0).enumerate() {
            metric.show(value, book, || name_at(position, scope));
        }
    }
}

/// Shows what an objective of a scope counted.
pub(crate) fn show_objective(tally: &mut Tally, scope: &Scope, book: &mut StatsBook) {
    let values = tally.values();
    let id = &tally.delta.id;
    for ((metric, value), result) in tally.shown.iter_mut().zip(values).zip(["good", "bad"]) {
        metric.show(value, book, || {
            let index = id.index.to_string();
            of_scope(
                &OBJECTIVE_REQUESTS,
                &[id.slo.as_str(), &index, result],
                scope,
            )
        });
    }
}

/// Shows the trouble of a VM.
pub(crate) fn show_trouble(
    metrics: &mut [Metric; Trouble::KINDS],
    trouble: &Trouble,
    book: &mut StatsBook,
) {
    for (metric, (kind, count)) in metrics.iter_mut().zip(trouble.kinds()) {
        metric.show(count, book, || name_of(&TROUBLE, &[kind]));
    }
}

/// The name of the value at a position of [`Values`].
fn name_at(position: usize, scope: &Scope) -> String {
    if let Some(outcome) = Outcome::ALL.get(position) {
        return of_scope(&REQUESTS, &[outcome.name()], scope);
    }
    let behind = position.saturating_sub(OUTCOMES);
    if let Some(bound) = LATENCY_BOUNDS_US.get(behind) {
        return of_scope(&LATENCY_BUCKET, &[&bound.to_string()], scope);
    }
    match behind - BOUNDS {
        0 => of_scope(&LATENCY_BUCKET, &["+Inf"], scope),
        1 => of_scope(&LATENCY_SUM, &[], scope),
        2 => of_scope(&LATENCY_COUNT, &[], scope),
        _ => of_scope(&RETRIES, &[], scope),
    }
}

fn of_scope(stat: &Stat, more: &[&str], scope: &Scope) -> String {
    let side = scope.side.to_string();
    let mut values = more.to_vec();
    values.extend([scope.service.as_str(), scope.route.as_str(), &side]);
    name_of(stat, &values)
}
