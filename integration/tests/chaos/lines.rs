//! Users who each keep one connection and remember what became of every request on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_dataplane::TraceId;
use tokio::net::TcpStream;

use super::now_ms;

/// Between two requests of a user.
const PACE: Duration = Duration::from_millis(60);
/// Streams at a time on the connection of HTTP/2.
const STREAMS: usize = 3;

/// How a user asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// One request after the other on a connection that is kept alive.
    Http1,
    /// Several streams at a time on one connection.
    Http2,
    /// Calls, one after the other.
    Grpc,
}

impl Line {
    pub(crate) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Grpc];
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) line: Line,
    pub(crate) trace: TraceId,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// Until its answer was whole.
    pub(crate) took: Duration,
    /// The gRPC status of a call that has one.
    pub(crate) grpc: Option<u8>,
    pub(crate) has_failed: bool,
}

/// A request that is under way.
#[derive(Clone, Copy)]
struct Asking {
    line: Line,
    trace: TraceId,
    at_ms: u64,
    since: Instant,
}

impl Asking {
    fn begin(line: Line, trace: TraceId) -> Self {
        Self {
            line,
            trace,
            at_ms: now_ms(),
            since: Instant::now(),
        }
    }
}

/// What became of all requests.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Asked>>>);

impl Seen {
    pub(crate) fn all(&self) -> Vec<Asked> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    fn add(&self, asked: Asked) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(asked);
    }
}

/// Asks at `entry` on one connection for good; returns when that breaks.
pub(crate) async fn talk(line: Line, entry: SocketAddr, seen: Seen) {
    let mut random = SmallRng::seed_from_u64(line as u64 + 1);
    let io = TokioIo::new(TcpStream::connect(entry).await.unwrap());
    match line {
        Line::Http1 => {
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            loop {
                let (trace, request) = question(line, &mut random);
                let asking = Asking::begin(line, trace);
                if sender.ready().await.is_err() {
                    return;
                }
                let Ok(answer) = sender.send_request(request).await else {
                    return;
                };
                note(&seen, asking, answer).await;
                tokio::time::sleep(PACE).await;
            }
        }
        Line::Http2 | Line::Grpc => {
            let executor = TokioExecutor::new();
            let (sender, connection) = http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            let streams = if line == Line::Http2 { STREAMS } else { 1 };
            loop {
                let mut asking = tokio::task::JoinSet::new();
                for _ in 0..streams {
                    let (trace, request) = question(line, &mut random);
                    let (mut sender, seen) = (sender.clone(), seen.clone());
                    asking.spawn(async move {
                        let asking = Asking::begin(line, trace);
                        let answer = sender.send_request(request).await;
                        let is_answered = answer.is_ok();
                        if let Ok(answer) = answer {
                            note(&seen, asking, answer).await;
                        }
                        is_answered
                    });
                }
                if asking.join_all().await.contains(&false) {
                    return;
                }
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

/// Reads an answer to its end, so that its connection or stream is whole, and remembers it.
async fn note(seen: &Seen, asking: Asking, answer: Response<Incoming>) {
    let (head, body) = answer.into_parts();
    let body = body.collect().await;
    let trailers = body.as_ref().ok().and_then(|body| body.trailers());
    // An answer without a message has it in the headers.
    let status = |headers: &HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    let grpc: Option<u8> = status(&head.headers).or_else(|| trailers.and_then(status));
    let has_failed =
        body.is_err() || head.status != 200 || (asking.line == Line::Grpc && grpc != Some(0));
    seen.add(Asked {
        line: asking.line,
        trace: asking.trace,
        at_ms: asking.at_ms,
        took: asking.since.elapsed(),
        grpc,
        has_failed,
    });
}

fn question(line: Line, random: &mut SmallRng) -> (TraceId, Request<Empty<Bytes>>) {
    let trace = TraceId {
        high: random.random(),
        low: random.random(),
    };
    let parent = format!(
        "00-{:016x}{:016x}-00000000000000aa-01",
        trace.high, trace.low
    );
    let request = Request::builder().header("traceparent", parent);
    let request = match line {
        Line::Http1 => request.uri("/charge").header("host", "payments"),
        Line::Http2 => request.uri("http://payments/charge"),
        Line::Grpc => request
            .method(Method::POST)
            .uri("http://payments/pay.Ledger/Charge")
            .header("content-type", "application/grpc")
            .header("te", "trailers"),
    };
    (trace, request.body(Empty::new()).unwrap())
}
