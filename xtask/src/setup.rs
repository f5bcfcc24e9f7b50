//! `cargo xtask setup`: what the other tasks need, and what for.
//!
//! What Rust and Python do not bring: a compiler for Wasm, and Envoy; and, where it can be had, Prometheus.
//! What is there already is only looked at, never installed again.

mod apt;
mod envoy;
mod prometheus;
mod wasm_target;

use anyhow::Result;

use crate::run::say;

pub(crate) use envoy::ensure as envoy;
pub(crate) use prometheus::ensure as prometheus;
pub(crate) use wasm_target::{TARGET as WASM_TARGET, WasmWay, debian_cargo, ensure as wasm_target};

/// Sees to everything that any task needs.
///
/// # Errors
///
/// When something is missing and cannot be installed here; says what to install.
pub(crate) fn run() -> Result<()> {
    wasm_target()?;
    envoy()?;
    // Only tests look for it, and they say what they did without it.
    let _programs = prometheus();
    say("ready", "try `cargo xtask demo`, then `cargo xtask test`");
    Ok(())
}
