//! Takes connections, and has them prove who they are.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sloop_controllers::SpiffeId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{Carrier, Connection, Places, Times};
use super::identity::{NoIdentity, identity};
use super::limits::{DoorLimits, Limit};
use super::peer::{Client, Peer};
use super::silence::{Silence, Speech};
use super::watch::ServerTls;
use super::workload::Workloads;
use crate::metrics::DoorMetrics;

/// Connections that are let in and that the server has not taken yet.
const LET_IN_MAX: usize = 64;

/// How long to wait when the machine has no more room, as for open files.
const NO_ROOM_GAP: Duration = Duration::from_millis(100);

/// The port.
#[derive(Debug)]
pub struct Door {
    /// Where connections come.
    pub listener: TcpListener,
    /// What they are held to; without, they are plain.
    pub tls: Option<ServerTls>,
    /// What they may take.
    pub limits: DoorLimits,
    /// Whether certificates must say whose they are.
    pub names: Names,
    /// What is spoken on it.
    pub speech: Speech,
    /// What counts them.
    pub metrics: DoorMetrics,
}

/// Whether certificates must have a name of SPIFFE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// What somebody may do depends on it.
    Required,
    /// That a certificate is trusted is enough.
    Optional,
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the handshake took too long")]
    Slow,
    #[error("too many handshakes were being reckoned for too long")]
    Crowded,
    #[error("the handshake failed")]
    Handshake(#[from] io::Error),
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    #[error("there are too many connections with the identity {0}")]
    Many(SpiffeId),
}

/// What all connections share.
#[derive(Debug)]
struct Hall {
    tls: Option<ServerTls>,
    limits: DoorLimits,
    names: Names,
    speech: Speech,
    metrics: DoorMetrics,
    handshakes: Semaphore,
    workloads: Workloads,
    let_in: mpsc::Sender<io::Result<Connection>>,
}

impl Door {
    /// Takes connections until the answer is dropped.
    pub fn open(self) -> ReceiverStream<io::Result<Connection>> {
        let (let_in, connections) = mpsc::channel(LET_IN_MAX);
        let hall = Hall {
            tls: self.tls,
            limits: self.limits,
            names: self.names,
            speech: self.speech,
            metrics: self.metrics,
            handshakes: Semaphore::new(self.limits.handshakes_max),
            workloads: Workloads::default(),
            let_in,
        };
        tokio::spawn(take(self.listener, Arc::new(hall)));
        ReceiverStream::new(connections)
    }
}

async fn take(listener: TcpListener, hall: Arc<Hall>) {
    let places = Arc::new(Semaphore::new(hall.limits.connections_max));
    loop {
        let accepted = tokio::select! {
            () = hall.let_in.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => drop(tokio::spawn(receive(
                    Arc::clone(&hall),
                    stream,
                    from,
                    place,
                ))),
                Err(_) => hall.metrics.hit(Limit::Connections),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(NO_ROOM_GAP).await;
            }
        }
    }
}

async fn receive(
    hall: Arc<Hall>,
    stream: TcpStream,
    from: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    match hall.secure(stream).await {
        Ok((carrier, client)) => match hall.connection(carrier, from, client, place) {
            Ok(connection) => drop(hall.let_in.send(Ok(connection)).await),
            Err(refused) => hall.refuse(from, &refused),
        },
        Err(refused) => hall.refuse(from, &refused),
    }
}

impl Hall {
    async fn secure(&self, stream: TcpStream) -> Result<(Carrier, Client), Refused> {
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok((Carrier::Plain(stream), Client::Unverified));
        };
        let due = Instant::now() + self.limits.handshake_time_max;
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        // Nothing is reckoned before the client has said its part.
        let hello = tokio::time::timeout_at(due, acceptor);
        let hello = hello.await.or(Err(Refused::Slow))??;
        let rest = async { hello.into_stream(tls.config()).await };
        let secured = self.reckon(rest, due).await??;
        let client = self.client(&secured)?;
        Ok((Carrier::Secured(Box::new(secured)), client))
    }

    /// Does `rest` until `due`, and what can be done of it at once, which is to sign, when it is its turn. A turn is
    /// not kept while the client is waited for: who falls silent keeps nobody out.
    async fn reckon<T>(&self, rest: impl Future<Output = T>, due: Instant) -> Result<T, Refused> {
        let mut rest = pin!(rest);
        let turn = tokio::time::timeout_at(due, self.handshakes.acquire()).await;
        let turn = turn.or(Err(Refused::Crowded))?;
        let begun = poll_fn(|context| Poll::Ready(rest.as_mut().poll(context))).await;
        drop(turn);
        if let Poll::Ready(done) = begun {
            return Ok(done);
        }
        let done = tokio::time::timeout_at(due, rest).await;
        done.or(Err(Refused::Slow))
    }

    /// Who is there. Where a certificate is asked for and none is shown, the handshake failed before.
    fn client(&self, secured: &TlsStream<TcpStream>) -> Result<Client, NoIdentity> {
        let (_, session) = secured.get_ref();
        let Some(shown) = session.peer_certificates().and_then(<[_]>::first) else {
            return Ok(Client::Unverified);
        };
        match (identity(shown), self.names) {
            (Ok(identity), _) => Ok(Client::Named(identity)),
            (Err(_), Names::Optional) => Ok(Client::Verified),
            (Err(error), Names::Required) => Err(error),
        }
    }

    fn connection(
        &self,
        carrier: Carrier,
        from: SocketAddr,
        client: Client,
        place: OwnedSemaphorePermit,
    ) -> Result<Connection, Refused> {
        let (workload, of_identity) = match &client {
            Client::Named(identity) => {
                let max = self.limits.connections_per_identity_max;
                let taken = self.workloads.take(identity, max);
                taken
                    .ok_or_else(|| Refused::Many(identity.clone()))
                    .map(|(workload, place)| (Some(workload), Some(place)))?
            }
            Client::Verified | Client::Unverified => (None, None),
        };
        let (end, ended) = oneshot::channel();
        let metrics = self.metrics.clone();
        // Over plain gRPC nobody has anything to prove again.
        let is_for_ever = matches!((&carrier, self.speech), (Carrier::Plain(_), Speech::Grpc));
        let age_max = (!is_for_ever).then(|| spread(self.limits.connection_age_max, from.port()));
        let peer = Peer::new(from, (client, workload), &self.limits, metrics.clone(), end);
        let times = Times {
            silence_max: self.limits.handshake_time_max,
            age_max,
            quiet_max: self.limits.quiet_max,
        };
        let places = Places {
            _of_all: place,
            _of_identity: of_identity,
        };
        let carried = (carrier, Silence::until(self.speech));
        Ok(Connection::new(
            carried,
            (peer, ended),
            times,
            metrics,
            places,
        ))
    }

    /// Counts that somebody was not let in. Whoever reaches the port can bring this about, as often as they like.
    fn refuse(&self, from: SocketAddr, refused: &Refused) {
        self.metrics.hit(refused.limit());
        let because = std::error::Error::source(refused).map(ToString::to_string);
        tracing::debug!(%from, error = %refused, because, "a connection was refused");
    }
}

impl Refused {
    const fn limit(&self) -> Limit {
        match self {
            Self::Slow => Limit::HandshakeTime,
            Self::Crowded => Limit::Handshakes,
            Self::Handshake(_) => Limit::Handshake,
            Self::Identity(_) => Limit::Identity,
            Self::Many(_) => Limit::ConnectionsPerIdentity,
        }
    }
}

/// `age`, up to a tenth more or less, by something that differs between clients: those that came
/// all at once need not come back all at once.
fn spread(age: Duration, seed: u16) -> Duration {
    let tenth = age / 10;
    // Ports follow each other; a factor near the golden ratio keeps them apart (Knuth, 6.4).
    let draw = seed.wrapping_mul(40_503);
    age - tenth + tenth * 2 * u32::from(draw) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::metrics::Telemetry;

    const SOON: Duration = Duration::from_secs(20);

    /// A hall in which so many handshakes are reckoned at a time.
    fn hall(handshakes: usize) -> Hall {
        let (let_in, _) = mpsc::channel(1);
        Hall {
            tls: None,
            limits: DoorLimits::default(),
            names: Names::Required,
            speech: Speech::Grpc,
            metrics: DoorMetrics::register(&Telemetry::begin().unwrap().meter(), "grpc"),
            handshakes: Semaphore::new(handshakes),
            workloads: Workloads::default(),
            let_in,
        }
    }

    #[tokio::test]
    async fn who_falls_silent_keeps_no_turn() {
        let hall = hall(1);
        let due = Instant::now() + SOON;
        let mut silent = pin!(hall.reckon(pending::<()>(), due));
        let begun = poll_fn(|context| Poll::Ready(silent.as_mut().poll(context))).await;
        assert!(begun.is_pending());
        let other = hall.reckon(async { 7 }, due);
        let other = tokio::time::timeout(Duration::from_secs(2), other).await;
        assert_eq!(other.expect("it is served at once").unwrap(), 7);
    }

    #[tokio::test]
    async fn neither_a_turn_nor_the_client_is_waited_for_without_end() {
        let due = || Instant::now() + Duration::from_millis(20);
        let hall = (hall(1), hall(0));
        let slow = hall.0.reckon(pending::<()>(), due());
        let slow = tokio::time::timeout(SOON, slow).await;
        assert_eq!(slow.unwrap().unwrap_err().limit(), Limit::HandshakeTime);
        let crowded = hall.1.reckon(async {}, due());
        let crowded = tokio::time::timeout(SOON, crowded).await;
        assert_eq!(crowded.unwrap().unwrap_err().limit(), Limit::Handshakes);
    }

    #[test]
    fn ages_are_spread_by_a_tenth_to_either_side() {
        let age = Duration::from_secs(1_000);
        let ages: Vec<Duration> = (0..u16::MAX).map(|port| spread(age, port)).collect();
        assert_eq!(ages.iter().min(), Some(&Duration::from_secs(900)));
        assert!(ages.iter().max() > Some(&Duration::from_secs(1_099)));
        assert!(ages.iter().all(|it| *it <= Duration::from_secs(1_100)));
        let early = ages[..1_000].iter().filter(|it| **it < age).count();
        assert!((400..600).contains(&early), "{early} of 1000");
    }
}
