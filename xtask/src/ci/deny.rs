//! Licences, bans, sources and advisories of everything that is built, by cargo-deny (`deny.toml`).

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::run::{self, say};
use crate::workspace;

/// The version that `deny.toml` is written for. A wheel of the Python package index exists, but of an age that does
/// not know the licence `Unicode-3.0`; so it is compiled.
const VERSION: &str = "0.20.2";

/// The database of advisories is one small git repository; who cannot have it within this time cannot have it.
const DATABASE_LIMIT: Duration = Duration::from_secs(60);

/// Checks licences, bans and sources, and advisories where their database can be had.
///
/// # Errors
///
/// When something is not allowed, or cargo-deny cannot be had.
pub(super) fn run() -> Result<()> {
    let program = ensure()?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .current_dir(workspace::root())
            .args(["--log-level", "error"])
            .args(arguments);
        command
    };
    run::run(&mut deny(&[
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;
    if run::succeeds(&mut deny(&["fetch", "db"]), DATABASE_LIMIT) {
        run::run(&mut deny(&["check", "--disable-fetch", "advisories"]))
    } else {
        say("skip", "advisories: their database cannot be had from here");
        Ok(())
    }
}

/// The program, compiled on the first call: without optimisation, as it takes three seconds to run and minutes to optimise.
fn ensure() -> Result<PathBuf> {
    let tools = workspace::target().join("tools");
    let program = tools.join("bin/cargo-deny");
    let version = run::read(Command::new(&program).arg("--version"));
    if version.is_ok_and(|version| version.trim().ends_with(VERSION)) {
        return Ok(program);
    }
    say("get", &format!("cargo-deny {VERSION}, to check licences"));
    run::run(
        run::cargo()
            .args(["install", "--quiet", "--locked", "--force", "--root"])
            .arg(&tools)
            .arg("--target-dir")
            .arg(tools.join("build"))
            .args(["--config", "profile.release.opt-level=0"])
            .args(["--config", "profile.release.lto=false"])
            .args(["--config", "profile.release.codegen-units=256"])
            .arg(format!("cargo-deny@{VERSION}")),
    )?;
    // Hundreds of megabytes that nobody needs again; that they stay is no failure.
    let _removed = std::fs::remove_dir_all(tools.join("build"));
    Ok(program)
}
