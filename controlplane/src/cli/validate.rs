//! `sloop validate`: are these documents right, and what is wrong with them?

mod sarif;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use sloop_model::WallTime;

use crate::documents::{self, FileError, Loaded, Remark};

const EXAMPLE: &str = "Example:
  sloop validate -f slos/ -f routes.yaml
  cat slo.yaml | sloop validate -f - -o json
  sloop validate -f slos/ -o sarif > slos.sarif";

/// Check documents without applying them.
///
/// Exits with 0 when all are valid, with 1 when something is wrong with them,
/// with 2 when there is nothing to check.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ValidateArgs {
    /// A file, a folder (with all .yaml, .yml and .json files below it), or - for the standard input.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How to say it.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "human"
    )]
    output: Output,
}

/// How to say what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// `file:line:column: field: message`, one a line, and a summary.
    Human,
    /// A JSON array of what is wrong and what is worth knowing.
    Json,
    /// A SARIF 2.1.0 log, by which editors and code hosts annotate files.
    Sarif,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Invalid,
    /// Nothing could be checked.
    Usage,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self::SUCCESS,
            Verdict::Invalid => Self::from(1),
            Verdict::Usage => Self::from(2),
        }
    }
}

/// Why there is nothing to check.
#[derive(Debug, thiserror::Error)]
enum NothingToCheck {
    /// A path leads nowhere.
    #[error("{path}: {source}")]
    Path {
        /// As given.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The standard input is no text.
    #[error("the standard input {0}")]
    Input(#[from] FileError),
    /// Only folders, and nothing in them.
    #[error("no .yaml, .yml or .json file in {0}")]
    NoFile(String),
}

/// Something that was found, as JSON.
#[derive(Debug, Serialize)]
struct Found<'a> {
    severity: &'static str,
    #[serde(flatten)]
    remark: &'a Remark,
}

/// What was named: files and folders, and the text of the standard input.
#[derive(Debug, Default)]
struct Input {
    paths: Vec<PathBuf>,
    texts: Vec<(String, String)>,
}

/// Checks the documents that `args` name, as they are at `now`, and prints what is wrong with them.
pub(super) fn run(args: &ValidateArgs, now: WallTime, out: &mut dyn Write) -> io::Result<ExitCode> {
    let input = gather(&args.paths);
    let verdict = match input.and_then(|input| check(args, &input, now)) {
        Ok(loaded) => {
            match args.output {
                Output::Human => print_human(&loaded, out)?,
                Output::Json => print_json(&loaded, out)?,
                Output::Sarif => {
                    let text = serde_json::to_string_pretty(&sarif::log(&loaded))?;
                    writeln!(out, "{text}")?;
                }
            }
            if loaded.problems.is_empty() {
                Verdict::Valid
            } else {
                Verdict::Invalid
            }
        }
        Err(error) => {
            writeln!(io::stderr().lock(), "sloop: {error}")?;
            Verdict::Usage
        }
    };
    Ok(verdict.into())
}

fn check(args: &ValidateArgs, input: &Input, now: WallTime) -> Result<Loaded, NothingToCheck> {
    let loaded = documents::read_all(&input.paths, &input.texts, now);
    if loaded.files == 0 && loaded.problems.is_empty() {
        let paths = args.paths.iter().map(|path| path.display().to_string());
        let paths: Vec<String> = paths.collect();
        return Err(NothingToCheck::NoFile(paths.join(", ")));
    }
    Ok(loaded)
}

fn gather(paths: &[PathBuf]) -> Result<Input, NothingToCheck> {
    let mut input = Input::default();
    for path in paths {
        if path != Path::new("-") {
            path.metadata().map_err(|source| NothingToCheck::Path {
                path: path.display().to_string(),
                source,
            })?;
            input.paths.push(path.clone());
        } else if input.texts.is_empty() {
            let text = documents::read_stream(io::stdin().lock())?;
            input.texts.push(("<stdin>".to_owned(), text));
        }
    }
    Ok(input)
}

fn print_human(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    for remark in &loaded.problems {
        writeln!(out, "{remark}")?;
    }
    for remark in &loaded.notes {
        writeln!(out, "{}", remark.as_note())?;
    }
    let files = counted(loaded.files, "file");
    let problems = loaded.problems.len();
    if problems == 0 {
        let documents = counted(loaded.documents, "document");
        return writeln!(out, "valid: {documents} in {files}");
    }
    let wrong = loaded.problems.iter().map(|remark| remark.file.as_str());
    let wrong: BTreeSet<&str> = wrong.collect();
    let problems = counted(problems, "problem");
    writeln!(out, "invalid: {problems} in {} of {files}", wrong.len())
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn print_json(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    let errors = loaded.problems.iter().map(|remark| ("error", remark));
    let notes = loaded.notes.iter().map(|remark| ("note", remark));
    let found: Vec<Found<'_>> = errors
        .chain(notes)
        .map(|(severity, remark)| Found { severity, remark })
        .collect();
    let text = serde_json::to_string_pretty(&found)?;
    writeln!(out, "{text}")
}

#[cfg(test)]
mod tests;
