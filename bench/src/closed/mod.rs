//! Closed-loop load over plain sockets, for measuring what the other side's processor does.
//!
//! *Closed loop*: the next requests begin when the ones before were answered.
//! That says nothing about latency (use [`crate::Load`] for that), but gives a
//! server the same work again and again, which is what a comparison of
//! processor time needs. Sockets block and nothing is parsed beyond what
//! tells one answer from the next, so that the load is small beside what it measures.
//!
//! Requests come in bursts of fixed sizes. Where each connection instead sends its next request as soon as
//! it has an answer, requests fall into step with each other in one of several ways, a server's
//! caches see another order of work in each, and code that is larger than its
//! caches costs a fifth more in one than in another, for seconds.

mod answer;
mod dial;
mod http2;
mod sink;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use answer::InvalidAnswer;
pub use dial::{Certificate, Dial, InvalidTls};
pub use sink::{ECHO, Sink};

use answer::{Answer, Scan, scan};
use dial::name_of;
use http2::Http2;

/// How many requests are sent at once, over as many connections, one after the other for ever: as often one as two, three and four.
const BURSTS: [usize; 8] = [3, 1, 4, 2, 2, 4, 1, 3];

/// Connections of which each carries a part of every burst.
pub const CONNECTIONS: usize = 4;

/// Longer than any answer takes, even under an instrumented Envoy.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1, kept alive.
    #[default]
    Http1,
    /// HTTP/2, one stream at a time on each connection.
    Http2,
}

impl Protocol {
    /// What it is called in TLS (RFC 7301, 6).
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// Connections to one address, each with at most one request under way.
#[derive(Debug)]
pub struct Closed {
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Http1(Vec<Connection<Stream>>),
    Http2(Http2),
}

impl Wire {
    fn len(&self) -> usize {
        match self {
            Self::Http1(connections) => connections.len(),
            Self::Http2(connections) => connections.len(),
        }
    }

    /// Sends over the first `count` connections and returns when all were answered with `status`.
    fn burst(&mut self, request: &[u8], count: usize, status: u16) -> Result<(), Broken> {
        match self {
            Self::Http1(connections) => {
                for connection in connections.iter_mut().take(count) {
                    connection.stream.write_all(request)?;
                }
                for connection in connections.iter_mut().take(count) {
                    connection.read()?.expect(status)?;
                }
                Ok(())
            }
            Self::Http2(connections) => connections.burst(request, count, status),
        }
    }

    fn rotate(&mut self, by: usize) {
        match self {
            Self::Http1(connections) => connections.rotate_left(by),
            Self::Http2(connections) => connections.rotate(by),
        }
    }
}

/// Why a load did not go as expected.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection does.
    #[error("the connection broke")]
    Connection(#[from] io::Error),
    /// The peer ended the connection in place of an answer.
    #[error("the connection was closed in place of an answer")]
    Closed,
    /// The answer cannot be told from what follows.
    #[error(transparent)]
    Answer(#[from] InvalidAnswer),
    /// HTTP/2 does.
    #[error("HTTP/2 broke")]
    Http2(#[from] h2::Error),
    /// Another status.
    #[error("answered with status {given}; {expected} was expected")]
    Status {
        /// As answered.
        given: u16,
        /// As expected.
        expected: u16,
    },
}

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    buffer: Box<[u8; ANSWER_BYTES_MAX]>,
}

/// A connection in the clear, or not.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Closed {
    /// Opens `count` connections.
    ///
    /// # Errors
    ///
    /// When one cannot be opened.
    pub fn connect(to: SocketAddr, count: usize) -> io::Result<Self> {
        Self::connect_by(&Dial::plain(Protocol::Http1), to, count)
    }

    /// Opens `count` connections in this way.
    ///
    /// # Errors
    ///
    /// When one cannot be opened.
    pub fn connect_by(dial: &Dial, to: SocketAddr, count: usize) -> io::Result<Self> {
        if dial.protocol == Protocol::Http2 {
            let wire = Wire::Http2(Http2::connect(dial, to, count)?);
            return Ok(Self { wire });
        }
        let connections = (0..count).map(|_| Connection::dial(dial, to));
        Ok(Self {
            wire: Wire::Http1(connections.collect::<Result<_, _>>()?),
        })
    }

    /// Sends `request` `count` times, in bursts of one to four, and returns when all were answered, each with `status`.
    ///
    /// # Errors
    ///
    /// At the first answer that is missing or another. The connections are useless then.
    pub fn send(&mut self, request: &[u8], count: usize, status: u16) -> Result<(), Broken> {
        let mut left = count;
        let mut bursts = BURSTS.iter().cycle();
        while let Some(burst) = bursts.next().filter(|_| 0 < left) {
            let burst = (*burst).min(left).min(self.wire.len());
            self.wire.burst(request, burst, status)?;
            // The next burst goes over those that have been idle for longest; where one burst fills all, each keeps its place.
            if CONNECTIONS < self.wire.len() {
                self.wire.rotate(burst);
            }
            left -= burst;
        }
        Ok(())
    }

    /// Sends `request` once and returns the status and the answer as text: all of it, or the body where HTTP/2 is spoken.
    ///
    /// # Errors
    ///
    /// When it is not answered.
    pub fn ask(&mut self, request: &[u8]) -> Result<(u16, String), Broken> {
        match &mut self.wire {
            Wire::Http1(connections) => {
                let connection = connections.first_mut().ok_or(Broken::Closed)?;
                connection.stream.write_all(request)?;
                let answer = connection.read()?;
                let whole = connection.buffer.get(..answer.length).unwrap_or_default();
                Ok((answer.status, String::from_utf8_lossy(whole).into_owned()))
            }
            Wire::Http2(connections) => {
                let answer = connections.answers(request, 1)?.pop();
                let (status, body) = answer.ok_or(Broken::Closed)?;
                Ok((status, String::from_utf8_lossy(&body).into_owned()))
            }
        }
    }
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        // Small requests must not wait for the acknowledgement of earlier ones.
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// The same connection, for writing.
    pub(crate) fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }
}

impl Connection<Stream> {
    /// Opens one in this way, and ends the handshake, if there is one.
    fn dial(dial: &Dial, to: SocketAddr) -> io::Result<Self> {
        let tcp = Connection::open(to)?.stream;
        tcp.set_read_timeout(Some(ANSWER_WITHIN))?;
        let Some(config) = &dial.tls else {
            return Ok(Self::over(Stream::Plain(tcp)));
        };
        let client = ClientConnection::new(config.clone(), name_of(to));
        let mut stream = StreamOwned::new(client.map_err(io::Error::other)?, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::over(Stream::Tls(Box::new(stream))))
    }
}

impl<S: Read> Connection<S> {
    fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Box::new([0; ANSWER_BYTES_MAX]),
        }
    }

    /// Reads one answer to its end. There is nothing after it, because nothing else was asked.
    pub(crate) fn read(&mut self) -> Result<Answer, Broken> {
        let mut filled = 0;
        loop {
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            if free.is_empty() {
                return Err(InvalidAnswer::TooLong.into());
            }
            match self.stream.read(free)? {
                0 => return Err(Broken::Closed),
                more => filled += more,
            }
            match scan(self.buffer.get(..filled).unwrap_or_default())? {
                Scan::Partial => {}
                Scan::Whole(answer) => return Ok(answer),
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /pay HTTP/1.1\r\nhost: shop\r\n\r\n";

    #[test]
    fn no_burst_is_larger_than_the_connections_carry() {
        assert_eq!(BURSTS.iter().max(), Some(&CONNECTIONS));
    }

    #[test]
    fn every_request_is_answered_over_the_connections_that_there_are() {
        let sink = Sink::start().unwrap();
        for (connections, count) in [(4, 400), (4, 3), (1, 7), (3, 0), (9, 40)] {
            let mut closed = Closed::connect(sink.address(), connections).unwrap();
            let before = sink.served();
            closed.send(REQUEST, count, 200).unwrap();
            closed.send(REQUEST, count, 200).unwrap();
            let served = usize::try_from(sink.served() - before).unwrap();
            assert_eq!(served, 2 * count, "{count} over {connections}");
        }
    }

    #[test]
    fn another_status_is_an_error() {
        let sink = Sink::start().unwrap();
        let mut closed = Closed::connect(sink.address(), 2).unwrap();
        let error = closed.send(REQUEST, 2, 503).unwrap_err();
        assert_eq!(
            error.to_string(),
            "answered with status 200; 503 was expected"
        );
    }

    #[test]
    fn a_request_to_the_echo_comes_back() {
        let sink = Sink::start().unwrap();
        let mut closed = Closed::connect(sink.address(), 1).unwrap();
        let request = format!("GET /pay{ECHO} HTTP/1.1\r\nhost: shop\r\nx-odd: 1\r\n\r\n");
        let (status, answer) = closed.ask(request.as_bytes()).unwrap();
        assert_eq!(status, 200);
        assert!(answer.contains("x-odd: 1\r\n"), "{answer}");
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error() {
        let sink = Sink::start().unwrap();
        let mut closed = Closed::connect(sink.address(), 1).unwrap();
        let error = closed.ask(b"POST /x HTTP/1.1\r\n\r\n").unwrap_err();
        assert!(matches!(error, Broken::Closed), "{error}");
    }
}
