//! What a control plane is shown that does not let everybody in.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Args;
use http::HeaderValue;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use crate::door::{TlsError, certificates, read_file};

/// What the person who called the program gave it, for all that it asks.
static GIVEN: OnceLock<Credentials> = OnceLock::new();

/// Where the credentials are.
#[derive(Args, Debug)]
pub(super) struct CredentialArgs {
    /// File with the token that the HTTP API wants, for commands that ask it.
    #[arg(long, global = true, value_name = "FILE", env = "SLOOP_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Roots of the certificate of an HTTP API at https://, PEM; those of the machine when left out.
    #[arg(long, global = true, value_name = "FILE", env = "SLOOP_ADMIN_ROOTS")]
    admin_roots: Option<PathBuf>,
    /// Certificate to show to an HTTP API at https:// that wants one, followed by its key, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "SLOOP_ADMIN_IDENTITY")]
    admin_identity: Option<PathBuf>,
}

/// Why credentials cannot be used. It never says what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredentials {
    /// A file cannot be read, or has no certificates.
    #[error(transparent)]
    File(#[from] TlsError),
    /// A file has no token that can be sent.
    #[error("{} has no token: a line of visible characters", file.display())]
    Token {
        /// The file.
        file: PathBuf,
    },
    /// A file has no key, or a certificate cannot be used.
    #[error("{} is no certificate with its key", file.display())]
    Identity {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be spoken.
    #[error("TLS cannot be spoken")]
    Tls(#[from] rustls::Error),
}

/// What is shown.
#[derive(Clone, Debug)]
struct Credentials {
    /// Marked as one that is not to be shown in logs.
    token: Option<HeaderValue>,
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Arc<SingleCertAndKey>>,
}

impl CredentialArgs {
    /// Shows them from now on.
    pub(super) fn give(&self) -> Result<(), InvalidCredentials> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let roots = self.admin_roots.as_deref().map(read_roots).transpose()?;
        let identity = self.admin_identity.as_deref();
        let identity = identity.map(read_identity).transpose()?;
        // A process is called once.
        drop(GIVEN.set(Credentials {
            token,
            roots: roots.map(Arc::new),
            identity: identity.map(Arc::new),
        }));
        Ok(())
    }
}

/// The value of the header `authorization`, if there is one.
pub(super) fn authorization() -> Option<HeaderValue> {
    GIVEN.get()?.token.clone()
}

/// What connects, once it was asked for: the roots of a machine are hundreds of files.
static CONNECTOR: OnceLock<HttpsConnector<HttpConnector>> = OnceLock::new();

/// What connects to `http://` and `https://`.
pub(super) fn connector() -> Result<HttpsConnector<HttpConnector>, InvalidCredentials> {
    if let Some(connector) = CONNECTOR.get() {
        return Ok(connector.clone());
    }
    let connector = new_connector()?;
    Ok(CONNECTOR.get_or_init(|| connector).clone())
}

fn new_connector() -> Result<HttpsConnector<HttpConnector>, InvalidCredentials> {
    let given = GIVEN.get();
    let roots = given.and_then(|it| it.roots.clone());
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.unwrap_or_else(|| Arc::new(roots_of_machine())));
    let config = match given.and_then(|it| it.identity.clone()) {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .build())
}

fn wrong(
    file: &Path,
    source: impl std::error::Error + Send + Sync + 'static,
) -> InvalidCredentials {
    InvalidCredentials::Identity {
        file: file.to_owned(),
        source: Box::new(source),
    }
}

/// What cannot be read is left out: where nothing is left, only `https://` fails.
fn roots_of_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn read_roots(file: &Path) -> Result<RootCertStore, InvalidCredentials> {
    let mut roots = RootCertStore::empty();
    for root in certificates(file, &read_file(file)?)? {
        roots.add(root)?;
    }
    Ok(roots)
}

/// The certificate in a file, with its key.
fn read_identity(file: &Path) -> Result<SingleCertAndKey, InvalidCredentials> {
    let content = read_file(file)?;
    let key = PrivateKeyDer::from_pem_slice(&content).map_err(|error| wrong(file, error))?;
    CertifiedKey::from_der(certificates(file, &content)?, key, &default_provider())
        .map(SingleCertAndKey::from)
        .map_err(|error| wrong(file, error))
}

/// The first token in a file, in the form that the server's file has.
fn read_token(file: &Path) -> Result<HeaderValue, InvalidCredentials> {
    let text = read_file(file)?;
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let token = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    let token = token.filter(|token| token.iter().all(u8::is_ascii_graphic));
    let value = token.and_then(|token| HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok());
    let mut value = value.ok_or_else(|| InvalidCredentials::Token {
        file: file.to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_of_a_file_is_shown_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "# mine\n\n secret-one \nsecret-two\n").unwrap();
        let value = read_token(&file).unwrap();
        assert_eq!(value.as_bytes(), b"Bearer secret-one");
        assert!(!format!("{value:?}").contains("secret"));
        for none in ["", "# nothing\n", "two words\n"] {
            std::fs::write(&file, none).unwrap();
            let error = read_token(&file).unwrap_err();
            assert!(error.to_string().contains("has no token"), "{error}");
        }
    }
}
