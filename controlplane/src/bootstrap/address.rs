//! Where something is: a host and a port.

use std::fmt;
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
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() {
            return Err(InvalidAddress::Host {
                given: given.to_owned(),
            });
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
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
    fn an_address_needs_both_parts() {
        for text in [
            "payments",
            "payments:",
            "payments:http",
            ":80",
            "payments:65536",
            "",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
