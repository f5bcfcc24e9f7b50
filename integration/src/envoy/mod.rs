//! A real Envoy, for tests and for the demo.
//!
//! The program is `$ENVOY`, else `envoy` on the PATH. `cargo xtask` sets the
//! variable; a missing Envoy is a failure, never a skipped test.

pub(crate) mod admin;
mod caller;
mod upstream;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;

pub use caller::Caller;
pub use upstream::{Arrived, Upstream};

use crate::eventually::eventually;
use crate::process::{Guarded, Program};

/// A module of 200 KB compiles within 1.3 s on two busy cores; several Envoys start at once.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How an Envoy is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is called in messages.
    pub name: String,
    /// Worker threads.
    pub concurrency: u32,
    /// Where its log goes; with its other files, which are deleted, when absent.
    pub log: Option<PathBuf>,
    /// Its log level, as `info` or `info,wasm:debug`: a level, then levels of components.
    pub log_level: String,
    /// A program with its arguments that runs Envoy, as `valgrind`; none when empty.
    pub under: Vec<OsString>,
    /// A configuration in YAML that Envoy merges into the other when it starts; none when empty.
    pub beside: String,
    /// How long it may take until it is ready.
    pub ready_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "envoy".to_owned(),
            concurrency: 2,
            log: None,
            // At `info`, Envoy begins with two hundred lines about what it was built with.
            log_level: "warning,wasm:info,config:info".to_owned(),
            under: Vec::new(),
            beside: String::new(),
            ready_within: READY_WITHIN,
        }
    }
}

/// A running Envoy. Dropping it kills it, and shows its log when a test fails.
#[derive(Debug)]
pub struct Envoy {
    process: Guarded,
    admin: SocketAddr,
    _files: TempDir,
}

/// The Envoy that is to be used.
#[must_use]
pub fn program() -> OsString {
    std::env::var_os("ENVOY").unwrap_or_else(|| "envoy".into())
}

/// The module that is to be loaded, as an absolute path: `$SLOOP_MODULE`, else where `cargo xtask wasm` puts it.
///
/// # Errors
///
/// When there is none.
pub fn module() -> anyhow::Result<PathBuf> {
    found(crate::module_path())
}

/// As [`module`], the one that touches answers too; beside it.
///
/// # Errors
///
/// When there is none.
pub fn answers_module() -> anyhow::Result<PathBuf> {
    found(crate::answers_module_path())
}

fn found(path: PathBuf) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| {
        let path = path.display();
        format!("no module at {path}; build it with `cargo xtask wasm`")
    })
}

/// Has Envoy check a configuration without running it.
///
/// # Errors
///
/// When Envoy refuses it; the message is Envoy's.
pub fn validate(config: &str) -> anyhow::Result<()> {
    let (_files, path) = config_file(config)?;
    let output = Command::new(program())
        .args(["--mode", "validate", "--log-level", "error", "-c"])
        .arg(&path)
        .output()
        .context("running envoy; set ENVOY to its path")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

impl Envoy {
    /// Starts an Envoy with a configuration in YAML or JSON and waits until it is ready.
    ///
    /// The configuration has an `admin` block; its port may be 0.
    ///
    /// # Errors
    ///
    /// When it is not ready in time; the message ends with its log.
    pub async fn start(config: &str) -> anyhow::Result<Self> {
        Self::start_with(config, Options::default()).await
    }

    /// As [`Envoy::start`].
    ///
    /// # Errors
    ///
    /// When it is not ready in time; the message ends with its log.
    pub async fn start_with(config: &str, options: Options) -> anyhow::Result<Self> {
        let (files, path) = config_file(config)?;
        let address_file = files.path().join("admin");
        let log = options
            .log
            .unwrap_or_else(|| files.path().join("envoy.log"));
        let (level, components) = options
            .log_level
            .split_once(',')
            .unwrap_or((&options.log_level, ""));
        let mut whole = options.under.into_iter().chain([program()]);
        let first = whole.next().context("there is no program")?;
        let mut program = Program::new(&options.name, first)
            .args(whole)
            .arg("--disable-hot-restart")
            .args(["--concurrency", &options.concurrency.to_string()])
            .args(["--log-level", level])
            .arg("--admin-address-path")
            .arg(&address_file)
            .arg("-c")
            .arg(&path);
        if !options.beside.is_empty() {
            program = program.args(["--config-yaml", &options.beside]);
        }
        if !components.is_empty() {
            program = program.args(["--component-log-level", components]);
        }
        let mut process = program.start(log)?;
        match wait_until_ready(&mut process, &address_file, options.ready_within).await {
            Ok(admin) => Ok(Self {
                process,
                admin,
                _files: files,
            }),
            Err(error) => bail!("{error:#}\n{}", process.log_end()),
        }
    }

    /// Where its admin interface listens.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process.
    pub const fn process(&mut self) -> &mut Guarded {
        &mut self.process
    }

    /// The end of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        self.process.log_end()
    }

    /// What `GET path` on the admin interface answers.
    ///
    /// # Errors
    ///
    /// When it does not answer with 200.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        admin::get(self.admin, path).await
    }

    /// The value of a counter or gauge; `None` when Envoy has not used it.
    ///
    /// # Errors
    ///
    /// When the admin interface does not answer.
    pub async fn stat(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let stats = self.stats("").await?;
        Ok(stats
            .into_iter()
            .find_map(|(own, value)| (own == name).then_some(value)))
    }

    /// Counters and gauges whose names match a regular expression, by name.
    ///
    /// # Errors
    ///
    /// When the admin interface does not answer.
    pub async fn stats(&self, filter: &str) -> anyhow::Result<Vec<(String, u64)>> {
        admin::stats(self.admin, filter).await
    }

    /// Ends it with SIGTERM.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.process.terminate(Duration::from_secs(10)).await?;
        Ok(())
    }
}

fn config_file(config: &str) -> anyhow::Result<(TempDir, PathBuf)> {
    let files = tempfile::tempdir().context("making a folder")?;
    // YAML, of which JSON is a part.
    let path = files.path().join("envoy.yaml");
    std::fs::write(&path, config).context("writing the configuration")?;
    Ok((files, path))
}

async fn wait_until_ready(
    process: &mut Guarded,
    address_file: &Path,
    within: Duration,
) -> anyhow::Result<SocketAddr> {
    let name = process.name().to_owned();
    let what = format!("{name} is ready");
    let ready = eventually(within, &what, async || {
        if let Ok(Some(status)) = process.ended() {
            return Some(Err(anyhow::anyhow!("{name} has ended: {status}")));
        }
        let address = std::fs::read_to_string(address_file).ok()?;
        let address = address.trim().parse().ok()?;
        admin::get(address, "/ready").await.ok()?;
        Some(Ok(address))
    });
    ready.await?
}
