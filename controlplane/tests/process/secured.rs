//! The program with TLS: who is let in, and what happens when certificates change.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sloop_xds_protos::envoy::envoy::config::core::v3::Node;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use sloop_xds_protos::envoy::envoy::service::load_stats::v3::LoadStatsRequest;
use sloop_xds_protos::envoy::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use sloop_xds_protos::report::v1::{self as wire, ReportRequest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};

use crate::authority::{Authority, Issued, write};
use crate::support::{Home, SOON, Sloop, eventually, report};

pub(crate) const CHECKOUT: &str = "spiffe://example.org/ns/shop/sa/checkout";

/// Lets `identity` be a sidecar of `service`.
fn access(service: &str, identity: &str) -> String {
    format!(
        "apiVersion: sloop.dev/v1\nkind: AccessRule\nmetadata: {{name: {service}}}\nspec:\n  \
         identities: [\"{identity}\"]\n  services: [{service}]\n  calls: [bank]\n"
    )
}

/// A control plane with certificates that can be exchanged.
pub(crate) struct Secured {
    pub(crate) files: TempDir,
    pub(crate) authority: Authority,
    pub(crate) sloop: Sloop,
    /// What it works on; deleted at the end.
    pub(crate) home: Home,
}

impl Secured {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// What checkout shows, and what orders does: another identity that may ask and report.
    fn two(&self) -> [Issued; 2] {
        const ORDERS: &str = "spiffe://example.org/ns/shop/sa/orders";
        self.home.write("orders.yaml", &access("orders", ORDERS));
        [("checkout", CHECKOUT), ("orders", ORDERS)]
            .map(|(name, identity)| self.authority.write(self.path(), name, &[identity]))
    }

    /// With more arguments.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new("first");
        let server = authority.write(files.path(), "server", &[]);
        write(files.path(), "roots.pem", authority.pem());
        let home = Home::new();
        home.write("access.yaml", &access("checkout", CHECKOUT));
        let roots = files.path().join("roots.pem");
        let secured = [
            "--tls-cert",
            server.cert.to_str().unwrap(),
            "--tls-key",
            server.key.to_str().unwrap(),
            "--client-ca",
            roots.to_str().unwrap(),
        ];
        let sloop = home.start_with(&[&secured, args].concat());
        Self {
            files,
            authority,
            sloop,
            home,
        }
    }

    fn path(&self) -> &Path {
        self.files.path()
    }

    async fn limit_hits(&self, limit: &str) -> f64 {
        let name = format!("sloop_controlplane_limits_hit_total{{limit=\"{limit}\"}}");
        self.sloop.metric(&name).await.unwrap_or_default()
    }

    /// Whether a client that trusts `server` and shows `shown` can report.
    async fn lets_in(&self, server: &Authority, shown: Option<&Issued>) -> Result<(), String> {
        let mut client = self.client(server, shown);
        let answer = client.report(report(1, 1, 1, 0)).await;
        answer.map(|_| ()).map_err(|status| format!("{status:?}"))
    }

    async fn counts(&self, metric: &str) -> f64 {
        let name = format!("sloop_controlplane_{metric}");
        self.sloop.metric(&name).await.unwrap_or_default()
    }

    fn client(&self, server: &Authority, shown: Option<&Issued>) -> ReportServiceClient<Channel> {
        ReportServiceClient::new(self.channel(server, shown))
    }

    pub(crate) fn channel<'a>(
        &self,
        server: &Authority,
        shown: impl Into<Option<&'a Issued>>,
    ) -> Channel {
        let connect = Connect {
            at: self.sloop.grpc,
            config: Arc::new(config(server, shown.into())),
        };
        Endpoint::from_static("http://sloop").connect_with_connector_lazy(connect)
    }
}

fn config(server: &Authority, shown: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(server.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        Some(Issued { cert, key }) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(cert).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Clone)]
struct Connect {
    at: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Service<Uri> for Connect {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (connector, at) = (TlsConnector::from(Arc::clone(&self.config)), self.at);
        Box::pin(async move {
            let stream = TcpStream::connect(at).await?;
            let name = ServerName::try_from("localhost").unwrap();
            Ok(TokioIo::new(connector.connect(name, stream).await?))
        })
    }
}

#[tokio::test]
async fn only_who_has_a_certificate_with_a_name_is_let_in() {
    let secured = Secured::start();
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    secured.lets_in(authority, Some(&checkout)).await.unwrap();

    secured.lets_in(authority, None).await.unwrap_err();
    let stranger = Authority::new("second").write(folder, "stranger", &[CHECKOUT]);
    secured
        .lets_in(authority, Some(&stranger))
        .await
        .unwrap_err();
    let plain = secured.sloop.reports().report(report(1, 2, 1, 0)).await;
    plain.unwrap_err();
    eventually("failed handshakes are counted", async || {
        (3.0 <= secured.limit_hits("handshake").await).then_some(())
    })
    .await;
    assert_eq!(secured.limit_hits("identity").await, 0.0);

    let nameless = authority.write(folder, "nameless", &[]);
    secured
        .lets_in(authority, Some(&nameless))
        .await
        .unwrap_err();
    eventually("a certificate without a name is counted", async || {
        (1.0 <= secured.limit_hits("identity").await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn changed_certificates_hold_for_the_next_connection() {
    let secured = Secured::start();
    let (first, folder) = (&secured.authority, secured.path());
    let checkout = first.write(folder, "checkout", &[CHECKOUT]);
    let mut connected = secured.client(first, Some(&checkout));
    connected.report(report(1, 1, 1, 0)).await.unwrap();

    let second = Authority::new("second");
    // In between, the certificate and the key do not go together: what was there goes on.
    fs::write(folder.join("server.pem"), second.issue(&[]).0).unwrap();
    let refused = "sloop_controlplane_tls_reloads_total{result=\"refused\"}";
    eventually("half a change is refused", async || {
        (secured.sloop.metric(refused).await? >= 1.0).then_some(())
    })
    .await;
    secured.lets_in(first, Some(&checkout)).await.unwrap();

    second.write(folder, "server", &[]);
    write(folder, "roots.pem", second.pem());
    let other = second.write(folder, "other", &[CHECKOUT]);
    eventually("the new certificates are used", async || {
        secured.lets_in(&second, Some(&other)).await.ok()
    })
    .await;
    secured.lets_in(&second, Some(&checkout)).await.unwrap_err();
    secured.lets_in(first, Some(&other)).await.unwrap_err();
    connected.report(report(1, 2, 1, 0)).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let home = Home::new();
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new("first");
    let server = authority.write(files.path(), "server", &[]);
    let other = authority.write(files.path(), "other", &[]);
    let empty = write(files.path(), "empty.pem", "");
    let complaint = |cert: &Path, key: &Path, ca: &Path| {
        let mut command = home.command();
        command
            .arg("--tls-cert")
            .arg(cert)
            .arg("--tls-key")
            .arg(key);
        let output = command.arg("--client-ca").arg(ca).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let nowhere = files.path().join("nowhere.pem");
    let unread = complaint(&nowhere, &server.key, &server.cert);
    assert!(unread.contains("nowhere.pem cannot be read"), "{unread}");
    let none = complaint(&server.cert, &server.key, &empty);
    assert!(
        none.contains("empty.pem has no certificate in PEM"),
        "{none}"
    );
    let apart = complaint(&server.cert, &other.key, &server.cert);
    assert!(apart.contains("other.key do not go together"), "{apart}");
    let half = home.command().arg("--tls-cert").arg(&server.cert).output();
    let half = String::from_utf8(half.unwrap().stderr).unwrap();
    assert!(half.contains("--client-ca"), "{half}");
}

/// How a stream of load reports of a node of `group` ends; nothing when it is asked to report.
async fn load_of(channel: Channel, group: &str) -> Result<(), Status> {
    let node = Node {
        id: "edge-1".to_owned(),
        cluster: group.to_owned(),
        ..Node::default()
    };
    let first = LoadStatsRequest {
        node: Some(node),
        ..LoadStatsRequest::default()
    };
    let (says, said) = mpsc::channel(1);
    says.send(first).await.unwrap();
    let mut client = LoadReportingServiceClient::new(channel);
    let mut asked = client
        .stream_load_stats(ReceiverStream::new(said))
        .await?
        .into_inner();
    asked.message().await.map(|asked| assert!(asked.is_some()))
}

#[tokio::test]
async fn load_reports_are_taken_of_whose_sidecar_somebody_is() {
    let secured = Secured::start();
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let channel = || secured.channel(authority, &checkout);
    load_of(channel(), "checkout").await.unwrap();
    let denied = load_of(channel(), "bank").await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "{denied}");
    let counted = secured
        .counts("access_denied_total{what=\"service\"}")
        .await;
    assert_eq!(counted, 1.0);
}

/// A report of `group` about requests to `service`, or by `group` to it.
fn about(group: &str, service: &str, side: wire::Side, sequence: u64) -> ReportRequest {
    let mut report = report(7, sequence, 1, 0);
    report.cluster = group.to_owned();
    report.scopes[0].service = service.to_owned();
    report.scopes[0].side = side.into();
    report
}

#[tokio::test]
async fn a_report_for_somebody_elses_service_is_refused_and_counted() {
    let secured = Secured::start();
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let mut client = secured.client(authority, Some(&checkout));
    for (allowed, group, service, side) in [
        (true, "checkout", "checkout", wire::Side::Server),
        (true, "checkout", "bank", wire::Side::Client),
        (false, "checkout", "bank", wire::Side::Server),
        (false, "checkout", "orders", wire::Side::Client),
        (false, "orders", "checkout", wire::Side::Server),
        (false, "", "checkout", wire::Side::Server),
    ] {
        let answer = client.report(about(group, service, side, 1)).await;
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        let expected = if allowed {
            Code::Ok
        } else {
            Code::PermissionDenied
        };
        assert_eq!(code, expected, "{group} about {service} as {side:?}");
    }
    assert_eq!(
        secured.counts("reports_total{result=\"denied\"}").await,
        4.0
    );
    let scopes = secured.sloop.items("/v1/scopes").await;
    let services: Vec<_> = scopes
        .iter()
        .map(|scope| scope["service"].as_str())
        .collect();
    assert!(!services.contains(&Some("orders")), "{services:?}");
}

#[tokio::test]
async fn rules_hold_as_soon_as_they_change() {
    let secured = Secured::start();
    let (authority, folder) = (&secured.authority, secured.path());
    let orders = "spiffe://example.org/ns/shop/sa/orders";
    let orders = (orders, authority.write(folder, "orders", &[orders]));
    let mut client = secured.client(authority, Some(&orders.1));
    let report = about("orders", "orders", wire::Side::Server, 1);
    let denied = client.report(report.clone()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(
        denied.message(),
        "no AccessRule lets spiffe://example.org/ns/shop/sa/orders be a sidecar of \"orders\""
    );
    secured
        .home
        .write("orders.yaml", &access("orders", orders.0));
    eventually("it may report", async || {
        client.report(report.clone()).await.ok()
    })
    .await;
    fs::remove_file(secured.home.document("orders.yaml")).unwrap();
    eventually("it may not report any more", async || {
        client.report(report.clone()).await.err()
    })
    .await;
}

/// A stream of `group`, which lasts until what it is asked by is dropped.
async fn stream(
    client: &mut AggregatedDiscoveryServiceClient<Channel>,
    group: &str,
) -> Result<
    (
        mpsc::Sender<DeltaDiscoveryRequest>,
        Streaming<DeltaDiscoveryResponse>,
    ),
    Status,
> {
    let request = DeltaDiscoveryRequest {
        node: Some(Node {
            id: "checkout-1".to_owned(),
            cluster: group.to_owned(),
            ..Node::default()
        }),
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let (requests, requested) = mpsc::channel(1);
    requests.send(request).await.unwrap();
    let answer = client.delta_aggregated_resources(ReceiverStream::new(requested));
    Ok((requests, answer.await?.into_inner()))
}

#[tokio::test]
async fn a_stream_lasts_for_as_long_as_its_name_may_have_it() {
    let secured = Secured::start();
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let mut client = AggregatedDiscoveryServiceClient::new(secured.channel(authority, &checkout));
    let (_requests, mut others) = stream(&mut client, "orders").await.unwrap();
    let denied = others.message().await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);

    let (_requests, mut own) = stream(&mut client, "checkout").await.unwrap();
    eventually("the node is there", async || {
        let nodes = secured.sloop.items("/v1/nodes").await;
        nodes.iter().find(|node| node["connected"] == true).cloned()
    })
    .await;
    fs::remove_file(secured.home.document("access.yaml")).unwrap();
    let denied = own.message().await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(
        secured
            .counts("access_denied_total{what=\"service\"}")
            .await,
        2.0
    );
}

#[tokio::test]
async fn one_identity_leaves_streams_to_others() {
    let secured = Secured::start_with(&["--limit", "streams_per_identity=1"]);
    let [checkout, orders] = secured.two();
    let client = |shown: &Issued| {
        let channel = secured.channel(&secured.authority, shown);
        AggregatedDiscoveryServiceClient::new(channel)
    };
    let first = stream(&mut client(&checkout), "checkout").await.unwrap();
    let second = stream(&mut client(&checkout), "checkout").await;
    assert_eq!(second.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(secured.limit_hits("streams_per_identity").await, 1.0);
    let _other = stream(&mut client(&orders), "orders").await.unwrap();
    drop(first);
    eventually("its place is free again", async || {
        stream(&mut client(&checkout), "checkout").await.ok()
    })
    .await;
}

#[tokio::test]
async fn one_identity_leaves_room_for_names_to_others() {
    let limit = "names_room_per_identity_bytes=1048576";
    let secured = Secured::start_with(&["--limit", limit]);
    let shown = secured.two();
    let names: Vec<String> = (0..200).map(|it| format!("{it:01000}")).collect();
    // Of two types, so that one stream has room and two have not.
    let asks = async |of: usize| {
        let channel = secured.channel(&secured.authority, &shown[of]);
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let (requests, stream) = stream(&mut client, ["checkout", "orders"][of]).await?;
        for type_url in ["a", "b"] {
            let request = DeltaDiscoveryRequest {
                type_url: type_url.to_owned(),
                resource_names_subscribe: names.clone(),
                ..DeltaDiscoveryRequest::default()
            };
            requests.send(request).await.ok();
        }
        Ok::<_, Status>((requests, stream))
    };
    let (_first, mut first) = asks(0).await.unwrap();
    let (_second, mut second) = asks(0).await.unwrap();
    let refused = async {
        tokio::select! {
            said = first.message() => said,
            said = second.message() => said,
        }
    };
    let refused = tokio::time::timeout(SOON, refused).await;
    let refused = refused.expect("one of them ends").unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(refused.message(), "there is no room for so many names");
    // As much has room when another shows who it is, once it is read that it may ask.
    let silence = Duration::from_millis(500);
    eventually("the other stream goes on", async || {
        let (_other, mut other) = asks(1).await.unwrap();
        tokio::time::timeout(silence, other.message()).await.err()
    })
    .await;
    assert_eq!(secured.limit_hits("names_room_per_identity").await, 1.0);
    assert_eq!(secured.limit_hits("names_room").await, 0.0);
}

#[tokio::test]
async fn one_identity_that_floods_leaves_beginnings_of_streams_to_others() {
    let limits = [
        "new_streams_burst=100",
        "new_streams_per_second=2",
        "new_streams_per_identity_burst=50",
        "new_streams_per_identity_per_second=1",
    ];
    let secured = Secured::start_with(&limits.map(|limit| ["--limit", limit]).concat());
    let [checkout, orders] = secured.two();
    let client = |shown: &Issued| {
        let channel = secured.channel(&secured.authority, shown);
        AggregatedDiscoveryServiceClient::new(channel)
    };
    // Each ends at once, and the next begins on one of many connections.
    let mut flood = JoinSet::new();
    for mut client in (0..8).map(|_| client(&checkout)) {
        flood.spawn(async move {
            loop {
                drop(stream(&mut client, "checkout").await);
            }
        });
    }
    eventually("the flood comes up against its share", async || {
        let hits = secured.limit_hits("new_streams_per_identity").await;
        (200.0 <= hits).then_some(())
    })
    .await;
    let newcomer = stream(&mut client(&orders), "orders").await;
    newcomer.expect("a newcomer joins under flood");
    assert_eq!(secured.limit_hits("new_streams").await, 0.0);
    flood.shutdown().await;
}

#[tokio::test]
async fn one_identity_leaves_connections_to_others() {
    let secured = Secured::start_with(&["--limit", "connections_per_identity=1"]);
    let authority = &secured.authority;
    let [checkout, orders] = secured.two();
    let mut first = secured.client(authority, Some(&checkout));
    first.report(report(1, 1, 1, 0)).await.unwrap();
    assert!(secured.lets_in(authority, Some(&checkout)).await.is_err());
    assert!(1.0 <= secured.limit_hits("connections_per_identity").await);
    eventually("others have theirs", async || {
        let mut other = secured.client(authority, Some(&orders));
        let report = about("orders", "orders", wire::Side::Server, 1);
        other.report(report).await.ok()
    })
    .await;
    first.report(report(1, 2, 1, 0)).await.unwrap();
    drop(first);
    eventually("its place is free again", async || {
        secured.lets_in(authority, Some(&checkout)).await.ok()
    })
    .await;
}

#[tokio::test]
async fn one_identity_leaves_room_for_reports_to_others() {
    let limit = "report_room_per_identity_bytes=1048576";
    let secured = Secured::start_with(&["--limit", limit]);
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let large = || ReportRequest {
        node: "n".repeat(400_000),
        ..report(9, 1, 1, 0)
    };
    // Each is on a connection of its own, and they are there at the same time.
    let mut reports = JoinSet::new();
    for _ in 0..24 {
        let mut client = secured.client(authority, Some(&checkout));
        reports.spawn(async move { client.report(large()).await });
    }
    let mut put_off = 0;
    while let Some(answer) = reports.join_next().await {
        match answer.unwrap() {
            Ok(_) => {}
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                put_off += 1;
            }
        }
    }
    assert!(0 < put_off, "all of them had room");
    assert!(1.0 <= secured.limit_hits("report_room_per_identity").await);
    assert_eq!(secured.limit_hits("report_room").await, 0.0);
    let mut client = secured.client(authority, Some(&checkout));
    client.report(large()).await.unwrap();
}

/// What a client says first that trusts `server` (RFC 8446, 4.1.2).
pub(crate) fn hello(server: &Authority) -> Vec<u8> {
    let config = Arc::new(config(server, None));
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A connection on which a handshake was begun, and answered, and is not gone on with.
async fn falls_silent(secured: &Secured) -> TcpStream {
    let hello = hello(&secured.authority);
    let mut stream = TcpStream::connect(secured.sloop.grpc).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut answer = [0; 64];
    let read = tokio::time::timeout(SOON, stream.read(&mut answer));
    let read = read.await.expect("the next one waits for this one, too");
    assert!(0 < read.unwrap());
    stream
}

#[tokio::test]
async fn who_falls_silent_in_a_handshake_keeps_nobody_out() {
    // A turn that is kept would be kept for longer than anybody here waits.
    let limits = ["--limit", "handshakes=1", "--limit", "handshake_ms=600000"];
    let secured = Secured::start_with(&limits);
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(falls_silent(&secured).await);
        let others = secured.lets_in(authority, Some(&checkout));
        let others = tokio::time::timeout(SOON, others).await;
        others.expect("it is served beside them").unwrap();
    }
    assert_eq!(secured.limit_hits("handshakes").await, 0.0);
}

/// A crowd of which each says its first word and is served, or turned away.
async fn crowd(at: SocketAddr, hello: &Arc<[u8]>) {
    let mut crowd = JoinSet::new();
    for _ in 0..400 {
        let hello = Arc::clone(hello);
        crowd.spawn(async move {
            let mut stream = TcpStream::connect(at).await?;
            stream.write_all(&hello).await?;
            stream.read_to_end(&mut Vec::new()).await
        });
    }
    // How each ends does not matter.
    while crowd.join_next().await.is_some() {}
}

#[tokio::test]
async fn who_has_no_turn_in_time_when_many_come_at_once_is_turned_away_and_the_next_is_let_in() {
    // One at a time, and less time for each than it takes to reckon all of them.
    let limits = ["--limit", "handshakes=1", "--limit", "handshake_ms=100"];
    let secured = Secured::start_with(&limits);
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let hello: Arc<[u8]> = hello(authority).into();
    eventually("somebody waited in vain for a turn", async || {
        crowd(secured.sloop.grpc, &hello).await;
        (0.0 < secured.limit_hits("handshakes").await).then_some(())
    })
    .await;
    eventually("the next is let in", async || {
        secured.lets_in(authority, Some(&checkout)).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_secured_connection_ends_when_it_is_old_and_the_next_is_let_in() {
    let secured = Secured::start_with(&["--limit", "connection_age_ms=1000"]);
    let (authority, folder) = (&secured.authority, secured.path());
    let checkout = authority.write(folder, "checkout", &[CHECKOUT]);
    let config = Arc::new(config(authority, Some(&checkout)));
    let begun = Instant::now();
    let stream = TcpStream::connect(secured.sloop.grpc).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .unwrap();
    // A preface and settings (RFC 9113, 3.4): it speaks, so it is not ended for being silent.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();
    let mut said = [0; 256];
    let end = async { while !matches!(stream.read(&mut said).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(SOON, end).await.expect("it ends");
    // Its age is spread by a tenth.
    assert!(Duration::from_millis(900) <= begun.elapsed(), "not before");
    assert_eq!(secured.limit_hits("handshake_time").await, 0.0);
    secured.lets_in(authority, Some(&checkout)).await.unwrap();
}
