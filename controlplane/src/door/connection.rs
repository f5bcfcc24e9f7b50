//! One connection, secured or not, that ends when it should.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

use super::limits::Limit;
use super::peer::Peer;
use super::silence::Silence;
use crate::metrics::DoorMetrics;

/// Writes that are larger are none of few frames, as the end of a connection is.
const LAST_WORDS_MAX: usize = 1_024;

/// What carries the bytes.
#[derive(Debug)]
pub(super) enum Carrier {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// A connection. It ends when its peer is told to, when it does not begin to speak, and when it is old.
#[derive(Debug)]
pub struct Connection {
    carrier: Carrier,
    peer: Peer,
    /// `None` when it is over.
    end: Option<oneshot::Receiver<()>>,
    /// What is still missing until it speaks.
    silence: Silence,
    /// When it ends: while it is silent, and then for its age.
    due: Option<Pin<Box<Sleep>>>,
    age_max: Option<Duration>,
    is_old: bool,
    quiet: Option<Quiet>,
    /// Whether it was quiet for too long.
    is_over: bool,
    metrics: DoorMetrics,
    /// Whether the server told the client that it asks for too much.
    was_calmed: bool,
    _places: Places,
}

/// Places among all connections, and among those of one identity. They are given back when dropped.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) _of_all: OwnedSemaphorePermit,
    pub(super) _of_identity: Option<OwnedSemaphorePermit>,
}

/// How long a connection may be silent, and last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) silence_max: Duration,
    pub(super) age_max: Option<Duration>,
    /// How long nothing may be read or written.
    pub(super) quiet_max: Option<Duration>,
}

/// How long nothing was read or written. What is done only notes the time; the timer looks at it when it is due.
#[derive(Debug)]
struct Quiet {
    max: Duration,
    since: Instant,
    due: Pin<Box<Sleep>>,
}

impl Quiet {
    fn begin(max: Duration) -> Self {
        let since = Instant::now();
        let due = Box::pin(tokio::time::sleep_until(since + max));
        Self { max, since, due }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.due.as_mut().poll(context));
            let end = self.since + self.max;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.due.as_mut().reset(end);
        }
    }
}

impl Connection {
    pub(super) fn new(
        (carrier, silence): (Carrier, Silence),
        (peer, end): (Peer, oneshot::Receiver<()>),
        times: Times,
        metrics: DoorMetrics,
        places: Places,
    ) -> Self {
        metrics.connected();
        Self {
            carrier,
            peer,
            end: Some(end),
            silence,
            due: Some(Box::pin(tokio::time::sleep(times.silence_max))),
            age_max: times.age_max,
            is_old: false,
            quiet: times.quiet_max.map(Quiet::begin),
            is_over: false,
            metrics,
            was_calmed: false,
            _places: places,
        }
    }

    /// Who is on the other side.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether it is to end, and how: with an error or as if the client had gone.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self
            .end
            .as_mut()
            .is_none_or(|end| Pin::new(end).poll(context).is_ready())
        {
            self.end = None;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Some(quiet) = &mut self.quiet
            && quiet.poll(context).is_ready()
        {
            self.quiet = None;
            self.is_over = true;
            self.metrics.hit(Limit::Quiet);
        }
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        let Some(due) = &mut self.due else {
            return Poll::Pending;
        };
        ready!(due.as_mut().poll(context));
        if !self.silence.is_over() {
            self.metrics.hit(Limit::HandshakeTime);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if !self.is_old {
            self.is_old = true;
            self.metrics.hit(Limit::ConnectionAge);
        }
        Poll::Ready(Ok(()))
    }

    /// Notes what is about to be written. hyper ends a connection with too many resets by itself and
    /// tells nobody but the client.
    fn saying(&mut self, bytes: &[u8]) {
        if !self.was_calmed && calls_for_calm(bytes) {
            self.was_calmed = true;
            self.metrics.hit(Limit::Resets);
        }
    }

    /// Whether it is to end while its client takes nothing more: nobody looks then whether there is something to read.
    fn poll_stuck<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.poll_end(context))?;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Notes that something was read or written.
    fn moved(&mut self) {
        if let Some(quiet) = &mut self.quiet {
            quiet.since = Instant::now();
        }
    }

    /// Notes that `bytes` came.
    fn heard(&mut self, bytes: &[u8]) {
        self.moved();
        if self.silence.is_over() {
            return;
        }
        self.silence.hear(bytes);
        if self.silence.is_over() {
            match (self.age_max, &mut self.due) {
                (Some(age_max), Some(due)) => due.as_mut().reset(Instant::now() + age_max),
                (_, due) => *due = None,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.disconnected();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(ended) = self.poll_end(context) {
            return Poll::Ready(ended);
        }
        let before = buffer.filled().len();
        ready!(match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Carrier::Secured(stream) => Pin::new(stream).poll_read(context, buffer),
        })?;
        self.heard(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.saying(bytes);
        let written = match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Carrier::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        match written {
            Poll::Pending => self.poll_stuck(context),
            Poll::Ready(_) => {
                self.moved();
                written
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        for slice in slices {
            self.saying(slice);
        }
        let written = match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Carrier::Secured(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        match written {
            Poll::Pending => self.poll_stuck(context),
            Poll::Ready(_) => {
                self.moved();
                written
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Plain(stream) => stream.is_write_vectored(),
            Carrier::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_flush(context),
            Carrier::Secured(stream) => Pin::new(stream).poll_flush(context),
        };
        match flushed {
            Poll::Pending => self.poll_stuck(context),
            Poll::Ready(_) => flushed,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Carrier::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Whether a GOAWAY with ENHANCE_YOUR_CALM is among a few frames (RFC 9113, 6.8 and 7): after its
/// length the type, no flags, stream 0, any last stream, and the code.
fn calls_for_calm(bytes: &[u8]) -> bool {
    // Most of what is written has no such byte, and that is found out soonest.
    bytes.len() <= LAST_WORDS_MAX
        && bytes.contains(&7)
        && bytes
            .windows(14)
            .any(|it| it.starts_with(&[7, 0, 0, 0, 0, 0]) && it.ends_with(&[0, 0, 0, 11]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_for_calm_is_one() {
        let goaway = |code: u8| {
            [
                &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 1, 41, 0, 0, 0],
                &[code][..],
            ]
            .concat()
        };
        assert!(calls_for_calm(&goaway(11)));
        assert!(calls_for_calm(
            &[&[0; 30][..], &goaway(11), b"too_many_resets"].concat()
        ));
        assert!(!calls_for_calm(&goaway(0)), "an ordinary end");
        assert!(!calls_for_calm(&goaway(11)[..16]));
        assert!(!calls_for_calm(&[]));
    }
}
