//! A module that an Envoy loads and starts, and that crashes when it is configured.

use sloop_integration::handmade::Handmade;
use wasm_encoder::Function;

/// The bytes of the module.
pub fn module() -> Vec<u8> {
    let mut crash = Function::new([]);
    crash.instructions().unreachable().end();
    let module = Handmade::new().with_function("proxy_on_configure", 2, true, &crash);
    module.finish()
}
