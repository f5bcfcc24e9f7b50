//! The port of the HTTP API.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::serve::IncomingStream;
use opentelemetry::metrics::Meter;
use tokio::net::TcpListener;
use tokio::sync::watch as latest;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::{ServeError, ServeSettings};
use crate::admin::{Admin, Guard, TokenWatch, router};
use crate::door::{self, Connection, Door, DoorLimits, Names, Peer, Speech, TlsFiles, TlsWatch};
use crate::metrics::DoorMetrics;

/// Connections of people and tools at one time.
const CONNECTIONS_MAX: usize = 1_000;

/// How long a connection may be kept on which nobody asks for anything: its place is one of few. Longer than the
/// intervals of those who look again and again.
const QUIET_MAX: Duration = Duration::from_secs(90);

/// How the HTTP API is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiSettings {
    /// A file with tokens, of which one must be shown.
    pub token_file: Option<PathBuf>,
    /// What connections are secured with. Where clients' roots are among it, a certificate is as good as a token.
    pub tls: Option<TlsFiles>,
}

impl ApiSettings {
    /// Whether not everybody is let in.
    fn is_guarded(&self) -> bool {
        let certificates = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        self.token_file.is_some() || certificates.is_some()
    }
}

/// The port, and who is let in.
#[derive(Debug)]
pub(super) struct Api {
    door: Door,
    guard: Guard,
}

/// Secures the port.
pub(super) fn keep(
    listener: TcpListener,
    settings: &ServeSettings,
    meter: &Meter,
) -> Result<Api, ServeError> {
    let metrics = DoorMetrics::register(meter, "http");
    let (address, settings) = (settings.admin, &settings.api);
    if !address.ip().is_loopback() {
        if !settings.is_guarded() {
            return Err(ServeError::Exposed { address });
        }
        if settings.tls.is_none() {
            tracing::warn!(%address, "tokens for the HTTP API travel without TLS");
        }
    }
    let tokens = match settings.token_file.clone() {
        Some(file) => {
            let (tokens, watch) = TokenWatch::begin(file, metrics.clone())?;
            tokio::spawn(watch.run());
            Some(tokens)
        }
        None => None,
    };
    let mut certificates = false;
    let tls = match settings.tls.clone() {
        Some(files) => {
            certificates = files.client_ca.is_some();
            let (tls, watch) = TlsWatch::begin(files, door::HTTP, metrics.clone())?;
            tokio::spawn(watch.run());
            Some(tls)
        }
        None => None,
    };
    let limits = DoorLimits {
        connections_max: CONNECTIONS_MAX,
        quiet_max: Some(QUIET_MAX),
        ..DoorLimits::default()
    };
    let door = Door {
        listener,
        tls,
        limits,
        names: Names::Optional,
        speech: Speech::Http,
        metrics: metrics.clone(),
    };
    let guard = Guard {
        tokens,
        certificates,
        metrics,
    };
    Ok(Api { door, guard })
}

/// Serves until `stopped` says so.
pub(super) async fn serve(
    api: Api,
    admin: Admin,
    mut stopped: latest::Receiver<bool>,
) -> Result<(), io::Error> {
    let stop = async move { drop(stopped.wait_for(|stop| *stop).await.map(|_| ())) };
    let router = api.guard.before(router(admin));
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(Arriving(api.door.open()), service)
        .with_graceful_shutdown(stop)
        .await
}

/// Connections as the server wants them.
struct Arriving(ReceiverStream<io::Result<Connection>>);

impl axum::serve::Listener for Arriving {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        loop {
            match self.0.next().await {
                Some(Ok(connection)) => {
                    let peer = connection.peer().clone();
                    return (connection, peer);
                }
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        // There is no peer at this end.
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl axum::extract::connect_info::Connected<IncomingStream<'_, Arriving>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Arriving>) -> Self {
        stream.remote_addr().clone()
    }
}
