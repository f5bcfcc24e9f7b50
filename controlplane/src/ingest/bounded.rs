//! Reads reports from the wire, no more of them at a time than there is room for.
//!
//! The size of a report is known before its bytes are there, and what it takes when it is decoded
//! before it is. Where its bytes have to be waited for, room for them is taken before, and given back when the report is answered, so
//! whatever is sent, reports take no more memory than [`ReportLimits::room`].

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use prost::Message;
use sloop_xds_protos::report::v1::ReportRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};

use super::answer::Answer;
#[cfg(doc)]
use super::report::Report;
use super::service::Reports;
use super::weight::weigh;
use crate::door::{Limit, Peer};
use crate::metrics::DoorMetrics;

/// Bytes before each message: whether it is compressed, and its length
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const HEAD: usize = 5;

/// The method.
const PATH: &str = "/sloop.report.v1.ReportService/Report";

/// What reports may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportLimits {
    /// Bytes of one report. Filters cut theirs to an eighth of the default; those of before did not.
    pub bytes_max: usize,
    /// Bytes of all reports that are read, decoded and not yet answered.
    pub room: usize,
    /// The same for those of all connections with one identity, which only TLS gives.
    pub room_per_identity: usize,
    /// The same for those of one connection.
    pub room_per_connection: usize,
    /// How long a report may take to arrive.
    pub time_max: Duration,
    /// Requests that a scope of one VM may have had per second since its last report, see [`Report::leave_out_above`].
    pub requests_per_second: u32,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 20,
            // As many as may wait of 64 KiB each.
            room: 256 << 20,
            // Whoever has one certificate leaves as much to others.
            room_per_identity: 128 << 20,
            // One of the largest, when decoded.
            room_per_connection: 64 << 20,
            time_max: Duration::from_secs(10),
            // Many times what one thread of Envoy can pass on, which is some ten thousand.
            requests_per_second: 1_000_000,
        }
    }
}

/// Reads reports within limits, hands them on, and answers when they are durable.
///
/// One method, which is called more often than everything else: it is served by hand, so that the bytes
/// of a report are read where they arrived and nothing else is set up for each. Clones share their room.
#[derive(Clone, Debug)]
pub struct ReportDoor {
    hall: Arc<Hall>,
}

/// What all calls share.
#[derive(Debug)]
struct Hall {
    reports: Reports,
    limits: ReportLimits,
    room: Arc<Semaphore>,
    metrics: DoorMetrics,
}

/// Room that is taken: of the connection's, of the identity's, and of all.
#[derive(Debug)]
struct Room {
    _of_connection: Option<OwnedSemaphorePermit>,
    _of_identity: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl ReportDoor {
    /// `reports` within `limits`.
    pub(super) fn new(reports: Reports, limits: ReportLimits, metrics: DoorMetrics) -> Self {
        let hall = Hall {
            reports,
            limits,
            room: Arc::new(Semaphore::new(limits.room)),
            metrics,
        };
        Self {
            hall: Arc::new(hall),
        }
    }
}

impl Hall {
    /// Takes room for so many bytes more, where the report has `held` already.
    fn take(&self, bytes: usize, held: usize, peer: Option<&Peer>) -> Result<Room, Status> {
        let limits = &self.limits;
        self.fits(bytes.saturating_add(held), peer)?;
        let own = peer.map(|peer| peer.room(limits.room_per_connection));
        let of_identity = peer.and_then(|peer| peer.room_of_identity(limits.room_per_identity));
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let take = |room: Arc<Semaphore>, limit| {
            room.try_acquire_many_owned(permits).map_err(|_full| {
                self.metrics.hit(limit);
                Status::unavailable("there is no room for more reports; report again")
            })
        };
        let own = own.map(|room| take(room, Limit::ConnectionRoom));
        let own = own.transpose()?;
        let of_identity = of_identity.map(|room| take(room, Limit::IdentityRoom));
        let of_identity = of_identity.transpose()?;
        Ok(Room {
            _of_connection: own,
            _of_identity: of_identity,
            _of_all: take(Arc::clone(&self.room), Limit::ReportRoom)?,
        })
    }

    /// Whether a report that takes so many bytes would be taken if there were no other: one that is sent again
    /// and again never is.
    fn fits(&self, bytes: usize, peer: Option<&Peer>) -> Result<(), Status> {
        let limits = &self.limits;
        let own = peer.map_or(usize::MAX, |_| limits.room_per_connection);
        let of_identity = peer.and_then(Peer::identity);
        let of_identity = of_identity.map_or(usize::MAX, |_| limits.room_per_identity);
        let max = limits.room.min(own).min(of_identity);
        if bytes <= max {
            return Ok(());
        }
        self.metrics.hit(Limit::ReportWeight);
        let text = format!("the report takes {bytes} bytes of memory; it may take at most {max}");
        Err(Status::resource_exhausted(text))
    }

    /// The message in `body`, and the room that it has: for its bytes where they had to be waited for, and for
    /// what it takes.
    async fn read(
        &self,
        mut body: impl Data,
        peer: Option<&Peer>,
    ) -> Result<(Bytes, [Option<Room>; 2]), Status> {
        let mut message = data(&mut body).await?;
        let head = loop {
            if let Some(head) = message.first_chunk::<HEAD>() {
                break *head;
            }
            let more = data(&mut body).await?;
            message = Bytes::from([message, more].concat());
        };
        let bytes = self.bytes(head)?;
        let wanted = HEAD + bytes;
        let mut awaited = None;
        if message.len() < wanted {
            awaited = Some(self.take(bytes, 0, peer)?);
            let mut gathered = BytesMut::with_capacity(wanted);
            gathered.extend_from_slice(&message);
            while gathered.len() < wanted {
                gathered.extend_from_slice(&data(&mut body).await?);
            }
            message = gathered.freeze();
        }
        if message.len() != wanted {
            return Err(Status::invalid_argument("there is more than one report"));
        }
        let message = message.slice(HEAD..);
        let weight =
            weigh(&message).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let room = match awaited {
            Some(_) => self.take(weight, wanted, peer)?,
            None => self.take(weight.saturating_add(bytes), HEAD, peer)?,
        };
        Ok((message, [awaited, Some(room)]))
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

    /// Answers one call.
    async fn answer(&self, body: impl Data, peer: Option<&Peer>) -> Result<Answer, Status> {
        let read = tokio::time::timeout(self.limits.time_max, self.read(body, peer));
        let read = read.await.map_err(|_full| {
            self.metrics.hit(Limit::ReportTime);
            Status::deadline_exceeded("the report took too long to arrive")
        })?;
        let read = read.and_then(|(message, room)| {
            let report = ReportRequest::decode(message);
            let report = report.map_err(|error| Status::invalid_argument(error.to_string()))?;
            Ok((report, room))
        });
        let (report, _room) = read.inspect_err(|status| {
            if matches!(status.code(), Code::InvalidArgument | Code::Unimplemented) {
                self.reports.refused();
            }
        })?;
        let response = self.reports.report(report, peer).await?;
        Ok(Answer::of(&response))
    }
}

/// The body of a call.
pub trait Data:
    Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> Data for B where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

/// The next bytes of `body`.
async fn data(body: &mut impl Data) -> Result<Bytes, Status> {
    loop {
        let frame = body.frame().await.transpose();
        let frame = frame.map_err(|error| Status::from_error(error.into()))?;
        let frame = frame.ok_or_else(|| Status::invalid_argument("the report is cut off"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(data);
        }
    }
}

impl ReportDoor {
    /// Whether a call is one of a report.
    pub(crate) fn is_for<B>(request: &http::Request<B>) -> bool {
        request.uri().path() == PATH
    }

    /// Answers a call of `peer` with this body: one message, whole or in parts.
    pub fn call(
        &self,
        body: impl Data,
        peer: Option<Peer>,
    ) -> impl Future<Output = Result<Answer, Status>> + Send + 'static {
        let hall = Arc::clone(&self.hall);
        async move { hall.answer(body, peer.as_ref()).await }
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Frame;
    use sloop_xds_protos::report::v1::{FilterStatus, ReportResponse};
    use tokio::sync::{mpsc, watch};

    use super::super::Arrival;
    use super::*;
    use crate::metrics::{IngestMetrics, Telemetry};

    fn door() -> (ReportDoor, mpsc::Receiver<Arrival>, Telemetry) {
        let telemetry = Telemetry::begin().unwrap();
        let meter = telemetry.meter();
        let (arrivals, arrived) = mpsc::channel(10);
        let (_, access) = watch::channel(Arc::default());
        let metrics = DoorMetrics::register(&meter, "grpc");
        let counted = (ReportLimits::default(), metrics);
        let ingest = IngestMetrics::register(&meter);
        let door = Reports::service(arrivals, access, ingest, counted);
        (door, arrived, telemetry)
    }

    /// The body of a call with these bytes, in parts of `size`.
    fn body(bytes: &[u8], size: usize) -> impl Data {
        let parts: Vec<_> = bytes
            .chunks(size)
            .map(|part| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        http_body_util::StreamBody::new(tokio_stream::iter(parts))
    }

    fn framed(report: &ReportRequest) -> Vec<u8> {
        let bytes = report.encode_to_vec();
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0][..], &length, &bytes].concat()
    }

    fn report() -> ReportRequest {
        ReportRequest {
            node: "shop-1".to_owned(),
            sequence: 7,
            filters: vec![FilterStatus::default()],
            ..ReportRequest::default()
        }
    }

    #[tokio::test]
    async fn a_report_is_read_however_it_is_cut_and_its_answer_is_a_message_with_trailers() {
        let bytes = framed(&report());
        for size in [1, 2, 7, bytes.len()] {
            let (door, mut arrived, _telemetry) = door();
            let answering = tokio::spawn(door.call(body(&bytes, size), None));
            let arrival = arrived.recv().await.unwrap();
            assert_eq!(
                (arrival.report.node.as_str(), arrival.report.sequence),
                ("shop-1", 7)
            );
            arrival.answer.send(Ok(ReportResponse::default())).unwrap();
            let answer = answering.await.unwrap().unwrap();
            let body = answer.collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(*body.to_bytes(), [0; HEAD]);
            let hall = door.hall;
            assert_eq!(hall.room.available_permits(), hall.limits.room, "{size}");
        }
    }

    #[tokio::test]
    async fn what_is_no_report_is_refused_with_the_reason() {
        let (door, _arrived, telemetry) = door();
        let whole = framed(&report());
        let twice = [whole.as_slice(), &whole].concat();
        let code = async |bytes: &[u8], size| {
            let refused = door.call(body(bytes, size), None).await;
            refused.unwrap_err().code()
        };
        assert_eq!(code(&whole[..9], 9).await, Code::InvalidArgument, "cut off");
        assert_eq!(code(&[], 9).await, Code::InvalidArgument, "nothing");
        let both = code(&twice, twice.len()).await;
        assert_eq!(both, Code::InvalidArgument);
        let nonsense = code(&[0, 0, 0, 0, 1, 7], 9).await;
        assert_eq!(nonsense, Code::InvalidArgument);
        let compressed = code(&[1, 0, 0, 0, 0], 9).await;
        assert_eq!(compressed, Code::Unimplemented);
        let large = code(&[0, 0xff, 0, 0, 0], 9).await;
        assert_eq!(large, Code::ResourceExhausted);
        let metrics = telemetry.render().unwrap();
        let refused = r#"sloop_controlplane_reports_total{result="refused"} 5"#;
        assert!(metrics.contains(refused), "{metrics}");
    }
}
