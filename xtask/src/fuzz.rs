//! `cargo xtask fuzz`: puts to every parser of outside bytes what no test thought of.
//!
//! The targets are a workspace of their own (`fuzz/README.md` says why), run by
//! cargo-fuzz. It needs the address sanitizer, which the compiler does not let
//! stable code have; `RUSTC_BOOTSTRAP` does. Where the toolchain comes without
//! it, targets run without: our code has no `unsafe` that could need it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};
use crate::{tool, workspace};

/// The version that the options below are for.
const VERSION: &str = "0.13.2";

/// An input that takes longer than this, in seconds, is a finding: parsers take microseconds.
const INPUT_SECONDS_MAX: u32 = 10;

/// Compilers that libFuzzer is built with, the one that is asked for first.
const COMPILERS: [&str; 3] = ["c++", "g++", "clang++"];

/// Runs the target called `wanted`, or all of them, each for so many `seconds`.
///
/// # Errors
///
/// When there is a finding, or the targets cannot be built.
pub(crate) fn run(wanted: Option<&str>, seconds: u32) -> Result<()> {
    let targets = chosen(targets()?, wanted)?;
    if std::env::var_os("CXX").is_none()
        && COMPILERS.iter().all(|name| run::on_path(name).is_none())
    {
        bail!("libFuzzer needs a C++ compiler; on Debian `apt-get install g++`");
    }
    let program = tool::ensure("cargo-fuzz", VERSION, "to run fuzz targets")?;
    let sanitizer = sanitizer()?;
    let cargo_fuzz = |subcommand: &str| {
        let mut command = Command::new(&program);
        command
            .current_dir(folder())
            .args([
                "fuzz",
                subcommand,
                "--fuzz-dir",
                ".",
                "--sanitizer",
                sanitizer,
            ])
            .env("RUSTC_BOOTSTRAP", "1");
        command
    };
    // By itself, so that what does not compile is no finding.
    run::run(&mut cargo_fuzz("build"))?;
    let mut found = Vec::new();
    for target in targets {
        for made in ["corpus", "artifacts"] {
            fs::create_dir_all(folder().join(made).join(&target))?;
        }
        let has_words = folder().join(words(&target)).is_file();
        let mut command = cargo_fuzz("run");
        command.args(arguments(&target, seconds, has_words));
        if let Err(error) = run::run(&mut command) {
            say("found", &format!("{target}: {error:#}"));
            found.push(target);
        }
    }
    if found.is_empty() {
        say("ready", "no finding");
        return Ok(());
    }
    bail!(
        "findings in {}; fuzz/README.md says what to do",
        found.join(", ")
    );
}

/// Where the targets are.
fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

/// The names of all targets, sorted: of the files that they begin in.
fn targets() -> Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let entries = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let files = entries.iter().map(fs::DirEntry::path);
    let mut names: Vec<_> = files.filter_map(|file| name(&file)).collect();
    names.sort();
    Ok(names)
}

fn name(file: &Path) -> Option<String> {
    let is_source = file.extension() == Some(OsStr::new("rs"));
    let name = file.file_stem()?.to_str()?;
    is_source.then(|| name.to_owned())
}

/// The target called `wanted`, or all.
fn chosen(targets: Vec<String>, wanted: Option<&str>) -> Result<Vec<String>> {
    let Some(wanted) = wanted else {
        return Ok(targets);
    };
    if targets.iter().any(|target| target == wanted) {
        return Ok(vec![wanted.to_owned()]);
    }
    bail!(
        "there is no fuzz target {wanted}; there are {}",
        targets.join(", ")
    );
}

/// What the fuzzer is told: first the folder that it writes to, then the one that it only reads.
fn arguments(target: &str, seconds: u32, has_words: bool) -> Vec<String> {
    let mut arguments = vec![
        target.to_owned(),
        format!("corpus/{target}"),
        format!("seeds/{target}"),
        "--".to_owned(),
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        "-print_final_stats=1".to_owned(),
    ];
    if has_words {
        arguments.push(format!("-dict={}", words(target)));
    }
    arguments
}

/// Where the words are that occur in inputs of a target, for those that have any.
fn words(target: &str) -> String {
    format!("dictionaries/{target}.dict")
}

/// The sanitizer that the toolchain in use has.
fn sanitizer() -> Result<&'static str> {
    let folder = run::read(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let entries =
        fs::read_dir(folder.trim()).context("cannot read the folder of the standard library")?;
    let has_sanitizer = entries
        .filter_map(Result::ok)
        .any(|entry| is_sanitizer(&entry.file_name().to_string_lossy()));
    if has_sanitizer {
        return Ok("address");
    }
    say(
        "",
        "this toolchain comes without the address sanitizer; running without",
    );
    Ok("none")
}

fn is_sanitizer(file: &str) -> bool {
    file.starts_with("librustc") && file.contains("rt.asan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds() {
        let targets = targets().unwrap();
        assert!(targets.contains(&"trace_context".to_owned()), "{targets:?}");
        for target in targets {
            let seeds = fs::read_dir(folder().join("seeds").join(&target));
            assert!(seeds.is_ok_and(|seeds| 1 < seeds.count()), "{target}");
        }
    }

    #[test]
    fn every_target_is_declared_and_described() {
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        let readme = fs::read_to_string(folder().join("README.md")).unwrap();
        for target in targets().unwrap() {
            assert!(
                manifest.contains(&format!("name = \"{target}\"")),
                "{target}"
            );
            assert!(readme.contains(&format!("| `{target}` |")), "{target}");
        }
    }

    #[test]
    fn an_unknown_target_is_refused_with_the_names_of_all() {
        let all = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), all());
        assert_eq!(chosen(all(), Some("b")).unwrap(), ["b"]);
        let error = chosen(all(), Some("c")).unwrap_err().to_string();
        assert_eq!(error, "there is no fuzz target c; there are a, b");
    }

    #[test]
    fn the_fuzzer_is_told_to_end_and_where_words_are() {
        let line = arguments("b3", 5, true).join(" ");
        assert_eq!(
            line,
            "b3 corpus/b3 seeds/b3 -- -max_total_time=5 -timeout=10 -print_final_stats=1 -dict=dictionaries/b3.dict"
        );
        assert!(!arguments("b3", 5, false).join(" ").contains("-dict"));
    }

    #[test]
    fn the_sanitizer_is_known_by_its_file() {
        assert!(is_sanitizer("librustc-stable_rt.asan.a"));
        assert!(is_sanitizer("librustc-nightly_rt.asan.a"));
        assert!(!is_sanitizer("librustc-stable_rt.tsan.a"));
        assert!(!is_sanitizer("libstd-1.rlib"));
    }
}
