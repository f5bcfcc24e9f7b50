//! `cargo xtask demo`: an SLO that changes what real sidecars do.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;
use crate::{artifact, setup, wasm, workspace};

/// Builds everything without optimisation, which takes two minutes instead of ten and
/// is far from what a hundred requests per second need; then becomes the demo: signals reach it directly, and its exit code is the task's.
///
/// # Errors
///
/// When something that the demo needs is missing, or does not compile.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let envoy = setup::envoy()?;
    let module = wasm::build(wasm::Variant::Requests)?;
    let mut build = run::cargo();
    build.current_dir(workspace::root()).args([
        "build",
        "-p=sloop-controlplane",
        "-p=sloop-integration",
        "--bins",
    ]);
    let built = artifact::build(&mut build)?;
    let find = |name| {
        let program = built.program(name);
        program.with_context(|| format!("the workspace builds no program `{name}`"))
    };
    run::become_(
        Command::new(find("demo")?)
            .args(arguments)
            .env("ENVOY", envoy)
            .env("SLOOP_MODULE", module)
            .env("SLOOP", find("sloop")?),
    )
}
