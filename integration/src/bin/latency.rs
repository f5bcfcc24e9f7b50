//! `cargo xtask bench latency`: what a filter costs each request.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sloop_integration::envoy;
use sloop_integration::latency::{self, Live, Modules, Report, Settings, Variant};
use sloop_integration::process::become_guard_if_asked;

/// It ran, but its numbers must not be used.
const REFUSED: u8 = 3;

/// Pairs of slices when nothing else is said: four minutes, and an error of about half a percent.
const ROUNDS: usize = 250;
/// Enough to see that everything works, and differences of some percent.
const ROUNDS_QUICK: usize = 60;

/// Measures what filters cost each request, on a real Envoy.
///
/// Exit codes: 0 measured, 1 something does not work, 2 wrong arguments, 3 measured, but not to be trusted.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench latency",
    after_help = "Example: cargo xtask bench latency --quick --only naive,sloop --variant mine=my.wasm"
)]
struct Arguments {
    /// Pairs of slices of 400 requests for each variant
    #[arg(long, default_value_t = ROUNDS)]
    rounds: usize,
    /// Only 60 rounds
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Which variants besides `none` and `none2`, separated by commas; all when absent
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// One more: NAME=FILE with a Wasm filter (.wasm), or with an Envoy HTTP filter or a list of them in YAML
    #[arg(long, value_name = "NAME=FILE")]
    variant: Vec<String>,
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

/// Whether the numbers may be used.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let variants = variants(&arguments)?;
    let rounds = if arguments.quick {
        ROUNDS_QUICK
    } else {
        arguments.rounds
    };
    let settings = Settings::new(rounds, arguments.seed);
    // Whatever was started ends when the future is dropped.
    let report = tokio::select! {
        measured = latency::measure(variants, settings, Live::default()) => measured?,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            anyhow::bail!("ended before there was a result");
        }
    };
    show(&report)?;
    Ok(report.is_usable())
}

fn variants(arguments: &Arguments) -> anyhow::Result<Vec<Variant>> {
    let modules = Modules {
        sloop: envoy::module()?,
        naive: naive()?,
    };
    let theirs = arguments.variant.iter().map(|text| Variant::parse(text));
    let theirs = theirs.collect::<anyhow::Result<_>>()?;
    latency::choose(latency::all(&modules), &arguments.only, theirs)
}

/// `$SLOOP_NAIVE_MODULE`, which `cargo xtask` sets.
fn naive() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("SLOOP_NAIVE_MODULE")
        .context("SLOOP_NAIVE_MODULE names no module; run `cargo xtask bench latency`")?;
    let path = PathBuf::from(path);
    path.canonicalize()
        .with_context(|| format!("cannot read {}", path.display()))
}

/// Numbers that must not be used are kept apart, and no table is made of them.
fn show(report: &Report) -> anyhow::Result<()> {
    let folder = folder();
    std::fs::create_dir_all(&folder).context("making target/bench")?;
    let name = if report.is_usable() {
        "latency.json"
    } else {
        "latency.refused.json"
    };
    let path = folder.join(name);
    std::fs::write(&path, serde_json::to_vec(report)?)
        .with_context(|| format!("writing {}", path.display()))?;
    let mut text = String::new();
    if report.is_usable() {
        text.push_str(&latency::table(report));
    }
    for refusal in &report.refusals {
        text.push_str(&format!("  no result: {refusal}\n"));
    }
    text.push_str(&format!("\n  every pair: {}\n", path.display()));
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("writing the result")
}

/// Below `target/bench` of the workspace.
fn folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    workspace.join("target/bench")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_is_a_number_of_rounds() {
        let parse = |words: &[&str]| Arguments::try_parse_from(words);
        assert!(parse(&["latency", "--quick", "--rounds", "9"]).is_err());
        let named = parse(&["latency", "--only", "naive,sloop"]).unwrap();
        assert_eq!(named.only, ["naive", "sloop"]);
    }
}
