//! Load reports over real gRPC, with a client that others wrote and whose types are complete.
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

use sloop_controlplane::ads::{Hub, LoadSettings};
use sloop_controlplane::clock;
use sloop_controlplane::grpc::Services;
use sloop_controlplane::limits::Limits;
use sloop_controlplane::metrics::{DoorMetrics, LoadMetrics, Telemetry};
use sloop_model::WallTime;
use sloop_xds::Version;
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{Health, Stage};
use sloop_xds_protos::envoy::envoy::config::core::v3::Node;
use sloop_xds_protos::envoy::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};
use sloop_xds_protos::envoy::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use sloop_xds_protos::envoy::envoy::service::load_stats::v3::{
    LoadStatsRequest, LoadStatsResponse,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};

const SOON: Duration = Duration::from_secs(20);

struct Served {
    at: SocketAddr,
    hub: Hub,
    telemetry: Telemetry,
}

impl Served {
    async fn with(limits: &[&str]) -> Self {
        Self::with_settings(limits, LoadSettings::default()).await
    }

    async fn with_settings(limits: &[&str], settings: LoadSettings) -> Self {
        let mut all = Limits::default();
        for limit in limits {
            all.set(limit).unwrap();
        }
        let telemetry = Telemetry::begin().unwrap();
        let meter = telemetry.meter();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let hub = Hub::new(all.ads, clock::wall);
        hub.count(DoorMetrics::register(&meter, "grpc"));
        let loads = hub.load_service(settings, LoadMetrics::register(&meter));
        let services = Services::of(hub.routes().add_service(loads)).with_discovery(hub.service());
        tokio::spawn(async move {
            let connections = TcpListenerStream::new(listener);
            services.serve(&all.ads, connections, pending()).await;
        });
        Self { at, hub, telemetry }
    }

    /// A stream on which nothing was said.
    async fn begin(&self) -> Result<Envoy, Status> {
        self.begin_within(65_535).await
    }

    /// The same of a client that takes so many bytes before it has read some.
    async fn begin_within(&self, window: u32) -> Result<Envoy, Status> {
        let (requests, from_client) = mpsc::channel(100);
        let endpoint = Endpoint::from_shared(format!("http://{}", self.at)).unwrap();
        let endpoint = endpoint.initial_stream_window_size(window);
        let mut client = LoadReportingServiceClient::new(endpoint.connect().await.unwrap());
        let answer = client.stream_load_stats(ReceiverStream::new(from_client));
        Ok(Envoy {
            requests,
            responses: answer.await?.into_inner(),
        })
    }

    /// What the nodes counted, when it is so many requests of all.
    async fn counted(&self, requests: u64) -> Vec<(String, String, Health)> {
        let mut all = Vec::<(String, String, Health)>::new();
        let counted = timeout(SOON, async {
            while all.iter().map(|(_, _, it)| it.requests).sum::<u64>() < requests {
                let taken = self.hub.take_loads().into_iter();
                all.extend(taken.map(|((group, id), it)| {
                    let (group, id) = (group.to_string(), id.to_string());
                    (group, id, it.health)
                }));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        counted.await.expect("all of it is counted");
        all
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.telemetry.render().unwrap();
        let name = format!("sloop_controlplane_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().unwrap())
    }

    fn try_on(&self, service: &str, stage: Stage) {
        self.hub.set_stage(&Cohort::of_service(service), stage);
    }
}

struct Envoy {
    requests: mpsc::Sender<LoadStatsRequest>,
    responses: Streaming<LoadStatsResponse>,
}

impl Envoy {
    async fn says(&self, request: LoadStatsRequest) {
        self.requests.send(request).await.unwrap();
    }

    /// The interval that it is asked for, in milliseconds.
    async fn hears(&mut self) -> Result<i64, Status> {
        let message = timeout(SOON, self.responses.message()).await;
        let asked = message.expect("the server speaks")?.expect("not the end");
        assert!(asked.send_all_clusters && asked.clusters.is_empty());
        assert!(!asked.report_endpoint_granularity);
        let interval = asked.load_reporting_interval.unwrap();
        Ok(interval.seconds * 1_000 + i64::from(interval.nanos) / 1_000_000)
    }

    /// Why the stream ends.
    async fn refusal(&mut self) -> Status {
        loop {
            if let Err(status) = self.hears().await {
                return status;
            }
        }
    }
}

fn node(cluster: &str, id: &str) -> Option<Node> {
    Some(Node {
        id: id.to_owned(),
        cluster: cluster.to_owned(),
        ..Node::default()
    })
}

/// What an Envoy says of its clusters, as (name, successful, failed).
fn report(node: Option<Node>, clusters: &[(&str, u64, u64)]) -> LoadStatsRequest {
    let stats = clusters.iter().map(|(name, successful, failed)| {
        let of_locality = UpstreamLocalityStats {
            total_successful_requests: *successful,
            total_error_requests: *failed,
            total_issued_requests: successful + failed,
            ..UpstreamLocalityStats::default()
        };
        ClusterStats {
            cluster_name: (*name).to_owned(),
            upstream_locality_stats: vec![of_locality],
            ..ClusterStats::default()
        }
    });
    LoadStatsRequest {
        node,
        cluster_stats: stats.collect(),
    }
}

fn tried() -> Stage {
    Stage::Trying {
        revision: Version::claimed("1"),
        nodes: Arc::default(),
        since: clock::wall(),
    }
}

#[tokio::test]
async fn what_an_envoy_counts_is_its_own_whatever_it_says_later() {
    let served = Served::with(&[]).await;
    let mut envoy = served.begin().await.unwrap();
    let clusters = [("alpha", 5, 1), ("sloop_xds", 0, 50), ("beta", 2, 2)];
    envoy.says(report(node("edge", "edge-1"), &clusters)).await;
    assert_eq!(envoy.hears().await.unwrap(), 20_000);
    envoy
        .says(report(node("bank", "bank-1"), &[("alpha", 1, 0)]))
        .await;
    envoy.says(report(None, &[("alpha", 1, 0)])).await;
    let mut sum = Health::default();
    for (group, id, health) in served.counted(12).await {
        assert_eq!((group.as_str(), id.as_str()), ("edge", "edge-1"));
        sum = sum.plus(health);
    }
    assert_eq!((sum.requests, sum.failed), (12, 3));
    assert_eq!(served.metric(r#"load_reports_total{result="received"}"#), 3);
    assert!(served.hub.nodes().is_empty(), "this is no discovery");
}

#[tokio::test]
async fn nothing_counts_of_the_clusters_that_lead_to_the_control_plane() {
    let settings = LoadSettings {
        cluster: "plane".to_owned(),
        ..LoadSettings::default()
    };
    let served = Served::with_settings(&[], settings).await;
    let envoy = served.begin().await.unwrap();
    let clusters = [
        ("plane", 3, 50),
        // That of bootstraps, whatever sidecars have.
        ("sloop_xds", 4, 40),
        ("plane-2", 2, 1),
        ("alpha", 5, 0),
    ];
    envoy.says(report(node("edge", "edge-1"), &clusters)).await;
    envoy.says(report(None, &[("plane", 0, 9)])).await;
    envoy.says(report(None, &[("alpha", 1, 0)])).await;
    let counted = served.counted(9).await;
    let sum = counted
        .iter()
        .fold(Health::default(), |sum, (.., it)| sum.plus(*it));
    assert_eq!((sum.requests, sum.failed), (9, 1));
}

#[tokio::test]
async fn envoys_report_often_while_nodes_of_their_service_try_something() {
    let served = Served::with(&[]).await;
    let mut envoys = Vec::new();
    for group in ["edge", "bank"] {
        let mut envoy = served.begin().await.unwrap();
        envoy.says(report(node(group, "1"), &[])).await;
        assert_eq!(envoy.hears().await.unwrap(), 20_000);
        envoys.push(envoy);
    }
    served.try_on("edge", tried());
    assert_eq!(envoys[0].hears().await.unwrap(), 100, "once at once");
    tokio::time::sleep(Duration::from_millis(100)).await;
    envoys[0].says(report(None, &[])).await;
    assert_eq!(envoys[0].hears().await.unwrap(), 2_000);
    served.try_on("edge", Stage::Settled);
    assert_eq!(envoys[0].hears().await.unwrap(), 20_000);
    // The other was told nothing meanwhile.
    served.try_on("bank", tried());
    assert_eq!(envoys[1].hears().await.unwrap(), 100);
    let mut late = served.begin().await.unwrap();
    late.says(report(node("bank", "2"), &[])).await;
    assert_eq!(late.hears().await.unwrap(), 100);
}

#[tokio::test]
async fn it_is_known_since_when_a_report_is_about_what_is_tried() {
    let served = Served::with(&[]).await;
    let mut envoy = served.begin().await.unwrap();
    let one = || report(node("edge", "1"), &[("alpha", 1, 0)]);
    let next = async || {
        let taken = timeout(SOON, async {
            loop {
                if let Some(load) = served.hub.take_loads().into_values().next() {
                    return load.from;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        taken.await.expect("it is counted")
    };
    envoy.says(one()).await;
    assert_eq!(next().await, WallTime::default(), "nobody asked");
    assert_eq!(envoy.hears().await.unwrap(), 20_000);
    let begins = clock::wall();
    served.try_on("edge", tried());
    assert_eq!(envoy.hears().await.unwrap(), 100);
    tokio::time::sleep(Duration::from_millis(100)).await;
    envoy.says(one()).await;
    assert!(next().await < begins, "mostly before");
    assert_eq!(envoy.hears().await.unwrap(), 2_000);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    envoy.says(one()).await;
    assert!(begins <= next().await, "all of it");
}

#[tokio::test]
async fn a_stream_ends_that_reports_too_much_or_does_not_say_for_whom() {
    let first = || report(node("edge", "edge-1"), &[("alpha", 1, 0)]);
    let many: Vec<_> = (0..3).map(|_| ("alpha", 1, 0)).collect();
    let long = "n".repeat(70_000);
    for (limit, said, code, counted) in [
        (
            "streams=9",
            vec![report(None, &[])],
            Code::InvalidArgument,
            "",
        ),
        (
            "streams=9",
            vec![report(node("edge", ""), &[])],
            Code::InvalidArgument,
            "",
        ),
        (
            "streams=9",
            vec![report(node("", "edge-1"), &[])],
            Code::InvalidArgument,
            "",
        ),
        (
            "node_bytes=5",
            vec![first()],
            Code::ResourceExhausted,
            r#"limits_hit_total{limit="node_bytes"}"#,
        ),
        (
            "load_clusters=2",
            vec![first(), report(None, &many)],
            Code::ResourceExhausted,
            r#"limits_hit_total{limit="load_clusters"}"#,
        ),
        (
            "load_bytes=65536",
            vec![first(), report(None, &[(&long, 1, 0)])],
            Code::ResourceExhausted,
            r#"limits_hit_total{limit="load_bytes"}"#,
        ),
        (
            "requests_burst=1",
            vec![first(); 40],
            Code::ResourceExhausted,
            r#"limits_hit_total{limit="requests"}"#,
        ),
        (
            "stall_ms=1000",
            vec![],
            Code::ResourceExhausted,
            r#"limits_hit_total{limit="stall"}"#,
        ),
    ] {
        let served = Served::with(&[limit]).await;
        let mut envoy = served.begin().await.unwrap();
        for message in said {
            // It may be over before all is said.
            drop(envoy.requests.send(message).await);
        }
        let refused = envoy.refusal().await;
        assert_eq!(refused.code(), code, "{limit}: {refused}");
        assert!(
            counted.is_empty() || served.metric(counted) == 1,
            "{limit}: {counted}"
        );
    }
}

#[tokio::test]
async fn streams_of_load_reports_have_their_room_with_those_of_discovery() {
    let served = Served::with(&["streams=1"]).await;
    let envoy = served.begin().await.unwrap();
    let refused = served.begin().await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(served.metric(r#"limits_hit_total{limit="streams"}"#), 1);
    drop(envoy);
    let again = timeout(SOON, async {
        while served.begin().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    again.await.expect("its room is given back");
}

#[tokio::test]
async fn what_cannot_be_does_not_count_and_the_rest_does() {
    let served = Served::with(&["load_requests_per_second=1"]).await;
    let mut envoy = served.begin().await.unwrap();
    let say = |requests| report(node("edge", "edge-1"), &[("alpha", requests, 0)]);
    // An hour's worth, since nobody may have asked for as long.
    envoy.says(say(3_601)).await;
    envoy.hears().await.unwrap();
    envoy.says(say(1_000_000)).await;
    envoy.says(say(1)).await;
    let counted = served.counted(3_602).await;
    let requests: u64 = counted.iter().map(|(_, _, it)| it.requests).sum();
    assert_eq!(requests, 3_602);
    assert_eq!(served.metric(r#"load_reports_total{result="left_out"}"#), 1);
    assert_eq!(served.metric(r#"limits_hit_total{limit="load_counts"}"#), 1);
}

#[tokio::test]
async fn who_breaks_a_rule_and_reads_nothing_does_not_keep_its_place() {
    let limits = ["stall_ms=1000", "streams=1", "load_clusters=1"];
    let served = Served::with(&limits).await;
    let envoy = served.begin_within(0).await.unwrap();
    envoy
        .says(report(node("edge", "edge-1"), &[("alpha", 7, 0)]))
        .await;
    served.counted(7).await;
    // What it is asked first waits to be written, and what it is asked then for that.
    served.try_on("edge", tried());
    envoy.says(report(None, &[("alpha", 3, 0)])).await;
    served.counted(3).await;
    let many = [("alpha", 1, 0), ("beta", 1, 0)];
    envoy.says(report(None, &many)).await;
    let begun = std::time::Instant::now();
    while served.metric(r#"limits_hit_total{limit="stall"}"#) == 0 {
        assert!(begun.elapsed() < SOON, "its place is kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let next = served.begin().await;
    assert!(next.is_ok(), "there is room: {:?}", next.err());
}
