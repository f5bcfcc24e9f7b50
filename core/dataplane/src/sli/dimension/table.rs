//! The values of one dimension in one scope, each with its counts.
//!
//! At most 66 rows, looked through from the first: all but one are ruled out by
//! one comparison of 64 bits.

use sloop_model::{DimensionSettings, DimensionValue, OutcomeClass};

use super::Classes;
use crate::bytes::is_same;

/// Reports in which a value had no counts, before another may have its row. A
/// minute at the usual interval: a caller that is quieter loses only its name, not its counts.
pub(super) const QUIET_MIN: u8 = 60;

/// Rows that are always there.
const OTHER: u8 = 0;
const UNKNOWN: u8 = 1;
const RESERVED: usize = 2;

/// The row of a value. Whether it is still that value's, the stamp tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    row: u8,
    stamp: u16,
}

/// Rows, the reserved ones first. Empty until the first request.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    stamp: u16,
}

/// One value.
#[derive(Debug)]
pub(super) struct Row {
    fingerprint: u64,
    value: Box<[u8]>,
    stamp: u16,
    /// Reports since it had counts.
    quiet: u8,
    pub(super) classes: Classes,
}

impl Row {
    fn new(value: &[u8], stamp: u16) -> Self {
        Self {
            fingerprint: fingerprint(value),
            value: value.into(),
            stamp,
            quiet: 0,
            classes: Classes::default(),
        }
    }

    /// The value, which was checked when it came.
    pub(super) fn value(&self) -> Option<DimensionValue> {
        DimensionValue::try_from(&*self.value).ok()
    }

    /// Whether nothing was counted.
    pub(super) fn is_quiet(&self) -> bool {
        self.classes.iter().all(|count| *count == 0)
    }

    /// Forgets the counts, which were reported.
    pub(super) fn clear(&mut self) {
        self.quiet = if self.is_quiet() {
            self.quiet.saturating_add(1)
        } else {
            0
        };
        self.classes = Classes::default();
    }
}

impl Table {
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.iter_mut()
    }

    /// The row of a value, which may be new. A lower `values_max` than before holds for new values only.
    pub(super) fn slot(
        &mut self,
        value: Option<&[u8]>,
        values_max: u8,
        over_cap: &mut u64,
    ) -> Slot {
        if self.rows.is_empty() {
            let words = [DimensionValue::OTHER, DimensionValue::UNKNOWN];
            self.rows
                .extend(words.map(|word| Row::new(word.as_bytes(), 0)));
        }
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Slot {
                row: UNKNOWN,
                stamp: 0,
            };
        };
        let found = self.find(value).or_else(|| self.enter(value, values_max));
        found.unwrap_or_else(|| {
            *over_cap += 1;
            Slot {
                row: OTHER,
                stamp: 0,
            }
        })
    }

    fn find(&self, value: &[u8]) -> Option<Slot> {
        let fingerprint = fingerprint(value);
        let is_it = |row: &Row| row.fingerprint == fingerprint && is_same(&row.value, value);
        let at = self.rows.iter().position(is_it)?;
        Some(Slot {
            row: u8::try_from(at).ok()?,
            stamp: self.rows.get(at)?.stamp,
        })
    }

    /// A row for a new value, if there is one to be had.
    fn enter(&mut self, value: &[u8], values_max: u8) -> Option<Slot> {
        if !DimensionValue::is_valid(value) {
            return None;
        }
        let has_room = self.rows.len() < RESERVED + usize::from(values_max);
        let at = if has_room {
            self.rows.len()
        } else {
            let is_free = |row: &Row| QUIET_MIN <= row.quiet && row.is_quiet();
            RESERVED + self.rows.get(RESERVED..)?.iter().position(is_free)?
        };
        self.stamp = self.stamp.wrapping_add(1);
        let row = Row::new(value, self.stamp);
        match self.rows.get_mut(at) {
            Some(free) => *free = row,
            None => self.rows.push(row),
        }
        Some(Slot {
            row: u8::try_from(at).ok()?,
            stamp: self.stamp,
        })
    }

    /// Counts a request, and says in which row.
    pub(super) fn count(&mut self, slot: Slot, class: OutcomeClass) -> u8 {
        let is_its = |row: &&Row| row.stamp == slot.stamp;
        let is_there = self
            .rows
            .get(usize::from(slot.row))
            .filter(is_its)
            .is_some();
        let at = if is_there { slot.row } else { OTHER };
        if let Some(row) = self.rows.get_mut(usize::from(at))
            && let Some(count) = row.classes.get_mut(class.index())
        {
            *count += 1;
        }
        at
    }

    /// Adds what the rows of another table counted.
    pub(super) fn fold(&mut self, other: &Self) {
        for row in other.rows.iter().filter(|row| !row.is_quiet()) {
            let slot = self.slot(Some(&row.value), DimensionSettings::VALUES_MAX, &mut 0);
            if let Some(into) = self.rows.get_mut(usize::from(slot.row)) {
                for (sum, count) in into.classes.iter_mut().zip(row.classes) {
                    *sum += count;
                }
            }
        }
    }
}

/// Tells most values apart: length, first and last bytes. No hash is needed for so few, and whoever
/// sends values that look alike only makes the filter compare them.
fn fingerprint(value: &[u8]) -> u64 {
    let word = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_le_bytes(*bytes));
    let length = value.len() as u64;
    match (word(value.first_chunk()), word(value.last_chunk())) {
        (Some(first), Some(last)) => first ^ last.rotate_left(29) ^ length,
        _ => value
            .iter()
            .fold(length, |all, byte| all << 8 | u64::from(*byte)),
    }
}
