//! The module of the sidecars with a mistake: it traps in a request once it was given a large configuration after a small one.
//!
//! A VM that begins with the large one never served with a small one, and works. So each VM crashes once, and what Envoy begins in
//! its place reports as what it is: begun anew.

#![allow(
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a module that is not as expected is no module to test with; other sections stay as they are"
)]

use wasm_encoder::{
    BlockType, ConstExpr, Encode, ExportKind, ExportSection, Function, GlobalType, Module,
    RawSection, SectionId, ValType,
};
use wasmparser::{BinaryReader, ExternalKind, Parser, Payload, TypeRef};

/// The callbacks that get a beginning of their own, and how many `i32` they take. Both return one.
const CONFIGURED: (&str, u32) = ("proxy_on_configure", 2);
const ASKED: (&str, u32) = ("proxy_on_request_headers", 3);

/// What is known of the module before it is written again.
#[derive(Default)]
struct Original {
    functions_imported: u32,
    /// The type of each function of its own.
    types: Vec<u32>,
    globals: u32,
    exports: Vec<(String, ExternalKind, u32)>,
}

impl Original {
    fn of(module: &[u8]) -> Self {
        let mut own = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import.unwrap().ty {
                            TypeRef::Func(_) => own.functions_imported += 1,
                            TypeRef::Global(_) => own.globals += 1,
                            other => panic!("{other:?} is imported"),
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    own.types = section.into_iter().map(Result::unwrap).collect();
                }
                Payload::GlobalSection(section) => own.globals += section.count(),
                Payload::ExportSection(section) => {
                    let exports = section.into_iter().map(Result::unwrap);
                    let exports = exports.map(|it| (it.name.to_owned(), it.kind, it.index));
                    own.exports = exports.collect();
                }
                _ => {}
            }
        }
        own
    }

    /// The function that is called `name`.
    fn function(&self, name: &str) -> u32 {
        let mut exports = self.exports.iter();
        exports.find(|it| it.0 == name).unwrap().2
    }

    fn type_of(&self, function: u32) -> u32 {
        self.types[usize::try_from(function - self.functions_imported).unwrap()]
    }

    /// How many functions there are: the next one gets this number.
    fn functions(&self) -> u32 {
        self.functions_imported + u32::try_from(self.types.len()).unwrap()
    }

    /// Its exports, with the callbacks that begin differently.
    fn exported(&self) -> ExportSection {
        let mut exports = ExportSection::new();
        for (name, kind, index) in &self.exports {
            let (kind, index) = match (name.as_str(), kind) {
                (name, _) if name == CONFIGURED.0 => (ExportKind::Func, self.functions()),
                (name, _) if name == ASKED.0 => (ExportKind::Func, self.functions() + 1),
                (_, ExternalKind::Func) => (ExportKind::Func, *index),
                (_, ExternalKind::Memory) => (ExportKind::Memory, *index),
                (_, ExternalKind::Global) => (ExportKind::Global, *index),
                (_, ExternalKind::Table) => (ExportKind::Table, *index),
                (name, kind) => panic!("{name} is exported as {kind:?}"),
            };
            exports.export(name, kind, index);
        }
        exports
    }

    /// Notes that a configuration of more than `bytes` came, and goes on.
    fn configured(&self, bytes: i32) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.local_get(1).i32_const(bytes).i32_gt_u();
        code.if_(BlockType::Empty);
        code.i32_const(1).global_set(self.globals);
        code.end();
        self.goes_on(function, CONFIGURED)
    }

    /// Traps when a large configuration came after a request, and goes on otherwise.
    fn asked(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.global_get(self.globals).if_(BlockType::Empty);
        code.global_get(self.globals + 1).if_(BlockType::Empty);
        code.unreachable().end();
        code.else_();
        code.i32_const(1).global_set(self.globals + 1);
        code.end();
        self.goes_on(function, ASKED)
    }

    fn goes_on(&self, mut function: Function, (name, takes): (&str, u32)) -> Function {
        let mut code = function.instructions();
        for local in 0..takes {
            code.local_get(local);
        }
        code.call(self.function(name)).end();
        function
    }
}

/// The `module`, for which configurations of more than `bytes` are large.
pub fn module(module: &[u8], bytes: i32) -> Vec<u8> {
    let original = Original::of(module);
    let mut types = Vec::new();
    let mut globals = Vec::new();
    let mut code = Vec::new();
    for (name, _) in [CONFIGURED, ASKED] {
        original.type_of(original.function(name)).encode(&mut types);
        let kind = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        kind.encode(&mut globals);
        ConstExpr::i32_const(0).encode(&mut globals);
    }
    original.configured(bytes).encode(&mut code);
    original.asked().encode(&mut code);
    let more = [
        (SectionId::Function, &types),
        (SectionId::Global, &globals),
        (SectionId::Code, &code),
    ];
    let mut whole = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let Some((id, range)) = payload.unwrap().as_section() else {
            continue;
        };
        let section = &module[place(range.start)..place(range.end)];
        let longer = more.iter().find(|(longer, _)| *longer as u8 == id);
        if id == SectionId::Export as u8 {
            whole.section(&original.exported());
        } else if let Some((_, items)) = longer {
            let data = &with_two(section, items);
            whole.section(&RawSection { id, data });
        } else {
            whole.section(&RawSection { id, data: section });
        }
    }
    whole.finish()
}

/// A section with two items more.
fn with_two(section: &[u8], items: &[u8]) -> Vec<u8> {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32().unwrap();
    let mut longer = Vec::new();
    (count + 2).encode(&mut longer);
    longer.extend_from_slice(&section[place(reader.original_position())..]);
    longer.extend_from_slice(items);
    longer
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap()
}
