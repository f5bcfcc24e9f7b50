//! Prometheus, the real one: it judges `/metrics`, alert rules and dashboard in tests.
//!
//! `$PROMTOOL` and `$PROMETHEUS`, else what is on the `PATH`, else both out of Debian's package, unpacked below
//! `target/` and not installed: an installed one would start a server of its own. Where none can be had, the tests
//! that need it say that they were skipped; nothing else needs it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt;
use crate::run::{self, say};
use crate::workspace;

/// Debian's package, with both programs.
const PACKAGE: &str = "prometheus";

/// What tests find the programs by, and what they are called.
const PROGRAMS: [(&str, &str); 2] = [("PROMTOOL", "promtool"), ("PROMETHEUS", "prometheus")];

/// Where the programs are, by the variables that tests look at.
pub(crate) type Programs = Vec<(&'static str, OsString)>;

/// Finds both programs, and gets them if they are not there; nothing, which is said, where they cannot be had.
pub(crate) fn ensure() -> Programs {
    let folder = workspace::target().join("tools/prometheus");
    if let Some(found) = programs(&folder) {
        say("have", "Prometheus, for tests of metrics and alert rules");
        return found;
    }
    say(
        "get",
        &format!(
            "Prometheus (Debian's {PACKAGE}, unpacked only), for tests of metrics and alert rules"
        ),
    );
    let got = unpack(&folder).and_then(|()| programs(&folder).context("it has no programs in it"));
    got.unwrap_or_else(|error| {
        say(
            "skip",
            &format!(
                "tests with Prometheus: {error:#}; install Prometheus, or set PROMTOOL and PROMETHEUS"
            ),
        );
        Programs::new()
    })
}

/// Both programs: as the environment names them, on the `PATH`, or in `folder`.
fn programs(folder: &Path) -> Option<Programs> {
    let found = PROGRAMS.into_iter().map(|(variable, name)| {
        let unpacked = || Some(folder.join(name)).filter(|file| file.is_file());
        let program = std::env::var_os(variable)
            .or_else(|| run::on_path(name).map(PathBuf::into_os_string))
            .or_else(|| unpacked().map(PathBuf::into_os_string))?;
        Some((variable, program))
    });
    found.collect()
}

/// Puts the package's programs into `folder`. Nobody needs to be root for that.
fn unpack(folder: &Path) -> Result<()> {
    // Of this process: another one may unpack, too.
    let part = folder.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    let package = apt::download(PACKAGE, &part)?;
    let mut unpack = Command::new("dpkg-deb");
    run::run(unpack.arg("--extract").arg(package).arg(&part))?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (_, name) in PROGRAMS {
        fs::rename(part.join("usr/bin").join(name), folder.join(name))
            .with_context(|| format!("the package has no {name}"))?;
    }
    fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))
}
