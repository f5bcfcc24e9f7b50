//! Who is let in to the HTTP API.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
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

    fn admits(&self, headers: &HeaderMap, peer: Option<&Peer>) -> bool {
        // Only browsers say this, and of every order that a page gives (Fetch, 3.2): where somebody's browser
        // is, or whose certificate it shows, is no reason to obey a page that they look at.
        let is_by_page = headers.contains_key(header::ORIGIN);
        let is_for_all = self.tokens.is_none() && !self.certificates;
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
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let peer = peer.map(|ConnectInfo(peer)| peer);
    if FOR_ANYBODY.contains(&request.uri().path()) || guard.admits(request.headers(), peer) {
        return next.run(request).await;
    }
    guard.metrics.stranger();
    let mut response = Refusal::Stranger.into_response();
    let wanted = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, wanted);
    response
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
    fn a_token_follows_its_scheme() {
        assert_eq!(token("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(token("bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!(token("Basic abcdef"), None);
        assert_eq!(token("Bearer"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
