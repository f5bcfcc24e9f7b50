//! A gRPC service on HTTP/2, and who calls it: down to the frames, which decide how a call ends.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

/// A message without content: not compressed, of no bytes.
const EMPTY: &[u8] = &[0; 5];

/// A service that ends calls as the first part of their path says:
/// `fine` with trailers, `away` with nothing but headers, `broken` after a message, `many` after three, `torn` by a reset after one.
pub struct GrpcApp {
    pub address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl GrpcApp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(connection).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond));
                    }
                });
            }
        });
        Self { address, accepting }
    }
}

impl Drop for GrpcApp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    while let Some(Ok(part)) = body.data().await {
        let _ = body.flow_control().release_capacity(part.len());
    }
    let call = head.uri.path().split('/').nth(1).unwrap_or_default();
    let response = Response::builder().header("content-type", "application/grpc");
    let (messages, status) = match call {
        "away" => {
            let only = response.header("grpc-status", "14").body(()).unwrap();
            respond.send_response(only, true).unwrap();
            return;
        }
        "many" => (3, "0"),
        "broken" => (1, "13"),
        _ => (1, "0"),
    };
    let mut stream = respond
        .send_response(response.body(()).unwrap(), false)
        .unwrap();
    for _ in 0..messages {
        stream.send_data(Bytes::from_static(EMPTY), false).unwrap();
        // Each in a frame of its own, and on its way before the next.
        tokio::task::yield_now().await;
    }
    if call == "torn" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
        return;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}

/// Calls `/{call}/It` at `to`, and says which gRPC status came, in headers or in trailers, and how many messages. No
/// status where the call broke off.
pub async fn call(to: SocketAddr, call: &str) -> (Option<String>, usize) {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://shop/{call}/It"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(EMPTY), true).unwrap();
    let status = |headers: &HeaderMap| {
        let status = headers.get("grpc-status")?;
        Some(status.to_str().unwrap().to_owned())
    };
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut bytes = 0;
    while let Some(part) = body.data().await {
        let Ok(part) = part else {
            return (None, bytes / EMPTY.len());
        };
        bytes += part.len();
        let _ = body.flow_control().release_capacity(part.len());
    }
    let trailers = body.trailers().await.ok().flatten();
    let said = status(&head.headers).or_else(|| status(&trailers?));
    (said, bytes / EMPTY.len())
}
