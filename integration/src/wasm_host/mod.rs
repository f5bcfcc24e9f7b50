//! A small proxy-wasm host for the very module that ships, with a virtual clock.
//!
//! It does what Envoy 1.40 does where a filter can tell the difference: which
//! header map may be read when, what a push of configuration does to contexts
//! in flight, when calls are cancelled. It serves tests of the glue between
//! Envoy and the data plane; what Envoy itself does is tested on the real one.
//!
//! ```no_run
//! use sloop_integration::wasm_host::{Module, Request, Response, Vm};
//!
//! let mut vm = Vm::start(&Module::load(&sloop_integration::module_path())?, 1)?;
//! assert!(vm.configure("sloop-inbound", r#"{"version": 1, "service": "shop", "side": "server"}"#));
//! let exchange = vm.begin("sloop-inbound", Request::get("/"));
//! assert!(vm.stream(exchange).sent("traceparent").is_some());
//! vm.respond(exchange, Response::status(200));
//! vm.end(exchange);
//! # anyhow::Ok(())
//! ```
//!
//! A trap of the guest panics here, with the guest's log: a test that provokes
//! one has failed.

mod abi;
mod body;
mod exchange;
mod host;
mod imports;
mod stream;
mod traffic;
mod vm;
mod way;

use std::path::Path;

use anyhow::Context as _;

pub use abi::Headers;
pub use exchange::{Request, Response};
pub use host::{Cost, GrpcCall};
pub use stream::{Exchange, Reply, Stream};
pub use vm::Vm;
pub use way::Half;

/// A compiled module, from which any number of VMs can start.
#[derive(Clone, Debug)]
pub struct Module(wasmtime::Module);

impl Module {
    /// Compiles the module at `path`: quickly, as tests do not run for long.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not WebAssembly.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        Self::compile(path, wasmtime::OptLevel::None)
    }

    /// As [`Module::load`], so that it runs fast: for measurements.
    ///
    /// # Errors
    ///
    /// As [`Module::load`].
    pub fn load_to_measure(path: &Path) -> anyhow::Result<Self> {
        Self::compile(path, wasmtime::OptLevel::Speed)
    }

    fn compile(path: &Path, effort: wasmtime::OptLevel) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| {
            let path = path.display();
            format!("cannot read the module {path}; `cargo xtask wasm` builds it")
        })?;
        let mut config = wasmtime::Config::new();
        config.consume_fuel(true);
        config.cranelift_opt_level(effort);
        let engine = wasmtime::Engine::new(&config)?;
        Ok(Self(wasmtime::Module::new(&engine, bytes)?))
    }
}
