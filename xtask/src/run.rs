//! Starting other programs, and saying so.
//!
//! Everything that tasks say goes to standard error: standard output belongs to
//! the programs that they start.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A program ended with a failure, which is the task's failure too.
#[derive(Debug)]
pub(crate) struct Failed {
    line: String,
    code: Option<i32>,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(formatter, "`{}` failed with exit code {code}", self.line),
            None => write!(formatter, "`{}` was ended by a signal", self.line),
        }
    }
}

impl std::error::Error for Failed {}

impl Failed {
    /// `command` ended with `status`, which is not success.
    pub(crate) fn new(command: &Command, status: ExitStatus) -> Self {
        Self {
            line: line(command),
            code: status.code(),
        }
    }

    /// What the task should exit with: what the program did.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

/// Says one line to the person who waits: a `subject` of one word, and what about it.
pub(crate) fn say(subject: &str, what: &str) {
    eprintln!("{subject:>9}  {what}");
}

/// `cargo`, the one that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` and waits for it.
///
/// # Errors
///
/// [`Failed`] when it fails; others when it cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say("run", &line(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Failed::new(command, status).into())
}

/// Runs `command` quietly and returns what it wrote to standard output.
///
/// # Errors
///
/// When it cannot be started or fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` succeeds within `limit`. Quiet; ended when it takes longer.
pub(crate) fn succeeds(command: &mut Command, limit: Duration) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match quiet.spawn() {
        Ok(child) => ends_well(child, limit),
        Err(_) => false,
    }
}

/// Replaces this process by `command`: its output is the last, and its exit code ours.
///
/// # Errors
///
/// When it cannot be started; otherwise this does not return.
pub(crate) fn become_(command: &mut Command) -> Result<()> {
    say("run", &line(command));
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", line(command)))
}

/// Where `program` is on the `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn ends_well(mut child: Child, limit: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    // Either may fail only because it has ended by now.
    let _ended = child.kill();
    let _reaped = child.wait();
    false
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_exit_code() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        let failed = error.downcast_ref::<Failed>().unwrap();
        assert_eq!(failed.exit_code(), ExitCode::from(7));
        assert_eq!(failed.to_string(), "`sh -c exit 7` failed with exit code 7");
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let begun = Instant::now();
        let limit = Duration::from_millis(50);
        assert!(!succeeds(Command::new("sleep").arg("30"), limit));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_program_that_is_not_there_does_not_succeed() {
        assert!(!succeeds(
            &mut Command::new("/nonexistent/program"),
            Duration::from_secs(1)
        ));
    }
}
