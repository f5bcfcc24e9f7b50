//! Every limit of the gRPC port, by those who come up against it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sloop_controlplane::ads::{Hub, NodeStatus};
use sloop_controlplane::clock;
use sloop_controlplane::door::{Door, Names, Speech};
use sloop_controlplane::grpc::Services;
use sloop_controlplane::ingest::{Arrival, Reports};
use sloop_controlplane::limits::Limits;
use sloop_controlplane::metrics::{DoorMetrics, IngestMetrics, Telemetry};
use sloop_xds::{Kind, Resource, Snapshot, SnapshotBuilder};
use sloop_xds_protos::envoy::envoy::config::core::v3::{Locality, Node};
use sloop_xds_protos::envoy::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use sloop_xds_protos::envoy::google::protobuf::{ListValue, Struct, Value, value};
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use sloop_xds_protos::report::v1::{ReportRequest, ReportResponse, ScopeDelta};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);

const ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const REPORT: &str = "/sloop.report.v1.ReportService/Report";

/// The gRPC port as the program has it. Reports wait in `arrivals` until a test answers them.
struct Served {
    at: SocketAddr,
    hub: Hub,
    telemetry: Telemetry,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Served {
    async fn with(limits: &[&str]) -> Self {
        let mut all = Limits::default();
        for limit in limits {
            all.set(limit).unwrap();
        }
        Self::within(all).await
    }

    async fn within(limits: Limits) -> Self {
        let telemetry = Telemetry::begin().unwrap();
        let meter = telemetry.meter();
        let metrics = DoorMetrics::register(&meter, "grpc");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let hub = Hub::new(limits.ads, clock::wall);
        hub.count(metrics.clone());
        hub.open();
        let (sender, arrivals) = mpsc::channel(1_000);
        let ingest = IngestMetrics::register(&meter);
        let counted = (limits.reports, metrics.clone());
        let reports = Reports::service(sender, hub.access(), ingest, counted);
        let services = Services::of(hub.routes())
            .with_discovery(hub.service())
            .with_reports(reports)
            .counted_by(metrics.clone());
        let door = Door {
            listener,
            tls: None,
            limits: limits.door,
            names: Names::Required,
            speech: Speech::Grpc,
            metrics,
        };
        tokio::spawn(async move {
            services.serve(&limits.ads, door.open(), pending()).await;
        });
        Self {
            at,
            hub,
            telemetry,
            arrivals,
        }
    }

    fn hits(&self, limit: &str) -> u64 {
        let text = self.telemetry.render().unwrap();
        let name = format!("sloop_controlplane_limits_hit_total{{limit=\"{limit}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().unwrap())
    }

    async fn hit(&self, limit: &str) {
        let begun = std::time::Instant::now();
        while self.hits(limit) == 0 {
            assert!(begun.elapsed() < SOON, "nobody came up against {limit}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `holds` says so of the nodes.
    async fn becomes(&self, what: &str, holds: impl Fn(&[NodeStatus]) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(&self.hub.nodes()) {
            assert!(begun.elapsed() < SOON, "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.at)).unwrap();
        endpoint.connect_lazy()
    }

    /// A stream with these requests, which goes on.
    async fn stream(
        &self,
        requests: Vec<DeltaDiscoveryRequest>,
    ) -> Result<Streaming<impl std::fmt::Debug + use<>>, Status> {
        self.stream_from([127, 0, 0, 1], requests).await
    }

    /// The same from this address.
    async fn stream_from(
        &self,
        address: [u8; 4],
        requests: Vec<DeltaDiscoveryRequest>,
    ) -> Result<Streaming<impl std::fmt::Debug + use<>>, Status> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.at)).unwrap();
        let channel = endpoint.local_address(Some(address.into())).connect_lazy();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let requests = tokio_stream::iter(requests).chain(tokio_stream::pending());
        let stream = client.delta_aggregated_resources(requests).await?;
        Ok(stream.into_inner())
    }

    /// How it is refused to begin more than two streams, and one a second.
    async fn begin_until_refused(&self) -> Status {
        let first = std::time::Instant::now();
        let mut begun = Vec::new();
        loop {
            match self.stream(vec![asks("shop", "a", &[])]).await {
                Ok(stream) => begun.push(stream),
                Err(refused) => {
                    assert!(2 <= begun.len(), "{}", begun.len());
                    return refused;
                }
            }
            let allowed = 2 + usize::try_from(first.elapsed().as_secs()).unwrap();
            assert!(begun.len() <= allowed, "{}", begun.len());
        }
    }

    /// How a stream with these requests ends.
    async fn refusal(&self, requests: Vec<DeltaDiscoveryRequest>) -> Status {
        let ended = async {
            let mut stream = self.stream(requests).await?;
            while stream.message().await?.is_some() {}
            Ok(())
        };
        let ended: Result<(), Status> = timeout(SOON, ended).await.expect("the stream ends");
        ended.unwrap_err()
    }
}

fn asks(cluster: &str, type_url: &str, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: "shop-1".to_owned(),
            cluster: cluster.to_owned(),
            ..Node::default()
        }),
        type_url: type_url.to_owned(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// So many texts, and much that is not kept.
fn metadata(texts: usize) -> Struct {
    let value = |kind| Value { kind: Some(kind) };
    let text = |at| (at, value(value::Kind::StringValue("a".to_owned())));
    let list = |at| (at, value(value::Kind::ListValue(ListValue::default())));
    let texts = (0..texts).map(|at| text(format!("text{at}")));
    let fields = texts.chain((0..1_000).map(|at| list(format!("list{at}"))));
    Struct {
        fields: fields.collect(),
    }
}

#[tokio::test]
async fn of_metadata_only_what_is_kept_counts() {
    let served = Served::with(&["metadata_bytes=1000"]).await;
    let mut request = asks("shop", "a", &["b"]);
    request.node.as_mut().unwrap().metadata = Some(metadata(5));
    let _stream = served.stream(vec![request]).await.unwrap();
    served
        .becomes("it is there", |nodes| !nodes.is_empty())
        .await;
}

#[tokio::test]
async fn a_stream_ends_that_asks_for_too_much() {
    let one = || asks("shop", "a", &["b"]);
    let other = || asks("shop", "c", &["b"]);
    let in_zone = |zone: &str| {
        let mut request = one();
        request.node.as_mut().unwrap().locality = Some(Locality {
            zone: zone.to_owned(),
            ..Locality::default()
        });
        request
    };
    let says = |texts| {
        let mut request = one();
        request.node.as_mut().unwrap().metadata = Some(metadata(texts));
        request
    };
    let long = "n".repeat(2_000);
    for (limit, hit, requests) in [
        ("node_bytes=5", "node_bytes", vec![one()]),
        ("node_bytes=8", "node_bytes", vec![in_zone("eu-west-1a")]),
        ("metadata_bytes=1000", "node_bytes", vec![says(7)]),
        (
            "request_bytes=1024",
            "request_bytes",
            vec![asks("shop", "a", &[&long])],
        ),
        ("requests_burst=1", "requests", vec![one(); 40]),
        ("types=1", "types", vec![one(), other()]),
        (
            "names=2",
            "names",
            vec![asks("shop", "a", &["b", "c", "d"])],
        ),
        (
            "name_bytes=100",
            "name_bytes",
            vec![asks("shop", "a", &[&long])],
        ),
    ] {
        let served = Served::with(&[limit]).await;
        served
            .stream(vec![one()])
            .await
            .unwrap_or_else(|_| panic!("{limit}"));
        let refused = served.refusal(requests).await;
        assert_eq!(
            refused.code(),
            Code::ResourceExhausted,
            "{limit}: {refused}"
        );
        assert!(1 <= served.hits(hit), "{limit}");
    }
}

#[tokio::test]
async fn names_that_streams_keep_have_a_bound_together() {
    let served = Served::with(&["names_room_bytes=1048576"]).await;
    let long: Vec<String> = (0..200).map(|it| format!("{it:01000}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    // Each is kept as asked for, and as not answered yet.
    let two = ["a", "b"].map(|type_url| asks("shop", type_url, &long));
    let mut one = served.stream(two.to_vec()).await.unwrap();
    let mut other = served.stream(two.to_vec()).await.unwrap();
    let refused = timeout(SOON, async {
        tokio::select! {
            said = one.message() => said,
            said = other.message() => said,
        }
    });
    let refused = refused.await.expect("one of them ends").unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.message(), "there is no room for so many names");
    assert_eq!(served.hits("names_room"), 1);
    // Who names little has room.
    let little = asks("shop", "a", &["b"]);
    let mut little = served.stream(vec![little]).await.unwrap();
    let ended = timeout(Duration::from_millis(300), little.message()).await;
    assert!(ended.is_err(), "it goes on: {ended:?}");
}

#[tokio::test]
async fn streams_and_groups_have_a_largest_number() {
    let served = Served::with(&["streams=2", "groups=1"]).await;
    let ask = |cluster: &str| vec![asks(cluster, "a", &[])];
    let _first = served.stream(ask("shop")).await.unwrap();
    served
        .becomes("it is there", |nodes| !nodes.is_empty())
        .await;
    let group = served.refusal(ask("cart")).await;
    assert_eq!(group.message(), "too many groups");
    assert_eq!(served.hits("groups"), 1);
    let _second = served.stream(ask("shop")).await.unwrap();
    let third = served.refusal(ask("shop")).await;
    assert_eq!(third.message(), "too many streams");
    assert_eq!(served.hits("streams"), 1);
    assert_eq!(served.hits("new_streams"), 0);
}

#[tokio::test]
async fn streams_have_a_largest_number_of_beginnings_on_all_connections_together() {
    let served = Served::with(&["new_streams_burst=2", "new_streams_per_second=1"]).await;
    let ask = || vec![asks("shop", "a", &[])];
    let refused = served.begin_until_refused().await;
    assert_eq!(refused.code(), Code::Unavailable, "it may come again");
    assert_eq!(refused.message(), "too many streams begin; come again");
    assert!(1 <= served.hits("new_streams"));
    assert_eq!(served.hits("streams"), 0);
    timeout(SOON, async {
        while served.stream(ask()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("a second later there is room for one");
}

#[tokio::test]
async fn who_begins_too_many_streams_leaves_some_to_others() {
    let limits = [
        "new_streams_per_identity_burst=2",
        "new_streams_per_identity_per_second=1",
    ];
    let served = Served::with(&limits).await;
    let refused = served.begin_until_refused().await;
    assert_eq!(refused.code(), Code::Unavailable, "it may come again");
    assert!(1 <= served.hits("new_streams_per_identity"));
    let ask = vec![asks("shop", "a", &[])];
    let other = served.stream_from([127, 0, 1, 1], ask).await;
    other.expect("somebody from another address has theirs");
    assert_eq!(served.hits("new_streams"), 0);
}

/// A report that takes about so many bytes.
fn report(bytes: usize) -> ReportRequest {
    ReportRequest {
        sequence: 1,
        node: "n".repeat(bytes),
        ..ReportRequest::default()
    }
}

#[tokio::test]
async fn a_report_that_is_too_large_is_refused_before_it_is_there() {
    let mut served = Served::with(&["report_bytes=1048576"]).await;
    let mut client = ReportServiceClient::new(served.channel());
    let refused = client.report(report(1_100_000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(
        refused
            .message()
            .ends_with("bytes; it may have at most 1048576"),
        "{refused}"
    );
    assert_eq!(served.hits("report_bytes"), 1);
    let asked = tokio::spawn(async move { client.report(report(1_000_000)).await });
    let arrival = served.arrivals.recv().await.unwrap();
    drop(arrival.answer.send(Ok(ReportResponse::default())));
    asked.await.unwrap().unwrap();
}

/// A report that is small on the wire and large in memory.
fn many_scopes() -> ReportRequest {
    let scopes = ReportRequest {
        sequence: 1,
        scopes: vec![ScopeDelta::default(); 10_000],
        ..ReportRequest::default()
    };
    assert!(prost::Message::encoded_len(&scopes) < 25_000);
    scopes
}

#[tokio::test]
async fn a_report_that_never_has_room_is_refused_for_good_before_it_is_decoded() {
    for room in ["report_room_per_connection_bytes", "report_room_bytes"] {
        let served = Served::with(&[&format!("{room}=1048576")]).await;
        let mut client = ReportServiceClient::new(served.channel());
        let refused = client.report(many_scopes()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let message = refused.message();
        assert!(
            message.ends_with("it may take at most 1048576"),
            "{message}"
        );
        assert_eq!(served.hits("report_weight"), 1, "{room}");
        assert_eq!(served.hits("report_room"), 0);
        assert_eq!(served.hits("report_room_per_connection"), 0);
    }
}

#[tokio::test]
async fn reports_that_wait_on_one_connection_have_a_bound() {
    let mut served = Served::with(&["report_room_per_connection_bytes=1048576"]).await;
    let channel = served.channel();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut client = ReportServiceClient::new(channel.clone());
        waiting.spawn(async move { client.report(report(40_000)).await });
    }
    served.hit("report_room_per_connection").await;
    assert_eq!(served.hits("report_room"), 0);
    let mut other = ReportServiceClient::new(served.channel());
    let other = tokio::spawn(async move { other.report(report(40_000)).await });
    while !other.is_finished() {
        if let Ok(Some(arrival)) = timeout(Duration::from_millis(10), served.arrivals.recv()).await
        {
            drop(arrival.answer.send(Ok(ReportResponse::default())));
        }
    }
    other.await.unwrap().unwrap();
}

#[tokio::test]
async fn reports_that_wait_have_a_bound_together() {
    let mut served = Served::with(&["report_room_bytes=1048576"]).await;
    // Each takes room twice: for its bytes, and for what they become.
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut client = ReportServiceClient::new(served.channel());
        waiting.spawn(async move { client.report(report(40_000)).await });
    }
    served.hit("report_room").await;
    assert_eq!(served.hits("report_room_per_connection"), 0);
    let (mut told, mut refused) = (0, 0);
    while told + refused < 40 {
        tokio::select! {
            Some(arrival) = served.arrivals.recv() => {
                drop(arrival.answer.send(Ok(ReportResponse::default())));
            }
            Some(ended) = waiting.join_next() => match ended.unwrap() {
                Ok(_) => told += 1,
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable);
                    refused += 1;
                }
            },
        }
    }
    assert!(0 < told && 0 < refused, "{told} and {refused}");
    // All room was given back.
    let mut client = ReportServiceClient::new(served.channel());
    let asked = tokio::spawn(async move { client.report(report(400_000)).await });
    let arrival = served.arrivals.recv().await.unwrap();
    drop(arrival.answer.send(Ok(ReportResponse::default())));
    asked.await.unwrap().unwrap();
}

/// A connection that only says what it is told to.
async fn raw(at: SocketAddr, window: u32) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(at).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let builder = builder.initial_window_size(window);
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

fn call(path: &str) -> http::Request<()> {
    http::Request::post(format!("http://sloop{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn half_a_report_is_not_waited_for() {
    let served = Served::with(&["report_ms=100"]).await;
    let mut client = raw(served.at, 65_535).await.ready().await.unwrap();
    let (response, mut body) = client.send_request(call(REPORT), false).unwrap();
    let half = Bytes::from_static(&[0, 0, 0, 1, 0, 10]);
    body.send_data(half, false).unwrap();
    let response = timeout(SOON, response).await.unwrap().unwrap();
    let status = response.headers().get("grpc-status").unwrap();
    assert_eq!(status, "4", "deadline exceeded");
    assert_eq!(served.hits("report_time"), 1);
}

/// A message as it travels.
fn framed(message: &impl prost::Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// What a connection ends by on which nothing is read.
async fn ends(client: h2::client::SendRequest<Bytes>) {
    let ends = async {
        while client.clone().ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, ends).await.expect("the connection ends");
}

#[tokio::test]
async fn who_breaks_a_rule_and_reads_nothing_is_not_kept() {
    let mut limits = Limits::default();
    limits.ads.stall_max = Duration::from_secs(2);
    let served = Served::within(limits).await;
    let snapshot = [Kind::CLUSTER, Kind::EXTENSION].map(|it| Resource::new(it, "a", b"x"));
    let snapshot = snapshot
        .into_iter()
        .fold(Snapshot::builder(), SnapshotBuilder::with);
    served.hub.publish("shop", Arc::new(snapshot.build()));
    let mut client = raw(served.at, 0).await.ready().await.unwrap();
    let (_response, mut body) = client.send_request(call(ADS), false).unwrap();
    // One response waits to be written, and the other for that.
    let both = [Kind::CLUSTER, Kind::EXTENSION].map(|it| framed(&asks("shop", it, &["a"])));
    body.send_data(both.concat().into(), false).unwrap();
    served
        .becomes("both are sent", |nodes| {
            nodes.first().is_some_and(|node| node.types.len() == 2)
        })
        .await;
    let names_no_type = framed(&asks("shop", "", &[]));
    // Where this comes late the stall has ended it already.
    let _ended = body.send_data(names_no_type.into(), false);
    served.becomes("its place is free", <[_]>::is_empty).await;
    served.hit("stall").await;
    ends(client).await;
}

#[tokio::test]
async fn who_does_not_answer_is_not_kept() {
    let mut limits = Limits::default();
    limits.ads.stall_max = Duration::from_millis(200);
    let served = Served::within(limits).await;
    let resource = Resource::new(Kind::CLUSTER, "a", &[0; 1_000]);
    let snapshot = Snapshot::builder().manage(Kind::CLUSTER).with(resource);
    served.hub.publish("shop", Arc::new(snapshot.build()));
    let mut client = raw(served.at, 0).await.ready().await.unwrap();
    let (_response, mut body) = client.send_request(call(ADS), false).unwrap();
    let request = framed(&asks("shop", Kind::CLUSTER, &[]));
    body.send_data(request.into(), false).unwrap();
    served.hit("stall").await;
    ends(client).await;
    // Who answers is kept, however long nothing changes.
    let (requests, requested) = mpsc::channel(2);
    requests
        .send(asks("shop", Kind::CLUSTER, &[]))
        .await
        .unwrap();
    let mut client = AggregatedDiscoveryServiceClient::new(served.channel());
    let stream = client.delta_aggregated_resources(ReceiverStream::new(requested));
    let mut stream = stream.await.unwrap().into_inner();
    let response = stream.message().await.unwrap().unwrap();
    let accept = DeltaDiscoveryRequest {
        type_url: response.type_url,
        response_nonce: response.nonce,
        ..DeltaDiscoveryRequest::default()
    };
    requests.send(accept).await.unwrap();
    let silent = timeout(Duration::from_millis(600), stream.message()).await;
    assert!(silent.is_err(), "the stream goes on");
    assert_eq!(served.hits("stall"), 1);
}

#[tokio::test]
async fn a_stream_that_asks_nothing_ends() {
    let mut limits = Limits::default();
    limits.ads.stall_max = Duration::from_millis(100);
    let served = Served::within(limits).await;
    let refused = served.refusal(Vec::new()).await;
    assert_eq!(refused.message(), "nothing is asked");
    assert_eq!(served.hits("stall"), 1);
}

/// A frame of HTTP/2 on a stream (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let id = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &id, payload].concat()
}

#[tokio::test]
async fn a_storm_of_resets_ends_its_connection_alone() {
    let served = Served::with(&[]).await;
    let mut others = served.stream(vec![asks("shop", "a", &[])]).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    // POST, http, and a path as a literal (RFC 7541, 6).
    let path = u8::try_from(ADS.len()).unwrap();
    let headers = [&[0x83, 0x86, 0x04, path], ADS.as_bytes(), &[0x01, 1, b'a']].concat();
    for stream in (1..2_000).step_by(2) {
        bytes.extend(frame(1, 4, stream, &headers));
        bytes.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let mut storm = TcpStream::connect(served.at).await.unwrap();
    // The other side may have ended it before all is written.
    drop(storm.write_all(&bytes).await);
    let mut end = [0; 4_096];
    timeout(SOON, async {
        while !matches!(storm.read(&mut end).await, Ok(0) | Err(_)) {}
    })
    .await
    .expect("the connection ends");
    served.hit("resets").await;
    let silent = timeout(Duration::from_millis(100), others.message()).await;
    assert!(silent.is_err(), "the others' stream goes on");
}

/// What the server says first, and what it says to `frames`, frame by frame: kind, stream and payload. Until `end`
/// is satisfied.
async fn told(
    served: &Served,
    frames: &[u8],
    end: impl Fn(u8, u32, &[u8]) -> bool,
) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frames);
    stream.write_all(&bytes).await.unwrap();
    let read = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let [a, b, c, kind, _, id @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if end(kind, u32::from_be_bytes(id), &payload) {
                return payload;
            }
        }
    };
    let payload = timeout(SOON, read).await.expect("it is said");
    (stream, payload)
}

/// The frame with which a call of discovery begins.
fn begins(stream: u32) -> Vec<u8> {
    // POST, http, and a path as a literal (RFC 7541, 6).
    let path = u8::try_from(ADS.len()).unwrap();
    let headers = [&[0x83, 0x86, 0x04, path], ADS.as_bytes(), &[0x01, 1, b'a']].concat();
    frame(1, 4, stream, &headers)
}

#[tokio::test]
async fn more_calls_than_a_connection_may_have_are_refused() {
    let served = Served::with(&["calls_per_connection=2"]).await;
    let calls = [begins(1), begins(3), begins(5)].concat();
    // RST_STREAM with REFUSED_STREAM: a client may try it again (RFC 9113, 8.7).
    let (_stream, code) = told(&served, &calls, |kind, stream, _| {
        assert!(kind != 3 || stream == 5, "{stream} is within the limit");
        kind == 3
    })
    .await;
    assert_eq!(code, 7_u32.to_be_bytes());
    assert_eq!(
        served.hits("calls_per_connection"),
        1,
        "the second is the last"
    );
}

#[tokio::test]
async fn calls_that_are_over_leave_their_places() {
    let mut served = Served::with(&["calls_per_connection=2"]).await;
    let mut client = ReportServiceClient::new(served.channel());
    for _ in 0..5 {
        let mut asking = client.clone();
        let asked = tokio::spawn(async move { asking.report(report(10)).await });
        let arrival = served.arrivals.recv().await.unwrap();
        drop(arrival.answer.send(Ok(ReportResponse::default())));
        asked.await.unwrap().unwrap();
    }
    assert_eq!(served.hits("calls_per_connection"), 0, "one at a time");
    let mut other = client.clone();
    let both =
        tokio::spawn(
            async move { tokio::join!(client.report(report(10)), other.report(report(10))) },
        );
    served.hit("calls_per_connection").await;
    for _ in 0..2 {
        let arrival = served.arrivals.recv().await.unwrap();
        drop(arrival.answer.send(Ok(ReportResponse::default())));
    }
    let (one, two) = both.await.unwrap();
    one.and(two).unwrap();
    assert_eq!(served.hits("calls_per_connection"), 1);
}

#[tokio::test]
async fn a_connection_whose_calls_break_the_rules_ends_after_so_many() {
    let served = Served::with(&["faulty_calls=3"]).await;
    let mut others = served.stream(vec![asks("shop", "a", &[])]).await.unwrap();
    // A call with a path and no method, which is malformed (RFC 9113, 8.1.1 and 8.3.1).
    let faulty = |stream: u32| frame(1, 5, stream, &[0x86, 0x84, 0x01, 1, b'a']);
    let three: Vec<u8> = (0..3).flat_map(|n| faulty(2 * n + 1)).collect();
    // RST_STREAM with PROTOCOL_ERROR for each.
    let (_stream, code) = told(&served, &three, |kind, stream, _| (kind, stream) == (3, 5)).await;
    assert_eq!(code, 1_u32.to_be_bytes());
    assert_eq!(served.hits("resets"), 0);
    let four: Vec<u8> = (0..4).flat_map(|n| faulty(2 * n + 1)).collect();
    let (mut ended, _) = told(&served, &four, |kind, _, _| kind == 7).await;
    let mut rest = [0; 256];
    let end = async { while !matches!(ended.read(&mut rest).await, Ok(0) | Err(_)) {} };
    timeout(SOON, end).await.expect("the connection ends");
    assert_eq!(served.hits("resets"), 1);
    let silent = timeout(Duration::from_millis(100), others.message()).await;
    assert!(silent.is_err(), "the others' stream goes on");
}

#[tokio::test]
async fn clients_are_told_how_much_may_be_on_its_way_and_how_many_calls() {
    let limits = ["stream_window_bytes=40000", "calls_per_connection=7"];
    let served = Served::with(&limits).await;
    let (_stream, settings) = told(&served, &[], |kind, _, _| kind == 4).await;
    let settings: Vec<(u16, u32)> = settings
        .chunks(6)
        .map(|it| {
            let value = u32::from_be_bytes([it[2], it[3], it[4], it[5]]);
            (u16::from_be_bytes([it[0], it[1]]), value)
        })
        .collect();
    // SETTINGS_MAX_CONCURRENT_STREAMS and SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2).
    assert!(settings.contains(&(3, 7)), "{settings:?}");
    assert!(settings.contains(&(4, 40_000)), "{settings:?}");
    // Of the connection four times as many: what is beyond HTTP/2's 65,535 is added (6.9.2).
    let (_stream, added) = told(&served, &[], |kind, stream, _| (kind, stream) == (8, 0)).await;
    assert_eq!(added, (160_000_u32 - 65_535).to_be_bytes());
}

#[tokio::test]
async fn who_does_not_say_that_it_is_there_is_not_kept() {
    let served = Served::with(&["keep_alive_ms=100", "keep_alive_answer_ms=100"]).await;
    // One that answers, as libraries do by themselves.
    let mut others = served.stream(vec![asks("shop", "a", &[])]).await.unwrap();
    // PING comes where a call is under way.
    let (mut gone, _) = told(&served, &begins(1), |kind, _, _| kind == 6).await;
    let mut rest = [0; 256];
    let end = async { while !matches!(gone.read(&mut rest).await, Ok(0) | Err(_)) {} };
    timeout(SOON, end).await.expect("the connection ends");
    served.hit("keep_alive").await;
    let silent = timeout(Duration::from_millis(600), others.message()).await;
    assert!(silent.is_err(), "the others' stream goes on");
    // Who hangs up instead of answering was there.
    drop(told(&served, &begins(1), |kind, _, _| kind == 6).await);
    let silent = timeout(Duration::from_millis(300), others.message()).await;
    assert!(silent.is_err(), "the others' stream goes on");
    assert_eq!(served.hits("keep_alive"), 1);
}
