//! Agreement with the verdicts of OpenSLO's Go SDK.
//!
//! The cases are not part of this repository. They are looked for in the folder
//! that `SLOOP_CONFORMANCE` names, else in `../shared/conformance` beside the
//! workspace; where there are none, the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "says what was compared")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sloop_controlplane::documents::{Loaded, Remark, read_texts};
use sloop_model::WallTime;

/// 2026-01-01: documents say the same at any time, but calendar windows are listed from some moment on.
const NOW: WallTime = WallTime::from_millis(1_767_225_600_000);

/// One case: documents, and what the Go SDK says about them.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    valid: bool,
    /// `apiVersion/kind` of each document.
    objects: Vec<String>,
    yaml: String,
    /// Why public validators disagree about it, if they do.
    disputed: Option<String>,
    /// What the Go SDK complains about.
    #[serde(default)]
    errors: Vec<Complaint>,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    #[serde(default)]
    path: String,
    #[serde(default)]
    message: String,
}

impl Case {
    fn is_v1(&self) -> bool {
        let is_v1 = |object: &String| object.starts_with("openslo/v1/");
        !self.objects.is_empty() && self.objects.iter().all(is_v1)
    }
}

fn cases() -> Option<Vec<Case>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let folder = std::env::var_os("SLOOP_CONFORMANCE")
        .map_or_else(|| workspace.join("../shared/conformance"), PathBuf::from);
    let file = folder.join("openslo/cases.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        let _seen = writeln!(
            std::io::stderr(),
            "SKIPPED: no {}; set SLOOP_CONFORMANCE",
            file.display()
        );
        return None;
    };
    let read = |line| serde_json::from_str(line).unwrap();
    Some(text.lines().map(read).collect())
}

fn load(case: &Case) -> Loaded {
    read_texts(&[(case.id.clone(), case.yaml.clone())], NOW)
}

#[test]
fn openslo_v1_is_accepted_and_refused_as_the_go_sdk_does() {
    let Some(cases) = cases() else { return };
    let v1: Vec<&Case> = cases.iter().filter(|case| case.is_v1()).collect();
    let mut differ = Vec::new();
    for case in &v1 {
        let problems = load(case).problems;
        if problems.is_empty() != case.valid {
            let ours = problems.first();
            let theirs = case.errors.first();
            differ.push(format!(
                "{} {:?}: ours {ours:?}, theirs {theirs:?}, disputed {:?}",
                case.id, case.objects, case.disputed
            ));
        }
    }
    let agreed = v1.len() - differ.len();
    println!("{agreed} of {} verdicts agree", v1.len());
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(1_116 <= v1.len(), "only {} cases", v1.len());
}

/// Has a threshold and a ratio in one indicator. We say that and stop; the Go SDK goes on and applies the rules of both.
const FOLLOWS: &str = "rec-v1-Tests-0702";

/// Whether both paths mean the same field, or one the object that the other is in.
/// In a list of documents ours begin with a number; theirs go on into durations (`duration.unit`).
fn is_near(ours: &str, theirs: &str) -> bool {
    let ours = match ours.split_once("].") {
        Some((number, rest)) if number.starts_with('[') => rest,
        _ => ours,
    };
    let is_parent = |parent: &str, child: &str| {
        let step = child.strip_prefix(parent);
        step.is_some_and(|step| {
            step.is_empty() || (step.starts_with('.') && !step[1..].contains(['.', '[']))
        })
    };
    is_parent(ours, theirs) || is_parent(theirs, ours)
}

#[test]
fn what_the_go_sdk_complains_about_is_named() {
    let Some(cases) = cases() else { return };
    let (mut missed, mut named, mut all) = (Vec::new(), 0, 0);
    for case in cases.iter().filter(|case| case.is_v1()) {
        let problems = load(case).problems;
        for theirs in case.errors.iter().filter(|theirs| !theirs.path.is_empty()) {
            let is_named = problems
                .iter()
                .any(|ours| is_near(&ours.path, &theirs.path));
            named += usize::from(is_named);
            all += 1;
            if !is_named && case.id != FOLLOWS {
                missed.push(format!("{}: {} {}", case.id, theirs.path, theirs.message));
            }
        }
    }
    println!("{named} of {all} complaints are named");
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn documents_of_any_version_are_survived_and_answered() {
    let Some(cases) = cases() else { return };
    for case in cases.iter().filter(|case| !case.is_v1()) {
        let loaded = load(case);
        for problem in &loaded.problems {
            assert!(!problem.message.is_empty(), "{}", case.id);
        }
        let is_other = |object: &String| !object.starts_with("openslo/v1/");
        if case.objects.iter().any(is_other) {
            assert!(!loaded.problems.is_empty(), "{} is taken", case.id);
            assert!(loaded.intents.is_empty(), "{} has an effect", case.id);
        }
        for version in ["openslo/v1alpha", "openslo.com/v2alpha"] {
            let is_of = |object: &&String| {
                let kind = object.strip_prefix(version);
                kind.is_some_and(|kind| kind.starts_with('/'))
            };
            let how = format!("{version} is not read; write openslo/v1: ");
            let says = |problem: &&Remark| problem.message.starts_with(&how);
            let said = loaded.problems.iter().filter(says).count();
            // Of each document, but not of more than are said of a file.
            let due = case.objects.iter().filter(is_of).count().min(99);
            assert_eq!(said, due, "{} of {version}", case.id);
        }
    }
}
