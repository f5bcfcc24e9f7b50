//! Reads reports from the wire, no more of them at a time than there is room for.
//!
//! The size of a report is known before its bytes are there, and what it takes when it is decoded
//! before it is. Room for both is taken before, and given back when the report is answered, so
//! whatever is sent, reports take no more memory than [`ReportLimits::room`].

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use super::weight::weigh;
use crate::door::{Limit, Peer};
use crate::metrics::DoorMetrics;

/// Bytes before each message: whether it is compressed, and its length
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const HEAD: usize = 5;

/// What reports may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportLimits {
    /// Bytes of one report. Filters cut theirs to an eighth of the default; those of before did not.
    pub bytes_max: usize,
    /// Bytes of all reports that are read, decoded and not yet answered.
    pub room: usize,
    /// The same for those of one connection.
    pub room_per_connection: usize,
    /// How long a report may take to arrive.
    pub time_max: Duration,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 20,
            // As many as may wait of 64 KiB each.
            room: 256 << 20,
            // One of the largest, when decoded.
            room_per_connection: 64 << 20,
            time_max: Duration::from_secs(10),
        }
    }
}

/// A service of one unary method, whose requests are read here before.
#[derive(Clone, Debug)]
pub struct Bounded<S> {
    inner: S,
    limits: ReportLimits,
    room: Arc<Semaphore>,
    metrics: DoorMetrics,
}

/// Room that is taken.
type Room = Vec<OwnedSemaphorePermit>;

impl<S> Bounded<S> {
    /// `inner` within `limits`.
    pub fn new(inner: S, limits: ReportLimits, metrics: DoorMetrics) -> Self {
        Self {
            inner,
            limits,
            room: Arc::new(Semaphore::new(limits.room)),
            metrics,
        }
    }

    /// Takes room for so many bytes.
    fn take(&self, bytes: usize, peer: Option<&Peer>) -> Result<Room, Status> {
        let own = peer.map(|peer| {
            (
                peer.room(self.limits.room_per_connection),
                Limit::ConnectionRoom,
            )
        });
        let all = (Arc::clone(&self.room), Limit::ReportRoom);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        own.into_iter()
            .chain([all])
            .map(|(room, limit)| {
                room.try_acquire_many_owned(permits).map_err(|_full| {
                    self.metrics.hit(limit);
                    Status::unavailable("there is no room for more reports; report again")
                })
            })
            .collect()
    }

    /// The message in `body` with what is before it, and the room that it has.
    async fn read(&self, mut body: Body, peer: Option<&Peer>) -> Result<(Bytes, Room), Status> {
        let mut message = BytesMut::new();
        let mut wanted = HEAD;
        let mut room = Room::new();
        while message.len() < wanted || wanted == HEAD {
            let frame = body.frame().await.transpose()?;
            let frame = frame.ok_or_else(|| Status::invalid_argument("the report is cut off"))?;
            if let Ok(data) = frame.into_data() {
                message.extend_from_slice(&data);
            }
            if wanted == HEAD
                && let Some(head) = message.first_chunk::<HEAD>()
            {
                let bytes = self.bytes(*head)?;
                room = self.take(bytes, peer)?;
                message.reserve(bytes);
                wanted = HEAD + bytes;
            }
            if wanted == HEAD && HEAD <= message.len() {
                break;
            }
        }
        if message.len() != wanted {
            return Err(Status::invalid_argument("there is more than one report"));
        }
        let weight = weigh(message.get(HEAD..).unwrap_or_default())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        room.extend(self.take(weight, peer)?);
        Ok((message.freeze(), room))
    }

    /// How many bytes a message has.
    fn bytes(&self, [compressed, length @ ..]: [u8; HEAD]) -> Result<usize, Status> {
        if compressed != 0 {
            return Err(Status::unimplemented("reports are not compressed"));
        }
        let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let max = self.limits.bytes_max;
        if max < bytes {
            self.metrics.hit(Limit::ReportBytes);
            let text = format!("the report has {bytes} bytes; it may have at most {max}");
            return Err(Status::resource_exhausted(text));
        }
        Ok(bytes)
    }

    /// The request with its message read, and the room that this has.
    async fn admit(
        &self,
        request: http::Request<Body>,
    ) -> Result<(http::Request<Body>, Room), Status> {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().cloned();
        let read = tokio::time::timeout(self.limits.time_max, self.read(body, peer.as_ref()));
        let (message, room) = read.await.map_err(|_full| {
            self.metrics.hit(Limit::ReportTime);
            Status::deadline_exceeded("the report took too long to arrive")
        })??;
        let body = Body::new(Full::new(message));
        Ok((http::Request::from_parts(parts, body), room))
    }
}

impl<S: NamedService> NamedService for Bounded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Bounded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut bounded = self.clone();
        Box::pin(async move {
            match bounded.admit(request).await {
                Ok((request, _room)) => bounded.inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}
