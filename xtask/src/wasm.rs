//! `cargo xtask wasm`: the module that sidecars load, and those that it is compared with.

mod strip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};
use crate::setup::{self, WasmWay};
use crate::workspace;

/// The profile for the module in the root Cargo.toml.
const PROFILE: &str = "wasm";

/// The most that a module may have: each sidecar compiles it when it starts. Close above what it has, so that a change
/// that goes beyond says why. Compilers differ, so it keeps nobody from the tests and the demo.
const BYTES_MAX: u64 = 326_000;

/// Which of the modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The one that sidecars load.
    Requests,
    /// The one that touches answers too, for which Envoy enters it once more per answer.
    Answers,
}

impl Variant {
    fn path(self) -> PathBuf {
        match self {
            Self::Requests => workspace::module(),
            Self::Answers => workspace::answers_module(),
        }
    }
}

/// Builds both modules.
///
/// # Errors
///
/// When nothing here can compile them, they do not compile, or one is larger than it may be.
pub(crate) fn run() -> Result<()> {
    for variant in [Variant::Answers, Variant::Requests] {
        let module = build(variant)?;
        let bytes = fs::metadata(&module)
            .with_context(|| format!("cannot read {}", module.display()))?
            .len();
        if BYTES_MAX < bytes {
            bail!(
                "{} has {bytes} bytes; it may have at most {BYTES_MAX}",
                module.display()
            );
        }
    }
    Ok(())
}

/// Builds a module where it is not built yet, and returns its path.
///
/// # Errors
///
/// When nothing here can compile it, or it does not compile.
pub(crate) fn build(variant: Variant) -> Result<PathBuf> {
    let features = match variant {
        Variant::Requests => "",
        Variant::Answers => "answers",
    };
    let built = compile("sloop-filter", features)?;
    let whole = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let stripped =
        strip::strip(&whole).context("the compiler made a module that cannot be read")?;
    let module = variant.path();
    write_if_changed(&module, &stripped)?;
    let bytes = stripped.len();
    let before = whole.len();
    say(
        "have",
        &format!(
            "{}, {bytes} bytes ({before} before stripping)",
            module.display()
        ),
    );
    Ok(module)
}

/// Compiles a package of this workspace into a module, as its authors would: with the profile of the
/// filter, and without stripping what the filter is stripped of. Returns its path.
///
/// # Errors
///
/// As `build`.
pub(crate) fn compile(package: &str, features: &str) -> Result<PathBuf> {
    let way = setup::wasm_target()?;
    let mut build = cargo(&way, "build");
    build.args(["--quiet", "-p", package, "--profile", PROFILE]);
    build.args(["--features", features]);
    run::run(&mut build)?;
    let file = format!("{}.wasm", package.replace('-', "_"));
    Ok(folder().join(setup::WASM_TARGET).join(PROFILE).join(file))
}

/// Cargo with `subcommand` for the Wasm target, in a folder of its own: the two compilers and their flags do not
/// disturb what is built for this machine.
pub(crate) fn cargo(way: &WasmWay, subcommand: &str) -> Command {
    let mut command = match way {
        WasmWay::Toolchain => {
            let mut command = run::cargo();
            command.arg(subcommand);
            command
        }
        WasmWay::Debian { linker } => setup::debian_cargo(subcommand, linker.as_deref()),
    };
    // Flags for this machine's processor mean nothing to the target.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(workspace::root())
        .args(["--target", setup::WASM_TARGET, "--target-dir"])
        .arg(folder());
    command
}

fn folder() -> PathBuf {
    workspace::target().join("wasm")
}

/// Replaces `path` in one step, so that a running Envoy never loads half a module.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    // Of this process: another one may write the same module.
    let new = path.with_extension(format!("wasm.{}.new", std::process::id()));
    fs::write(&new, content)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_module_is_left_alone_and_another_one_replaced() {
        let folder = std::env::temp_dir().join(format!("sloop-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("module.wasm");
        write_if_changed(&path, b"one").unwrap();
        let written_at = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written_at);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::remove_dir_all(&folder).unwrap();
    }
}
