//! `cargo xtask setup`: what the other tasks need, and what for.
//!
//! Two things that Rust and Python do not bring: a compiler for Wasm, and Envoy.
//! What is there already is only looked at, never installed again.

mod apt;
mod envoy;
mod wasm_target;

use anyhow::Result;

use crate::run::say;

pub(crate) use envoy::ensure as envoy;
pub(crate) use wasm_target::{TARGET as WASM_TARGET, WasmWay, debian_cargo, ensure as wasm_target};

/// Sees to everything that any task needs.
///
/// # Errors
///
/// When something is missing and cannot be installed here; says what to install.
pub(crate) fn run() -> Result<()> {
    wasm_target()?;
    envoy()?;
    say("ready", "try `cargo xtask demo`, then `cargo xtask test`");
    Ok(())
}
