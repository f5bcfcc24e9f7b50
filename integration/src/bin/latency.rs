//! `cargo xtask bench latency`: what a filter costs each request.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sloop_integration::envoy;
use sloop_integration::latency::{self, Live, Modules, Priority, Settings, Variant};
use sloop_integration::process::become_guard_if_asked;

/// It ran, but its numbers must not be used.
const REFUSED: u8 = 3;

/// Pairs of slices when nothing else is said: a minute or two, and an error of half a percent.
const ROUNDS: usize = 120;
/// Enough for differences of a percent or two, in half a minute.
const ROUNDS_QUICK: usize = 30;
/// Counts for each variant; they differ by a few thousandths.
const COUNTS: usize = 5;
const COUNTS_QUICK: usize = 3;

/// Sloop's default.
const REPORT_MS: u32 = 1_000;
/// Under Valgrind a slice takes seconds; a report in it would look like the cost of requests.
const REPORT_INSTRUCTIONS_MS: u32 = 60_000;

/// Measures what filters cost each request, on a real Envoy.
///
/// Exit codes: 0 measured, 1 something does not work, 2 wrong arguments, 3 measured, but not to be trusted.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench latency",
    after_help = "Example: cargo xtask bench latency --quick --only naive,sloop --variant mine=my.wasm"
)]
struct Arguments {
    /// Pairs of slices of 400 requests for each variant [default: 120], or counts with --instructions [default: 5]
    #[arg(long)]
    rounds: Option<usize>,
    /// Only 30 rounds, or 3 counts
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Counts instructions instead, by Valgrind: takes longer, and neighbours do not matter
    #[arg(long)]
    instructions: bool,
    /// Which variants besides `none` and `none2`, separated by commas; all when absent
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// One more: NAME=FILE.wasm, NAME=FILE.wasm,CONFIGURATION_FILE, or NAME=FILE with Envoy HTTP filters in YAML
    #[arg(long, value_name = "NAME=FILE")]
    variant: Vec<String>,
    /// Leaves priorities as they are, for a machine that others need: needs more rounds, and shows caches that they cool
    #[arg(long)]
    polite: bool,
    /// What the order of slices is drawn from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> ExitCode {
    become_guard_if_asked();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .context("starting")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(REFUSED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn rounds(&self) -> usize {
        match (self.rounds, self.instructions, self.quick) {
            (Some(rounds), _, _) => rounds,
            (None, false, false) => ROUNDS,
            (None, false, true) => ROUNDS_QUICK,
            (None, true, false) => COUNTS,
            (None, true, true) => COUNTS_QUICK,
        }
    }

    fn variants(&self) -> anyhow::Result<Vec<Variant>> {
        let modules = Modules {
            sloop: envoy::module()?,
            naive: naive()?,
            raw: latency::write_raw(&folder()?)?,
        };
        let report_ms = if self.instructions {
            REPORT_INSTRUCTIONS_MS
        } else {
            REPORT_MS
        };
        let ours = latency::all(&modules, report_ms)?;
        let theirs = self.variant.iter().map(|text| Variant::parse(text));
        latency::choose(ours, &self.only, theirs.collect::<anyhow::Result<_>>()?)
    }
}

/// Whether the numbers may be used.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    // Whatever was started ends when the future is dropped.
    tokio::select! {
        measured = measure(&arguments) => measured,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            anyhow::bail!("ended before there was a result");
        }
    }
}

async fn measure(arguments: &Arguments) -> anyhow::Result<bool> {
    let variants = arguments.variants()?;
    let (rounds, live) = (arguments.rounds(), Live::default());
    if arguments.instructions {
        let counted = latency::instructions(variants, rounds, live).await?;
        let table = latency::instructions_table(&counted);
        show("instructions", &counted, &table, &counted.refusals)?;
        return Ok(counted.is_usable());
    }
    let priority = if arguments.polite {
        Priority::Ordinary
    } else {
        Priority::RealTime
    };
    let settings = Settings::new(rounds, arguments.seed, priority);
    let report = latency::measure(variants, settings, live).await?;
    show(
        "latency",
        &report,
        &latency::table(&report),
        &report.refusals,
    )?;
    Ok(report.is_usable())
}

/// `$SLOOP_NAIVE_MODULE`, which `cargo xtask` sets.
fn naive() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("SLOOP_NAIVE_MODULE")
        .context("SLOOP_NAIVE_MODULE names no module; run `cargo xtask bench latency`")?;
    let path = PathBuf::from(path);
    path.canonicalize()
        .with_context(|| format!("cannot read {}", path.display()))
}

/// Numbers that must not be used are kept apart, and no table is shown of them.
fn show(
    name: &str,
    report: &impl serde::Serialize,
    table: &str,
    refusals: &[String],
) -> anyhow::Result<()> {
    let file = if refusals.is_empty() {
        format!("{name}.json")
    } else {
        format!("{name}.refused.json")
    };
    let path = folder()?.join(file);
    std::fs::write(&path, serde_json::to_vec(report)?)
        .with_context(|| format!("writing {}", path.display()))?;
    let mut text = String::new();
    if refusals.is_empty() {
        text.push_str(table);
    }
    for refusal in refusals {
        text.push_str(&format!("  no result: {refusal}\n"));
    }
    text.push_str(&format!("\n  every number: {}\n", path.display()));
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("writing the result")
}

/// `target/bench` of the workspace, which is there then.
fn folder() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    let folder = workspace.join("target/bench");
    std::fs::create_dir_all(&folder).context("making target/bench")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_is_a_number_of_rounds() {
        let parse = |words: &[&str]| Arguments::try_parse_from(words);
        assert!(parse(&["latency", "--quick", "--rounds", "9"]).is_err());
        let quick = parse(&["latency", "--quick"]).unwrap();
        assert_eq!(quick.rounds(), ROUNDS_QUICK);
        let counts = parse(&["latency", "--instructions"]).unwrap();
        assert_eq!(counts.rounds(), COUNTS);
        let named = parse(&["latency", "--only", "naive,sloop"]).unwrap();
        assert_eq!(named.only, ["naive", "sloop"]);
    }
}
