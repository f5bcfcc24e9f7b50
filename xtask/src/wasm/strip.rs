//! Takes out of the module what costs and serves nobody.
//!
//! The SDK exports every callback there is, and Envoy calls whatever is
//! exported: each is an entry into the VM, for bodies one per piece of data. The
//! filter brings callbacks of its own, whose names begin with `sloop_`, since
//! the SDK's have the names of the ABI. They take these names here, the
//! SDK's go, and so does every function that nothing reaches any more. What the
//! SDK's dispatch would call through its table is known by its names, and emptied.
//! Sections with names and with the compiler's version go too.

mod live;

use anyhow::{Context, Result};
use wasm_encoder::Module;
use wasm_encoder::reencode::Reencode as _;
use wasmparser::Parser;

use live::{Functions, Live};

/// What begins the name of one of the filter's own callbacks, and what it becomes.
const OWN: &str = "sloop_on_";
const CALLBACK: &str = "proxy_on_";

/// Through which Envoy returns values: the one export that the ABI calls otherwise on this target.
const OWN_ALLOCATE: &str = "sloop_on_memory_allocate";
const ALLOCATE: &str = "malloc";

/// The module with the filter's own callbacks as its callbacks, and nothing that they do not reach.
///
/// # Errors
///
/// When `module` is not a WebAssembly module.
pub(super) fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let functions = Functions::of(module)?;
    let mut live = Live::of(&functions, exported_as);
    let mut whole = Module::new();
    live.parse_core_module(&mut whole, Parser::new(0), module)
        .context("a section cannot be written again")?;
    Ok(whole.finish())
}

/// The name under which an export stays; none if it goes.
fn exported_as(name: &str) -> Option<String> {
    if name == OWN_ALLOCATE {
        Some(ALLOCATE.to_owned())
    } else if let Some(rest) = name.strip_prefix(OWN) {
        Some(format!("{CALLBACK}{rest}"))
    } else if name.starts_with(CALLBACK) || name == ALLOCATE {
        None
    } else {
        Some(name.to_owned())
    }
}

#[cfg(test)]
mod tests;
