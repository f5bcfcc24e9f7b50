//! An application that copies the headers of what it is asked to what it asks.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sloop_integration::envoy::Upstream;
use tokio::net::TcpListener;

use super::fixed::{Fixed, Running};
use super::raw;

/// What it copies.
const COPIED: [&str; 4] = ["traceparent", "tracestate", "baggage", "x-request-id"];

/// An Envoy, the application before which it stands, and the service that the application asks through it.
pub struct Copying {
    pub running: Running,
    pub callee: Upstream,
    application: tokio::task::JoinHandle<()>,
}

impl Copying {
    /// With what `more` adds to the Envoy.
    pub async fn start(more: impl FnOnce(Fixed) -> Fixed) -> Self {
        let callee = Upstream::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let fixed = Fixed {
            callee: callee.address(),
            ..Fixed::of(own)
        };
        let running = more(fixed).start().await;
        Self {
            callee,
            application: tokio::spawn(serve(listener, running.outbound, &COPIED)),
            running,
        }
    }

    /// Asks for `path` with these header lines, and returns what arrived at the service behind.
    pub async fn ask(&self, path: &str, lines: &[(&str, &str)]) -> http::HeaderMap {
        let [arrived] = self.ask_for(path, lines).await;
        arrived
    }

    /// As [`Self::ask`], of each of the requests that the application made of one.
    pub async fn ask_for<const TIMES: usize>(
        &self,
        path: &str,
        lines: &[(&str, &str)],
    ) -> [http::HeaderMap; TIMES] {
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let answer = raw::ask(self.running.inbound, &raw::get(path.as_bytes(), &lines)).await;
        assert_eq!(raw::status(&answer), Some(200), "{lines:?}");
        let arrived = self.callee.take().into_iter();
        let arrived: Vec<_> = arrived.map(|it| it.headers).collect();
        arrived.try_into().expect("as many requests")
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.application.abort();
    }
}

/// The application: asks `outbound` for what it is asked, with the headers that are `copied`, and answers with what comes of it.
pub async fn serve(listener: TcpListener, outbound: SocketAddr, copied: &'static [&'static str]) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    while let Ok((connection, _)) = listener.accept().await {
        let client: Client<_, Empty<Bytes>> = client.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let client = client.clone();
            async move {
                // A path of `/wait/200` is work of 200 ms.
                let wait = request.uri().path().strip_prefix("/wait/");
                let wait = wait.and_then(|it| it.parse().ok()).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                // One of `/thrice` is three.
                let times = if request.uri().path() == "/thrice" {
                    3
                } else {
                    1
                };
                let mut status = StatusCode::OK;
                for _ in 0..times {
                    let mut asked = Request::get(format!("http://{outbound}{}", request.uri()));
                    for name in copied {
                        for value in request.headers().get_all(*name) {
                            asked = asked.header(*name, value);
                        }
                    }
                    let asked = asked.body(Empty::new()).unwrap();
                    status = match client.request(asked).await {
                        Ok(answer) => answer.status(),
                        Err(_) => StatusCode::BAD_GATEWAY,
                    };
                }
                let mut answer = Response::new(Full::new(Bytes::new()));
                *answer.status_mut() = status;
                Ok::<_, Infallible>(answer)
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service),
        );
    }
}
