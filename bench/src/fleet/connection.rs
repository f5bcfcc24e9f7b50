//! A node's connection: what it says and hears, and what carries that.

use std::io;
use std::net::SocketAddr;

use mio::{Registry, Token};

use super::carrier::Carrier;
use super::session::{Happened, Session};
use super::tls::Tls;

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
    carrier: Carrier,
    pub(super) session: Session,
    /// Of the session's output.
    written: usize,
    is_broken: bool,
}

impl Connection {
    pub(super) fn open(
        (to, tls): (SocketAddr, Option<&Tls>),
        session: Session,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        Ok(Self {
            carrier: Carrier::open(to, tls, registry, token)?,
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
            match self.carrier.read(buffer) {
                Ok(0) => is_open = false,
                Ok(length) => {
                    self.session
                        .take(buffer.get(..length).unwrap_or_default(), tell);
                    if !self.carrier.is_drained_by(length, buffer.len()) {
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
            match self.carrier.write(rest) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_broken |= !is_unfinished(&error);
                    return;
                }
            }
        }
        if let Err(error) = self.carrier.flush() {
            self.is_broken |= !is_unfinished(&error);
        }
        self.written = 0;
        self.session.output.clear();
        // What the first request took need not be kept.
        self.session.output.shrink_to(1_024);
    }

    pub(super) fn close(self, registry: &Registry) {
        self.carrier.close(registry);
    }
}

/// Whether there is only nothing to read yet, no room yet, or no connection yet.
fn is_unfinished(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}
