//! Harnesses that the tests, the demo and the benchmarks share.

pub mod demo;
pub mod envoy;
pub mod eventually;
pub mod fleet;
pub mod goodput;
pub mod handmade;
pub mod latency;
pub mod ports;
pub mod process;
pub mod replay;
mod server;
pub mod shop;
#[cfg(feature = "wasm-host")]
pub mod wasm_host;

use std::path::PathBuf;

pub use sloop_sim as sim;

/// Where `cargo xtask wasm` puts the module, or what the variable `SLOOP_MODULE` says.
#[must_use]
pub fn module_path() -> PathBuf {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/sloop_filter.wasm");
    std::env::var_os("SLOOP_MODULE").map_or_else(|| built.into(), PathBuf::from)
}

/// Where the module that touches answers is: beside the other.
#[must_use]
pub fn answers_module_path() -> PathBuf {
    module_path().with_file_name("sloop_filter_answers.wasm")
}
