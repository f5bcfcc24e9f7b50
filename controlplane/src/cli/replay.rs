//! `sloop replay`: decides again what was decided before.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::CliError;
use crate::record::{Replayed, replay};

const EXAMPLE: &str = "Example:
  sloop serve --record decisions.jsonl ...
  sloop replay decisions.jsonl

Exits with 0 when every step is decided as it was, byte for byte, with 1 when not.";

/// What to decide again.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ReplayArgs {
    /// A record, as `sloop serve --record` writes it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &ReplayArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let record = |source| CliError::Record {
        file: args.file.clone(),
        source,
    };
    let file = File::open(&args.file).map_err(|error| record(Box::new(error)))?;
    let replayed = replay(BufReader::new(file), out).map_err(|error| record(Box::new(error)))?;
    let Replayed {
        steps,
        different,
        is_cut,
    } = replayed;
    let cut = if is_cut {
        "; the record ends before the process did, since it was full"
    } else {
        ""
    };
    writeln!(
        out,
        "{steps} steps decided again, {different} of them otherwise{cut}"
    )?;
    Ok(if different == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
