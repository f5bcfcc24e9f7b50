//! Where something is: a host and a port.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A host, by name or by IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// No colon, or no number after the last one.
    #[error("{given:?} has no port; write HOST:PORT, as payments:8080 or [::1]:8080")]
    Port {
        /// As given.
        given: String,
    },
    /// What is before the port is none.
    #[error(
        "{given:?} has the host {host:?}; a host is a name of letters, digits, dots, hyphens and underscores, an IPv4 address, or an IPv6 address in brackets, as [::1]:8080; no scheme and no path"
    )]
    NoHost {
        /// As given.
        given: String,
        /// What is before the port.
        host: String,
    },
    /// Nothing before the port.
    #[error("{given:?} has no host; write HOST:PORT, as payments:8080 or [::1]:8080")]
    Host {
        /// As given.
        given: String,
    },
}

impl Address {
    /// The host. An IPv6 address is without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(given: &str) -> Result<Self, InvalidAddress> {
        let parts = given.rsplit_once(':');
        let Some((host, Ok(port))) = parts.map(|(host, port)| (host, port.parse())) else {
            return Err(InvalidAddress::Port {
                given: given.to_owned(),
            });
        };
        if matches!(host, "" | "[]") {
            return Err(InvalidAddress::Host {
                given: given.to_owned(),
            });
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        if !is_host {
            return Err(InvalidAddress::NoHost {
                given: given.to_owned(),
                host: host.to_owned(),
            });
        }
        Ok(Self {
            host: bare.unwrap_or(host).to_owned(),
            port,
        })
    }
}

/// Whether `text` may be the name of a host (RFC 1123, 2.1, with the underscores that Compose has), or an IPv4 address.
fn is_name(text: &str) -> bool {
    let is_known = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    let is_label = |label: &str| matches!(label.len(), 1..=63) && label.bytes().all(is_known);
    // The dot at the end of a full name is none between labels.
    let labels = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253 && labels.split('.').all(is_label)
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_out_as_they_went_in() {
        for text in ["payments:8080", "127.0.0.1:80", "[::1]:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:80".parse::<Address>().unwrap().host(), "::1");
    }

    #[test]
    fn a_url_and_what_has_more_than_a_host_and_a_port_is_refused() {
        let long = format!("{}:80", "a".repeat(64));
        for text in [
            "http://sloop:9901",
            "http://sloop/:9901",
            "10.0.0.1:80:90",
            "[::1:80",
            "::1]:80",
            "::1:80",
            "[sloop]:80",
            "user@sloop:80",
            "sloop..mesh:80",
            ".:80",
            "slo op:80",
            &long,
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(error, InvalidAddress::NoHost { .. }), "{error}");
        }
        let error = "http://sloop:9901".parse::<Address>().unwrap_err();
        let words = r#""http://sloop:9901" has the host "http://sloop"; a host is a name"#;
        assert!(error.to_string().starts_with(words), "{error}");
        for text in [
            "sloop.mesh.svc.cluster.local:80",
            "sloop.mesh.:80",
            "my_app-1:80",
            "[fe80::1]:80",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_address_needs_both_parts() {
        for text in [
            "payments",
            "payments:",
            "payments:http",
            ":80",
            "[]:80",
            "payments:65536",
            "",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
