//! Where a webhook is, and who one is there.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::uri::{Authority, InvalidUri, Uri};
use http::{HeaderValue, header::InvalidHeaderValue};
use percent_encoding::percent_decode_str;

/// An address as documents give it, as `https://name:password@host/path`. All but scheme and host may be a secret: of many
/// services who knows the address may write there.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Without name and password.
    pub(super) uri: Uri,
    /// Name and password, as HTTP has them.
    pub(super) authorization: Option<HeaderValue>,
}

/// Why nothing can be sent to an address. It does not say which: that may be a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidAddress {
    /// It is none.
    #[error("it is no address")]
    Uri(#[from] InvalidUri),
    /// Without name and password it is none.
    #[error("without name and password it is no address")]
    Rest(#[from] http::Error),
    /// Name and password are no header.
    #[error("name and password cannot be sent")]
    Header(#[from] InvalidHeaderValue),
}

impl TryFrom<&str> for Address {
    type Error = InvalidAddress;

    fn try_from(given: &str) -> Result<Self, InvalidAddress> {
        let uri: Uri = given.parse()?;
        let with = uri.authority().map(Authority::as_str).unwrap_or_default();
        let Some((user, rest)) = with.rsplit_once('@') else {
            return Ok(Self {
                uri,
                authorization: None,
            });
        };
        let (rest, authorization) = (rest.parse::<Authority>()?, basic(user)?);
        let mut parts = uri.into_parts();
        parts.authority = Some(rest);
        Ok(Self {
            uri: Uri::from_parts(parts).map_err(http::Error::from)?,
            authorization: Some(authorization),
        })
    }
}

/// What of an address nobody has to hide: scheme and host, as `https://hooks.example.com`.
pub(crate) fn public_part(address: &str) -> String {
    let uri: Uri = address.parse().unwrap_or_default();
    match (uri.scheme(), uri.host()) {
        (Some(scheme), Some(host)) => {
            let port = uri
                .port()
                .map_or_else(String::new, |port| format!(":{port}"));
            format!("{scheme}://{host}{port}")
        }
        _ => String::new(),
    }
}

/// Basic authentication (RFC 7617) of `user`, a name with a password as in an address (RFC 3986, 3.2.1).
fn basic(user: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut shown: Vec<u8> = percent_decode_str(name).collect();
    shown.push(b':');
    shown.extend(percent_decode_str(password));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(shown)))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &str) -> (String, Option<String>) {
        let address = Address::try_from(given).unwrap();
        let shown = address.authorization.map(|value| {
            assert!(value.is_sensitive());
            value.to_str().unwrap().to_owned()
        });
        (address.uri.to_string(), shown)
    }

    #[test]
    fn name_and_password_are_shown_and_not_part_of_what_is_asked_for() {
        let plain = "https://hooks.example.com:8443/a?b=c";
        assert_eq!(read(plain), (plain.to_owned(), None));
        // The example of RFC 7617, 2.
        let (uri, shown) = read("http://Aladdin:open%20sesame@127.0.0.1:9/hook");
        assert_eq!(uri, "http://127.0.0.1:9/hook");
        assert_eq!(shown.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let encoded = |user: &str| read(&format!("http://{user}@h/")).1.unwrap();
        assert_eq!(encoded("a"), encoded("a:"));
        assert_eq!(encoded("%61:%7a"), encoded("a:z"));
        assert_eq!(encoded("a:%"), encoded("a:%25"));
        assert_eq!(encoded("a:b:c"), encoded("a:b%3Ac"));
        assert!(Address::try_from("https://").is_err());
    }

    #[test]
    fn what_may_be_a_secret_is_not_public() {
        for (address, public) in [
            (
                "https://hooks.slack.com/services/T/B/x",
                "https://hooks.slack.com",
            ),
            ("http://a:b@[::1]:9/c?d", "http://[::1]:9"),
            ("no address", ""),
        ] {
            assert_eq!(public_part(address), public);
        }
    }
}
