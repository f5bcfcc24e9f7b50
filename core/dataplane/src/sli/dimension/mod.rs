//! Counts by caller, origin and journey: few values of each per scope, the rest together.
//!
//! [`Seen`] is what a request says of itself. [`Dimensions::slots`] finds, or makes,
//! the row of each value when the request begins; the request keeps the
//! [`Slots`] and is counted there when it ends. A row whose value was
//! quiet for 60 reports gives way to a new value. A slot remembers which value
//! it was for, so a request that outlives its row counts as `other`.
//!
//! For each configured dimension the counts of all values add up to the scope's
//! requests since it was configured: what came without a value is `unknown`.

mod seen;
mod table;
mod xfcc;

pub use seen::Seen;
pub(crate) use seen::{attempt, wanted};
pub use xfcc::caller_uri;

use sloop_model::{Dimension, DimensionSettings, DimensionValue, OutcomeClass};

use table::{Row, Slot, Table};

/// Requests by class of outcome.
pub(crate) type Classes = [u64; OutcomeClass::ALL.len()];

const DIMENSIONS: usize = Dimension::ALL.len();

/// Where a request counts. Of nothing, when no dimension is configured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots(Option<[Option<Slot>; DIMENSIONS]>);

/// Positions in the list of all rows of a scope, in which dimensions take turns.
///
/// Shape: the first `count` are positions, the others are zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cells {
    positions: [u8; DIMENSIONS],
    count: u8,
}

impl Cells {
    /// Whether there are none, as where no dimension is configured.
    #[inline]
    pub(crate) const fn is_none(self) -> bool {
        self.count == 0
    }

    /// The positions.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let counted = self.positions.into_iter().take(usize::from(self.count));
        counted.map(usize::from)
    }

    /// Those of one dimension.
    pub(crate) fn of(self, dimension: Dimension) -> Self {
        let mut own = Self::default();
        for at in self
            .iter()
            .filter(|at| at % DIMENSIONS == dimension.index())
        {
            if let (Some(place), Ok(position)) = (own.positions.first_mut(), at.try_into()) {
                *place = position;
                own.count = 1;
            }
        }
        own
    }

    fn push(&mut self, dimension: usize, row: u8) {
        // A table has at most 66 rows.
        if let Some(place) = self.positions.get_mut(usize::from(self.count))
            && let Ok(position) = position(dimension, usize::from(row)).try_into()
        {
            *place = position;
            self.count += 1;
        }
    }
}

/// Rows of the three dimensions take turns, so that the list is as long as the fullest table needs.
const fn position(dimension: usize, row: usize) -> usize {
    row * DIMENSIONS + dimension
}

/// The rows of one scope.
#[derive(Debug, Default)]
pub(crate) struct Dimensions {
    tables: [Table; DIMENSIONS],
}

/// What one value counted.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) dimension: Dimension,
    pub(crate) value: DimensionValue,
    pub(crate) classes: Classes,
    /// Where the objectives counted it.
    pub(crate) cell: usize,
}

impl Dimensions {
    /// Where a request counts. `over_cap` counts values that found no row.
    pub(crate) fn slots(
        &mut self,
        settings: &DimensionSettings,
        seen: &Seen<'_>,
        over_cap: &mut u64,
    ) -> Slots {
        let mut slots = [None; DIMENSIONS];
        for ((dimension, slot), table) in Dimension::ALL
            .into_iter()
            .zip(&mut slots)
            .zip(&mut self.tables)
        {
            if settings.includes(dimension) {
                *slot = Some(table.slot(seen.value(dimension), settings.values_max, over_cap));
            }
        }
        Slots(Some(slots))
    }

    /// Counts a request.
    pub(crate) fn count(&mut self, slots: &Slots, class: OutcomeClass) -> Cells {
        let mut cells = Cells::default();
        let tables = self.tables.iter_mut().enumerate();
        for (slot, (dimension, table)) in slots.0.iter().flatten().zip(tables) {
            if let Some(slot) = slot {
                cells.push(dimension, table.count(*slot, class));
            }
        }
        cells
    }

    /// Adds what the rows of another scope counted.
    pub(crate) fn fold(&mut self, other: &Self) {
        for (table, other) in self.tables.iter_mut().zip(&other.tables) {
            table.fold(other);
        }
    }

    /// What was counted since the last [`Self::clear`], by dimension, `other` and `unknown` first.
    pub(crate) fn counted(&self) -> impl Iterator<Item = Counted> {
        Dimension::ALL
            .into_iter()
            .zip(&self.tables)
            .flat_map(|(dimension, table)| {
                let rows = table.rows().iter().enumerate();
                rows.filter(|(_, row)| !row.is_quiet())
                    .filter_map(move |(at, row)| {
                        Some(Counted {
                            dimension,
                            value: row.value()?,
                            classes: row.classes,
                            cell: position(dimension.index(), at),
                        })
                    })
            })
    }

    /// Begins anew, with the same rows.
    pub(crate) fn clear(&mut self) {
        self.tables
            .iter_mut()
            .flat_map(Table::rows_mut)
            .for_each(Row::clear);
    }
}

impl Slots {
    /// Whether the request counts anywhere.
    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests;
