//! The very module that ships, in a host with a virtual clock: the glue between
//! Envoy and the data plane, by its outcomes.
//!
//! One program, so that the module is compiled once for all of them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod language;

mod answers;
mod breaker;
mod configuration;
mod context;
mod cost;
mod counts;
mod fault;
mod hostile;
mod joining;
mod protection;
mod report;
mod roots;
mod sharing;
mod spans;
mod stats;
mod trace;
mod whole;
