//! `cargo xtask ci`: everything that must hold before a change goes in.
//!
//! Cheap checks come first, so that a slip shows within a minute; the tests
//! come last, as the README tells people to run them, and theirs are the last
//! lines.

mod deny;
mod readme;

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::run::{self, say};
use crate::{setup, wasm, workspace};

/// The crates that must know nothing of clocks, networks and files: they compile where there are none.
const PURE: [&str; 5] = [
    "sloop-model",
    "sloop-page",
    "sloop-dataplane",
    "sloop-controllers",
    "sloop-xds",
];

/// The tests on the real Envoy are checked like everything else.
const FEATURES: [&str; 2] = ["--features", workspace::TEST_FEATURES];

/// Runs all checks, then the tests.
///
/// # Errors
///
/// When something does not hold.
pub(crate) fn run() -> Result<()> {
    let mut times = Times::default();
    times.step("format", || {
        let mut format = run::cargo();
        run::run(
            format
                .current_dir(workspace::root())
                .args(["fmt", "--all", "--check"]),
        )
    })?;
    times.step("set-up", setup::run)?;
    times.step("lints", || {
        let mut clippy = cargo_workspace("clippy");
        run::run(clippy.args(["--all-targets", "--", "-D", "warnings"]))
    })?;
    times.step("fuzz targets", check_fuzz)?;
    times.step("docs", || {
        let mut doc = cargo_workspace("doc");
        run::run(doc.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    times.step("purity", check_purity)?;
    times.step("licences", deny::run)?;
    times.step("modules", wasm::run)?;
    let tests = readme::test_command()?;
    for (name, seconds) in &times.0 {
        say("time", &format!("{seconds:>5} s  {name}"));
    }
    run::run(
        Command::new("bash")
            .args(["-c", &tests])
            .current_dir(workspace::root()),
    )
}

/// How long each step took, for ARCHITECTURE.md.
#[derive(Default)]
struct Times(Vec<(&'static str, u64)>);

impl Times {
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        step()?;
        self.0.push((name, begun.elapsed().as_secs()));
        Ok(())
    }
}

/// That the checks of the fuzz targets still compile: theirs is a workspace of its own, which nothing else builds.
fn check_fuzz() -> Result<()> {
    let mut check = run::cargo();
    check
        .current_dir(workspace::root())
        .args([
            "check",
            "--quiet",
            "--locked",
            "--lib",
            "--no-default-features",
        ])
        .args([
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
            "target",
        ]);
    run::run(&mut check)
}

fn check_purity() -> Result<()> {
    let mut check = wasm::cargo(&setup::wasm_target()?, "check");
    for package in PURE {
        check.args(["-p", package]);
    }
    run::run(&mut check)
}

fn cargo_workspace(subcommand: &str) -> Command {
    let mut command = run::cargo();
    command
        .current_dir(workspace::root())
        .args([subcommand, "--workspace"])
        .args(FEATURES);
    command
}
