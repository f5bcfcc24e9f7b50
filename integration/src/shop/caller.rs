//! Calls to other services, through the own sidecar.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use sloop_bench::{Answer, Pool};

/// Headers that carry a trace on, or the identity of an order.
const FORWARDED: [&str; 5] = [
    "traceparent",
    "tracestate",
    "baggage",
    "x-request-id",
    "idempotency-key",
];

/// How Sloop's filter marks its own answers.
const VERDICT: HeaderName = HeaderName::from_static("x-sloop-verdict");

/// How a call ended.
#[derive(Debug)]
pub(super) enum Called {
    /// Served.
    Done(Answer),
    /// A sidecar refused it, by a breaker or shedding: surely not executed.
    Refused,
    /// Answered with an error, too late or not at all: perhaps executed.
    Failed,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Whom: what its callers write into `Host`.
    pub(super) to: &'static str,
    /// How.
    pub(super) method: Method,
    /// What.
    pub(super) path: &'static str,
    /// How long to wait for the answer.
    pub(super) within: Duration,
}

/// Calls other services.
#[derive(Debug)]
pub(super) struct Caller(Pool);

impl Caller {
    /// Calls through the sidecar that listens on `outbound`.
    pub(super) fn new(outbound: SocketAddr) -> Self {
        Self(Pool::new(outbound))
    }

    /// Makes `call` on behalf of a request with the headers `of`.
    pub(super) async fn call(&self, call: &Call, of: &HeaderMap) -> Called {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = http::Uri::from_static(call.path);
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, HeaderValue::from_static(call.to));
        for name in FORWARDED {
            if let Some(value) = of.get(name) {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        match tokio::time::timeout(call.within, self.0.send(request)).await {
            Ok(Ok(answer)) if answer.status.is_success() => Called::Done(answer),
            Ok(Ok(answer)) if is_refusal(&answer) => Called::Refused,
            Ok(Ok(_) | Err(_)) | Err(_) => Called::Failed,
        }
    }
}

fn is_refusal(answer: &Answer) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE
        && answer
            .headers
            .get(VERDICT)
            .is_some_and(|verdict| verdict == "refused" || verdict == "shed")
}
