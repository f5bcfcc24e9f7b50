//! No child outlives the program that started it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sloop_integration::eventually::eventually;
use sloop_integration::process::Program;

const SOON: Duration = Duration::from_secs(10);

/// Whether a process runs. One that has ended and waits to be collected does not.
fn runs(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[tokio::test]
async fn a_child_dies_with_a_parent_that_is_killed() {
    let guard = env!("CARGO_BIN_EXE_guard");
    let script = format!("{guard} --as-guard $$ sleep 1000 & echo $!; wait");
    let mut parent = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = String::new();
    let said = parent.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut child).unwrap();
    let child = child.trim();
    let became = format!("/proc/{child}/comm");
    eventually(SOON, "the guard has become the child", async || {
        let name = std::fs::read_to_string(&became).ok()?;
        (name == "sleep\n").then_some(())
    })
    .await
    .unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually(SOON, "the child is gone", async || {
        (!runs(child)).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_child_ends_when_it_is_dropped_and_its_words_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let child = Program::new("talker", "sh")
        .args(["-c", "echo hello; exec sleep 1000"])
        .start(&log)
        .unwrap();
    let id = child.id().to_string();
    eventually(SOON, "it has spoken", async || {
        (child.log_end() == "hello").then_some(())
    })
    .await
    .unwrap();
    assert!(runs(&id));
    drop(child);
    assert!(!runs(&id));
}

#[tokio::test]
async fn a_child_started_on_a_thread_that_ended_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let start = move || {
        Program::new("sleeper", "sleep")
            .arg("1000")
            .start(log)
            .unwrap()
    };
    let mut child = std::thread::spawn(start).join().unwrap();
    let became = format!("/proc/{}/comm", child.id());
    eventually(SOON, "the guard has become the child", async || {
        let name = std::fs::read_to_string(&became).ok()?;
        (name == "sleep\n").then_some(())
    })
    .await
    .unwrap();
    assert!(child.ended().unwrap().is_none());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Program::new("nobody", "/no/such/program")
        .start(folder.path().join("log"))
        .unwrap();
    let status = eventually(SOON, "it has ended", async || child.ended().unwrap());
    assert_eq!(status.await.unwrap().code(), Some(127));
    assert!(child.log_end().contains("/no/such/program"));
}
