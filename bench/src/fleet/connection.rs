//! A node's socket.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::set_socket_linger;

use super::session::{Happened, Session};

/// What one look at a connection came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) is_accepted: bool,
    pub(super) is_answered: bool,
    pub(super) is_over: bool,
}

/// A connection that may still be on its way.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    pub(super) session: Session,
    /// Of the session's output.
    written: usize,
    is_broken: bool,
}

impl Connection {
    pub(super) fn open(
        to: SocketAddr,
        session: Session,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        // Its end is a reset: a port that waits for what may still come could not be used again.
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            socket,
            session,
            written: 0,
            is_broken: false,
        })
    }

    /// Reads all that came and writes what there is to say. Whether it is still open.
    ///
    /// Readiness comes once, so all is read that is there.
    pub(super) fn exchange(
        &mut self,
        buffer: &mut [u8],
        tell: &mut impl FnMut(Happened<'_>),
    ) -> bool {
        let mut is_open = true;
        loop {
            match self.socket.read(buffer) {
                Ok(0) => is_open = false,
                Ok(length) => {
                    self.session
                        .take(buffer.get(..length).unwrap_or_default(), tell);
                    // Less than there was room for is all.
                    if length == buffer.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => is_open = is_unfinished(&error),
            }
            break;
        }
        self.flush();
        is_open && !self.is_broken
    }

    /// Writes what there is to say, as far as it goes.
    pub(super) fn flush(&mut self) {
        while let Some(rest) = self
            .session
            .output
            .get(self.written..)
            .filter(|it| !it.is_empty())
        {
            match self.socket.write(rest) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_broken = !is_unfinished(&error);
                    return;
                }
            }
        }
        self.written = 0;
        self.session.output.clear();
        // What the first request took need not be kept.
        self.session.output.shrink_to(1_024);
    }

    pub(super) fn close(mut self, registry: &Registry) {
        // It is closed in any case.
        drop(registry.deregister(&mut self.socket));
    }
}

/// Whether there is only nothing to read yet, no room yet, or no connection yet.
fn is_unfinished(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}
