//! The program `sloop` itself, started, asked, killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod acted;
mod applied;
#[path = "../authority/mod.rs"]
mod authority;
mod commands;
mod dashboard;
mod decisions;
mod discovery;
mod flood;
mod full;
mod gates;
mod guarded;
#[path = "../hook/mod.rs"]
mod hook;
mod journeys;
mod lively;
mod metrics;
mod openapi;
mod pace;
mod reports;
mod rollout;
mod scale;
mod secured;
mod selecting;
mod serve;
mod support;
mod webhook;
