//! Certificates for tests, made when they are needed.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by test binaries, each of which uses a part"
)]

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// Somebody who says who others are.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in files.
pub struct Issued {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for 127.0.0.1, localhost and the names in `uris`, and its key, as PEM.
    pub fn issue(&self, uris: &[&str]) -> (String, String) {
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(hosts).unwrap();
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The same in the files `name.pem` and `name.key` of `folder`, which it replaces.
    pub fn write(&self, folder: &Path, name: &str, uris: &[&str]) -> Issued {
        let (cert, key) = self.issue(uris);
        Issued {
            cert: write(folder, &format!("{name}.pem"), &cert),
            key: write(folder, &format!("{name}.key"), &key),
        }
    }
}

/// Writes a file as a whole, as those do who exchange secrets.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (draft, path) = (folder.join("draft"), folder.join(name));
    fs::write(&draft, text).unwrap();
    fs::rename(draft, &path).unwrap();
    path
}
