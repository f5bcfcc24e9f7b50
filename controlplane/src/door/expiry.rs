//! When certificates end.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// When the certificates in a file in PEM end, in seconds since 1970. Those that cannot be read are left out: whether they can
/// be used is for others to say.
pub(super) fn ends(pem: &[u8]) -> impl Iterator<Item = i64> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    certificates.filter_map(|certificate| end(&certificate.ok()?))
}

fn end(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate that ends with this year.
    fn until(year: i32) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn each_certificate_that_can_be_read_says_when_it_ends() {
        // After 2049 it is written in another way.
        let (near, far) = (until(2027), until(2060));
        let known = [1_830_211_200, 2_871_676_800];
        let both = format!("{near}{far}");
        assert_eq!(ends(both.as_bytes()).collect::<Vec<_>>(), known);
        let nonsense = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let between = format!("{near}{nonsense}{far}");
        assert_eq!(ends(between.as_bytes()).collect::<Vec<_>>(), known);
        assert_eq!(ends(b"").count(), 0);
    }
}
