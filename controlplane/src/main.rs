//! The program `sloop`. What it does is in the library.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sloop_controlplane::cli::Cli;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let mut out = stdout().lock();
    let code = cli.run(&mut out)?;
    out.flush().context("the output cannot be written")?;
    Ok(code)
}
