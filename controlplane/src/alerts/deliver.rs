//! Sends webhooks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use sloop_controllers::AlertStatus;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::address::Address;
use super::turns::Turns;
use super::{Delivery, Ended, Outbox};
use crate::metrics::AlertMetrics;

/// A webhook that takes longer is asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why no webhook can be asked.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The library knows no safe protocol.
    #[error("TLS cannot be spoken")]
    Tls(#[from] rustls::Error),
}

/// Asks webhooks, over connections that it keeps.
#[derive(Clone, Debug)]
pub struct Deliverer {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Deliverer {
    /// Trusts the certificates that the machine trusts; `SSL_CERT_FILE` names others.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken.
    pub fn of_machine() -> Result<Self, DeliverError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "certificates of the machine cannot be read");
        }
        let (_, ignored) = roots.add_parsable_certificates(found.certs);
        if 0 < ignored {
            tracing::debug!(ignored, "certificates of the machine make no sense");
        }
        Self::trusting(roots)
    }

    /// Trusts what `roots` have signed.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken.
    pub fn trusting(roots: RootCertStore) -> Result<Self, DeliverError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client })
    }

    /// Sends `delivery`, and says how that ended.
    pub async fn send(&self, delivery: &Delivery) -> Ended {
        let name = &delivery.target.name;
        let Address { uri, authorization } = match Address::try_from(delivery.target.url.as_str()) {
            Ok(address) => address,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    target = name,
                    error,
                    "an alert has no address to be sent to"
                );
                return Ended::Refused;
            }
        };
        let mut request = Request::post(uri);
        if let Some(shown) = authorization {
            request = request.header(header::AUTHORIZATION, shown);
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("sloop/", env!("CARGO_PKG_VERSION")),
            )
            .header("idempotency-key", &delivery.idempotency_key)
            .body(Full::new(Bytes::from(delivery.body.clone())));
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(target = name, %error, "an alert cannot be sent to this address");
                return Ended::Refused;
            }
        };
        match tokio::time::timeout(PATIENCE, self.client.request(request)).await {
            Ok(Ok(answer)) => {
                let ended = judge(answer.status(), retry_after(answer.headers()));
                if ended != Ended::Told {
                    let status = answer.status().as_u16();
                    tracing::warn!(target = name, status, "an alert is not taken");
                }
                ended
            }
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(target = name, error, "an alert cannot be delivered");
                Ended::Again(None)
            }
            Err(_) => {
                tracing::warn!(target = name, "an alert is not answered");
                Ended::Again(None)
            }
        }
    }
}

/// What the status of an answer means. To come again is asked by those that say so (408, 425,
/// 429), and by servers in trouble; any other refusal would be the same next time.
fn judge(status: StatusCode, retry_after: Option<Duration>) -> Ended {
    match status.as_u16() {
        200..=299 => Ended::Told,
        408 | 425 | 429 | 500..=599 => Ended::Again(retry_after),
        _ => Ended::Refused,
    }
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); a date is not read.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Tells everybody what is news to them, until nobody says any more which alerts there are. Others may look at the
/// `outbox`, and never wait with it in their hands.
pub async fn run(
    mut alerts: watch::Receiver<Arc<[AlertStatus]>>,
    deliverer: Deliverer,
    metrics: AlertMetrics,
    outbox: Arc<Mutex<Outbox>>,
) {
    let outbox = || outbox.lock().unwrap_or_else(PoisonError::into_inner);
    // What there was before anybody listened is news, too.
    alerts.mark_changed();
    let mut turns = Turns::default();
    let mut under_way: JoinSet<(Delivery, Ended)> = JoinSet::new();
    loop {
        turns.add(outbox().due(Instant::now()));
        while let Some(delivery) = turns.next() {
            let deliverer = deliverer.clone();
            under_way.spawn(async move {
                let ended = deliverer.send(&delivery).await;
                (delivery, ended)
            });
        }
        let wake_at = outbox().wake_at().map(tokio::time::Instant::from_std);
        let wake = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = alerts.changed() => {
                if changed.is_err() {
                    return;
                }
                let there = Arc::clone(&alerts.borrow_and_update());
                let dropped = outbox().take(&there, Instant::now());
                for (target, alerts) in dropped {
                    metrics.dropped(alerts);
                    tracing::error!(target, alerts, "alerts find no room: too many others wait");
                }
            }
            Some(Ok((delivery, ended))) = under_way.join_next() => {
                turns.ended(&delivery);
                let is_given_up = outbox().ended(&delivery, ended, Instant::now());
                metrics.ended(if is_given_up { Ended::Refused } else { ended });
                if is_given_up {
                    let target = delivery.target.name;
                    tracing::error!(target, "an alert is given up: nobody took it");
                }
            }
            () = wake => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_the_same_next_time_is_not_tried_again() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap(), None);
        for status in [200, 202, 204] {
            assert_eq!(judged(status), Ended::Told, "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert_eq!(judged(status), Ended::Again(None), "{status}");
        }
        for status in [301, 400, 401, 404, 410] {
            assert_eq!(judged(status), Ended::Refused, "{status}");
        }
    }

    #[test]
    fn only_seconds_are_read() {
        let after = |value: &'static str| {
            let value = http::HeaderValue::from_static(value);
            retry_after(&[(header::RETRY_AFTER, value)].into_iter().collect())
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }
}
