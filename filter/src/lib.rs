//! The Wasm HTTP filter for Envoy.
//!
//! A thin shell: it fetches facts from Envoy, asks [`sloop_dataplane::Plane`]
//! what to do, and does it. Read `http` for one request, `root` for one
//! configuration, `report` for what the control plane is told. `host` has
//! all calls into Envoy.

#[cfg(feature = "answers")]
mod answers;
mod host;
mod http;
mod reply;
mod report;
mod root;
mod telemetry;
mod ticker;
mod vm;
