//! Who is let in to the HTTP API.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::problem::Refusal;
use super::tokens::Tokens;
use crate::door::Peer;
use crate::metrics::DoorMetrics;

/// What machines ask that only want to know whether the process is well.
const FOR_ANYBODY: [&str; 2] = ["/healthz", "/readyz"];

/// The name of the machine that one is on (RFC 6761, 6.3).
const LOCALHOST: &str = "localhost";

/// What one must show; with neither anybody is let in but the pages in a browser.
#[derive(Clone, Debug)]
pub struct Guard {
    /// One of these, as `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
    pub tokens: Option<watch::Receiver<Arc<Tokens>>>,
    /// Whether a client's certificate that was verified is enough.
    pub certificates: bool,
    /// What counts those who are sent away.
    pub metrics: DoorMetrics,
}

impl Guard {
    /// Puts it before `router`.
    pub fn before(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, check))
    }

    /// Whether nothing has to be shown.
    const fn is_for_all(&self) -> bool {
        self.tokens.is_none() && !self.certificates
    }

    fn admits(&self, headers: &HeaderMap, peer: Option<&Peer>) -> bool {
        // Only browsers say this, and of every order that a page gives (Fetch, 3.2): where somebody's browser
        // is, or whose certificate it shows, is no reason to obey a page that they look at.
        let is_by_page = headers.contains_key(header::ORIGIN);
        let is_for_all = self.is_for_all();
        let is_verified = self.certificates && peer.is_some_and(Peer::is_verified);
        if !is_by_page && (is_for_all || is_verified) {
            return true;
        }
        let tokens = self
            .tokens
            .as_ref()
            .map(|tokens| Arc::clone(&tokens.borrow()));
        tokens
            .zip(bearer(headers))
            .is_some_and(|(tokens, token)| tokens.admit(token))
    }

    /// What to say to whoever is not let in with `headers`.
    fn refusal(&self, headers: &HeaderMap) -> Refusal {
        let is_by_page = headers.contains_key(header::ORIGIN);
        if self.tokens.is_none() {
            return match is_by_page {
                true => Refusal::Page,
                false => Refusal::NoCertificate,
            };
        }
        if bearer(headers).is_some() {
            return Refusal::WrongToken;
        }
        match self.certificates && !is_by_page {
            true => Refusal::Nothing,
            false => Refusal::NoToken,
        }
    }
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let peer = peer.map(|ConnectInfo(peer)| peer);
    let other_host = guard.is_for_all().then(|| other_host(&request)).flatten();
    let is_admitted = other_host.is_none() && guard.admits(request.headers(), peer);
    if is_admitted || FOR_ANYBODY.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    guard.metrics.stranger();
    if let Some(host) = other_host {
        return Refusal::OtherHost(host).into_response();
    }
    let mut response = guard.refusal(request.headers()).into_response();
    if guard.tokens.is_some() {
        let wanted = HeaderValue::from_static("Bearer");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, wanted);
    }
    response
}

/// The host that is asked, if that is a name which somebody else may have given this machine: a browser lets a page read
/// what its own name answers, and whoever has the name may let it lead to this machine (DNS rebinding).
fn other_host(request: &Request) -> Option<String> {
    let header = request.headers().get(header::HOST);
    // HTTP/2 says it in the target, HTTP/1.0 may not say it.
    let asked = match request.uri().authority() {
        Some(authority) => authority.to_string(),
        None => String::from_utf8_lossy(header?.as_bytes()).into_owned(),
    };
    let is_own = asked.parse().is_ok_and(|authority: Authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case(LOCALHOST)
    });
    (!is_own).then_some(asked)
}

/// What follows `Bearer`, whose case does not matter (RFC 9110, 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ");
    is_bearer.then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: &'static str) -> Option<Vec<u8>> {
        let value = HeaderValue::from_static(value);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        bearer(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn names_of_this_machine_are_its_addresses_and_localhost() {
        let other = |host: &str| {
            let request = Request::builder().uri("/v1/nodes").header("host", host);
            other_host(&request.body(axum::body::Body::empty()).unwrap())
        };
        for own in [
            "127.0.0.1:9902",
            "10.0.0.1",
            "[::1]:9902",
            "localhost:9902",
            "LocalHost",
        ] {
            assert_eq!(other(own), None, "{own}");
        }
        for name in [
            "evil.example:9902",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "",
            "a b",
        ] {
            assert_eq!(other(name), Some(name.to_owned()));
        }
        let unsaid = Request::new(axum::body::Body::empty());
        assert_eq!(other_host(&unsaid), None);
    }

    #[test]
    fn a_token_follows_its_scheme() {
        assert_eq!(token("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(token("bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!(token("Basic abcdef"), None);
        assert_eq!(token("Bearer"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
