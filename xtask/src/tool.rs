//! Programs for cargo that tasks need, below `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::run::{self, say};
use crate::workspace;

/// The program `name` in this `version`, compiled on the first call: without optimisation, as it takes seconds to run
/// and minutes to optimise. `purpose` says what it is for.
///
/// # Errors
///
/// When it cannot be had.
pub(crate) fn ensure(name: &str, version: &str, purpose: &str) -> Result<PathBuf> {
    let tools = workspace::target().join("tools");
    let program = tools.join("bin").join(name);
    let known = run::read(Command::new(&program).arg("--version"));
    if known.is_ok_and(|known| known.trim().ends_with(version)) {
        return Ok(program);
    }
    say("get", &format!("{name} {version}, {purpose}"));
    // Of this process: another one may compile, too, and is not to lose what it has.
    let build = tools.join(format!("build.{}", std::process::id()));
    run::run(
        run::cargo()
            .args(["install", "--quiet", "--locked", "--force", "--root"])
            .arg(&tools)
            .arg("--target-dir")
            .arg(&build)
            .args(["--config", "profile.release.opt-level=0"])
            .args(["--config", "profile.release.lto=false"])
            .args(["--config", "profile.release.codegen-units=256"])
            .arg(format!("{name}@{version}")),
    )?;
    // Hundreds of megabytes that nobody needs again; that they stay is no failure.
    let _removed = std::fs::remove_dir_all(&build);
    Ok(program)
}
