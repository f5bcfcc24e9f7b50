//! The gRPC port: who may come in, and how many.
//!
//! [`Door`] takes connections, has them prove who they are ([`TlsFiles`]), and hands them to the
//! server with what is known about the other side ([`Peer`]). Certificates are read again when
//! their files change; connections that are there stay, and the next ones are held to the new
//! files. What somebody may do who is in is decided elsewhere, by the name in their certificate.
//!
//! Without TLS everybody who reaches the port is the same, so nothing can be decided by name.

mod accept;
mod connection;
mod identity;
mod limits;
mod peer;
mod tls;
mod watch;

use std::sync::Arc;

pub use accept::Door;
pub use connection::Connection;
pub use identity::{NoIdentity, identity};
pub use limits::{DoorLimits, Limit};
pub use peer::{Peer, admit};
pub use tls::{TlsError, TlsFiles};
pub use watch::{ServerTls, TlsWatch};

/// What is spoken on a port with TLS, as RFC 7301 calls it.
pub(crate) type Protocols = &'static [&'static [u8]];

/// gRPC is HTTP/2.
pub(crate) const GRPC: Protocols = &[b"h2"];

/// How the gRPC port is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoorSettings {
    /// What connections are secured with; without, anybody may do anything.
    pub tls: Option<TlsFiles>,
    /// What all connections together, and each of them, may take.
    pub limits: DoorLimits,
}

/// The configuration that the next connection is held to.
type Current = tokio::sync::watch::Receiver<Arc<rustls::ServerConfig>>;
