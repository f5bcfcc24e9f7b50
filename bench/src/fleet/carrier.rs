//! What carries a node's bytes: its socket, plain or inside TLS.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::set_socket_linger;
use rustls::ClientConnection;

use super::tls::Tls;

/// A socket that may still be on its way. Nothing blocks.
#[derive(Debug)]
pub(super) struct Carrier {
    socket: TcpStream,
    /// `None` when it is plain.
    tls: Option<Box<ClientConnection>>,
}

impl Carrier {
    /// Begins to connect the node with the number that `token` is.
    pub(super) fn open(
        to: SocketAddr,
        tls: Option<&Tls>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        // Its end is a reset: a port that waits for what may still come could not be used again.
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = tls.map(|tls| tls.begin(to, token.0)).transpose()?;
        Ok(Self {
            socket,
            tls: tls.map(Box::new),
        })
    }

    /// Reads what came for the node; 0 when the other side has ended it. `WouldBlock` when there is nothing now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An end without a word.
                Err(_) => return Ok(0),
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// Whether nothing is left when a read of `read` bytes had room for `room`.
    pub(super) fn is_drained_by(&self, read: usize, room: usize) -> bool {
        self.tls.is_none() && read < room
    }

    /// Takes what the node says, as much as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.writer().write(bytes),
            None => self.socket.write(bytes),
        }
    }

    /// Sends what TLS has to say, as far as it goes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    pub(super) fn close(mut self, registry: &Registry) {
        // It is closed in any case.
        drop(registry.deregister(&mut self.socket));
    }
}
