//! Certificates that change while they are used.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::tls::{Contents, TlsError, TlsFiles};
use super::{Current, Protocols};
use crate::metrics::DoorMetrics;

/// How often to look whether the files changed. Three files are read, which costs microseconds; by
/// content, since mounted secrets are exchanged behind links.
const LOOK_GAP: Duration = Duration::from_secs(1);

/// What the next connection is held to. Clones are the same.
#[derive(Clone, Debug)]
pub struct ServerTls {
    current: Current,
}

/// Looks at the files for as long as it runs.
pub struct TlsWatch {
    files: TlsFiles,
    protocols: Protocols,
    metrics: DoorMetrics,
    /// What was looked at last.
    seen: Contents,
    sender: watch::Sender<Arc<ServerConfig>>,
}

impl std::fmt::Debug for TlsWatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut watch = formatter.debug_struct("TlsWatch");
        watch.field("files", &self.files).finish_non_exhaustive()
    }
}

impl TlsWatch {
    /// Reads the files for the first time.
    ///
    /// # Errors
    ///
    /// When they cannot be used.
    pub(crate) fn begin(
        files: TlsFiles,
        protocols: Protocols,
        metrics: DoorMetrics,
    ) -> Result<(ServerTls, Self), TlsError> {
        let seen = files.read()?;
        let config = files.server(&seen, protocols)?;
        let (sender, current) = watch::channel(Arc::new(config));
        let watch = Self {
            files,
            protocols,
            metrics,
            seen,
            sender,
        };
        Ok((ServerTls { current }, watch))
    }

    /// Looks until nobody is held to it any more.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                () = tokio::time::sleep(LOOK_GAP) => {}
            }
            // Files of a few kilobytes, which were read before.
            self.look();
        }
    }

    /// Looks once. What cannot be used is said once, and what was there before goes on: a
    /// certificate and its key are two files, and may change one after the other.
    fn look(&mut self) {
        let Ok(contents) = self.files.read() else {
            // Between two versions there may be none.
            return;
        };
        if contents == self.seen {
            return;
        }
        let config = self.files.server(&contents, self.protocols);
        self.seen = contents;
        match config {
            Ok(config) => {
                self.metrics.reloaded();
                self.sender.send_replace(Arc::new(config));
                tracing::info!(cert = %self.files.cert.display(), "certificates were read again");
            }
            Err(error) => {
                self.metrics.reload_refused();
                let because = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, because, "certificates stay as they were");
            }
        }
    }
}

impl ServerTls {
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.borrow())
    }
}
