//! The program `sloop`. What it does is in the library.

use std::io::{self, Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use mimalloc::MiMalloc;
use sloop_controlplane::cli::{Cli, CliError};

/// What a report or a push takes lives for milliseconds, is a few kilobytes large and is freed by another thread than
/// the one that made it. For that glibc's allocator takes a fifth of all processor time, and keeps what a flood left.
/// Without `no_thp` it takes huge pages, and a control plane without nodes has 150 MB.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        // `sloop get events | head` has seen enough.
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {error:#}");
        let is_usage = error.downcast_ref().is_some_and(CliError::is_usage);
        if is_usage {
            ExitCode::from(2)
        } else {
            ExitCode::FAILURE
        }
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
