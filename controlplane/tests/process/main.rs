//! The program `sloop` itself, started, asked, killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod commands;
mod decisions;
mod discovery;
mod metrics;
mod reports;
mod serve;
mod support;
