//! What people and tools ask the control plane, over HTTP.

pub mod api;
mod experiments;
mod nodes;
mod problem;
mod pushes;
mod routes;

pub use experiments::AskedFor;
pub use routes::{Admin, router};
