//! Which functions anything reaches, and a module with only these.

use std::collections::BTreeSet;
use std::convert::Infallible;

use anyhow::Result;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, ExportSection, Function, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, ElementItems, ExportSectionReader, ExternalKind,
    FunctionSectionReader, ImportSectionReader, KnownCustom, Name, NameSectionReader, Operator,
    Parser, Payload, TypeRef,
};

/// In the names of functions that the SDK's dispatch calls through its traits. The dispatch goes, and no context of
/// the SDK's kind is ever made; but the table still has them, so that they would stay, and all that they call.
const DISPATCH: [&str; 2] = ["10proxy_wasm6traits", "10proxy_wasm10dispatcher"];

/// What a module's functions call. Shape: by the index of the function, imports first.
#[derive(Debug, Default)]
pub(super) struct Functions {
    imported: u32,
    calls: Vec<Vec<u32>>,
    /// Reached without an export: when the module starts.
    started: Option<u32>,
    /// Reached through the table, as far as anybody can tell from the module.
    in_table: Vec<u32>,
    /// What the SDK's dispatch alone can call.
    dispatched: BTreeSet<u32>,
    exported: Vec<(String, u32)>,
}

impl Functions {
    /// The functions of `module`.
    ///
    /// # Errors
    ///
    /// When it is not a WebAssembly module.
    pub(super) fn of(module: &[u8]) -> Result<Self> {
        let mut functions = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            functions.read(payload?)?;
        }
        Ok(functions)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other sections name no functions"
    )]
    fn read(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if is_function(import?.ty) {
                        self.imported += 1;
                        self.calls.push(Vec::new());
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let operators = body.get_operators_reader()?;
                let called = operators.into_iter().filter_map(|operator| match operator {
                    Ok(
                        Operator::Call { function_index }
                        | Operator::ReturnCall { function_index }
                        | Operator::RefFunc { function_index },
                    ) => Some(Ok(function_index)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                });
                let called: BTreeSet<u32> = called.collect::<Result<_, _>>()?;
                self.calls.push(called.into_iter().collect());
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let ElementItems::Functions(items) = element?.items else {
                        anyhow::bail!("the table is not a list of functions");
                    };
                    for item in items {
                        self.in_table.push(item?);
                    }
                }
            }
            Payload::StartSection { func, .. } => self.started = Some(func),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if is_exported_function(export.kind) {
                        self.exported.push((export.name.to_owned(), export.index));
                    }
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.read_names(names)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_names(&mut self, names: NameSectionReader<'_>) -> Result<()> {
        for name in names {
            if let Name::Function(functions) = name? {
                for function in functions {
                    let function = function?;
                    if DISPATCH.iter().any(|part| function.name.contains(part)) {
                        self.dispatched.insert(function.index);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether each function is reached from `roots`.
    fn reached_from(&self, roots: impl Iterator<Item = u32>) -> Vec<bool> {
        let mut is_live = vec![false; self.calls.len()];
        let in_table = self.in_table.iter().copied();
        let mut next: Vec<u32> = roots
            .chain(self.started)
            .chain(in_table.filter(|index| !self.dispatched.contains(index)))
            .collect();
        while let Some(index) = next.pop() {
            let Some(place) = is_live.get_mut(index as usize) else {
                continue;
            };
            if !std::mem::replace(place, true) {
                next.extend(self.calls.get(index as usize).into_iter().flatten());
            }
        }
        is_live
    }
}

/// Writes a module again, with other exports, only what these reach, and no custom sections.
pub(super) struct Live {
    exported_as: fn(&str) -> Option<String>,
    imported: u32,
    /// The new index of each function that stays.
    index: Vec<Option<u32>>,
    /// Of these, what nobody can call any more: the table has a place for each, with nothing in it.
    hollow: BTreeSet<u32>,
}

impl Live {
    /// What of `functions` is reached by the exports that `exported_as` keeps.
    pub(super) fn of(functions: &Functions, exported_as: fn(&str) -> Option<String>) -> Self {
        let kept = functions.exported.iter();
        let kept = kept.filter(|(name, _)| exported_as(name).is_some());
        let mut is_live = functions.reached_from(kept.map(|(_, index)| *index));
        let mut hollow = BTreeSet::new();
        for index in &functions.in_table {
            if let Some(place) = is_live.get_mut(*index as usize)
                && !std::mem::replace(place, true)
            {
                hollow.insert(*index);
            }
        }
        let mut count = 0;
        let index = is_live
            .into_iter()
            .map(|is_live| {
                is_live.then(|| {
                    count += 1;
                    count - 1
                })
            })
            .collect();
        Self {
            exported_as,
            imported: functions.imported,
            index,
            hollow,
        }
    }

    fn is_live(&self, index: u32) -> bool {
        self.index.get(index as usize).is_some_and(Option::is_some)
    }
}

impl Reencode for Live {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        // Only what is reached is written, and that reaches only what is reached.
        let new = self.index.get(index as usize).copied().flatten();
        new.ok_or(Error::InvalidCodeSectionSize)
    }

    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut function = 0;
        for import in section.into_imports() {
            let import = import?;
            let mut stays = true;
            if is_function(import.ty) {
                stays = self.is_live(function);
                function += 1;
            }
            if stays {
                utils::parse_import(self, imports, import)?;
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for (index, type_index) in (self.imported..).zip(section) {
            let type_index = type_index?;
            if self.is_live(index) {
                functions.function(self.type_index(type_index)?);
            }
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for (index, body) in (self.imported..).zip(section) {
            let body = body?;
            if self.hollow.contains(&index) {
                let mut nothing = Function::new([]);
                nothing.instructions().unreachable().end();
                code.function(&nothing);
            } else if self.is_live(index) {
                self.parse_function_body(code, body)?;
            }
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for export in section {
            let export = export?;
            if let Some(name) = (self.exported_as)(export.name) {
                let index = self.external_index(export.kind, export.index)?;
                exports.export(&name, self.export_kind(export.kind)?, index);
            }
        }
        Ok(())
    }
}

const fn is_function(of: TypeRef) -> bool {
    matches!(of, TypeRef::Func(_) | TypeRef::FuncExact(_))
}

const fn is_exported_function(kind: ExternalKind) -> bool {
    matches!(kind, ExternalKind::Func | ExternalKind::FuncExact)
}
