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
/// The cases of random tests begin with a [`seed`].
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
    if let Some(seed) = seed() {
        say(
            "seed",
            &format!("{SEED}={seed}: the random cases of this commit"),
        );
        tests.env(SEED, seed.to_string());
    }
    run::become_(&mut tests)
}

/// By which the cases of random tests are chosen: others than those of this commit, if a person sets it.
const SEED: &str = "PROPTEST_RNG_SEED";

/// A seed that is equal wherever the same content is tested, and another one for the next commit: what is green on one machine is
/// not red on the next by chance, and still each commit tries new cases. `None` where a person gave one, or outside a git clone.
fn seed() -> Option<u64> {
    if std::env::var_os(SEED).is_some() {
        return None;
    }
    let mut tree = Command::new("git");
    tree.current_dir(workspace::root());
    of_tree(&run::read(tree.args(["rev-parse", "HEAD^{tree}"])).ok()?)
}

/// The first 64 bits of the hash of a tree.
fn of_tree(hash: &str) -> Option<u64> {
    u64::from_str_radix(hash.get(..16)?, 16).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_beginning_of_a_hash() {
        let hash = "00000000000000ff4b825dc642cb6eb9a060e54b\n";
        assert_eq!(of_tree(hash), Some(255));
        for no_hash in ["", "HEAD^{tree}", "fatal: not a git repository"] {
            assert_eq!(of_tree(no_hash), None, "{no_hash}");
        }
    }
}
