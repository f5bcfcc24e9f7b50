//! Error budgets from integer counts, kept as they arrive.
//!
//! An objective's counts live in four rings ([`Resolution`]): seconds for fast
//! windows, minutes, hours and days for long ones. Cells are running sums, so a window
//! of any length is one subtraction, whatever number of events it holds; a late
//! count costs one addition per cell after it, which the ring's length bounds.
//!
//! What is exact and what is bounded:
//! - Counts are integers and never rounded. A window of seconds (at most 5 min),
//!   minutes (at most 6 h) or hours begins at the start of a cell, so it is longer
//!   than asked by less than one cell: 1 s, 1 min, 1 h. A window of more than 90 days, up to
//!   400, begins at the midnight (UTC) that is nearest.
//! - What was gathered over several cells is spread evenly over them, in whole
//!   requests: good and bad ones each, so the sum is exact.
//! - Late counts go where their time says, in every ring that still reaches back
//!   to it; later than 400 days they are dropped and counted.
//! - When the clock steps back, minutes and hours that lie ahead are folded into
//!   the current one, so nothing is lost; seconds that lie ahead are forgotten, so
//!   that fast windows do not see a burst that never was.
//! - A second that nobody reported on is not known. That is not the same as
//!   nothing counted, and a window without any known second has no reading.
//!
//! Objectives that are budgeted by slices of time ([`Slicing`]) have these besides, in [`Slices`]. Who spent a budget is in
//! [`Spending`].

mod cell;
mod cells;
mod fleet;
mod packed;
mod ring;
mod series;
mod slices;
mod slicing;
mod spending;
mod trail;
mod wilson;

pub use cell::{Cell, Counts, Resolution};
pub(crate) use fleet::{FLEET_WINDOW_MAX, Fleet, SeenBy};
pub(crate) use series::{Reading, Series};
pub(crate) use slices::Slices;
pub use slicing::{InvalidSlicing, Slicing};
pub(crate) use spending::Spending;
pub use spending::{Level, Spent, SpentBy};
pub(crate) use wilson::{SIGMAS, bounds, surely_above, surely_below, surely_least};

#[cfg(test)]
mod tests;
