//! `cargo xtask schema`: the JSON Schemas of a filter's configuration and of documents, and the HTTP API.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{self, say};
use crate::workspace;

/// Writes `filter/config.schema.json`, `controlplane/documents.schema.json` and `controlplane/openapi.json`. Tests of
/// `sloop-model` and `sloop-controlplane` fail until this was called after a change.
///
/// # Errors
///
/// When the crates do not compile, or a file cannot be written.
pub(crate) fn run() -> Result<()> {
    write(
        "filter/config.schema.json",
        &[
            "--package",
            "sloop-model",
            "--features",
            "schema",
            "--example",
            "schema",
        ],
    )?;
    for (file, of) in [
        ("controlplane/documents.schema.json", "documents"),
        ("controlplane/openapi.json", "api"),
    ] {
        let program = "sloop-controlplane";
        write(
            file,
            &["--package", program, "--bin", "sloop", "--", "schema", of],
        )?;
    }
    Ok(())
}

/// Writes what the program that `arguments` name prints into `file`, which is checked in.
fn write(file: &str, arguments: &[&str]) -> Result<()> {
    let schema = run::read(program("run").args(arguments))?;
    let file = workspace::root().join(file);
    fs::write(&file, schema).with_context(|| format!("cannot write {}", file.display()))?;
    say("wrote", &file.display().to_string());
    Ok(())
}

/// Cargo, to run a program of this workspace.
fn program(subcommand: &str) -> Command {
    let mut command = run::cargo();
    command
        .current_dir(workspace::root())
        .args([subcommand, "--quiet"]);
    command
}
