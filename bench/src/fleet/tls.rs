//! TLS with client certificates, for a fleet and the control plane that it is for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// How nodes prove who they are. Each identity has a certificate, which nodes show in turn.
#[derive(Clone, Debug)]
pub struct Tls {
    configs: Vec<Arc<ClientConfig>>,
}

/// What both sides need.
#[derive(Debug)]
pub struct Secured {
    /// For the nodes.
    pub tls: Tls,
    /// The names in their certificates.
    pub identities: Vec<String>,
    /// The control plane's certificate, as PEM.
    pub server_cert: String,
    /// Its private key, as PEM.
    pub server_key: String,
    /// The root of all certificates, as PEM.
    pub root: String,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum NotSecured {
    /// No certificate.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// No configuration.
    #[error("cannot set up TLS")]
    Config(#[from] rustls::Error),
    /// A name that no certificate can have.
    #[error("cannot use the key of a certificate: {0}")]
    Key(&'static str),
}

impl Secured {
    /// Certificates for `127.0.0.1` and for `identities` workloads, all with keys of the curve P-256, for TLS 1.3.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn of(identities: usize) -> Result<Self, NotSecured> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "bench");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone())?;
        let roots = Arc::new(roots);
        let loopback = SanType::IpAddress(Ipv4Addr::LOCALHOST.into());
        let (server, server_key) = issue(loopback, &issuer)?;
        let mut configs = Vec::new();
        let mut names = Vec::new();
        for number in 0..identities {
            let name = format!("spiffe://bench.sloop.dev/ns/bench/sa/node-{number}");
            let uri = SanType::URI(name.as_str().try_into()?);
            let (certificate, key) = issue(uri, &issuer)?;
            let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(NotSecured::Key)?;
            configs.push(Arc::new(config(certificate.der(), key, &roots)?));
            names.push(name);
        }
        Ok(Self {
            tls: Tls { configs },
            identities: names,
            server_cert: server.pem(),
            server_key: server_key.serialize_pem(),
            root: root.pem(),
        })
    }
}

fn issue(
    name: SanType,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![name];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?, key))
}

fn config(
    certificate: &CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    roots: &Arc<RootCertStore>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(vec![certificate.clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Each node is a process of its own: it has nothing from the others.
    config.resumption = Resumption::disabled();
    Ok(config)
}

impl Tls {
    /// Begins the connection of the node with this number to who is at `to`.
    pub(super) fn begin(&self, to: SocketAddr, node: usize) -> io::Result<ClientConnection> {
        let config = node
            .checked_rem(self.configs.len())
            .and_then(|at| self.configs.get(at))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let name = ServerName::IpAddress(to.ip().into());
        let begun = ClientConnection::new(Arc::clone(config), name);
        let mut connection = begun.map_err(io::Error::other)?;
        // The first request of an Envoy waits for the handshake.
        connection.set_buffer_limit(None);
        Ok(connection)
    }
}
