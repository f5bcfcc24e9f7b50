//! Names of workloads.

use std::fmt;

/// The name of a workload, as its certificate says: `spiffe://trust.domain/path`.
///
/// What may be in it: <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity>.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId(Box<str>);

/// Why a text is no name of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpiffeId {
    /// Longer than anybody has to support.
    #[error("it has {given} bytes; a SPIFFE name may have at most {max}", max = SpiffeId::BYTES_MAX)]
    TooLong {
        /// Bytes that it has.
        given: usize,
    },
    /// Another kind of URI.
    #[error("it does not begin with spiffe://")]
    Scheme,
    /// No trust domain, a port, upper case.
    #[error("its trust domain must be 1 to 255 of a-z, 0-9, '.', '-' and '_'")]
    TrustDomain,
    /// An empty segment, `.`, `..`, or something that would have to be escaped.
    #[error(
        "each segment of its path must be of letters, digits, '.', '-' and '_', and not '.' or '..'"
    )]
    Path,
}

impl SpiffeId {
    /// The specification asks that as many are supported, and lets nobody send more.
    pub const BYTES_MAX: usize = 2_048;

    /// The same.
    const TRUST_DOMAIN_BYTES_MAX: usize = 255;

    const SCHEME: &str = "spiffe://";

    /// The name as a URI.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for SpiffeId {
    type Error = InvalidSpiffeId;

    fn try_from(text: &str) -> Result<Self, InvalidSpiffeId> {
        if Self::BYTES_MAX < text.len() {
            return Err(InvalidSpiffeId::TooLong { given: text.len() });
        }
        let rest = text.strip_prefix(Self::SCHEME);
        let mut parts = rest.ok_or(InvalidSpiffeId::Scheme)?.split('/');
        let domain = parts.next().unwrap_or_default();
        if domain.is_empty()
            || Self::TRUST_DOMAIN_BYTES_MAX < domain.len()
            || !domain.bytes().all(is_in_domain)
        {
            return Err(InvalidSpiffeId::TrustDomain);
        }
        if parts.all(is_segment) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidSpiffeId::Path)
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

const fn is_in_domain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<InvalidSpiffeId> {
        SpiffeId::try_from(text).err()
    }

    #[test]
    fn names_are_read_as_the_specification_says() {
        for right in [
            "spiffe://example.org",
            "spiffe://a_b-c.1/ns/shop/sa/checkout",
            "spiffe://example.org/A.b-c_9/...",
        ] {
            assert_eq!(SpiffeId::try_from(right).unwrap().as_str(), right);
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        for wrong in ["", "https://example.org/a", "SPIFFE://example.org/a"] {
            assert_eq!(problem(wrong), Some(InvalidSpiffeId::Scheme), "{wrong}");
        }
        for wrong in [
            "spiffe://",
            "spiffe:///a",
            "spiffe://Example.org/a",
            "spiffe://example.org:80/a",
            "spiffe://me@example.org/a",
        ] {
            assert_eq!(
                problem(wrong),
                Some(InvalidSpiffeId::TrustDomain),
                "{wrong}"
            );
        }
        for wrong in [
            "spiffe://example.org/",
            "spiffe://example.org/a//b",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a%2Fb",
            "spiffe://example.org/a?b",
            "spiffe://example.org/é",
        ] {
            assert_eq!(problem(wrong), Some(InvalidSpiffeId::Path), "{wrong}");
        }
    }

    #[test]
    fn lengths_have_bounds() {
        let domain = |bytes: usize| format!("spiffe://{}", "a".repeat(bytes));
        assert_eq!(problem(&domain(255)), None);
        assert_eq!(problem(&domain(256)), Some(InvalidSpiffeId::TrustDomain));
        let path = |bytes: usize| format!("spiffe://a/{}", "b".repeat(bytes - 11));
        assert_eq!(problem(&path(2_048)), None);
        let given = 2_049;
        assert_eq!(
            problem(&path(given)),
            Some(InvalidSpiffeId::TooLong { given })
        );
    }
}
