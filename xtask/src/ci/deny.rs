//! Licences, bans, sources and advisories of everything that is built, by cargo-deny (`deny.toml`).
//!
//! The fuzz targets have a workspace and a lock of their own. Of these licences do not matter: nothing of it ships, and what
//! drives them (`libfuzzer-sys`) has one that nothing that ships may have.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::run::{self, say};
use crate::{tool, workspace};

/// The version that `deny.toml` is written for. A wheel of the Python package index exists, but of an age that does
/// not know the licence `Unicode-3.0`; so it is compiled.
const VERSION: &str = "0.20.2";

/// The database of advisories is one small git repository; who cannot have it within this time cannot have it.
const DATABASE_LIMIT: Duration = Duration::from_secs(60);

/// The workspace of the fuzz targets.
const FUZZ: [&str; 2] = ["--manifest-path", "fuzz/Cargo.toml"];

/// Checks licences, bans and sources, and advisories where their database can be had.
///
/// # Errors
///
/// When something is not allowed, or cargo-deny cannot be had.
pub(super) fn run() -> Result<()> {
    let program = tool::ensure("cargo-deny", VERSION, "to check licences")?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .current_dir(workspace::root())
            .args(["--log-level", "error"])
            .args(arguments);
        command
    };
    let check = ["check", "--hide-inclusion-graph", "bans", "sources"];
    run::run(deny(&check).arg("licenses"))?;
    run::run(deny(&FUZZ).args(check))?;
    if run::succeeds(&mut deny(&["fetch", "db"]), DATABASE_LIMIT) {
        let check = ["check", "--disable-fetch", "advisories"];
        run::run(&mut deny(&check))?;
        run::run(deny(&FUZZ).args(check))
    } else {
        say("skip", "advisories: their database cannot be had from here");
        Ok(())
    }
}
