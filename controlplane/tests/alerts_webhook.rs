//! Alerts, delivered to a real HTTP server, in the clear and over TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod hook;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use sloop_controllers::{AlertKind, AlertState, AlertStatus, AlertTarget};
use sloop_controlplane::alerts::{Deliverer, run};
use sloop_controlplane::metrics::{AlertMetrics, Telemetry};
use sloop_model::{ObjectiveId, ServiceName, SloName, WallTime};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use hook::{SOON, Webhook};

fn alert(url: &str, state: AlertState) -> AlertStatus {
    let since = WallTime::from_millis(1_700_000_000_000);
    AlertStatus {
        policy: "wake".to_owned(),
        objective: ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        },
        service: ServiceName::try_from("payments").unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        severity: "page".to_owned(),
        kind: AlertKind::Breaching,
        state,
        since_ms: since,
        until_ms: (state == AlertState::Resolved).then(|| since.after(SOON)),
        summary: "it burns".to_owned(),
        targets: vec![AlertTarget {
            name: "phone".to_owned(),
            url: url.to_owned(),
        }],
        tells_end: true,
        reason: None,
        acting: None,
    }
}

/// Tells of alerts until it is dropped; there are none at first.
fn teller(deliverer: Deliverer) -> watch::Sender<Arc<[AlertStatus]>> {
    teller_of(Arc::from([]), deliverer)
}

/// Tells of alerts until it is dropped.
fn teller_of(first: Arc<[AlertStatus]>, deliverer: Deliverer) -> watch::Sender<Arc<[AlertStatus]>> {
    let (alerts, _) = watch::channel(first);
    let there = alerts.subscribe();
    let metrics = AlertMetrics::register(&Telemetry::begin().unwrap().meter());
    tokio::spawn(run(there, deliverer, metrics, Arc::default()));
    alerts
}

fn nobody() -> Deliverer {
    Deliverer::trusting(RootCertStore::empty()).unwrap()
}

#[tokio::test]
async fn a_webhook_that_fails_is_told_again_and_one_that_knows_is_not() {
    let mut webhook = Webhook::start(&[503], None).await;
    let url = format!("http://{}/hook", webhook.address);
    let alerts = teller(nobody());
    alerts.send_replace(Arc::from([alert(&url, AlertState::Firing)]));
    let (first, second) = (webhook.told().await, webhook.told().await);
    assert_eq!(first.key, second.key, "it is the same attempt for it");
    assert_eq!(first.body, second.body);
    assert_eq!(first.body["version"], "4");
    assert_eq!(first.body["alerts"][0]["labels"]["slo"], "pay");

    alerts.send_replace(Arc::from([alert(&url, AlertState::Firing)]));
    alerts.send_replace(Arc::from([alert(&url, AlertState::Resolved)]));
    let third = webhook.told().await;
    assert_eq!(third.body["status"], "resolved");
    assert_ne!(third.key, second.key);
}

#[tokio::test]
async fn a_webhook_is_shown_the_name_and_password_of_its_address() {
    let mut webhook = Webhook::start(&[], None).await;
    let url = format!("http://pager:s%3Acret@{}/hook", webhook.address);
    let alerts = teller(nobody());
    alerts.send_replace(Arc::from([alert(&url, AlertState::Firing)]));
    let told = webhook.told().await;
    assert_eq!(told.target, "/hook");
    assert_eq!(told.host, webhook.address.to_string());
    // pager:s:cret
    assert_eq!(told.shown.unwrap(), "Basic cGFnZXI6czpjcmV0");
}

#[tokio::test]
async fn an_alert_that_was_there_before_anybody_listened_is_told() {
    let mut webhook = Webhook::start(&[], None).await;
    let url = format!("http://{}/hook", webhook.address);
    let alerts = teller_of(Arc::from([alert(&url, AlertState::Firing)]), nobody());
    assert_eq!(webhook.told().await.body["status"], "firing");
    drop(alerts);
}

#[tokio::test]
async fn a_webhook_that_refuses_is_told_the_next_alert_only() {
    let mut webhook = Webhook::start(&[404], None).await;
    let url = format!("http://{}/hook", webhook.address);
    let alerts = teller(nobody());
    alerts.send_replace(Arc::from([alert(&url, AlertState::Firing)]));
    assert_eq!(webhook.told().await.body["status"], "firing");
    alerts.send_replace(Arc::from([alert(&url, AlertState::Resolved)]));
    assert_eq!(webhook.told().await.body["status"], "resolved");
}

#[tokio::test]
async fn over_tls_only_who_is_trusted_is_told() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut webhook = Webhook::start(&[], Some(acceptor)).await;
    let url = format!("https://localhost:{}/hook", webhook.address.port());

    let distrusting = teller(nobody());
    distrusting.send_replace(Arc::from([alert(&url, AlertState::Firing)]));
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = teller(Deliverer::trusting(roots).unwrap());
    trusting.send_replace(Arc::from([alert(&url, AlertState::Resolved)]));
    let told = webhook.told().await;
    assert_eq!(told.body["status"], "resolved", "the other one told nobody");
}
