//! What clients ask and services answer, in tests.

use super::abi::Headers;

/// A request as Envoy hands it to filters.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) headers: Headers,
    pub(super) route: Option<String>,
}

impl Request {
    /// `GET path`, from a host called `shop`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        let headers = [
            (":authority", "shop"),
            (":path", path),
            (":method", "GET"),
            (":scheme", "http"),
            ("user-agent", "test"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "3f3c2a1e-0000-4000-8000-000000000001"),
        ];
        Self {
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            route: None,
        }
    }

    /// With this header, in place of others of its name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(other, _)| other != name.as_bytes());
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Without this header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name.as_bytes());
        self
    }

    /// With exactly these headers.
    #[must_use]
    pub fn of(headers: Headers) -> Self {
        Self {
            headers,
            route: None,
        }
    }

    /// On a route that Envoy calls `name`.
    #[must_use]
    pub fn route(mut self, name: &str) -> Self {
        self.route = Some(name.into());
        self
    }
}

/// What came back, and what Envoy says about it at the end.
#[derive(Clone, Debug)]
pub struct Response {
    /// None when the client was sent nothing.
    pub(super) headers: Option<Headers>,
    pub(super) flags: u64,
    pub(super) grpc_status: Option<i64>,
    /// None when the request was not sent.
    pub(super) attempts: Option<i64>,
}

impl Response {
    /// An answer with this HTTP status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let headers = vec![
            (b":status".to_vec(), status.to_string().into_bytes()),
            (b"content-length".to_vec(), b"0".to_vec()),
        ];
        Self {
            headers: Some(headers),
            flags: 0,
            grpc_status: None,
            attempts: Some(1),
        }
    }

    /// No answer at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            headers: None,
            flags: 0,
            grpc_status: None,
            attempts: None,
        }
    }

    /// With this header too.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let headers = self.headers.get_or_insert_default();
        headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// With these of Envoy's response flags.
    #[must_use]
    pub const fn flags(mut self, flags: u64) -> Self {
        self.flags = flags;
        self
    }

    /// After so many attempts of Envoy.
    #[must_use]
    pub const fn attempts(mut self, attempts: i64) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// In gRPC, with this status in the trailers.
    #[must_use]
    pub fn grpc(mut self, status: i64) -> Self {
        self.grpc_status = Some(status);
        self.header("content-type", "application/grpc")
    }
}
