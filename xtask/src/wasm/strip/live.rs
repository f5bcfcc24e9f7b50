//! Which functions anything reaches, and a module with only these.

use std::collections::BTreeSet;
use std::convert::Infallible;

use anyhow::Result;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, ExportSection, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, ElementItems, ExportSectionReader, ExternalKind,
    FunctionSectionReader, ImportSectionReader, Operator, Parser, Payload, TypeRef,
};

/// What a module's functions call. Shape: by the index of the function, imports first.
#[derive(Debug, Default)]
pub(super) struct Functions {
    imported: u32,
    calls: Vec<Vec<u32>>,
    /// Reached without an export: through the table, or when the module starts.
    reached: Vec<u32>,
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
                        self.reached.push(item?);
                    }
                }
            }
            Payload::StartSection { func, .. } => self.reached.push(func),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if is_exported_function(export.kind) {
                        self.exported.push((export.name.to_owned(), export.index));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether each function is reached from `roots`.
    fn reached_from(&self, roots: impl Iterator<Item = u32>) -> Vec<bool> {
        let mut is_live = vec![false; self.calls.len()];
        let mut next: Vec<u32> = roots.chain(self.reached.iter().copied()).collect();
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
}

impl Live {
    /// What of `functions` is reached by the exports that `exported_as` keeps.
    pub(super) fn of(functions: &Functions, exported_as: fn(&str) -> Option<String>) -> Self {
        let kept = functions.exported.iter();
        let kept = kept.filter(|(name, _)| exported_as(name).is_some());
        let mut count = 0;
        let index = functions
            .reached_from(kept.map(|(_, index)| *index))
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
            if self.is_live(index) {
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
