//! Error budgets from integer counts, kept as they arrive.

mod cell;

pub use cell::{Cell, Counts, Resolution};
