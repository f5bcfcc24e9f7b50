//! A compiler for `wasm32-unknown-unknown`.
//!
//! Three ways: the toolchain in use has the target; rustup gets it; or, where
//! rustup's server is out of reach, Debian's compiler builds the standard
//! library from source. [`next`] chooses; everything else looks and acts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::apt;
use crate::run::{self, say};

/// The target's name.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler and its parts.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm"];

/// Its linker: a link into a package that `rust-web-llvm` does not depend on.
const DEBIAN_LINKER: &str = "/usr/bin/rust-lld";

/// The oldest minor version of Rust 1 that this workspace builds with (`rust-version` in Cargo.toml).
const RUST_MINOR_MIN: u32 = 95;

/// A slow line needs a minute for the 20 MB of the target; no line at all fails at once.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// How the filter is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WasmWay {
    /// By the toolchain in use, which has the target.
    Toolchain,
    /// By Debian's compiler, which has not: it builds the standard library too.
    Debian {
        /// A linker, where Debian's own is not installed.
        linker: Option<PathBuf>,
    },
}

/// What there is on this machine.
#[derive(Clone, Debug, Default)]
struct Facts {
    toolchain_has_target: bool,
    /// `/usr/bin/cargo`, `/usr/bin/rustc` new enough, and the source of the standard library.
    debian_compiler: bool,
    debian_linker: bool,
    /// What Debian's linker is a link to, which is also the name of its package.
    debian_linker_package: Option<String>,
    /// The linker for Wasm that came with the toolchain in use.
    toolchain_linker: Option<PathBuf>,
    rustup: bool,
    apt: bool,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Use(WasmWay),
    AskRustup,
    Install(Vec<String>),
    GiveUp,
}

/// Finds a way to compile the filter, and installs it if there is none.
///
/// # Errors
///
/// When there is none and none can be installed.
pub(crate) fn ensure() -> Result<WasmWay> {
    let mut tried = Vec::new();
    loop {
        let next = next(&Facts::gather(), &tried);
        tried.push(next.clone());
        match next {
            Next::Use(way) => {
                say(
                    "have",
                    &format!("{TARGET} {}, to build the filter", name(&way)),
                );
                return Ok(way);
            }
            Next::AskRustup => {
                say("get", &format!("{TARGET} by rustup, to build the filter"));
                if !run::succeeds(
                    Command::new("rustup")
                        .args(["target", "add", TARGET])
                        .env("RUSTUP_MAX_RETRIES", "0"),
                    RUSTUP_LIMIT,
                ) {
                    say("", "rustup cannot get it here; looking for another way");
                }
            }
            Next::Install(packages) => {
                say("get", "Debian's compiler, to build the filter");
                apt::install(&packages);
            }
            Next::GiveUp => bail!(
                "nothing here compiles for {TARGET}, which the filter needs. Either \
                 `rustup target add {TARGET}`, or on Debian (with root's rights) \
                 `apt-get install {} lld-22`",
                PACKAGES.join(" ")
            ),
        }
    }
}

/// Debian's cargo with `subcommand`, set up to build the standard library with it.
///
/// A variable of the toolchain that runs this task would lead it astray.
pub(crate) fn debian_cargo(subcommand: &str, linker: Option<&Path>) -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    for variable in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(variable);
    }
    command
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .args([subcommand, "-Zbuild-std=std,panic_abort"]);
    if let Some(linker) = linker {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    command
}

fn next(facts: &Facts, tried: &[Next]) -> Next {
    if facts.toolchain_has_target {
        return Next::Use(WasmWay::Toolchain);
    }
    let linker = facts
        .toolchain_linker
        .clone()
        .filter(|_| !facts.debian_linker);
    if facts.debian_compiler && (facts.debian_linker || linker.is_some()) {
        return Next::Use(WasmWay::Debian { linker });
    }
    let mut ways = Vec::new();
    if facts.rustup {
        ways.push(Next::AskRustup);
    }
    if facts.apt {
        ways.push(Next::Install(PACKAGES.map(str::to_owned).to_vec()));
    }
    if let (true, Some(linker)) = (facts.apt, &facts.debian_linker_package) {
        ways.push(Next::Install(vec![linker.clone()]));
    }
    ways.into_iter()
        .find(|way| !tried.contains(way))
        .unwrap_or(Next::GiveUp)
}

fn name(way: &WasmWay) -> &'static str {
    match way {
        WasmWay::Toolchain => "in the toolchain",
        WasmWay::Debian { .. } => "by /usr/bin/cargo, with the standard library from source",
    }
}

impl Facts {
    fn gather() -> Self {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let libraries = run::read(Command::new(rustc).args(["--print", "target-libdir"])).ok();
        // <sysroot>/lib/rustlib/<host>/lib
        let host = libraries.as_deref().map(|lib| Path::new(lib.trim()));
        let host = host.and_then(Path::parent);
        let target = host.and_then(Path::parent).map(|all| all.join(TARGET));
        if target.is_some_and(|target| target.join("lib").is_dir()) {
            return Self {
                toolchain_has_target: true,
                ..Self::default()
            };
        }
        let debian_linker = Path::new(DEBIAN_LINKER);
        Self {
            toolchain_has_target: false,
            debian_compiler: has_debian_compiler(),
            debian_linker: debian_linker.exists(),
            debian_linker_package: std::fs::read_link(debian_linker)
                .ok()
                .and_then(|package| package.into_os_string().into_string().ok()),
            toolchain_linker: host
                .map(|host| host.join("bin/rust-lld"))
                .filter(|linker| linker.exists()),
            rustup: run::on_path("rustup").is_some(),
            apt: apt::is_usable(),
        }
    }
}

fn has_debian_compiler() -> bool {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    let version = || run::read(Command::new("/usr/bin/rustc").arg("--version"));
    Path::new("/usr/bin/cargo").exists()
        && source.exists()
        && version()
            .is_ok_and(|line| rust_minor(&line).is_some_and(|minor| RUST_MINOR_MIN <= minor))
}

/// The 96 in `rustc 1.96.0 (ac68faa20 2026-05-25)`.
fn rust_minor(line: &str) -> Option<u32> {
    let version = line.strip_prefix("rustc 1.")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare_debian() -> Facts {
        Facts {
            rustup: true,
            apt: true,
            ..Facts::default()
        }
    }

    fn packages() -> Next {
        Next::Install(PACKAGES.map(str::to_owned).to_vec())
    }

    #[test]
    fn what_is_there_is_used_without_asking_anybody() {
        let facts = Facts {
            toolchain_has_target: true,
            debian_compiler: true,
            ..bare_debian()
        };
        assert_eq!(next(&facts, &[]), Next::Use(WasmWay::Toolchain));
        let facts = Facts {
            debian_compiler: true,
            debian_linker: true,
            ..bare_debian()
        };
        let debian = WasmWay::Debian { linker: None };
        assert_eq!(next(&facts, &[]), Next::Use(debian));
    }

    #[test]
    fn rustup_comes_before_debian_and_each_is_tried_once() {
        let facts = bare_debian();
        assert_eq!(next(&facts, &[]), Next::AskRustup);
        let mut tried = vec![Next::AskRustup];
        assert_eq!(next(&facts, &tried), packages());
        tried.push(packages());
        assert_eq!(next(&facts, &tried), Next::GiveUp);
        let no_rustup = Facts {
            rustup: false,
            ..bare_debian()
        };
        assert_eq!(next(&no_rustup, &[]), packages());
    }

    #[test]
    fn a_linker_that_debian_forgot_is_borrowed_or_installed() {
        let facts = Facts {
            debian_compiler: true,
            debian_linker_package: Some("lld-22".into()),
            ..bare_debian()
        };
        let tried = [Next::AskRustup, packages()];
        let install = Next::Install(vec!["lld-22".into()]);
        assert_eq!(next(&facts, &tried), install);
        let borrowed = Facts {
            toolchain_linker: Some("/rust-lld".into()),
            ..facts
        };
        let linker = Some("/rust-lld".into());
        assert_eq!(next(&borrowed, &[]), Next::Use(WasmWay::Debian { linker }));
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            rust_minor("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some(96)
        );
        assert_eq!(rust_minor("rustc 2.0.0"), None);
        assert_eq!(rust_minor(""), None);
    }
}
