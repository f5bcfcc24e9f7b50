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
        metrics.certificates_end(seen.chain_ends(), seen.roots_end());
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
                let (chain, roots) = (self.seen.chain_ends(), self.seen.roots_end());
                self.metrics.certificates_end(chain, roots);
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
    use std::path::{Path, PathBuf};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;
    use crate::metrics::Telemetry;

    /// Files of one certificate, and a watch of them.
    fn watched(folder: &Path, telemetry: &Telemetry) -> (ServerTls, TlsWatch) {
        watched_with(folder, telemetry, None)
    }

    /// The same, with roots of clients in this file.
    fn watched_with(
        folder: &Path,
        telemetry: &Telemetry,
        client_ca: Option<PathBuf>,
    ) -> (ServerTls, TlsWatch) {
        let file = |name: &str| folder.join(name);
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(file("cert"), certified.cert.pem()).unwrap();
        std::fs::write(file("key"), certified.signing_key.serialize_pem()).unwrap();
        let files = TlsFiles {
            cert: file("cert"),
            key: file("key"),
            client_ca,
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

    /// An authority whose certificate ends with this year.
    fn root(year: i32) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn it_is_shown_when_the_first_of_the_chain_and_the_last_root_of_clients_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let write = |name: &str, content: &[String]| {
            std::fs::write(file(name), content.concat()).unwrap();
        };
        let telemetry = Telemetry::begin().unwrap();
        let ends = |what: &str| {
            let text = telemetry.render().unwrap();
            let name = "sloop_controlplane_tls_expires_timestamp_seconds";
            let name = format!(r#"{name}{{port="http",what="{what}"}} "#);
            let line = text.lines().find_map(|line| line.strip_prefix(&name));
            line.map(|it| it.parse::<f64>().unwrap())
        };
        // 31 December, midnight.
        let end_of = |year: i32| match year {
            2027 => Some(1_830_211_200.0),
            2028 => Some(1_861_833_600.0),
            _ => None,
        };
        write("roots", &[root(2027), root(2028), root(2026)]);
        let roots = Some(file("roots"));
        let (_tls, mut watch) = watched_with(folder.path(), &telemetry, roots);
        assert!(end_of(2028) < ends("server"), "made to last for long");
        assert_eq!(ends("clients"), end_of(2028));

        let own = std::fs::read_to_string(file("cert")).unwrap();
        write("cert", &[own.clone(), root(2027), root(2028)]);
        write("roots", &[root(2027)]);
        watch.look();
        assert_eq!(ends("server"), end_of(2027), "as soon as one does");
        assert_eq!(ends("clients"), end_of(2027));

        // What is not used says nothing.
        write("cert", &[root(2028)]);
        watch.look();
        assert_eq!(ends("server"), end_of(2027));
        write("cert", &[own]);
        watch.look();
        assert!(end_of(2028) < ends("server"));
    }

    #[test]
    fn of_a_port_that_asks_clients_for_no_certificate_only_its_own_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::begin().unwrap();
        let (_tls, _watch) = watched(folder.path(), &telemetry);
        let text = telemetry.render().unwrap();
        assert!(text.contains(r#"{port="http",what="server"}"#), "{text}");
        assert!(!text.contains(r#"what="clients""#), "{text}");
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
