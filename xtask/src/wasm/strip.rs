//! Takes out of the module what costs and serves nobody.
//!
//! The SDK exports every callback there is, and Envoy calls whatever is
//! exported: each is an entry into the VM, for bodies one per piece of data. So
//! callbacks that the filter leaves empty are taken from the exports. Sections
//! with names and with the compiler's version go too.

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportSection, Module, RawSection};
use wasmparser::{ExportSectionReader, Parser, Payload};

/// What begins a callback's name. `proxy_abi_version_..` and `proxy_on_memory_allocate` are none.
const CALLBACK: &str = "proxy_on_";

/// The callbacks that the filter implements, and `proxy_on_memory_allocate`,
/// through which Envoy returns values (called `malloc` on this target).
///
/// A callback that the filter begins to need is added here: until then Envoy
/// does not call it.
const KEPT: &[&str] = &[
    "proxy_on_memory_allocate",
    // The life of the VM and of its filters.
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_tick",
    // The life of a request.
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_log",
    "proxy_on_done",
    "proxy_on_delete",
    // The answer to a report.
    "proxy_on_grpc_receive",
    "proxy_on_grpc_close",
];

/// The module without exports of callbacks that are not in [`KEPT`] and without custom sections.
///
/// # Errors
///
/// When `module` is not a WebAssembly module.
pub(super) fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let mut stripped = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if matches!(payload, Payload::CustomSection(_)) {
            continue;
        }
        if let Payload::ExportSection(exports) = payload {
            stripped.section(&kept(exports)?);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = module.get(range).context("a section beyond the end")?;
            stripped.section(&RawSection { id, data });
        }
    }
    Ok(stripped.finish())
}

fn kept(exports: ExportSectionReader<'_>) -> Result<ExportSection> {
    let mut section = ExportSection::new();
    for export in exports {
        let export = export?;
        if is_kept(export.name) {
            let kind = RoundtripReencoder.export_kind(export.kind)?;
            section.export(export.name, kind, export.index);
        }
    }
    Ok(section)
}

fn is_kept(name: &str) -> bool {
    !name.starts_with(CALLBACK) || KEPT.contains(&name)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, CustomSection, ExportKind, Function, FunctionSection, TypeSection,
    };

    use super::*;

    fn module(exports: &[&str]) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut section = ExportSection::new();
        for name in exports {
            section.export(name, ExportKind::Func, 0);
        }
        let mut code = CodeSection::new();
        let mut function = Function::new([]);
        function.instructions().end();
        code.function(&function);
        let name = CustomSection {
            name: "name".into(),
            data: b"\0".into(),
        };
        let mut module = Module::new();
        module.section(&types).section(&functions);
        module.section(&section).section(&code).section(&name);
        module.finish()
    }

    #[test]
    fn only_callbacks_that_are_implemented_stay() {
        let with = module(&[
            "_initialize",
            "malloc",
            "proxy_abi_version_0_2_1",
            "proxy_on_log",
            "proxy_on_request_body",
            "proxy_on_downstream_data",
        ]);
        let stripped = strip(&with).unwrap();
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(&stripped) {
            if let Payload::ExportSection(exports) = payload.unwrap() {
                names.extend(exports.into_iter().map(|export| export.unwrap().name));
            }
        }
        assert_eq!(
            names,
            [
                "_initialize",
                "malloc",
                "proxy_abi_version_0_2_1",
                "proxy_on_log"
            ]
        );
    }

    #[test]
    fn custom_sections_go_and_the_rest_stays_valid() {
        let stripped = strip(&module(&["_initialize"])).unwrap();
        wasmparser::validate(&stripped).unwrap();
        let custom = |payload: &Payload<'_>| matches!(payload, Payload::CustomSection(_));
        assert!(
            !Parser::new(0)
                .parse_all(&stripped)
                .any(|p| custom(&p.unwrap()))
        );
        assert_eq!(
            strip(&stripped).unwrap(),
            stripped,
            "a second time changes nothing"
        );
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        assert!(strip(b"\x7fELF").is_err());
    }
}
