//! Kept-alive HTTP/1.1 connections to one address.
//!
//! A connection carries one request at a time; when none is free another is
//! opened, so the pool never makes a request wait for one (up to
//! [`Pool::CONNECTIONS_MAX`]). An idle connection that the peer closed in the
//! meantime is noticed before anything of a request was sent, and then another
//! one is taken: such a request was surely not executed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no complete answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection: nothing was sent.
    #[error("cannot connect to {to}")]
    NotConnected {
        /// The address.
        to: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection broke after the request was sent, at least in part: it may have been executed.
    #[error("the connection broke before the answer was complete")]
    Broken(#[from] hyper::Error),
}

/// How a request ended, as the one who sent it saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With this status.
    Status(u16),
    /// Without a connection.
    NotConnected,
    /// With a broken connection.
    Broken,
    /// Not in time.
    TimedOut,
}

impl From<&Failure> for Ending {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::NotConnected { .. } => Self::NotConnected,
            Failure::Broken(_) => Self::Broken,
        }
    }
}

type Connection = http1::SendRequest<Full<Bytes>>;

/// Connections to one address.
#[derive(Debug)]
pub struct Pool {
    to: SocketAddr,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    opened: AtomicU64,
}

impl Pool {
    /// Connections at a time: half of the usual limit of 1,024 open files.
    pub const CONNECTIONS_MAX: usize = 512;

    /// A pool to `to`. Opens nothing yet.
    #[must_use]
    pub fn new(to: SocketAddr) -> Self {
        Self {
            to,
            idle: Mutex::default(),
            permits: Semaphore::new(Self::CONNECTIONS_MAX),
            opened: AtomicU64::default(),
        }
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// Dropping the future closes the connection that it used.
    ///
    /// # Errors
    ///
    /// When there is no connection, or it broke.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        // Never closed, so an error cannot come; without a permit it would only be unbounded.
        let _permit = self.permits.acquire().await.ok();
        let mut request = request;
        loop {
            let (mut connection, is_fresh) = match self.take() {
                Some(idle) => (idle, false),
                None => (self.connect().await?, true),
            };
            match connection.try_send_request(request).await {
                Ok(response) => return self.finish(connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_fresh => request = unsent,
                    Some(_) | None => return Err(error.into_error().into()),
                },
            }
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let failed = |source| Failure::NotConnected {
            to: self.to,
            source,
        };
        let stream = TcpStream::connect(self.to).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }

    async fn finish(
        &self,
        mut connection: Connection,
        response: http::Response<hyper::body::Incoming>,
    ) -> Result<Answer, Failure> {
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        // The driver frees the connection a moment after the body's end.
        if connection.ready().await.is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}
