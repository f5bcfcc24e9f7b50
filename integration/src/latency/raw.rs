//! The smallest filter there can be: what Envoy's host itself costs, below which no Wasm filter gets.
//!
//! It is entered twice for a request, for its headers and at its end, and
//! returns. Written instruction by instruction, because any toolchain would bring more.

use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};

/// A function that is exported: its name, how many `i32` it takes, and the `i32` that it returns, if any.
type Export = (&'static str, usize, Option<i32>);

/// Callbacks of the ABI 0.2.1 (github.com/proxy-wasm/spec, abi-versions/v0.2.1), and their answers.
const EXPORTS: [Export; 7] = [
    ("proxy_abi_version_0_2_1", 0, None),
    // Where values would go; none is asked for.
    ("malloc", 1, Some(1_024)),
    ("proxy_on_context_create", 2, None),
    ("proxy_on_vm_start", 2, Some(TRUE)),
    ("proxy_on_configure", 2, Some(TRUE)),
    ("proxy_on_request_headers", 3, Some(CONTINUE)),
    ("proxy_on_log", 1, None),
];

const TRUE: i32 = 1;
const CONTINUE: i32 = 0;

/// The module.
pub(super) fn module() -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for ((name, parameters, answer), index) in EXPORTS.into_iter().zip(0..) {
        let parameters = vec![ValType::I32; parameters];
        types
            .ty()
            .function(parameters, answer.map(|_| ValType::I32));
        functions.function(index);
        exports.export(name, ExportKind::Func, index);
        let mut function = Function::new([]);
        if let Some(answer) = answer {
            function.instructions().i32_const(answer);
        }
        function.instructions().end();
        code.function(&function);
    }
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
    module.section(&types).section(&functions).section(&memory);
    module.section(&exports).section(&code);
    module.finish()
}
