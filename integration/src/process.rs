//! Child programs that cannot outlive this one.
//!
//! A child is started through a guard: a program that asks the kernel to be
//! killed when its parent dies and then becomes the child ([`become_guard_if_asked`]).
//! So nothing is left behind, also when this process is killed with SIGKILL.
//!
//! The kernel watches the *thread* that started the child. All children are
//! therefore started by one thread that lives as long as the process, and a
//! [`Guarded`] may be made on any thread and moved to any other.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use crate::eventually::eventually;

/// The first argument of a program that shall act as a guard.
const GUARD: &str = "--as-guard";
/// How much of a log is shown when something failed.
const LOG_LINES_SHOWN: usize = 60;

/// Whether this program's own `main` calls [`become_guard_if_asked`].
static IS_OWN_GUARD: AtomicBool = AtomicBool::new(false);

/// A program to be started.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The first line of a `main` that starts children: becomes the guard of a child if that is what it was started for.
///
/// Returns otherwise. A test binary has no `main` of its own; there, the program `guard` does it.
pub fn become_guard_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(GUARD)) {
        IS_OWN_GUARD.store(true, Ordering::Relaxed);
        return;
    }
    let error = become_child(arguments);
    eprintln!("guard: {error:#}");
    std::process::exit(127);
}

/// Only ever returns an error.
fn become_child(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Error {
    let Some(parent) = arguments.next() else {
        return anyhow::anyhow!("usage: {GUARD} PARENT_PID PROGRAM [ARGUMENT..]");
    };
    let Some(program) = arguments.next() else {
        return anyhow::anyhow!("the program is missing");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return anyhow::Error::new(error).context("setting the parent-death signal");
    }
    // The parent may have died before the signal was set.
    let alive = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if alive.as_deref().map(OsStr::new) != Some(&parent) {
        return anyhow::anyhow!("the parent is gone");
    }
    let error = Command::new(&program).args(arguments).exec();
    anyhow::Error::new(error).context(format!("becoming {}", program.display()))
}

impl Program {
    /// A program at `path` that is called `name` in messages.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it. What it writes goes to the end of the file `log`.
    ///
    /// # Errors
    ///
    /// When the guard is not found, `log` cannot be written or the start fails.
    pub fn start(self, log: impl Into<PathBuf>) -> anyhow::Result<Guarded> {
        let log = log.into();
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().context("sharing the log")?;
        let mut command = Command::new(guard()?);
        command
            .arg(GUARD)
            .arg(std::process::id().to_string())
            .arg(&self.path)
            .args(&self.arguments)
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C on the terminal is for this process, which ends its children in its own order.
            .process_group(0);
        let child = start_on_lasting_thread(command)
            .with_context(|| format!("starting {} ({})", self.name, self.path.display()))?;
        Ok(Guarded {
            name: self.name,
            child,
            log,
        })
    }
}

impl Guarded {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with everything that it wrote.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn log_end(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(LOG_LINES_SHOWN)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal. Nothing happens to a child that has ended.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        if self.ended()?.is_none() {
            let id = i32::try_from(self.child.id()).context("the process id")?;
            let id = Pid::from_raw(id).context("the process id is zero")?;
            kill_process(id, signal)?;
        }
        Ok(())
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Asks it to end with SIGTERM, and waits.
    ///
    /// # Errors
    ///
    /// When it has not ended `within` the time.
    pub async fn terminate(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let what = format!("{} ends on SIGTERM", self.name);
        eventually(within, &what, async || self.ended().ok().flatten()).await
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, end) = (&self.name, self.log_end());
            eprintln!("---- the end of the log of {name}\n{end}\n----");
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program that guards: this one, or `guard` beside it or (for a test binary) one folder up.
fn guard() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    if IS_OWN_GUARD.load(Ordering::Relaxed) {
        return Ok(own);
    }
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("guard"))
        .find(|path| path.is_file())
        .with_context(|| {
            let own = own.display();
            format!(
                "no program `guard` beside {own}; build it with `cargo build -p sloop-integration --bin guard`"
            )
        })
}

type Started = std::io::Result<Child>;

fn start_on_lasting_thread(command: Command) -> anyhow::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<(Command, mpsc::Sender<Started>)>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (to_starter, commands) = mpsc::channel::<(Command, mpsc::Sender<Started>)>();
        std::thread::spawn(move || {
            for (mut command, answer) in commands {
                // Who asked may be gone; then the child is dropped and the guard sees to the rest.
                drop(answer.send(command.spawn()));
            }
        });
        to_starter
    });
    let (answer, started) = mpsc::channel();
    starter
        .send((command, answer))
        .context("the thread that starts children is gone")?;
    Ok(started
        .recv()
        .context("the thread that starts children is gone")??)
}
