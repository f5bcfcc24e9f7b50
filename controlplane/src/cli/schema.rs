//! `sloop schema`: the JSON Schema of documents.

use std::io::{self, Write};

use clap::Args;

use crate::documents;

const EXAMPLE: &str = "Example:
  sloop schema > documents.schema.json";

/// Print the JSON Schema of documents, for editors.
///
/// In a YAML file, the line `# yaml-language-server: $schema=documents.schema.json` makes
/// editors use it.
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct SchemaArgs {}

pub(super) fn run(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(documents::json_schema().as_bytes())
}
