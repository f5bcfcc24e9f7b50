//! The ports: who may come in, and how many.
//!
//! [`Door`] takes connections, has them prove who they are ([`TlsFiles`]), and hands them to the
//! server with what is known about the other side ([`Peer`]). Certificates are read again when
//! their files change; connections that are there stay, and the next ones are held to the new
//! files. What somebody may do who is in is decided elsewhere, by the name in their certificate.
//!
//! Without TLS everybody who reaches the port is the same, so nothing can be decided by name.

mod absence;
mod accept;
mod connection;
mod expiry;
mod identity;
mod limits;
mod peer;
mod silence;
mod tls;
mod watch;
mod workload;

use std::sync::Arc;

pub(crate) use absence::Absence;
pub use accept::{Door, Names};
pub use connection::Connection;
pub use identity::{NoIdentity, identity};
pub use limits::{DoorLimits, Limit};
pub use peer::Peer;
pub use silence::Speech;
pub use tls::{TlsError, TlsFiles};
pub(crate) use tls::{certificates, read as read_file};
pub use watch::{ServerTls, TlsWatch};

/// What is spoken on a port with TLS, as RFC 7301 calls it.
pub(crate) type Protocols = &'static [&'static [u8]];

/// gRPC is HTTP/2.
pub(crate) const GRPC: Protocols = &[b"h2"];

/// The HTTP API.
pub(crate) const HTTP: Protocols = &[b"http/1.1"];

/// The configuration that the next connection is held to.
type Current = tokio::sync::watch::Receiver<Arc<rustls::ServerConfig>>;
