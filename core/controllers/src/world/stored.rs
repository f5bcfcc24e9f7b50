//! What a store keeps of the world, so that a restart loses nothing.

use core::time::Duration;

use super::World;
use super::scopes::ScopeState;
use crate::{Cell, Spent};

impl World {
    /// Takes what changed since the last call, to be stored.
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (id, series) in &mut self.series {
            series.take_changes(id, &mut cells);
        }
        self.sliced.take_changes(&mut cells);
        for (id, spending) in &mut self.spending {
            spending.take_changes(id, &mut cells);
        }
        for state in self.scopes.values_mut().filter(|state| state.is_changed) {
            state.is_changed = false;
            cells.push(Cell::Scope(Box::new(state.totals.clone())));
        }
        self.alerts.take_changes(&mut cells);
        cells
    }

    /// Takes the keys ([`Cell::key`]) of what is stored and no longer wanted, to be deleted
    /// before what [`World::take_changes`] gives is stored.
    #[must_use]
    pub fn take_gone(&mut self) -> Vec<String> {
        let mut gone = core::mem::take(&mut self.gone);
        gone.extend(self.sliced.take_gone());
        gone.extend(self.alerts.take_gone());
        for (id, spending) in &mut self.spending {
            gone.extend(spending.take_gone(id));
        }
        gone
    }

    /// Takes back what was stored, or the last of it, in any order, before the first observation.
    pub fn restore(&mut self, cells: Vec<Cell>) {
        self.restore_some(cells);
        for series in self.series.values_mut() {
            series.complete();
        }
        self.sliced.complete();
    }

    /// Takes back some of what was stored, in any order, before [`World::restore`] takes the last of it.
    pub fn restore_some(&mut self, mut cells: Vec<Cell>) {
        cells.sort_by_key(Cell::start);
        // If the clock was set back meanwhile, the first step sees that and rewinds.
        self.now = self
            .now
            .max(cells.last().map(Cell::start).unwrap_or_default());
        for cell in cells {
            self.restore_cell(cell);
        }
    }

    fn restore_cell(&mut self, cell: Cell) {
        match cell {
            Cell::Budget {
                objective,
                resolution,
                start,
                counts,
                known_s,
            } => {
                let series = self.series.entry(objective).or_default();
                series.restore(resolution, start, (counts, known_s));
            }
            Cell::Beginning {
                objective,
                start,
                counts,
                known_s,
            } => {
                let series = self.series.entry(objective).or_default();
                series.restore_beginning(start, (counts, known_s));
            }
            Cell::Slices {
                objective,
                slicing,
                resolution,
                start,
                sum,
            } => {
                let end = start.after(Duration::from_millis(resolution.cell_ms()));
                let slices = self.sliced.restored(objective, slicing, end);
                slices.restore_sum(resolution, start, sum);
            }
            Cell::Slice {
                objective,
                slicing,
                start,
                counts,
                is_over,
            } => {
                let end = start.after(slicing.length());
                let slices = self.sliced.restored(objective, slicing, end);
                slices.restore(start, counts, is_over);
            }
            Cell::Spending {
                objective,
                level,
                start,
                spent,
            } => {
                let spending = self.spending.entry(objective).or_default();
                spending.restore(level, start, spent);
            }
            Cell::Spent {
                objective,
                by,
                name,
                level,
                start,
                bad,
            } => {
                let spending = self.spending.entry(objective).or_default();
                spending.restore_apart(level, start, Spent { by, name, bad });
            }
            Cell::Scope(totals) => self.insert_scope(ScopeState::restored(*totals)),
            cell @ (Cell::Alert { .. } | Cell::Withdrawn { .. }) => self.alerts.restore(cell),
        }
    }
}
