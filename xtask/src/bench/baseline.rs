//! `--baseline REV`: the filter of another commit, beside this one's in the same run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};
use crate::workspace;

const OPTION: &str = "--baseline";
/// What a commit's own `cargo xtask wasm` leaves, and the configuration with everything on that goes with it.
const MODULE: &str = "target/sloop_filter.wasm";
const CONFIG: &str = "bench/variants/sloop.json";

/// `arguments` with each `--baseline REV` built and replaced by the option that measures the build.
///
/// # Errors
///
/// When there is no such commit, or it does not build.
pub(super) fn replaced(arguments: &[OsString]) -> Result<Vec<OsString>> {
    let (mut others, revisions) = split(arguments)?;
    for revision in revisions {
        let (commit, folder) = build(&revision)?;
        let (module, config) = (folder.join(MODULE), folder.join(CONFIG));
        others.push("--build".into());
        let build = format!("sloop_{commit}={},{}", module.display(), config.display());
        others.push(build.into());
    }
    Ok(others)
}

/// All arguments but `--baseline REV` or `--baseline=REV`, and each REV.
fn split(arguments: &[OsString]) -> Result<(Vec<OsString>, Vec<String>)> {
    let (mut others, mut revisions) = (Vec::new(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default();
        if text == OPTION {
            let revision = arguments.next().and_then(|next| next.to_str());
            revisions.push(revision.context("--baseline needs a revision")?.to_owned());
        } else if let Some(revision) = text.strip_prefix("--baseline=") {
            revisions.push(revision.to_owned());
        } else {
            others.push(argument.clone());
        }
    }
    if revisions.iter().any(|revision| revision.starts_with('-')) {
        bail!("--baseline needs a revision, not {revisions:?}");
    }
    Ok((others, revisions))
}

/// The short name of the commit, and the folder that it is in, with its module built. Where it was built before it is taken as it is.
fn build(revision: &str) -> Result<(String, PathBuf)> {
    let commit = format!("{revision}^{{commit}}");
    let commit = git(&["rev-parse", "--short", "--verify", &commit])?;
    let commit = commit.trim().to_owned();
    let folder = workspace::target().join("bench/baseline").join(&commit);
    if folder.join(MODULE).is_file() {
        say("have", &format!("{} of {commit}", MODULE));
        return Ok((commit, folder));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    unpack(&commit, &folder)?;
    // By its own tasks: how a module is built is part of the commit.
    let mut build = run::cargo();
    build.current_dir(&folder).args(["xtask", "wasm"]);
    run::run(build.env_remove("CARGO_TARGET_DIR"))?;
    if !folder.join(MODULE).is_file() {
        bail!("`cargo xtask wasm` of {commit} leaves no {MODULE}");
    }
    Ok((commit, folder))
}

/// The files of a commit, without its history.
fn unpack(commit: &str, folder: &Path) -> Result<()> {
    let archive = folder.join("commit.tar");
    let output = format!("--output={}", archive.display());
    git(&["archive", "--format=tar", &output, commit])?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(&archive).arg("-C").arg(folder);
    run::run(&mut tar)?;
    fs::remove_file(&archive).with_context(|| format!("cannot delete {}", archive.display()))
}

fn git(arguments: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    run::read(
        git.current_dir(workspace::root())
            .args(arguments.iter().map(OsStr::new)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_words(words: &[&str]) -> Result<(Vec<OsString>, Vec<String>)> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        split(&words)
    }

    #[test]
    fn revisions_are_taken_out_and_the_rest_stays_in_order() {
        let (others, revisions) = split_words(&[
            "--quick",
            "--baseline",
            "main~1",
            "--seed",
            "3",
            "--baseline=v1",
        ])
        .unwrap();
        assert_eq!(others, ["--quick", "--seed", "3"]);
        assert_eq!(revisions, ["main~1", "v1"]);
    }

    #[test]
    fn a_baseline_without_a_revision_is_an_error() {
        assert!(split_words(&["--baseline"]).is_err());
        assert!(split_words(&["--baseline", "--quick"]).is_err());
    }

    #[test]
    fn a_commit_that_is_not_there_is_an_error() {
        assert!(build("no-such-revision").is_err());
    }
}
