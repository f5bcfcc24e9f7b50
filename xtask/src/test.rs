//! `cargo xtask test`: all tests.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{self, say};
use crate::{artifact, setup, wasm, workspace};

/// Builds everything, then becomes `cargo test`, whose lines are the last.
///
/// The system tests find what they start in the environment: `ENVOY`, `SLOOP`
/// (the program `sloop`) and `SLOOP_MODULE`, and `PROMTOOL` and `PROMETHEUS` where there are any.
///
/// # Errors
///
/// When something that the tests need is missing, or they do not compile.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let envoy = setup::envoy()?;
    let prometheus = setup::prometheus();
    wasm::build(wasm::Variant::Answers)?;
    let module = wasm::build(wasm::Variant::Requests)?;
    let sloop = build_tests()?;
    say(
        "ready",
        "tests on the real Envoy, with the module that ships",
    );
    let mut tests = cargo_test();
    tests
        .args(["--no-fail-fast"])
        .args(arguments)
        .env("ENVOY", envoy)
        .envs(prometheus)
        .env("SLOOP_MODULE", module)
        .env("SLOOP", sloop);
    run::become_(&mut tests)
}

/// Compiles the tests and the program `sloop` in one go: building the program by
/// itself would compile what it depends on twice, with other features.
fn build_tests() -> Result<std::path::PathBuf> {
    let mut build = cargo_test();
    build.arg("--no-run");
    let built = artifact::build(&mut build)?;
    built
        .program("sloop")
        .context("the workspace builds no program `sloop`")
}

fn cargo_test() -> Command {
    let mut command = run::cargo();
    command.current_dir(workspace::root()).args([
        "test",
        "--workspace",
        "--features",
        workspace::TEST_FEATURES,
    ]);
    command
}
