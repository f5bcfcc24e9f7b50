//! What was counted for one objective, as a whole and per value of a dimension.

use sloop_model::ObjectiveId;

use super::dimension::Cells;
use crate::report::ObjectiveDelta;
use crate::stats::Metric;

/// Counts for one objective.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) delta: ObjectiveDelta,
    /// Total and good by [`Cells`] position; as long as the highest that was counted.
    cells: Vec<(u64, u64)>,
    /// What was shown of the good ones and of the others.
    pub(crate) shown: [Metric; 2],
}

impl Tally {
    /// No counts.
    pub(crate) const fn none(id: ObjectiveId) -> Self {
        Self {
            delta: ObjectiveDelta::none(id),
            cells: Vec::new(),
            shown: [Metric::NONE; 2],
        }
    }

    /// Counts a request that the objective is about.
    pub(crate) fn add(&mut self, is_good: bool, cells: Cells) {
        let good = u64::from(is_good);
        self.delta.total += 1;
        self.delta.good += good;
        if cells.is_none() {
            return;
        }
        for at in cells.iter() {
            if self.cells.len() <= at {
                self.cells.resize(at + 1, (0, 0));
            }
            if let Some(cell) = self.cells.get_mut(at) {
                *cell = (cell.0 + 1, cell.1 + good);
            }
        }
    }

    /// Total and good of one position.
    pub(crate) fn cell(&self, at: usize) -> (u64, u64) {
        self.cells.get(at).copied().unwrap_or_default()
    }

    /// Good ones, and others.
    pub(crate) const fn values(&self) -> [u64; 2] {
        [
            self.delta.good,
            self.delta.total.saturating_sub(self.delta.good),
        ]
    }

    /// Takes the counts out.
    pub(crate) fn take(&mut self) -> ObjectiveDelta {
        let values = self.values();
        for (metric, value) in self.shown.iter_mut().zip(values) {
            metric.drained(value);
        }
        self.cells.fill((0, 0));
        self.delta.take()
    }
}
