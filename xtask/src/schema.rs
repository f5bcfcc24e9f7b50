//! `cargo xtask schema`: the JSON Schema of a filter's configuration, from the types that it is read into.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{self, say};
use crate::workspace;

/// Writes `filter/config.schema.json`. A test of `sloop-model` fails until this was called after a change.
///
/// # Errors
///
/// When the crate does not compile, or the file cannot be written.
pub(crate) fn run() -> Result<()> {
    run::run(&mut example("build"))?;
    let schema = run::read(&mut example("run"))?;
    let file = file();
    fs::write(&file, schema).with_context(|| format!("cannot write {}", file.display()))?;
    say("wrote", &file.display().to_string());
    Ok(())
}

/// The file that is checked in.
fn file() -> PathBuf {
    workspace::root().join("filter/config.schema.json")
}

/// The program that prints the schema, to be built or run.
fn example(subcommand: &str) -> Command {
    let mut command = run::cargo();
    command
        .current_dir(workspace::root())
        .args([subcommand, "--quiet", "--package", "sloop-model"])
        .args(["--features", "schema", "--example", "schema"]);
    command
}
