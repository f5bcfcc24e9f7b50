//! How a connection is opened: what is spoken on it, and whether inside TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::Protocol;

/// A certificate for the loopback address, made for one measurement.
#[derive(Debug)]
pub struct Certificate {
    /// Itself, as PEM.
    pub pem: String,
    /// Its private key, as PEM.
    pub key_pem: String,
    der: CertificateDer<'static>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// No certificate.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// No configuration.
    #[error("cannot set up TLS")]
    Config(#[from] rustls::Error),
}

impl Certificate {
    /// For `127.0.0.1`, signed by itself, with a key of the curve P-256.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn for_loopback() -> Result<Self, InvalidTls> {
        let mut params = CertificateParams::new(Vec::new())?;
        let loopback = std::net::Ipv4Addr::LOCALHOST.into();
        params.subject_alt_names = vec![SanType::IpAddress(loopback)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
        })
    }
}

/// How connections are opened.
#[derive(Clone, Debug)]
pub struct Dial {
    pub(super) protocol: Protocol,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Dial {
    /// Without TLS.
    #[must_use]
    pub const fn plain(protocol: Protocol) -> Self {
        Self {
            protocol,
            tls: None,
        }
    }

    /// With TLS 1.3, to who has this certificate.
    ///
    /// # Errors
    ///
    /// When the certificate is none that can be trusted.
    pub fn tls(protocol: Protocol, certificate: &Certificate) -> Result<Self, InvalidTls> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        Ok(Self {
            protocol,
            tls: Some(Arc::new(config)),
        })
    }
}

/// The name by which the one who listens there is known.
pub(super) fn name_of(to: SocketAddr) -> ServerName<'static> {
    ServerName::IpAddress(to.ip().into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::closed::Closed;

    /// Answers one request after the other on one connection.
    fn serve(certificate: &Certificate) -> SocketAddr {
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der.clone()], key)
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, tcp);
            let mut buffer = [0; 1024];
            while let Ok(1..) = stream.read(&mut buffer) {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).unwrap();
            }
        });
        address
    }

    #[test]
    fn requests_go_through_tls_to_who_has_the_certificate() {
        let certificate = Certificate::for_loopback().unwrap();
        let dial = Dial::tls(Protocol::Http1, &certificate).unwrap();
        let mut closed = Closed::connect_by(&dial, serve(&certificate), 1).unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        closed.send(request, 9, 200).unwrap();
    }

    #[test]
    fn who_has_another_certificate_is_not_trusted() {
        let other = Certificate::for_loopback().unwrap();
        let dial = Dial::tls(Protocol::Http1, &Certificate::for_loopback().unwrap()).unwrap();
        assert!(Closed::connect_by(&dial, serve(&other), 1).is_err());
    }
}
