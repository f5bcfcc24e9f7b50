//! Discovery over real gRPC, with a client that others wrote and whose types are complete.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod ads_cases;

use std::collections::HashMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use sloop_controlplane::ads::{AdsLimits, Event, Hub, What};
use sloop_controlplane::clock;
use sloop_controlplane::grpc::Services;
use sloop_xds::fleet::Cohort;
use sloop_xds::{Kind, Resource, Snapshot};
use sloop_xds_protos::envoy::envoy::config::core::v3::Node;
use sloop_xds_protos::envoy::envoy::service::discovery;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use sloop_xds_protos::envoy::google::rpc;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};

const SOON: Duration = Duration::from_secs(10);
/// How long silence is listened to. Answers come within a millisecond or two.
const SILENCE: Duration = Duration::from_millis(200);

struct Server {
    hub: Hub,
    address: SocketAddr,
    events: broadcast::Receiver<Arc<Event>>,
}

impl Server {
    async fn start(limits: AdsLimits) -> Self {
        let hub = Hub::new(limits, clock::wall);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let services = Services::of(hub.routes()).with_discovery(hub.service());
        tokio::spawn(async move {
            // As it is with those that come by the door.
            let connections = TcpListenerStream::new(listener).map(|connection| {
                let connection = connection?;
                connection.set_nodelay(true)?;
                Ok(connection)
            });
            services.serve(&limits, connections, pending()).await;
        });
        Self {
            events: hub.events(),
            hub,
            address,
        }
    }

    async fn open() -> Self {
        let server = Self::start(AdsLimits::default()).await;
        server.hub.open();
        server
    }

    fn publish(&self, resources: &[(&str, &str)]) {
        let start = Snapshot::builder().manage(Kind::EXTENSION);
        let snapshot = resources.iter().fold(start, |builder, (name, content)| {
            builder.with(Resource::new(Kind::EXTENSION, name, content.as_bytes()))
        });
        self.hub.publish("shop", Arc::new(snapshot.build()));
    }

    /// The next event that `wanted` knows.
    async fn event<T>(&mut self, wanted: impl Fn(What) -> Option<T>) -> T {
        timeout(SOON, async {
            loop {
                if let Some(found) = wanted(self.events.recv().await.unwrap().what.clone()) {
                    return found;
                }
            }
        })
        .await
        .expect("the event comes")
    }

    /// Waits until the first node was sent something of so many types.
    async fn has_sent(&self, types: usize) {
        timeout(SOON, async {
            loop {
                let nodes = self.hub.nodes();
                let all = nodes.first().into_iter().flat_map(|it| it.types.values());
                if types <= all.filter(|it| it.sent.is_some()).count() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("it is sent");
    }

    async fn client(&self) -> AggregatedDiscoveryServiceClient<tonic::transport::Channel> {
        let address = format!("http://{}", self.address);
        AggregatedDiscoveryServiceClient::connect(address)
            .await
            .unwrap()
    }

    async fn sotw(&self) -> Client<DiscoveryRequest, DiscoveryResponse> {
        let (requests, from_client) = mpsc::channel(1_000);
        let requested = ReceiverStream::new(from_client);
        let mut channel = self.client().await;
        let answer = channel.stream_aggregated_resources(requested);
        Client {
            requests,
            responses: answer.await.unwrap().into_inner(),
        }
    }

    async fn delta(&self) -> Client<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
        let address = format!("http://{}", self.address);
        Self::delta_over(Endpoint::from_shared(address).unwrap()).await
    }

    /// The same to this end.
    async fn delta_over(
        endpoint: Endpoint,
    ) -> Client<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
        let (requests, from_client) = mpsc::channel(1_000);
        let requested = ReceiverStream::new(from_client);
        let mut channel = AggregatedDiscoveryServiceClient::new(endpoint.connect().await.unwrap());
        let answer = channel.delta_aggregated_resources(requested);
        Client {
            requests,
            responses: answer.await.unwrap().into_inner(),
        }
    }
}

struct Client<Q, R> {
    requests: mpsc::Sender<Q>,
    responses: Streaming<R>,
}

impl<Q, R> Client<Q, R> {
    async fn send(&self, request: Q) {
        self.requests.send(request).await.unwrap();
    }

    async fn hears(&mut self) -> Result<R, Status> {
        let message = timeout(SOON, self.responses.message()).await;
        Ok(message.expect("the server speaks")?.expect("not the end"))
    }

    async fn hears_nothing(&mut self) {
        self.hears_nothing_for(SILENCE).await;
    }

    async fn hears_nothing_for(&mut self, silence: Duration) {
        let heard = timeout(silence, self.responses.message()).await;
        assert!(heard.is_err(), "the server spoke or hung up");
    }
}

fn node() -> Option<Node> {
    Some(Node {
        id: "shop-1".into(),
        cluster: "shop".into(),
        ..Node::default()
    })
}

fn sotw(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: node(),
        type_url: Kind::EXTENSION.into(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DiscoveryRequest::default()
    }
}

fn delta(names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(),
        type_url: Kind::EXTENSION.into(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn refusal() -> Option<rpc::Status> {
    Some(rpc::Status {
        code: 13,
        message: "cannot".into(),
        ..rpc::Status::default()
    })
}

/// Cases 1, 2 and 16: the node comes in the first message only.
#[tokio::test]
async fn state_of_the_world_is_pushed_and_acknowledged() {
    let mut server = Server::open().await;
    server.publish(&[("a", "1"), ("b", "1")]);
    let mut client = server.sotw().await;
    client.send(sotw(&["a"])).await;
    let first = client.hears().await.unwrap();
    assert_eq!(first.type_url, Kind::EXTENSION);
    assert_eq!(first.resources.len(), 1);
    assert_eq!(first.resources[0].type_url, Kind::EXTENSION);
    assert_eq!(first.resources[0].value, b"1");
    let acknowledgement = DiscoveryRequest {
        node: None,
        version_info: first.version_info.clone(),
        response_nonce: first.nonce.clone(),
        ..sotw(&["a"])
    };
    client.send(acknowledgement).await;
    let version = server
        .event(|what| {
            if let What::Acknowledged { sent, .. } = what {
                Some(sent.version.to_string())
            } else {
                None
            }
        })
        .await;
    assert_eq!(version, first.version_info);
    client.hears_nothing().await;
    server.publish(&[("a", "2"), ("b", "1")]);
    let second = client.hears().await.unwrap();
    assert_eq!(second.resources[0].value, b"2");
    assert_ne!(second.version_info, first.version_info);
}

/// Cases 1, 2, 10 and 14.
#[tokio::test]
async fn delta_is_pushed_acknowledged_and_taken_up_again() {
    let mut server = Server::open().await;
    server.publish(&[("a", "1")]);
    let mut client = server.delta().await;
    client.send(delta(&["a", "missing"])).await;
    let first = client.hears().await.unwrap();
    assert_eq!(first.removed_resources, ["missing"]);
    assert_eq!(first.resources.len(), 1);
    let resource = &first.resources[0];
    assert_eq!(resource.name, "a");
    assert_eq!(resource.resource.as_ref().unwrap().value, b"1");
    let acknowledgement = DeltaDiscoveryRequest {
        node: None,
        response_nonce: first.nonce.clone(),
        ..delta(&[])
    };
    client.send(acknowledgement).await;
    server
        .event(|what| matches!(what, What::Acknowledged { .. }).then_some(()))
        .await;
    let node = &server.hub.nodes()[0];
    assert_eq!((node.id.as_str(), node.group.as_str()), ("shop-1", "shop"));
    let resources = &node.types[Kind::EXTENSION].resources;
    assert_eq!(resources["a"].as_str(), resource.version);

    let has = HashMap::from([("a".to_owned(), resource.version.clone())]);
    drop(client);
    server
        .event(|what| (what == What::Gone).then_some(()))
        .await;
    assert!(server.hub.nodes().is_empty());
    let mut again = server.delta().await;
    let request = DeltaDiscoveryRequest {
        initial_resource_versions: has,
        ..delta(&["a"])
    };
    again.send(request).await;
    again.hears_nothing().await;
    server.publish(&[("a", "2")]);
    assert_eq!(again.hears().await.unwrap().resources.len(), 1);
}

/// Case 3.
#[tokio::test]
async fn a_refusal_is_remembered_and_not_answered() {
    let mut server = Server::open().await;
    server.publish(&[("a", "bad")]);
    let mut client = server.delta().await;
    client.send(delta(&["a"])).await;
    let bad = client.hears().await.unwrap();
    let no = DeltaDiscoveryRequest {
        response_nonce: bad.nonce,
        error_detail: refusal(),
        ..delta(&[])
    };
    client.send(no).await;
    let message = server
        .event(|what| {
            if let What::Refused { message, .. } = what {
                Some(message)
            } else {
                None
            }
        })
        .await;
    assert_eq!(message, "cannot");
    client.hears_nothing().await;
    let status = server.hub.nodes()[0].types[Kind::EXTENSION].clone();
    assert!(status.is_refusing && status.acknowledged.is_none());
    let refused = status.refused.unwrap();
    assert_eq!(refused.version.as_str(), bad.system_version_info);
    server.publish(&[("a", "good")]);
    let good = client.hears().await.unwrap();
    let yes = DeltaDiscoveryRequest {
        response_nonce: good.nonce,
        ..delta(&[])
    };
    client.send(yes).await;
    server
        .event(|what| matches!(what, What::Acknowledged { .. }).then_some(()))
        .await;
    let status = server.hub.nodes()[0].types[Kind::EXTENSION].clone();
    assert!(!status.is_refusing && status.refused.is_some());
}

/// Case 15.
#[tokio::test]
async fn nothing_is_answered_before_the_gate_opens() {
    let server = Server::start(AdsLimits::default()).await;
    let mut groups = server.hub.cohorts();
    let mut client = server.delta().await;
    let mut request = delta(&["a", "forgotten"]);
    request
        .initial_resource_versions
        .insert("forgotten".into(), "v".into());
    client.send(request).await;
    timeout(
        SOON,
        groups.wait_for(|groups| groups.contains(&Cohort::of_service("shop"))),
    )
    .await
    .unwrap()
    .unwrap();
    server.publish(&[]);
    client.hears_nothing().await;
    server.publish(&[("a", "1")]);
    server.hub.open();
    let heard = client.hears().await.unwrap();
    assert_eq!(heard.resources.len(), 1);
    assert!(heard.removed_resources.is_empty(), "nobody deleted it");
}

#[tokio::test]
async fn a_group_that_is_not_published_is_not_answered() {
    let server = Server::open().await;
    let mut client = server.delta().await;
    client.send(delta(&["a"])).await;
    client.hears_nothing().await;
    server.publish(&[("a", "1")]);
    assert_eq!(client.hears().await.unwrap().resources.len(), 1);
}

/// Case 16.
#[tokio::test]
async fn a_stream_must_say_who_and_what() {
    let server = Server::open().await;
    let nobody = DiscoveryRequest {
        node: None,
        ..sotw(&["a"])
    };
    let nothing = DiscoveryRequest {
        type_url: String::new(),
        ..sotw(&["a"])
    };
    for request in [nobody, nothing] {
        let mut client = server.sotw().await;
        client.send(request).await;
        let refused = client.hears().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let nobody = DeltaDiscoveryRequest {
        node: None,
        ..delta(&["a"])
    };
    let nothing = DeltaDiscoveryRequest {
        type_url: String::new(),
        ..delta(&["a"])
    };
    for request in [nobody, nothing] {
        let mut client = server.delta().await;
        client.send(request).await;
        let refused = client.hears().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    assert!(server.hub.nodes().is_empty());
}

/// Case 20.
#[tokio::test]
async fn streams_requests_and_their_sizes_are_bounded() {
    let limits = AdsLimits {
        request_bytes_max: 4_096,
        streams_max: 1,
        requests_burst: 5,
        requests_per_second: 1,
        ..AdsLimits::default()
    };
    let server = Server::start(limits).await;
    server.hub.open();
    let mut client = server.sotw().await;
    client.send(sotw(&["a"])).await;
    let mut refused = server.client().await;
    let (_kept, from_client) = mpsc::channel::<DiscoveryRequest>(1);
    let second = refused.stream_aggregated_resources(ReceiverStream::new(from_client));
    assert_eq!(second.await.unwrap_err().code(), Code::ResourceExhausted);
    for _ in 0..6 {
        client.send(sotw(&["a"])).await;
    }
    assert_eq!(
        client.hears().await.unwrap_err().code(),
        Code::ResourceExhausted
    );
    drop(client);

    let large = "x".repeat(limits.request_bytes_max);
    let mut client = loop {
        // The first stream's place is free as soon as the server has noticed.
        let (requests, from_client) = mpsc::channel(1);
        let requested = ReceiverStream::new(from_client);
        let mut channel = server.client().await;
        let answer = channel.stream_aggregated_resources(requested);
        if let Ok(answer) = answer.await {
            break Client {
                requests,
                responses: answer.into_inner(),
            };
        }
    };
    client.send(sotw(&[&large])).await;
    let code = client.hears().await.unwrap_err().code();
    assert!(
        matches!(code, Code::OutOfRange | Code::ResourceExhausted),
        "{code:?}"
    );
}

/// Case 19: the server keeps no queue for a client that does not read.
#[tokio::test]
async fn a_slow_reader_gets_only_the_latest() {
    let server = Server::open().await;
    server.publish(&[("a", "0")]);
    let mut client = server.delta().await;
    client.send(delta(&["a"])).await;
    let first = client.hears().await.unwrap();
    for version in 1..=100 {
        server.publish(&[("a", &version.to_string())]);
    }
    client.hears_nothing().await;
    let yes = DeltaDiscoveryRequest {
        response_nonce: first.nonce,
        ..delta(&[])
    };
    client.send(yes).await;
    let last = client.hears().await.unwrap();
    assert_eq!(last.resources[0].resource.as_ref().unwrap().value, b"100");
}

/// Case 19: a client that reads nothing. What is on its way fills its window, and nothing gathers behind that.
#[tokio::test]
async fn who_reads_nothing_gets_only_the_latest_when_it_does() {
    const KINDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    const ON_THEIR_WAY: usize = 3;
    let server = Server::open().await;
    let publish = |version: usize| {
        // More than goes through the window at a time.
        let content = format!("{version:020000}");
        let all = KINDS.into_iter().fold(Snapshot::builder(), |all, kind| {
            all.with(Resource::new(kind, "a", content.as_bytes()))
        });
        let snapshot = Arc::new(all.build());
        let kept = Arc::downgrade(&snapshot);
        server.hub.publish("shop", snapshot);
        kept
    };
    let mut kept = vec![publish(0)];
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(1_000);
    let mut slow = Server::delta_over(endpoint).await;
    let of = |kind: &str, names: &[&str]| DeltaDiscoveryRequest {
        type_url: kind.to_owned(),
        ..delta(names)
    };
    for kind in KINDS {
        slow.send(of(kind, &["a"])).await;
    }
    // One is being written, one is read next by who writes, and one waits for that.
    server.has_sent(ON_THEIR_WAY).await;
    let mut other = server.delta().await;
    other.send(of(KINDS[0], &["a"])).await;
    for version in 0..=100 {
        if 0 < version {
            kept.push(publish(version));
        }
        let heard = other.hears().await.unwrap();
        let accepts = DeltaDiscoveryRequest {
            response_nonce: heard.nonce,
            ..of(KINDS[0], &[])
        };
        other.send(accepts).await;
        assert_eq!(number(&heard.resources[0]), version, "others get each");
    }
    let kept = kept.iter().filter(|it| 0 < it.strong_count()).count();
    assert!(kept <= 2, "{kept} of them are kept");

    let mut heard: HashMap<String, Vec<usize>> = HashMap::new();
    for _ in 0..KINDS.len() + ON_THEIR_WAY {
        let response = slow.hears().await.unwrap();
        let accepts = DeltaDiscoveryRequest {
            response_nonce: response.nonce,
            ..of(&response.type_url, &[])
        };
        slow.send(accepts).await;
        let versions = heard.entry(response.type_url).or_default();
        versions.push(number(&response.resources[0]));
    }
    slow.hears_nothing().await;
    let mut heard: Vec<Vec<usize>> = heard.into_values().collect();
    heard.sort();
    let (were_on_their_way, others) = heard.split_at(ON_THEIR_WAY);
    assert_eq!(were_on_their_way, [[0, 100]; ON_THEIR_WAY]);
    assert_eq!(others, [[100]; KINDS.len() - ON_THEIR_WAY]);
}

/// Which version of a resource it is.
fn number(resource: &discovery::v3::Resource) -> usize {
    let content = &resource.resource.as_ref().unwrap().value;
    std::str::from_utf8(content).unwrap().parse().unwrap()
}

/// Every service of one type by its path, without the variant, and its type.
const OF_ONE_TYPE: [(&str, &str, &str); 6] = [
    (
        "cluster.v3.ClusterDiscoveryService",
        "Clusters",
        Kind::CLUSTER,
    ),
    (
        "endpoint.v3.EndpointDiscoveryService",
        "Endpoints",
        Kind::ENDPOINTS,
    ),
    (
        "listener.v3.ListenerDiscoveryService",
        "Listeners",
        Kind::LISTENER,
    ),
    ("route.v3.RouteDiscoveryService", "Routes", Kind::ROUTES),
    (
        "extension.v3.ExtensionConfigDiscoveryService",
        "ExtensionConfigs",
        Kind::EXTENSION,
    ),
    (
        "runtime.v3.RuntimeDiscoveryService",
        "Runtime",
        Kind::RUNTIME,
    ),
];

impl Server {
    /// A stream of the method at `path` below `envoy.service.`.
    async fn stream<Q, R>(&self, path: &str) -> Client<Q, R>
    where
        Q: prost::Message + Default + Send + Sync + 'static,
        R: prost::Message + Default + Send + Sync + 'static,
    {
        let (requests, from_client) = mpsc::channel(1_000);
        let requested = tonic::Request::new(ReceiverStream::new(from_client));
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let mut grpc = Grpc::new(endpoint.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let path: PathAndQuery = format!("/envoy.service.{path}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<Q, R>::default();
        let answer = grpc.streaming(requested, path, codec).await;
        Client {
            requests,
            responses: answer.unwrap().into_inner(),
        }
    }
}

#[tokio::test]
async fn every_type_has_a_service_of_its_own_in_both_variants() {
    let server = Server::open().await;
    let all = OF_ONE_TYPE.into_iter();
    let all = all.fold(Snapshot::builder(), |builder, (_, _, type_url)| {
        builder.with(Resource::new(type_url, "a", type_url.as_bytes()))
    });
    server.hub.publish("shop", Arc::new(all.build()));
    for (service, method, type_url) in OF_ONE_TYPE {
        let mut client: Client<DiscoveryRequest, DiscoveryResponse> =
            server.stream(&format!("{service}/Stream{method}")).await;
        let unsaid = DiscoveryRequest {
            type_url: String::new(),
            ..sotw(&["a"])
        };
        client.send(unsaid).await;
        let heard = client.hears().await.unwrap();
        assert_eq!(heard.type_url, type_url);
        assert_eq!(heard.resources[0].value, type_url.as_bytes());

        let mut client: Client<DeltaDiscoveryRequest, DeltaDiscoveryResponse> =
            server.stream(&format!("{service}/Delta{method}")).await;
        let said = DeltaDiscoveryRequest {
            type_url: type_url.to_owned(),
            ..delta(&["a"])
        };
        client.send(said).await;
        let heard = client.hears().await.unwrap();
        assert_eq!(heard.type_url, type_url);
        assert_eq!(heard.resources[0].name, "a");
        let other = DeltaDiscoveryRequest {
            type_url: "another".to_owned(),
            ..delta(&["a"])
        };
        client.send(other).await;
        let refused = client.hears().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

/// Case 16: what a real Envoy says about itself has 61 KB; and of a type that nobody knows nothing is said.
#[tokio::test]
async fn a_large_node_and_an_unknown_type_disturb_nobody() {
    use sloop_xds_protos::envoy::envoy::config::core::v3::Extension;
    let server = Server::open().await;
    server.publish(&[("a", "1")]);
    let extension = |number: usize| Extension {
        name: format!("envoy.filters.http.number_{number}"),
        category: "envoy.filters.http".into(),
        type_urls: vec![format!(
            "envoy.extensions.filters.http.number_{number}.v3.Message"
        )],
        ..Extension::default()
    };
    let node = Node {
        extensions: (0..600).map(extension).collect(),
        ..node().unwrap()
    };
    let mut client = server.delta().await;
    let unknown = DeltaDiscoveryRequest {
        node: Some(node),
        type_url: "type.googleapis.com/of.tomorrow".into(),
        ..delta(&["a"])
    };
    assert!(60_000 < prost::Message::encoded_len(&unknown));
    client.send(unknown).await;
    client.send(delta(&["a"])).await;
    let heard = client.hears().await.unwrap();
    assert_eq!(heard.type_url, Kind::EXTENSION);
    client.hears_nothing().await;
}

/// Cases 14 and 24: another replica, which knows nothing of the first one's past.
#[tokio::test]
async fn another_replica_sends_only_what_differs() {
    let (first, second) = (Server::open().await, Server::open().await);
    first.publish(&[("same", "1"), ("changed", "1")]);
    second.publish(&[("changed", "2"), ("same", "1")]);
    let mut client = first.delta().await;
    client.send(delta(&["same", "changed"])).await;
    let had = client.hears().await.unwrap().resources.into_iter();
    let had = had.map(|it| (it.name, it.version)).collect();
    let mut client = second.delta().await;
    let request = DeltaDiscoveryRequest {
        initial_resource_versions: had,
        ..delta(&["same", "changed"])
    };
    client.send(request).await;
    let heard = client.hears().await.unwrap();
    let names: Vec<_> = heard.resources.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, heard.removed_resources.len()), (vec!["changed"], 0));
}

/// Case 18: the heartbeats of a stream, and no push is counted for them.
#[tokio::test]
async fn heartbeats_come_while_nothing_changes() {
    let server = Server::open().await;
    let mortal = Resource::new(Kind::EXTENSION, "a", b"1").with_ttl(Duration::from_millis(600));
    let snapshot = Snapshot::builder().with(mortal).build();
    server.hub.publish("shop", Arc::new(snapshot));
    let mut client = server.delta().await;
    client.send(delta(&["a"])).await;
    let first = client.hears().await.unwrap();
    assert!(first.resources[0].resource.is_some() && first.resources[0].ttl.is_some());
    let mut nonce = first.nonce;
    for _ in 0..3 {
        client
            .send(DeltaDiscoveryRequest {
                type_url: Kind::EXTENSION.into(),
                response_nonce: nonce,
                ..DeltaDiscoveryRequest::default()
            })
            .await;
        let beat = client.hears().await.unwrap();
        assert_eq!(beat.resources[0].resource, None);
        assert_eq!(beat.resources[0].version, first.resources[0].version);
        nonce = beat.nonce;
    }
    let nodes = server.hub.nodes();
    assert!(nodes[0].standing.has().is_some(), "it stays in force");
}

/// Case 18: over state of the world they are the whole of it, in a message that has a time to live.
#[tokio::test]
async fn heartbeats_come_while_nothing_changes_in_state_of_the_world() {
    let server = Server::open().await;
    let mortal = Resource::new(Kind::EXTENSION, "a", b"1").with_ttl(Duration::from_millis(600));
    let version = mortal.version().to_string();
    let snapshot = Snapshot::builder().with(mortal).build();
    server.hub.publish("shop", Arc::new(snapshot));
    let mut client = server.sotw().await;
    client.send(sotw(&["a"])).await;
    let first = client.hears().await.unwrap();
    assert_eq!(first.resources[0].type_url, Kind::EXTENSION);
    let mut nonce = first.nonce;
    for _ in 0..4 {
        let acknowledgement = DiscoveryRequest {
            node: None,
            version_info: first.version_info.clone(),
            response_nonce: nonce,
            ..sotw(&["a"])
        };
        client.send(acknowledgement).await;
        let beat = client.hears().await.unwrap();
        assert_eq!(beat.version_info, first.version_info);
        let [any] = beat.resources.as_slice() else {
            panic!("{beat:?}")
        };
        let wrapped = "type.googleapis.com/envoy.service.discovery.v3.Resource";
        assert_eq!(any.type_url, wrapped);
        let resource = discovery::v3::Resource::decode(any.value.as_slice()).unwrap();
        assert_eq!(
            (resource.name, resource.version),
            ("a".into(), version.clone())
        );
        assert_eq!(resource.ttl.unwrap().nanos, 600_000_000);
        let content = resource.resource.unwrap();
        assert_eq!(
            (content.type_url.as_str(), content.value.as_slice()),
            (Kind::EXTENSION, &b"1"[..])
        );
        nonce = beat.nonce;
    }
    let nodes = server.hub.nodes();
    assert!(nodes[0].standing.has().is_some(), "it stays in force");
}
