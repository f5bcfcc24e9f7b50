//! `sloop schema`: the JSON Schema of documents, and the HTTP API.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use crate::{admin, documents};

const EXAMPLE: &str = "Example:
  sloop schema > documents.schema.json
  sloop schema api > openapi.json";

/// Print the JSON Schema of documents, for editors, or the HTTP API, for programs.
///
/// In a YAML file, the line `# yaml-language-server: $schema=documents.schema.json` makes
/// editors use it.
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct SchemaArgs {
    /// Of what.
    #[arg(value_enum, default_value_t = Of::Documents)]
    of: Of,
}

/// What can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// The JSON Schema (draft 2020-12) of documents.
    Documents,
    /// The HTTP API as OpenAPI 3.1, as it is served at /v1/openapi.json.
    Api,
}

pub(super) fn run(args: SchemaArgs, out: &mut dyn Write) -> io::Result<()> {
    let text = match args.of {
        Of::Documents => documents::json_schema(),
        Of::Api => admin::openapi(),
    };
    out.write_all(text.as_bytes())
}
