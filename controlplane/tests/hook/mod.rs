//! A webhook that is there, in the clear or over TLS.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "shared by test binaries, each of which uses a part"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Long enough for a busy machine; nothing waits that long when all is well.
pub const SOON: Duration = Duration::from_secs(30);

/// What a webhook was sent.
#[derive(Debug)]
pub struct Told {
    pub key: String,
    pub body: Value,
    /// What was asked for, of whom, and what was shown.
    pub target: String,
    pub host: String,
    pub shown: Option<String>,
}

/// A webhook that answers with `statuses`, one after the other, and then with 200.
pub struct Webhook {
    pub address: SocketAddr,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Webhook {
    pub async fn start(statuses: &[u16], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        let statuses: Vec<u16> = statuses.iter().rev().copied().collect();
        let statuses = Arc::new(std::sync::Mutex::new(statuses));
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let (tell, statuses) = (tell.clone(), Arc::clone(&statuses));
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(connection, tell, statuses).await,
                        // Who does not trust us hangs up.
                        Some(tls) => {
                            if let Ok(connection) = tls.accept(connection).await {
                                serve(connection, tell, statuses).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, told }
    }

    pub async fn told(&mut self) -> Told {
        tokio::time::timeout(SOON, self.told.recv())
            .await
            .expect("it is told in time")
            .unwrap()
    }
}

type Statuses = Arc<std::sync::Mutex<Vec<u16>>>;

async fn serve(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    tell: mpsc::UnboundedSender<Told>,
    statuses: Statuses,
) {
    let answer = |request: Request<Incoming>| {
        let (tell, statuses) = (tell.clone(), Arc::clone(&statuses));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let header = |name: &str| {
                let value = head.headers.get(name)?;
                Some(value.to_str().unwrap().to_owned())
            };
            let told = Told {
                key: header("idempotency-key").unwrap(),
                body: serde_json::from_slice(&body).unwrap(),
                target: head.uri.to_string(),
                host: header("host").unwrap(),
                shown: header("authorization"),
            };
            // Who heard enough has gone.
            drop(tell.send(told));
            let status = statuses.lock().unwrap().pop().unwrap_or(200);
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, Infallible>(response)
        }
    };
    drop(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(connection), service_fn(answer))
            .await,
    );
}
