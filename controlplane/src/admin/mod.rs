//! What people and tools ask the control plane, over HTTP.

pub mod api;
mod nodes;
mod problem;
mod routes;

pub use routes::{Admin, router};
