//! The gRPC port as those meet it who want too much.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use sloop_controlplane::ads::{AdsLimits, Hub};
use sloop_controlplane::clock;
use sloop_controlplane::door::{Connection, Door, DoorLimits, Names, Peer, Speech};
use sloop_controlplane::grpc::Services;
use sloop_controlplane::ingest::{ReportLimits, Reports};
use sloop_controlplane::metrics::{DoorMetrics, IngestMetrics, Telemetry};
use sloop_xds_protos::envoy::envoy::config::core::v3::Node;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct Served {
    at: SocketAddr,
    telemetry: Telemetry,
}

impl Served {
    async fn with(limits: DoorLimits) -> Self {
        let telemetry = Telemetry::begin().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let door = Door {
            listener,
            tls: None,
            limits,
            names: Names::Required,
            speech: Speech::Grpc,
            metrics: DoorMetrics::register(&telemetry.meter(), "grpc"),
        };
        let hub = Hub::new(AdsLimits::default(), clock::wall);
        hub.open();
        let (arrivals, _) = mpsc::channel(1);
        let meter = telemetry.meter();
        let counted = (ReportLimits::default(), door.metrics.clone());
        let ingest = IngestMetrics::register(&meter);
        let reports = Reports::service(arrivals, hub.access(), ingest, counted);
        let services = Services::of(hub.routes())
            .with_discovery(hub.service())
            .with_reports(reports);
        tokio::spawn(async move {
            let limits = AdsLimits::default();
            services.serve(&limits, door.open(), pending()).await;
        });
        Self { at, telemetry }
    }

    fn hits(&self, limit: &str) -> u64 {
        hits(&self.telemetry, limit)
    }

    fn client(&self) -> AggregatedDiscoveryServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.at)).unwrap();
        AggregatedDiscoveryServiceClient::new(endpoint.connect_lazy())
    }
}

fn hits(telemetry: &Telemetry, limit: &str) -> u64 {
    let text = telemetry.render().unwrap();
    let name = format!("sloop_controlplane_limits_hit_total{{limit=\"{limit}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().unwrap())
}

/// A stream that asks once and ends.
async fn ask(client: &mut AggregatedDiscoveryServiceClient<Channel>) -> Result<(), Status> {
    let request = DeltaDiscoveryRequest {
        node: Some(Node {
            id: "shop-1".to_owned(),
            cluster: "shop".to_owned(),
            ..Node::default()
        }),
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let stream = client.delta_aggregated_resources(tokio_stream::once(request));
    stream.await?.into_inner().message().await?;
    Ok(())
}

/// Waits until the other side ends the connection.
async fn is_ended(stream: &mut TcpStream) {
    let mut end = [0; 64];
    timeout(SOON, async {
        while !matches!(stream.read(&mut end).await, Ok(0) | Err(_)) {}
    })
    .await
    .expect("the connection ends");
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let served = Served::with(DoorLimits {
        handshake_time_max: Duration::from_millis(50),
        ..DoorLimits::default()
    })
    .await;
    let mut silent = TcpStream::connect(served.at).await.unwrap();
    is_ended(&mut silent).await;
    let mut half = TcpStream::connect(served.at).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    is_ended(&mut half).await;
    assert_eq!(served.hits("handshake_time"), 2);
    ask(&mut served.client()).await.unwrap();
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let served = Served::with(DoorLimits {
        connections_max: 2,
        ..DoorLimits::default()
    })
    .await;
    let mut clients = [served.client(), served.client()];
    for client in &mut clients {
        ask(client).await.unwrap();
    }
    let mut third = TcpStream::connect(served.at).await.unwrap();
    is_ended(&mut third).await;
    assert_eq!(served.hits("connections"), 1);
    drop(clients);
    let begun = std::time::Instant::now();
    while ask(&mut served.client()).await.is_err() {
        assert!(begun.elapsed() < SOON, "a place becomes free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn too_many_calls_are_refused_and_a_flood_ends_the_connection() {
    let served = Served::with(DoorLimits {
        calls_burst: 3,
        calls_per_second: 1,
        ..DoorLimits::default()
    })
    .await;
    let mut client = served.client();
    for _ in 0..3 {
        ask(&mut client).await.unwrap();
    }
    let refused = ask(&mut client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!((served.hits("calls"), served.hits("calls_flood")), (1, 0));
    let mut others = served.client();
    ask(&mut others).await.unwrap();

    timeout(SOON, async {
        while served.hits("calls_flood") == 0 {
            drop(ask(&mut client).await);
        }
    })
    .await
    .expect("the connection of the flood ends");
    assert!(1_000 <= served.hits("calls"));
    ask(&mut others).await.unwrap();
}

/// A connection as the server has it, and the client's end of it.
async fn connected(limits: DoorLimits, speech: Speech) -> (Connection, TcpStream, Telemetry) {
    let telemetry = Telemetry::begin().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let door = Door {
        listener,
        tls: None,
        limits,
        names: Names::Optional,
        speech,
        metrics: DoorMetrics::register(&telemetry.meter(), "http"),
    };
    let mut connections = door.open();
    let client = TcpStream::connect(at).await.unwrap();
    let connection = timeout(SOON, connections.next()).await.unwrap();
    (connection.unwrap().unwrap(), client, telemetry)
}

#[tokio::test]
async fn who_takes_nothing_is_cut_off_while_there_is_something_to_say_to_them() {
    let (mut connection, _client, _telemetry) =
        connected(DoorLimits::default(), Speech::Grpc).await;
    let peer: Peer = connection.peer().clone();
    let saying = tokio::spawn(async move {
        loop {
            if let Err(error) = connection.write_all(&[0; 64 << 10]).await {
                return error;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    peer.end();
    let error = timeout(SOON, saying).await.expect("it ends").unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn who_is_slow_to_ask_over_http_is_not_waited_for_and_who_asks_is() {
    let limits = DoorLimits {
        handshake_time_max: Duration::from_millis(200),
        ..DoorLimits::default()
    };
    let head = b"GET /v1/slos HTTP/1.1\r\nhost: sloop\r\n\r\n";
    let (slow, asks) = (&head[..30], &head[..]);
    for (said, lasts) in [(slow, false), (asks, true)] {
        let (mut connection, mut client, _telemetry) = connected(limits, Speech::Http).await;
        client.write_all(said).await.unwrap();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            let ended = connection.read_to_end(&mut all).await;
            (all, ended)
        });
        // What lasts ends with its client, which is longer than it would have been waited for.
        if lasts {
            tokio::time::sleep(Duration::from_millis(600)).await;
            drop(client);
        }
        let (read, ended) = timeout(SOON, reading).await.expect("it ends").unwrap();
        assert_eq!((read.as_slice(), ended.is_ok()), (said, lasts));
    }
}

#[tokio::test]
async fn a_connection_of_people_does_not_last_for_ever() {
    let limits = DoorLimits {
        connection_age_max: Duration::from_millis(100),
        ..DoorLimits::default()
    };
    let (mut connection, mut client, telemetry) = connected(limits, Speech::Http).await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    for _ in 0..2 {
        let ended = timeout(SOON, connection.read_to_end(&mut all)).await;
        assert!(ended.expect("it ends").is_ok(), "as if the client had gone");
        assert_eq!(hits(&telemetry, "connection_age"), 1, "once");
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_happens_gives_up_its_place() {
    let limits = DoorLimits {
        quiet_max: Some(Duration::from_millis(300)),
        ..DoorLimits::default()
    };
    let (mut connection, mut client, telemetry) = connected(limits, Speech::Http).await;
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let ended = connection.read_to_end(&mut all).await;
        (all.len(), ended)
    });
    // Who asks, however slowly, stays.
    for _ in 0..5 {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!reading.is_finished());
    assert_eq!(hits(&telemetry, "quiet"), 0);
    let (read, ended) = timeout(SOON, reading).await.expect("it ends").unwrap();
    assert_eq!(read, 5 * 18);
    assert!(ended.is_ok(), "as if the client had gone");
    assert_eq!(hits(&telemetry, "quiet"), 1);
}
