//! A filter whose cost is known: it works for as long as it is told, by its own clock.
//!
//! What it adds beyond the same filter that works for no time must be what the harness finds.
//! Written instruction by instruction, so that nothing else is in it.

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, MemArg, MemArgTarget, MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// `clock_time_get` of WASI's first preview, which Envoy offers: its id of the clock that never goes backwards.
const MONOTONIC: i32 = 1;
/// Where the clock's value goes.
const NOW: i32 = 8;
/// Where `malloc` says that there is room, for a host that wants to pass something in.
const ROOM: i32 = 1_024;

/// Callbacks of the ABI 0.2.1, each with how many `i32` it takes and the `i32` that it returns.
const CALLBACKS: [(&str, usize, Option<i32>); 5] = [
    ("proxy_abi_version_0_2_1", 0, None),
    ("malloc", 1, Some(ROOM)),
    ("proxy_on_context_create", 2, None),
    ("proxy_on_vm_start", 2, Some(1)),
    ("proxy_on_configure", 2, Some(1)),
];

/// A module that works for `ns` nanoseconds on each request.
#[must_use]
pub fn spinning(ns: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    let i32s = |count| vec![ValType::I32; count];
    types
        .ty()
        .function([ValType::I32, ValType::I64, ValType::I32], i32s(1));
    let mut imports = ImportSection::new();
    imports.import(
        "wasi_snapshot_preview1",
        "clock_time_get",
        EntityType::Function(0),
    );
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    // The import is function 0, and its type is type 0.
    for ((name, parameters, answer), index) in CALLBACKS.into_iter().zip(1..) {
        types
            .ty()
            .function(i32s(parameters), i32s(usize::from(answer.is_some())));
        functions.function(index);
        exports.export(name, ExportKind::Func, index);
        let mut function = Function::new([]);
        if let Some(answer) = answer {
            function.instructions().i32_const(answer);
        }
        function.instructions().end();
        code.function(&function);
    }
    let last = functions.len() + 1;
    types.ty().function(i32s(3), i32s(1));
    functions.function(last);
    exports.export("proxy_on_request_headers", ExportKind::Func, last);
    code.function(&spin(ns));
    let mut memory = MemorySection::new();
    memory.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&memory).section(&exports).section(&code);
    module.finish()
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
