//! `cargo xtask bench`: what filters and fleets cost, and what they are good for.

mod baseline;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::run;
use crate::{artifact, setup, wasm, workspace};

/// The package of the filter that Sloop is compared with.
const NAIVE: &str = "sloop-fixture-naive";

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// What filters cost each request, on a real Envoy
    Latency {
        /// Passed to the benchmark; `cargo xtask bench latency -- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// What changed between two runs of `latency`, beyond the noise; exit code 4 when something got worse
    Compare {
        /// `latency.json` or `instructions.json` of before
        old: PathBuf,
        /// The same of after
        new: PathBuf,
    },
    /// Useful answers under overload and in outages, in virtual time: Sloop, its rivals, and nothing
    Goodput {
        /// On real Envoys instead, half a minute for each of fewer stories and rivals
        #[arg(long)]
        envoy: bool,
        /// Passed to the benchmark; `cargo xtask bench goodput -- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Many sidecars and one control plane
    Fleet {
        /// Passed to the benchmark; `cargo xtask bench fleet -- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Measures.
///
/// # Errors
///
/// When something that the benchmark needs is missing, or does not compile.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Latency { arguments } => latency(arguments),
        Bench::Compare { old, new } => compare(old, new),
        Bench::Goodput {
            envoy: false,
            arguments,
        } => goodput(arguments),
        Bench::Goodput {
            envoy: true,
            arguments,
        } => goodput_envoy(arguments),
        Bench::Fleet { arguments } => fleet(arguments),
    }
}

/// Builds what is measured and becomes what measures it. What is on the way of a
/// request is optimised even so: Envoy, the modules, and the generator (`profile.dev` in Cargo.toml).
fn latency(arguments: &[OsString]) -> Result<()> {
    let envoy = setup::envoy()?;
    let module = wasm::build(wasm::Variant::Requests)?;
    let naive = wasm::compile(NAIVE, "")?;
    run::become_(
        Command::new(program()?)
            .args(baseline::replaced(arguments)?)
            .env("ENVOY", envoy)
            .env("SLOOP_MODULE", module)
            .env("SLOOP_NAIVE_MODULE", naive),
    )
}

/// Becomes what plays the stories. Optimised as a whole: an hour of traffic goes through the real data plane.
fn goodput(arguments: &[OsString]) -> Result<()> {
    let mut build = run::cargo();
    build.current_dir(workspace::root()).args([
        "build",
        "--release",
        "-p=sloop-sim",
        "--bin=goodput",
    ]);
    let program = artifact::build(&mut build)?.program("goodput");
    let program = program.context("the workspace builds no program `goodput`")?;
    run::become_(Command::new(program).args(arguments))
}

/// Becomes what plays the stories on real Envoys; the control plane as the demo has it, as one sidecar asks little of it.
fn goodput_envoy(arguments: &[OsString]) -> Result<()> {
    let envoy = setup::envoy()?;
    let module = wasm::build(wasm::Variant::Requests)?;
    let mut build = run::cargo();
    build.current_dir(workspace::root()).args([
        "build",
        "-p=sloop-controlplane",
        "-p=sloop-integration",
        "--bin=sloop",
        "--bin=goodput_envoy",
    ]);
    let built = artifact::build(&mut build)?;
    let find = |name| {
        let program = built.program(name);
        program.with_context(|| format!("the workspace builds no program `{name}`"))
    };
    run::become_(
        Command::new(find("goodput_envoy")?)
            .args(arguments)
            .env("ENVOY", envoy)
            .env("SLOOP_MODULE", module)
            .env("SLOOP", find("sloop")?),
    )
}

/// Builds the control plane as it ships, and what measures it as fast as it can be: both run on the same processors.
fn fleet(arguments: &[OsString]) -> Result<()> {
    let envoy = setup::envoy()?;
    let module = wasm::build(wasm::Variant::Requests)?;
    let mut build = run::cargo();
    build.current_dir(workspace::root()).args([
        "build",
        "--release",
        "-p=sloop-controlplane",
        "-p=sloop-integration",
        "--bin=sloop",
        "--bin=fleet",
    ]);
    let built = artifact::build(&mut build)?;
    let find = |name| {
        let program = built.program(name);
        program.with_context(|| format!("the workspace builds no program `{name}`"))
    };
    run::become_(
        Command::new(find("fleet")?)
            .args(arguments)
            .env("ENVOY", envoy)
            .env("SLOOP_MODULE", module)
            .env("SLOOP", find("sloop")?),
    )
}

/// Becomes what compares. Paths are those of the caller's folder.
fn compare(old: &Path, new: &Path) -> Result<()> {
    run::become_(Command::new(program()?).arg("compare").args([old, new]))
}

/// Builds the program that measures and compares.
fn program() -> Result<PathBuf> {
    let mut build = run::cargo();
    build
        .current_dir(workspace::root())
        .args(["build", "-p=sloop-integration", "--bin=latency"]);
    let program = artifact::build(&mut build)?.program("latency");
    program.context("the workspace builds no program `latency`")
}
