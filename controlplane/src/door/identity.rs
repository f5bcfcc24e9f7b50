//! Whose certificate it is.

use rustls::pki_types::CertificateDer;
use sloop_controllers::{InvalidSpiffeId, SpiffeId};

/// Why a certificate does not say whose it is.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// It cannot be read.
    #[error("the client's certificate cannot be read")]
    Unreadable(#[source] webpki::Error),
    /// Not one name.
    #[error("the client's certificate has {given} URI names; it must have one, spiffe://...")]
    Names {
        /// How many it has.
        given: usize,
    },
    /// A name of another kind.
    #[error("the URI name of the client's certificate is none of SPIFFE")]
    Name(#[from] InvalidSpiffeId),
}

/// The one SPIFFE name in a certificate that was verified already.
///
/// What it must look like:
/// <https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#2-spiffe-id>.
///
/// # Errors
///
/// When there is none or more than one, or it is none.
pub fn identity(certificate: &CertificateDer<'_>) -> Result<SpiffeId, NoIdentity> {
    let certificate =
        webpki::EndEntityCert::try_from(certificate).map_err(NoIdentity::Unreadable)?;
    let mut names = certificate.valid_uri_names();
    match (names.next(), names.count()) {
        (Some(name), 0) => Ok(SpiffeId::try_from(name)?),
        (first, more) => Err(NoIdentity::Names {
            given: usize::from(first.is_some()) + more,
        }),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let names = names
            .iter()
            .map(|name| SanType::URI((*name).try_into().unwrap()));
        params.subject_alt_names.extend(names);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn one_name_of_spiffe_is_whose_it_is() {
        let name = "spiffe://example.org/ns/shop/sa/pay";
        assert_eq!(identity(&certificate(&[name])).unwrap().as_str(), name);
    }

    #[test]
    fn none_more_than_one_or_another_is_nobody() {
        let names = |names: &[&str]| match identity(&certificate(names)) {
            Err(NoIdentity::Names { given }) => given,
            other => panic!("{other:?}"),
        };
        assert_eq!(names(&[]), 0);
        assert_eq!(names(&["spiffe://a/b", "spiffe://a/c"]), 2);
        assert_eq!(names(&["spiffe://a/b", "https://a"]), 2);
        let other = identity(&certificate(&["https://example.org"]));
        assert!(matches!(
            other,
            Err(NoIdentity::Name(InvalidSpiffeId::Scheme))
        ));
        let nonsense = identity(&CertificateDer::from(vec![1, 2, 3]));
        assert!(matches!(nonsense, Err(NoIdentity::Unreadable(_))));
    }
}
