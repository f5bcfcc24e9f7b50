//! Starts everything, and ends it.

mod acknowledgements;
mod actor;
mod commits;

pub use actor::View;
