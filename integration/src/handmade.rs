//! Wasm modules for Envoy that are written instruction by instruction, so that nothing else is in them.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// Where the memory has room that a host may write to, whatever it asks for.
const ROOM: i32 = 1_024;

/// A filter in the making, with one page of memory. Each function has a type of its own, with the same number.
#[derive(Debug, Default)]
pub struct Handmade {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    exports: ExportSection,
    code: CodeSection,
    count: u32,
}

impl Handmade {
    /// A filter of ABI 0.2.1 that Envoy can load, start and give memory to, with a function of the host as function 0.
    #[must_use]
    pub fn importing(module: &str, name: &str, takes: &[ValType]) -> Self {
        let mut own = Self::default();
        own.types
            .ty()
            .function(takes.iter().copied(), [ValType::I32]);
        own.imports.import(module, name, EntityType::Function(0));
        own.count = 1;
        own.starting()
    }

    /// A filter of ABI 0.2.1 that Envoy can load, start and give memory to.
    #[must_use]
    pub fn new() -> Self {
        Self::default().starting()
    }

    fn starting(self) -> Self {
        self.with("proxy_abi_version_0_2_1", 0, None)
            .with("malloc", 1, Some(ROOM))
            .with("proxy_on_context_create", 2, None)
            .with("proxy_on_vm_start", 2, Some(1))
    }

    /// And a callback that takes so many `i32`, and only returns `answer`.
    #[must_use]
    pub fn with(self, name: &str, takes: usize, answer: Option<i32>) -> Self {
        let mut function = Function::new([]);
        if let Some(answer) = answer {
            function.instructions().i32_const(answer);
        }
        function.instructions().end();
        self.with_function(name, takes, answer.is_some(), &function)
    }

    /// And a callback that takes so many `i32`, and returns one or nothing.
    #[must_use]
    pub fn with_function(
        mut self,
        name: &str,
        takes: usize,
        answers: bool,
        function: &Function,
    ) -> Self {
        let i32s = |count| vec![ValType::I32; count];
        self.types
            .ty()
            .function(i32s(takes), i32s(usize::from(answers)));
        self.functions.function(self.count);
        self.exports.export(name, ExportKind::Func, self.count);
        self.code.function(function);
        self.count += 1;
        self
    }

    /// The bytes of the module.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let mut memory = MemorySection::new();
        memory.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        self.exports.export("memory", ExportKind::Memory, 0);
        let mut module = Module::new();
        module.section(&self.types).section(&self.imports);
        module.section(&self.functions).section(&memory);
        module.section(&self.exports).section(&self.code);
        module.finish()
    }
}
