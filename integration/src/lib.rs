//! Harnesses that the tests and the demo share.

pub mod demo;
pub mod envoy;
pub mod eventually;
pub mod ports;
pub mod process;
pub mod replay;
mod server;
pub mod shop;
pub mod sim;
#[cfg(feature = "wasm-host")]
pub mod wasm_host;
