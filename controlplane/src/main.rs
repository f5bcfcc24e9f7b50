//! The program `sloop`. What it does is in the library.

use std::io::{self, Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sloop_controlplane::cli::{Cli, CliError};

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        // `sloop get events | head` has seen enough.
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Whether nobody reads the output any more.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let output = match error.downcast_ref() {
        Some(CliError::Output(output)) => Some(output),
        Some(_) => None,
        None => error.downcast_ref(),
    };
    output.is_some_and(|output: &io::Error| output.kind() == io::ErrorKind::BrokenPipe)
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let mut out = stdout().lock();
    let code = cli.run(&mut out)?;
    out.flush().context("the output cannot be written")?;
    Ok(code)
}
