//! Certificates that change while they are used.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::absence::Absence;
use super::tls::{Contents, TlsError, TlsFiles};
use super::{Current, Protocols};
use crate::metrics::DoorMetrics;

/// How often to look whether the files changed. Three files are read, which costs microseconds on most disks; by
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
    absence: Absence,
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
            absence: Absence::default(),
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
            // Wherever they are: a file system over a network may make one wait.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(same) => self = same,
                Err(error) => {
                    return tracing::error!(%error, "certificates are not read again any more");
                }
            }
        }
    }

    /// Looks once. What cannot be used is said once, and what was there before goes on: a
    /// certificate and its key are two files, and may change one after the other.
    fn look(&mut self) {
        let contents = match self.files.read() {
            Ok(contents) => contents,
            Err(error) => {
                if self.absence.goes_on() {
                    self.refuse(&error);
                }
                return;
            }
        };
        if self.absence.ends() {
            tracing::info!(cert = %self.files.cert.display(), "certificates can be read again");
        }
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
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&self, error: &TlsError) {
        self.metrics.reload_refused();
        let because = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, because, "certificates stay as they were");
    }
}

impl ServerTls {
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.borrow())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::metrics::Telemetry;

    /// Files of one certificate, and a watch of them.
    fn watched(folder: &Path, telemetry: &Telemetry) -> (ServerTls, TlsWatch) {
        let file = |name: &str| folder.join(name);
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(file("cert"), certified.cert.pem()).unwrap();
        std::fs::write(file("key"), certified.signing_key.serialize_pem()).unwrap();
        let files = TlsFiles {
            cert: file("cert"),
            key: file("key"),
            client_ca: None,
            is_certificate_optional: true,
        };
        let metrics = DoorMetrics::register(&telemetry.meter(), "http");
        TlsWatch::begin(files, super::super::HTTP, metrics).unwrap()
    }

    #[test]
    fn a_file_that_takes_long_to_read_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::begin().unwrap();
        let (_tls, watch) = watched(folder.path(), &telemetry);
        // A pipe is read until somebody has written to it.
        let pipe = folder.path().join("key");
        std::fs::remove_file(&pipe).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let (goes_on, went_on) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().build().unwrap();
            runtime.block_on(async move {
                tokio::spawn(watch.run());
                let open = move || std::fs::OpenOptions::new().write(true).open(pipe);
                let writer = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
                // It is being read, and will be until the writer is gone.
                goes_on.send(()).unwrap();
                drop(writer);
            });
        });
        let went_on = went_on.recv_timeout(Duration::from_secs(20));
        assert_eq!(went_on, Ok(()), "the runtime waits for the file");
    }

    #[test]
    fn certificates_that_cannot_be_read_any_more_are_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let telemetry = Telemetry::begin().unwrap();
        let (_tls, mut watch) = watched(folder.path(), &telemetry);
        let key = std::fs::read(file("key")).unwrap();
        let refused = || {
            let text = telemetry.render().unwrap();
            let name = r#"sloop_controlplane_tls_reloads_total{result="refused"}"#;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        for round in 0..2 {
            std::fs::remove_file(file("key")).unwrap();
            for look in 1..30 {
                watch.look();
                let expected = round + u32::from(Absence::LOOKS <= look);
                assert_eq!(refused(), expected.to_string(), "{look}");
            }
            std::fs::write(file("key"), &key).unwrap();
            watch.look();
        }
    }
}
