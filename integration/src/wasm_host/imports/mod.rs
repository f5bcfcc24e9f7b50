//! The hostcalls. What the module imports and is not here traps with its name.

mod call;
mod grpc;
mod http;
mod shared;
mod system;

use wasmtime::{Linker, Result};

use super::abi::Status;
use super::host::Host;
use call::Call;

/// Defines a hostcall of the module `env` that answers with a [`Status`].
macro_rules! hostcall {
    ($linker:ident, $name:literal, |$call:ident $(, $argument:ident: $type:ty)*| $body:expr) => {
        $linker.func_wrap(
            "env",
            $name,
            |caller: wasmtime::Caller<'_, $crate::wasm_host::host::Host> $(, $argument: $type)*| {
                #[allow(unused_mut, reason = "some calls only read")]
                let mut $call = $crate::wasm_host::imports::Call::begin(caller, $name);
                let mut answer = || -> wasmtime::Result<$crate::wasm_host::abi::Status> { $body };
                answer().map(|status| status as u32)
            },
        )?;
    };
}
use hostcall;

/// A text in the guest's memory: where it begins, and how many bytes it has.
type Text = (u32, u32);

/// All hostcalls.
pub(super) fn all(linker: &mut Linker<Host>) -> Result<()> {
    system::add(linker)?;
    http::add(linker)?;
    grpc::add(linker)?;
    shared::add(linker)
}
