//! What sidecars are sent, before and after the control plane was killed.
use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Home, ROUTES, SOON, Sloop, eventually, slo};
use sloop_xds::Kind;
use sloop_xds_protos::envoy::envoy::config::core::v3::Node;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use sloop_xds_protos::envoy::google::rpc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Versions by the name of the resource.
pub(crate) type Versions = BTreeMap<String, String>;

/// A stream of discovery, as Envoy opens it.
pub(crate) struct Sidecar {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Sidecar {
    /// Subscribes to both filters; `has` is what it has from before.
    async fn connect(sloop: &Sloop, has: &Versions) -> Self {
        Self::connect_as("checkout-1", sloop, has).await
    }

    /// The same for the sidecar with this id.
    pub(crate) async fn connect_as(id: &str, sloop: &Sloop, has: &Versions) -> Self {
        Self::connect_of(("checkout", id), sloop, has).await
    }

    /// The same for a sidecar of a service with this id.
    pub(crate) async fn connect_of(
        (service, id): (&str, &str),
        sloop: &Sloop,
        has: &Versions,
    ) -> Self {
        let initial: HashMap<_, _> = has.clone().into_iter().collect();
        let first = DeltaDiscoveryRequest {
            node: Some(Node {
                id: id.into(),
                cluster: service.into(),
                ..Node::default()
            }),
            type_url: Kind::EXTENSION.into(),
            resource_names_subscribe: vec!["sloop-inbound".into(), "sloop-outbound".into()],
            initial_resource_versions: initial,
            ..DeltaDiscoveryRequest::default()
        };
        Self::open(sloop, first).await
    }

    /// A stream that begins with this.
    pub(crate) async fn open(sloop: &Sloop, first: DeltaDiscoveryRequest) -> Self {
        let (requests, requested) = mpsc::channel(16);
        requests.send(first).await.unwrap();
        let address = format!("http://{}", sloop.grpc);
        let mut client = AggregatedDiscoveryServiceClient::connect(address)
            .await
            .unwrap();
        let answer = client.delta_aggregated_resources(ReceiverStream::new(requested));
        Self {
            responses: answer.await.unwrap().into_inner(),
            requests,
        }
    }

    /// The versions in the next response, which it accepts.
    pub(crate) async fn hears(&mut self) -> Versions {
        versions(self.answers(None).await)
    }

    /// The versions in the next response, which it refuses.
    pub(crate) async fn refuses(&mut self, why: &str) -> Versions {
        let message = why.to_owned();
        let refusal = rpc::Status {
            code: 13,
            message,
            ..rpc::Status::default()
        };
        versions(self.answers(Some(refusal)).await)
    }

    /// The versions in the next response, if one comes within `patience`.
    pub(crate) async fn hears_within(&mut self, patience: Duration) -> Option<Versions> {
        tokio::time::timeout(patience, self.hears()).await.ok()
    }

    /// The next response, which it accepts, or refuses for this.
    pub(crate) async fn answers(
        &mut self,
        error_detail: Option<rpc::Status>,
    ) -> DeltaDiscoveryResponse {
        let message = tokio::time::timeout(SOON, self.responses.message()).await;
        let response = message.expect("it is sent something").unwrap().unwrap();
        let answer = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail,
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(answer).await.unwrap();
        response
    }
}

fn versions(response: DeltaDiscoveryResponse) -> Versions {
    let resources = response.resources.into_iter();
    resources.map(|it| (it.name, it.version)).collect()
}

/// The number of the newest configuration that was pushed for `side`.
async fn generation(sloop: &Sloop, side: &str) -> u64 {
    eventually("it is pushed", async || {
        let events = sloop.items("/v1/events").await;
        let mut pushes = events.iter().rev();
        let newest = pushes.find(|it| it["kind"] == "push" && it["side"] == side)?;
        newest["generation"].as_u64()
    })
    .await
}

fn monitored(target: &str) -> String {
    // A breaker has a lease, which may be renewed at any moment.
    slo("pay", target).replace("actionable", "monitored")
}

#[tokio::test]
async fn a_restart_with_equal_content_sends_nothing_to_who_has_it() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &monitored("0.99"));
    let sloop = home.start();
    let before = Sidecar::connect(&sloop, &Versions::new())
        .await
        .hears()
        .await;
    assert_eq!(before.len(), 2, "{before:?}");
    let generations = (
        generation(&sloop, "server").await,
        generation(&sloop, "client").await,
    );
    sloop.kill();

    let sloop = home.start();
    let fresh = Sidecar::connect(&sloop, &Versions::new())
        .await
        .hears()
        .await;
    assert_eq!(fresh, before);
    let again = (
        generation(&sloop, "server").await,
        generation(&sloop, "client").await,
    );
    assert_eq!(again, generations);

    let mut back = Sidecar::connect(&sloop, &before).await;
    home.write("routes.yaml", &ROUTES.replace("/pay", "/payments"));
    let next = back.hears().await;
    assert_ne!(
        next.get("sloop-inbound"),
        before.get("sloop-inbound"),
        "the first that it is sent is what changed"
    );
    assert!(next.contains_key("sloop-inbound"), "{next:?}");
    eventually("the change has a greater number", async || {
        (generations.0 < generation(&sloop, "server").await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_is_shown_with_what_it_accepted() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start();
    let mut sidecar = Sidecar::connect(&sloop, &Versions::new()).await;
    sidecar.hears().await;
    let node = eventually("the node has accepted it", async || {
        let nodes = sloop.items("/v1/nodes").await;
        let resource = &nodes.first()?["resources"][0];
        (resource["acknowledged"].is_string() && resource["acknowledged"] == resource["sent"])
            .then(|| nodes[0].clone())
    })
    .await;
    assert_eq!(node["node"], "checkout-1");
    assert_eq!(node["group"], "checkout");
    assert_eq!(node["connected"], true);
    assert!(node["connected_ms"].is_u64() && node["resources"][0]["took_ms"].is_u64());
    let described = Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["describe", "node", "checkout-1", "--admin"])
        .arg(sloop.http.to_string())
        .output()
        .unwrap();
    let described = String::from_utf8(described.stdout).unwrap();
    for part in [
        "Gets the same as:   checkout",
        "TypedExtensionConfig",
        "none",
    ] {
        assert!(described.contains(part), "{part} is not in\n{described}");
    }
    assert_eq!(
        sloop.metric("sloop_controlplane_nodes_connected").await,
        Some(1.0)
    );
    drop(sidecar);
    eventually("it is gone", async || {
        sloop.items("/v1/nodes").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start();
    let mut sidecar = Sidecar::connect(&sloop, &Versions::new()).await;
    sidecar.hears().await;
    let begun = Instant::now();
    assert!(sloop.terminate().await.success());
    let took = begun.elapsed();
    println!("ended after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}
