//! Certificates and keys from files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedCipherSuite};

use super::{Protocols, expiry};

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

impl Contents {
    /// When the first of the certificates ends that are shown, in seconds since 1970, as far as they can be read.
    pub(super) fn chain_ends(&self) -> Option<i64> {
        expiry::ends(&self.cert).min()
    }

    /// When the last of the roots ends that certificates of clients must lead to. The old ones may be there for long after
    /// they were exchanged.
    pub(super) fn roots_end(&self) -> Option<i64> {
        expiry::ends(self.client_ca.as_deref()?).max()
    }
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
        let provider = Arc::new(provider());
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
        config.ignore_client_order = true;
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

/// What is taken first of TLS 1.3 and, by the kind of our key, of TLS 1.2.
const FIRST: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// The cryptography, with AES-128 and SHA-256 first, as Envoy would have it: processors have instructions for both. With
/// SHA-384, which `ring` reckons without any and lists first, to connect takes 7 to 8 % longer
/// (`bench/README.md`).
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    let comes_later = |it: &SupportedCipherSuite| !FIRST.contains(&it.suite());
    provider.cipher_suites.sort_by_key(comes_later);
    provider
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

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConfig, ClientConnection, ServerConnection, SupportedProtocolVersion};

    use super::super::GRPC;
    use super::*;

    /// Speaks until nobody has anything to say.
    fn shake(client: &mut ClientConnection, server: &mut ServerConnection) {
        while client.wants_write() || server.wants_write() {
            let mut said = Vec::new();
            client.write_tls(&mut said).unwrap();
            server.read_tls(&mut said.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut said = Vec::new();
            server.write_tls(&mut said).unwrap();
            client.read_tls(&mut said.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
    }

    /// What is spoken at last with a client that speaks only `version`, and would rather have `theirs`.
    fn spoken(version: &'static SupportedProtocolVersion, theirs: CipherSuite) -> CipherSuite {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let write = |name: &str, content: String| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let files = TlsFiles {
            cert: write("cert.pem", made.cert.pem()),
            key: write("key.pem", made.signing_key.serialize_pem()),
            client_ca: None,
            is_certificate_optional: false,
        };
        let config = files.server(&files.read().unwrap(), GRPC).unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();

        let provider = rustls::crypto::ring::default_provider();
        let mut offered = provider.cipher_suites.iter();
        let first = offered.find(|it| it.version() == version);
        assert_eq!(first.unwrap().suite(), theirs);
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        shake(&mut client, &mut server);
        assert!(!server.is_handshaking());
        server.negotiated_cipher_suite().unwrap().suite()
    }

    #[test]
    fn what_is_fast_is_spoken_also_with_a_client_that_would_rather_have_something_else() {
        assert_eq!(
            spoken(&TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384),
            CipherSuite::TLS13_AES_128_GCM_SHA256
        );
        assert_eq!(
            spoken(&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        );
    }
}
