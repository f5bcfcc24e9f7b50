use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, ImportSection, NameMap, NameSection, RefType, TableSection,
    TableType, TypeSection,
};

use wasmparser::Payload;

use super::*;

/// A module of functions `(name, calls)`. Imports `in` and `out` come first, as 0 and 1. The last function is in the table.
fn module(functions: &[(&str, &[u32])]) -> Vec<u8> {
    module_with("_ZN4core3fmt5write17h0123456789abcdefE", functions)
}

/// As [`module`], where the function in the table is called `last`.
fn module_with(last: &str, functions: &[(&str, &[u32])]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    let mut signatures = FunctionSection::new();
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: None,
        shared: false,
    });
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for name in ["in", "out"] {
        imports.import("env", name, EntityType::Function(0));
    }
    let mut index = 2;
    for (name, calls) in functions {
        signatures.function(0);
        if !name.is_empty() {
            exports.export(name, ExportKind::Func, index);
        }
        let mut function = Function::new([]);
        for call in *calls {
            function.instructions().call(*call);
        }
        function.instructions().end();
        code.function(&function);
        index += 1;
    }
    let mut elements = ElementSection::new();
    let items = Elements::Functions(vec![index - 1].into());
    elements.active(None, &ConstExpr::i32_const(0), items);
    let mut names = NameMap::new();
    names.append(index - 1, last);
    let mut name = NameSection::new();
    name.functions(&names);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&signatures);
    module.section(&tables).section(&exports).section(&elements);
    module.section(&code).section(&name);
    module.finish()
}

/// Names of the imports and exports, and how many functions there are.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other sections do not matter here"
)]
fn shape(module: &[u8]) -> (Vec<String>, Vec<String>, usize) {
    wasmparser::validate(module).unwrap();
    let (mut imports, mut exports, mut functions) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import.unwrap().name.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export.unwrap().name.to_owned());
                }
            }
            Payload::CodeSectionEntry(_) => functions += 1,
            _ => {}
        }
    }
    (imports, exports, functions)
}

#[test]
fn own_callbacks_take_the_place_of_the_sdks() {
    let with = module(&[
        ("_initialize", &[]),
        ("malloc", &[]),
        ("proxy_abi_version_0_2_1", &[]),
        ("proxy_on_log", &[]),
        ("proxy_on_request_body", &[]),
        ("sloop_on_log", &[]),
        ("sloop_on_memory_allocate", &[]),
        ("", &[]),
    ]);
    let (_, exports, functions) = shape(&strip(&with).unwrap());
    let stays = [
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_log",
        "malloc",
    ];
    assert_eq!(exports, stays);
    assert_eq!(functions, stays.len() + 1, "and the one in the table");
}

#[test]
fn what_is_reached_stays_and_what_is_not_goes() {
    let with = module(&[
        ("proxy_on_log", &[0, 5]),
        ("sloop_on_log", &[4]),
        ("", &[1]),
        ("", &[]),
        ("", &[]),
    ]);
    let (imports, exports, functions) = shape(&strip(&with).unwrap());
    assert_eq!(imports, ["out"]);
    assert_eq!(exports, ["proxy_on_log"]);
    assert_eq!(functions, 3);
}

#[test]
fn what_the_sdks_dispatch_alone_would_call_is_empty_and_reaches_nothing() {
    let functions: &[(&str, &[u32])] = &[("sloop_on_log", &[1]), ("", &[0]), ("", &[3])];
    for (name, reached) in [
        (
            "_ZN10proxy_wasm6traits7Context4done17h0123456789abcdefE",
            false,
        ),
        ("_ZN10proxy_wasm6logger3log17h0123456789abcdefE", true),
    ] {
        let stripped = strip(&module_with(name, functions)).unwrap();
        let (imports, _, count) = shape(&stripped);
        let expected: &[&str] = if reached { &["in", "out"] } else { &["out"] };
        assert_eq!(imports, expected, "{name}");
        assert_eq!(count, if reached { 3 } else { 2 }, "{name}");
    }
}

#[test]
fn what_the_sdks_dispatch_would_call_stays_whole_where_others_call_it() {
    let name = "_ZN10proxy_wasm6traits7Context4done17h0123456789abcdefE";
    let called = module_with(name, &[("sloop_on_log", &[3]), ("", &[0])]);
    let (imports, _, _) = shape(&strip(&called).unwrap());
    assert_eq!(imports, ["in"]);
}

#[test]
fn a_second_time_only_the_callbacks_go() {
    let once = strip(&module(&[("sloop_on_log", &[0]), ("", &[])])).unwrap();
    let (imports, exports, functions) = shape(&strip(&once).unwrap());
    assert!(imports.is_empty() && exports.is_empty());
    assert_eq!(functions, 1);
}

#[test]
fn what_is_no_module_is_an_error() {
    assert!(strip(b"\x7fELF").is_err());
}
