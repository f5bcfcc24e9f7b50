//! What people and tools ask the control plane, over HTTP.

pub mod api;
