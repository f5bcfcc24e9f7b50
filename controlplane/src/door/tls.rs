//! Certificates and keys from files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::Protocols;

/// Bytes of a file with certificates. The roots of a whole operating system have 250 KB.
const BYTES_MAX: u64 = 4 << 20;

/// What a port is secured with; all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate that is shown, followed by those that lead to a root.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The roots that client certificates must lead to. Without it no certificate is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether a client may also show none, as something else is enough.
    pub is_certificate_optional: bool,
}

/// Why a port cannot be secured with what is in the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too large.
    #[error("{} has {given} bytes; it may have at most {BYTES_MAX}", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Bytes that it has.
        given: u64,
    },
    /// A file is not what it should be.
    #[error("{} has no {wanted} in PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What should be in it.
        wanted: &'static str,
        /// Why it is not.
        source: pem::Error,
    },
    /// A root cannot be used.
    #[error("a certificate in {} cannot be a root", file.display())]
    Root {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Nobody could be verified.
    #[error("clients cannot be verified by {}", file.display())]
    Verifier {
        /// The file with the roots.
        file: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The certificate and the key cannot be used together.
    #[error("the certificate in {} and the key in {} do not go together", cert.display(), key.display())]
    Pair {
        /// The file with the certificate.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What is in the files. Holds a key: it is neither shown nor logged.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl TlsFiles {
    /// Reads the files.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// How a server is configured with that.
    pub(super) fn server(
        &self,
        contents: &Contents,
        protocols: Protocols,
    ) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&self.cert, &contents.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|source| TlsError::Pem {
            file: self.key.clone(),
            wanted: "private key",
            source,
        })?;
        let pair = |source| TlsError::Pair {
            cert: self.cert.clone(),
            key: self.key.clone(),
            source,
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(pair)?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(file), Some(roots)) => {
                builder.with_client_cert_verifier(self.verifier(file, roots, provider)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        // A resumed session would be let in by roots that are gone.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// What decides about certificates of clients.
    fn verifier(
        &self,
        file: &Path,
        roots: &[u8],
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut store = RootCertStore::empty();
        for root in certificates(file, roots)? {
            store.add(root).map_err(|source| TlsError::Root {
                file: file.to_owned(),
                source,
            })?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
        let builder = if self.is_certificate_optional {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        builder.build().map_err(|source| TlsError::Verifier {
            file: file.to_owned(),
            source,
        })
    }
}

/// All certificates in a file; at least one.
pub(crate) fn certificates(
    file: &Path,
    content: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |source| TlsError::Pem {
        file: file.to_owned(),
        wanted: "certificate",
        source,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    let all = all.map_err(refuse)?;
    if all.is_empty() {
        return Err(refuse(pem::Error::NoItemsFound));
    }
    Ok(all)
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let refuse = |source| TlsError::Read {
        file: file.to_owned(),
        source,
    };
    let given = fs::metadata(file).map_err(refuse)?.len();
    if BYTES_MAX < given {
        return Err(TlsError::TooLarge {
            file: file.to_owned(),
            given,
        });
    }
    fs::read(file).map_err(refuse)
}
