//! What goes wrong between a person and a control plane.

use super::bootstrap::InvalidBootstrap;
use super::credentials::InvalidCredentials;
use super::log::InvalidLog;
use crate::limits::InvalidLimit;
use crate::serve::ServeError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The control plane ended with an error.
    #[error("the control plane cannot run")]
    Serve(#[from] ServeError),
    /// A limit makes no sense.
    #[error("--limit makes no sense")]
    Limit(#[source] InvalidLimit),
    /// It is not known what to log.
    #[error(transparent)]
    Log(#[from] InvalidLog),
    /// A bootstrap would be none.
    #[error(transparent)]
    Bootstrap(#[from] InvalidBootstrap),
    /// Changes would go on before it is known what they do.
    #[error(
        "--rollout-quiet is {quiet} s, --report-interval {interval_ms} ms; the first must be at least three times \
         the second, so {quiet_min} s, or else changes go on before reports can tell of them (with --rollout-first 0 none is tried)"
    )]
    Hasty {
        /// How long those that try a change must be well, in seconds.
        quiet: u32,
        /// The shortest that would do, in seconds.
        quiet_min: u64,
        /// Time between reports.
        interval_ms: u32,
    },
    /// What is to be shown to the control plane cannot be used.
    #[error("the credentials cannot be used")]
    Credentials(#[from] InvalidCredentials),
    /// The runtime cannot start.
    #[error("the process cannot start")]
    Runtime(#[source] std::io::Error),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[from] std::io::Error),
    /// A record cannot be replayed.
    #[error("{} cannot be replayed", file.display())]
    Record {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that was named cannot be read.
    #[error("{} cannot be handed in", file.display())]
    File {
        /// The file or folder.
        file: std::path::PathBuf,
        /// What is wrong with it.
        source: crate::documents::FileError,
    },
    /// Only folders, and nothing in them.
    #[error("no .yaml, .yml or .json file in {0}")]
    NoFile(String),
    /// The control plane cannot be reached.
    #[error("no answer from {url}; is the control plane running, and is --admin right?")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The control plane says no.
    #[error("{0}")]
    Refused(String),
    /// The answer is none that this program understands.
    #[error("the answer of {url} cannot be read; is it a control plane of this version?")]
    Unreadable {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl CliError {
    /// Whether it is about how the command was called, as what is wrong with flags is.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Log(_) | Self::Bootstrap(_) | Self::NoFile(_))
    }
}
