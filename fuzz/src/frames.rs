//! What is above HTTP/2 on the gRPC port: messages with their lengths in front, however their bytes are cut.
//!
//! gRPC over HTTP/2, "Length-Prefixed-Message": <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::cell::OnceCell;
use std::convert::Infallible;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use sloop_controlplane::ads::{AdsLimits, AdsService, Hub};
use sloop_controlplane::ingest::{Arrival, ReportDoor, ReportLimits, Reports};
use sloop_controlplane::metrics::{DoorMetrics, IngestMetrics, Telemetry};
use sloop_model::WallTime;
use sloop_xds::{DeltaDiscoveryRequest, DiscoveryRequest};
use sloop_xds_protos::report::v1::{ReportRequest, ReportResponse};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::Service;

use crate::input::Input;

/// Small, so that it is reached.
const BYTES_MAX: usize = 600;

/// In front of each message.
const HEAD: usize = 5;

/// The first byte chooses what is called, the second into how many bytes at a time the rest is cut.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let called = [Called::Whole, Called::Delta, Called::Report][usize::from(input.choice(3))];
    let size = 1 + usize::from(input.choice(u8::MAX));
    let bytes = input.rest();
    let whole = called.code(bytes, bytes.len().max(1));
    let cut = called.code(bytes, size);
    called.judge(bytes, whole);
    called.judge(bytes, cut);
    if !called.may_overlook(bytes) {
        assert_eq!(cut, whole, "cut into {size}");
    }
}

#[derive(Clone, Copy)]
enum Called {
    Whole,
    Delta,
    Report,
}

/// What is wrong with the frames of a body, by the plainest reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Compressed,
    TooLong,
    Cut,
}

/// The messages before the first fault, and that.
fn plain(mut rest: &[u8]) -> (Vec<&[u8]>, Option<Fault>) {
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let Some((head, after)) = rest.split_first_chunk::<HEAD>() else {
            return (messages, Some(Fault::Cut));
        };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if head[0] != 0 {
            return (messages, Some(Fault::Compressed));
        }
        if BYTES_MAX < length {
            return (messages, Some(Fault::TooLong));
        }
        if after.len() < length {
            return (messages, Some(Fault::Cut));
        }
        let (message, after) = after.split_at(length);
        messages.push(message);
        rest = after;
    }
    (messages, None)
}

impl Called {
    /// How the call ends whose body is `bytes` in parts of `size`.
    fn code(self, bytes: &[u8], size: usize) -> Code {
        let parts: Vec<_> = bytes
            .chunks(size)
            .map(|part| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        let body = StreamBody::new(tokio_stream::iter(parts));
        ON.with(|on| {
            let on = on.get_or_init(Port::open);
            on.runtime.block_on(async {
                match self {
                    Self::Whole => stream(service(), "Stream", Body::new(body)).await,
                    Self::Delta => stream(service(), "Delta", Body::new(body)).await,
                    Self::Report => match on.reports.call(body, None).await {
                        Ok(answer) => {
                            let answer = answer.collect().await.expect("it goes well");
                            assert_eq!(answer.to_bytes().len(), HEAD, "an empty message");
                            Code::Ok
                        }
                        Err(status) => status.code(),
                    },
                }
            })
        })
    }

    /// Whether what comes after a whole report may be seen or not: it is not waited for.
    fn may_overlook(self, bytes: &[u8]) -> bool {
        let first = plain(bytes).0.first().map(|message| HEAD + message.len());
        matches!(self, Self::Report) && first.is_some_and(|first| first < bytes.len())
    }

    fn judge(self, bytes: &[u8], code: Code) {
        let (messages, fault) = plain(bytes);
        match self {
            Self::Whole => streamed::<DiscoveryRequest>(&messages, fault, code),
            Self::Delta => streamed::<DeltaDiscoveryRequest>(&messages, fault, code),
            Self::Report => reported(bytes, code),
        }
    }
}

/// A stream ends with its first fault, unless what was asked before it ended it.
fn streamed<R: Message + Default>(messages: &[&[u8]], fault: Option<Fault>, code: Code) {
    let is_read = messages.iter().all(|it| R::decode(*it).is_ok());
    if code == Code::Ok {
        assert!(is_read && fault.is_none(), "{fault:?} is passed over");
    } else if code == Code::Unimplemented {
        assert_eq!(fault, Some(Fault::Compressed));
    } else if code == Code::Internal {
        assert_eq!(fault, Some(Fault::Cut));
    } else {
        // What is too long, and what is asked that is nonsense or too much.
        let is_refused = [Code::ResourceExhausted, Code::InvalidArgument].contains(&code);
        assert!(is_refused, "no stream ends with {code:?}");
        assert!(!messages.is_empty() || fault == Some(Fault::TooLong));
    }
}

/// A report is one message.
fn reported(bytes: &[u8], code: Code) {
    let (messages, fault) = plain(bytes);
    match (code, messages.first()) {
        (Code::Ok, Some(first)) => assert!(ReportRequest::decode(*first).is_ok()),
        (Code::Unimplemented, None) => assert_eq!(fault, Some(Fault::Compressed)),
        (Code::ResourceExhausted, None) => assert_eq!(fault, Some(Fault::TooLong)),
        // Nonsense, cut off, or one too many.
        (Code::InvalidArgument, _) => {}
        (code, first) => panic!("{code:?} after {first:?}, {fault:?}"),
    }
}

/// The port's parts that keep nothing from one call to the next that others would notice.
struct Port {
    runtime: Runtime,
    reports: ReportDoor,
    _telemetry: Telemetry,
}

thread_local! {
    static ON: OnceCell<Port> = const { OnceCell::new() };
}

impl Port {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without sockets");
        let telemetry = Telemetry::begin().expect("metrics that nobody reads");
        let meter = telemetry.meter();
        let (arrivals, arrived) = mpsc::channel(1);
        let (_, access) = watch::channel(std::sync::Arc::default());
        let limits = ReportLimits {
            bytes_max: BYTES_MAX,
            ..ReportLimits::default()
        };
        let counted = (limits, DoorMetrics::register(&meter, "grpc"));
        let ingest = IngestMetrics::register(&meter);
        let reports = Reports::service(arrivals, access, ingest, counted);
        runtime.spawn(take(arrived));
        Self {
            runtime,
            reports,
            _telemetry: telemetry,
        }
    }
}

/// Tells everybody that their report is durable.
async fn take(mut arrived: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrived.recv().await {
        drop(arrival.answer.send(Ok(ReportResponse::default())));
    }
}

/// Discovery that nobody used before.
fn service() -> AdsService {
    let limits = AdsLimits {
        request_bytes_max: BYTES_MAX,
        ..AdsLimits::default()
    };
    let hub = Hub::new(limits, || WallTime::from_millis(1_700_000_000_000));
    hub.open();
    hub.service()
}

/// How a stream of this variant ends.
async fn stream(mut service: AdsService, variant: &str, body: Body) -> Code {
    let request = http::Request::post(format!("/ads/{variant}AggregatedResources"));
    let request = request.body(body).expect("a path and a body");
    let Ok(response) = service.call(request).await;
    let body = response.into_body().collect().await;
    let body = body.expect("it ends with trailers");
    let trailers = body.trailers().expect("it says how it ended");
    let code = trailers["grpc-status"].as_bytes();
    Code::from_bytes(code)
}
