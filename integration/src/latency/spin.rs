//! A filter whose cost is known: it works for as long as it is told, by its own clock.
//!
//! What it adds beyond the same filter that works for no time must be what the harness finds.

use wasm_encoder::{BlockType, Function, MemArg, MemArgTarget, ValType};

use crate::handmade::Handmade;

/// `clock_time_get` of WASI's first preview, which Envoy offers: its id of the clock that never goes backwards.
const MONOTONIC: i32 = 1;
/// Where the clock's value goes.
const NOW: i32 = 8;

/// A module that works for `ns` nanoseconds on each request.
#[must_use]
pub fn spinning(ns: u32) -> Vec<u8> {
    let takes = [ValType::I32, ValType::I64, ValType::I32];
    Handmade::importing("wasi_snapshot_preview1", "clock_time_get", &takes)
        .with("proxy_on_configure", 2, Some(1))
        .with_function("proxy_on_request_headers", 3, true, &spin(ns))
        .finish()
}

/// Reads the clock until so much time has passed since the first reading, and lets the request go on.
fn spin(ns: u32) -> Function {
    /// The local after the three parameters.
    const BEGUN: u32 = 3;
    let value = MemArg {
        offset: 0,
        align: 3,
        target: MemArgTarget::Memory(0),
        ordering: None,
    };
    let mut function = Function::new([(1, ValType::I64)]);
    let read = |function: &mut Function| {
        let mut code = function.instructions();
        code.i32_const(MONOTONIC).i64_const(0).i32_const(NOW);
        code.call(0).drop().i32_const(NOW).i64_load(value);
    };
    read(&mut function);
    function.instructions().local_set(BEGUN);
    function.instructions().loop_(BlockType::Empty);
    read(&mut function);
    let mut code = function.instructions();
    code.local_get(BEGUN).i64_sub();
    code.i64_const(i64::from(ns)).i64_lt_u().br_if(0).end();
    code.i32_const(0).end();
    function
}
