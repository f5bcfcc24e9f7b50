//! The lines of an SLO in tables: one per objective, and one for all of them together where it is a composite.

use sloop_controllers::{CompositeStatus, ObjectiveStatus, SloIntent, SloStatus, objective_name};

use super::get::share;
use super::table::percent;
use crate::metrics::span;

/// What one line is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line<'a> {
    /// One objective.
    Objective(&'a ObjectiveStatus),
    /// All of them together.
    Composite(&'a CompositeStatus),
}

/// The lines of `slo`. Nothing is said of a composite of which nothing is evaluated here.
pub(super) fn lines(slo: &SloStatus) -> impl Iterator<Item = Line<'_>> {
    let is_evaluated = slo.objectives.iter().any(|it| it.source.is_some());
    let composite = slo.composite.iter().filter(move |_| is_evaluated);
    let objectives = slo.objectives.iter().map(Line::Objective);
    objectives.chain(composite.map(Line::Composite))
}

impl Line<'_> {
    /// The objective's position, or `composite`.
    pub(super) fn name(self) -> String {
        objective_name(match self {
            Self::Objective(objective) => objective.index,
            Self::Composite(_) => SloIntent::COMPOSITE,
        })
    }

    /// The target of an objective. A composite has none, and this is where it says that it is one.
    pub(super) fn target(self) -> String {
        match self {
            Self::Objective(objective) => percent(Some(objective.target)),
            Self::Composite(_) => self.name(),
        }
    }

    /// The share of good requests.
    pub(super) fn good(self) -> String {
        let counts = match self {
            Self::Objective(objective) => objective.counts.filter(|it| 0 < it.total),
            Self::Composite(_) => None,
        };
        percent(counts.map(|it| share(it.good, it.total)))
    }

    /// The share of the budget that is left; nothing when not known.
    pub(super) fn left_share(self) -> Option<f64> {
        match self {
            Self::Objective(objective) => objective.budget.map(|budget| budget.left_share),
            Self::Composite(composite) => composite.left_share,
        }
    }

    /// The same in words; an upper bound is said to be one.
    pub(super) fn left(self) -> String {
        let left = percent(self.left_share());
        match self {
            Self::Composite(composite)
                if !composite.is_complete && composite.left_share.is_some() =>
            {
                format!("≤{left}")
            }
            Self::Objective(_) | Self::Composite(_) => left,
        }
    }

    /// The fastest burn and the shortest window that it is seen in.
    pub(super) fn burn(self) -> String {
        match self {
            Self::Objective(objective) if objective.source.is_none() => {
                "not evaluated here".to_owned()
            }
            Self::Objective(objective) => {
                let burns = objective.burn.iter();
                fastest(burns.map(|burn| (burn.window_ms, burn.burn)))
            }
            Self::Composite(composite) => {
                let burns = composite.burn.iter();
                fastest(burns.map(|burn| (burn.window_ms, burn.burn)))
            }
        }
    }
}

fn fastest(burns: impl DoubleEndedIterator<Item = (u64, Option<f64>)>) -> String {
    // Of equal ones the last is taken.
    let fastest = burns
        .rev()
        .filter_map(|(window_ms, burn)| Some((burn?, window_ms)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    fastest.map_or_else(
        || "-".to_owned(),
        |(burn, window)| format!("{burn:.1} ({})", span(window)),
    )
}
