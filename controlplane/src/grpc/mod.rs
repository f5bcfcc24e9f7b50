//! gRPC: connections, and the calls on them.
//!
//! A connection is one task, with all that is done for its calls: what comes in one go is read, answered and written
//! in one go, and nobody else is woken for it. Reports are more than all other calls, and what is said in discovery more
//! than all the rest, so neither is routed. hyper speaks HTTP/2; what a general server would put around each call is left out.
//!
//! Deadlines (`grpc-timeout`) are the client's affair: it resets what it waits for no longer, as Envoy does, and nobody would read
//! `DEADLINE_EXCEEDED`. A report that was read by then is counted all the same, and recognised when it comes again
//! ([`crate::ingest::Ledger`]); to leave it out would only have it counted later. A stream of discovery has no deadline.
//!
//! A panic ends what panicked, a call or a connection, and no more.

mod beside;
mod calls;
mod carried;
mod panics;
mod pulse;

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;

use bytes::Bytes;
use bytes::buf::Chain;
use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;

pub(crate) use beside::Beside;
pub(crate) use panics::Panicked;

use crate::ads::{AdsLimits, AdsService};
use crate::door::{Connection, Peer};
use crate::ingest::ReportDoor;
use crate::metrics::DoorMetrics;

/// What is written in one frame: a message begins with a few bytes of its own, and goes on with many that all connections
/// share. As two frames it would go through all of HTTP/2 twice.
pub(crate) type Piece = Chain<Bytes, Bytes>;

/// What carries calls.
pub trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Who is on the other side, where that is known.
    fn peer(&self) -> Option<Peer>;
}

impl Carrier for Connection {
    fn peer(&self) -> Option<Peer> {
        Some(self.peer().clone())
    }
}

/// Nothing is known about who is on the other side, so nothing of what is kept by peer holds.
impl Carrier for TcpStream {
    fn peer(&self) -> Option<Peer> {
        None
    }
}

/// What can be called. Clones are the same services.
#[derive(Clone, Debug)]
pub struct Services {
    reports: Option<ReportDoor>,
    discovery: Option<AdsService>,
    others: Routes,
    metrics: Option<DoorMetrics>,
}

impl Services {
    /// These services.
    #[must_use]
    pub fn of(others: Routes) -> Self {
        Self {
            reports: None,
            discovery: None,
            others: others.prepare(),
            metrics: None,
        }
    }

    /// What goes wrong with us is counted by `metrics`.
    #[must_use]
    pub fn counted_by(self, metrics: DoorMetrics) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// Reports go to `reports`.
    #[must_use]
    pub fn with_reports(self, reports: ReportDoor) -> Self {
        Self {
            reports: Some(reports),
            ..self
        }
    }

    /// Aggregated discovery goes to `discovery`.
    #[must_use]
    pub fn with_discovery(self, discovery: AdsService) -> Self {
        Self {
            discovery: Some(discovery),
            ..self
        }
    }

    /// Serves connections within `limits` until there are no more or `stop` ends, and then until all of them have ended:
    /// they are told to, but a stream of discovery never does by itself.
    pub async fn serve<C: Carrier>(
        self,
        limits: &AdsLimits,
        connections: impl Stream<Item = io::Result<C>>,
        stop: impl Future<Output = ()>,
    ) {
        let (stopping, stopped) = watch::channel(false);
        // Then nobody listens any more: who comes while the others leave is refused.
        self.accept(limits, connections, stop, stopped).await;
        stopping.send_replace(true);
        stopping.closed().await;
    }

    async fn accept<C: Carrier>(
        &self,
        limits: &AdsLimits,
        connections: impl Stream<Item = io::Result<C>>,
        stop: impl Future<Output = ()>,
        stopped: watch::Receiver<bool>,
    ) {
        let (mut connections, mut stop) = (pin!(connections), pin!(stop));
        loop {
            tokio::select! {
                () = &mut stop => break,
                next = connections.next() => match next {
                    Some(Ok(connection)) => {
                        let carried = carried::carry(connection, self.clone(), *limits, stopped.clone());
                        // It is over, and what it shares it shares with other tasks.
                        let carried = AssertUnwindSafe(carried).catch_unwind();
                        let metrics = self.metrics.clone();
                        tokio::spawn(carried.map(move |ended| {
                            if let Err(panic) = ended {
                                Panicked::Connection.note(&panic, metrics.as_ref());
                            }
                        }));
                    }
                    // Who was not let in was counted at the door.
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        }
    }
}
