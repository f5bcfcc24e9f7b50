//! The same load over HTTP/2: a burst is one stream on each of as many connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use super::Broken;
use super::dial::{Dial, name_of};

/// Connections that know HTTP/2 from the beginning ("prior knowledge", RFC 9113, 3.3), or agree on it in TLS.
#[derive(Debug)]
pub(super) struct Http2 {
    /// Only turns while something is asked. `None` when dropped.
    runtime: Option<Runtime>,
    connections: Vec<SendRequest<Bytes>>,
}

impl Http2 {
    pub(super) fn connect(dial: &Dial, to: SocketAddr, count: usize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let connections = runtime.block_on(async {
            let mut connections = Vec::with_capacity(count);
            for _ in 0..count {
                connections.push(open(dial, to).await?);
            }
            Ok::<_, io::Error>(connections)
        })?;
        Ok(Self {
            runtime: Some(runtime),
            connections,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn rotate(&mut self, by: usize) {
        self.connections.rotate_left(by);
    }

    /// Sends `request` over each of the first `count` connections and returns when all were answered with `status`.
    pub(super) fn burst(
        &mut self,
        request: &[u8],
        count: usize,
        status: u16,
    ) -> Result<(), Broken> {
        for (given, _) in self.answers(request, count)? {
            super::answer::expect(given, status)?;
        }
        Ok(())
    }

    /// The statuses and bodies of as many answers.
    pub(super) fn answers(
        &mut self,
        request: &[u8],
        count: usize,
    ) -> Result<Vec<(u16, Vec<u8>)>, Broken> {
        let request = parse(request)?;
        let runtime = self.runtime.as_ref().ok_or(Broken::Closed)?;
        let connections = &mut self.connections;
        runtime.block_on(async {
            let mut under_way = Vec::with_capacity(count);
            for connection in connections.iter_mut().take(count) {
                let mut ready = connection.clone().ready().await?;
                let (answer, _) = ready.send_request(request.clone(), true)?;
                under_way.push(answer);
            }
            let mut answers = Vec::with_capacity(count);
            for answer in under_way {
                let (head, mut body) = answer.await?.into_parts();
                let mut bytes = Vec::new();
                while let Some(chunk) = body.data().await {
                    let chunk = chunk?;
                    body.flow_control().release_capacity(chunk.len())?;
                    bytes.extend_from_slice(&chunk);
                }
                answers.push((head.status.as_u16(), bytes));
            }
            Ok(answers)
        })
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        // May be dropped where nothing may block; nothing is under way.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn open(dial: &Dial, to: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let Some(config) = &dial.tls else {
        return shake_hands(stream).await;
    };
    let connector = TlsConnector::from(Arc::clone(config));
    shake_hands(connector.connect(name_of(to), stream).await?).await
}

async fn shake_hands<S>(stream: S) -> io::Result<SendRequest<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // When it breaks, whoever asks next is told.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// The same request as it would be sent over HTTP/1.1: a head and nothing after it.
fn parse(request: &[u8]) -> Result<Request<()>, Broken> {
    let text = String::from_utf8_lossy(request);
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default();
    let path = first.next().unwrap_or_default();
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let host = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = host.map_or("localhost", |(_, host)| host);
    let mut parsed = Request::builder()
        .method(method)
        .uri(format!("http://{host}{path}"));
    for (name, value) in headers {
        if !name.eq_ignore_ascii_case("host") {
            parsed = parsed.header(name, value);
        }
    }
    parsed
        .body(())
        .map_err(|error| io::Error::other(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed::Protocol;

    const IN_THE_CLEAR: Dial = Dial::plain(Protocol::Http2);

    #[test]
    fn a_request_is_the_same_over_both_protocols() {
        let text = b"GET /pay?a=1 HTTP/1.1\r\nhost: shop.example\r\nx-odd: a: b\r\n\r\n";
        let request = parse(text).unwrap();
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "http://shop.example/pay?a=1");
        assert_eq!(request.headers().len(), 1, "the host is the authority");
        assert_eq!(request.headers()["x-odd"], "a: b");
        assert!(parse(b"G\x01T / HTTP/1.1\r\n\r\n").is_err());
    }

    /// Answers two connections, one request after the other, with the path that it was asked for.
    fn server() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let mut connection = h2::server::handshake(stream).await.unwrap();
                        while let Some(Ok((request, mut respond))) = connection.accept().await {
                            let path = request.uri().path().to_owned();
                            let head = http::Response::new(());
                            let mut body = respond.send_response(head, false).unwrap();
                            body.send_data(path.into(), true).unwrap();
                        }
                    });
                }
            });
        });
        address
    }

    #[test]
    fn every_request_of_a_burst_is_answered() {
        let mut connections = Http2::connect(&IN_THE_CLEAR, server(), 4).unwrap();
        for _ in 0..3 {
            let answers = connections
                .answers(b"GET /pay HTTP/1.1\r\nhost: a\r\n\r\n", 4)
                .unwrap();
            assert_eq!(answers, vec![(200, b"/pay".to_vec()); 4]);
        }
        let request = b"GET /pay HTTP/1.1\r\nhost: a\r\n\r\n";
        assert!(connections.burst(request, 2, 200).is_ok());
        let error = connections.burst(request, 2, 503).unwrap_err();
        assert_eq!(
            error.to_string(),
            "answered with status 200; 503 was expected"
        );
    }

    #[tokio::test]
    async fn it_may_be_dropped_where_nothing_may_block() {
        let to = server();
        let connect =
            tokio::task::spawn_blocking(move || Http2::connect(&IN_THE_CLEAR, to, 1).unwrap());
        drop(connect.await.unwrap());
    }
}
