//! What a real Envoy's load reports say of answers that go wrong on their way, and of the control plane's own cluster.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
#![allow(
    clippy::print_stdout,
    reason = "what Envoy counts is worth seeing, also where it is as expected"
)]

mod support;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{Either, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sloop_controlplane::ads::{Hub, LoadSettings};
use sloop_controlplane::clock;
use sloop_controlplane::grpc::Services;
use sloop_controlplane::limits::Limits;
use sloop_controlplane::metrics::{LoadMetrics, Telemetry};
use sloop_integration::envoy::{Caller, Envoy};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_xds::rollout::LoadPace;
use support::SOON;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};

/// Requests of each kind.
const COUNT: u64 = 3;

/// The other side of load reports: what a control plane makes of them.
struct Plane {
    at: SocketAddr,
    hub: Hub,
    telemetry: Telemetry,
}

impl Plane {
    /// It is found by the cluster `plane`.
    async fn start() -> Self {
        let telemetry = Telemetry::begin().unwrap();
        let limits = Limits::default().ads;
        let hub = Hub::new(limits, clock::wall);
        let settings = LoadSettings {
            pace: LoadPace::of(Duration::from_millis(20)),
            cluster: "plane".to_owned(),
        };
        let loads = hub.load_service(settings, LoadMetrics::register(&telemetry.meter()));
        let services = Services::of(hub.routes().add_service(loads)).with_discovery(hub.service());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let connections = TcpListenerStream::new(listener);
            services.serve(&limits, connections, pending()).await;
        });
        Self { at, hub, telemetry }
    }

    fn received(&self) -> u64 {
        let text = self.telemetry.render().unwrap();
        let name = r#"sloop_controlplane_load_reports_total{result="received"} "#;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until so many more reports came: what was counted before is in the second.
    async fn hears(&self, reports: u64) {
        let before = self.received();
        eventually(SOON, "Envoy reports", async || {
            (before + reports <= self.received()).then_some(())
        })
        .await
        .unwrap();
    }

    /// Requests, and failed ones, that Envoy counted since the last call.
    fn counted(&self) -> (u64, u64) {
        let loads = self.hub.take_loads();
        let sum = |(requests, failed), load: &sloop_controlplane::ads::Load| {
            (requests + load.health.requests, failed + load.health.failed)
        };
        loads.values().fold((0, 0), sum)
    }
}

type Body = Either<Empty<Bytes>, StreamBody<ReceiverStream<io::Result<Frame<Bytes>>>>>;

/// Answers as the path says: `/grpc/14` with that status at the end, `/grpc/14/at-once` instead of an answer, and what ends
/// with `broken` with half of one.
fn answer(request: &Request<Incoming>) -> Response<Body> {
    let path: Vec<String> = request.uri().path().split('/').map(str::to_owned).collect();
    let (say, body) = mpsc::channel(2);
    let body = StreamBody::new(ReceiverStream::new(body));
    let mut response = Response::new(Either::Right(body));
    if path[1] == "grpc" {
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
    }
    if path.last().unwrap() == "at-once" {
        let status = HeaderValue::from_str(&path[2]).unwrap();
        response.headers_mut().insert("grpc-status", status);
        return response.map(|_| Either::Left(Empty::new()));
    }
    tokio::spawn(async move {
        let part = Bytes::from_static(b"\0\0\0\0\0");
        say.send(Ok(Frame::data(part))).await.unwrap();
        // Until that has left.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let last = match (path[1].as_str(), path[2].as_str()) {
            (_, "broken") => Err(io::Error::other("broken")),
            ("grpc", status) => {
                let status = HeaderValue::from_str(status).unwrap();
                let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status)]);
                Ok(Frame::trailers(trailers))
            }
            _ => return,
        };
        drop(say.send(last).await);
    });
    response
}

/// A service that answers so, over HTTP/1.1 and HTTP/2.
async fn service() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
                let builder = auto::Builder::new(TokioExecutor::new());
                // A broken connection is what is wanted.
                drop(
                    builder
                        .serve_connection(TokioIo::new(connection), service)
                        .await,
                );
            });
        }
    });
    at
}

fn cluster(name: &str, at: SocketAddr, is_http2: bool) -> String {
    let protocol = if is_http2 {
        "http2_protocol_options"
    } else {
        "http_protocol_options"
    };
    format!(
        r#"{{name: {name}, type: STATIC, connect_timeout: 1s,
            typed_extension_protocol_options: {{envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{
              "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
              explicit_http_config: {{{protocol}: {{}}}}}}}},
            load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{{endpoint: {{address:
              {{socket_address: {{address: {}, port_value: {}}}}}}}}}]}}]}}}}"#,
        at.ip(),
        at.port()
    )
}

/// An Envoy that listens at `web`, and reports its load to the cluster `plane`.
fn envoy(web: SocketAddr, plane: SocketAddr, service: SocketAddr) -> String {
    let clusters = [
        cluster("plane", plane, true),
        cluster("web", service, false),
        cluster("calls", service, true),
    ];
    let route = |prefix: &str, cluster: &str| {
        format!("{{match: {{prefix: {prefix}}}, route: {{cluster: {cluster}}}}}")
    };
    let routes = [
        route("/grpc", "calls"),
        route("/plane", "plane"),
        route("/", "web"),
    ];
    format!(
        r#"
node: {{id: edge-1, cluster: edge}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
cluster_manager:
  load_stats_config: {{api_type: GRPC, transport_api_version: V3, grpc_services: [{{envoy_grpc: {{cluster_name: plane}}}}]}}
static_resources:
  clusters: [{}]
  listeners:
  - name: web
    address: {{socket_address: {{address: {}, port_value: {}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{}]}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#,
        clusters.join(", "),
        web.ip(),
        web.port(),
        routes.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_counts_grpc_statuses_as_the_http_ones_that_they_stand_for_and_answers_by_their_beginning()
 {
    let plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    let config = envoy(web, plane.at, service().await);
    let _envoy = Envoy::start(&config).await.unwrap();
    plane.hears(2).await;
    plane.counted();
    let caller = Caller::of(web);
    for (path, expected) in [
        ("/http/whole", (COUNT, 0)),
        ("/http/broken", (COUNT, 0)),
        ("/grpc/broken", (COUNT, COUNT)),
        ("/grpc/0", (COUNT, 0)),
        // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        ("/grpc/2", (COUNT, COUNT)),
        ("/grpc/4", (COUNT, COUNT)),
        ("/grpc/12", (COUNT, COUNT)),
        ("/grpc/13", (COUNT, COUNT)),
        ("/grpc/14", (COUNT, COUNT)),
        ("/grpc/15", (COUNT, COUNT)),
        // CANCELLED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED.
        ("/grpc/1", (COUNT, 0)),
        ("/grpc/3", (COUNT, 0)),
        ("/grpc/8", (COUNT, 0)),
        ("/grpc/5/at-once", (COUNT, 0)),
        ("/grpc/14/at-once", (COUNT, COUNT)),
        // What leads to the control plane.
        ("/plane", (0, 0)),
    ] {
        for _ in 0..COUNT {
            let kind = match path.starts_with("/grpc") {
                true => "application/grpc",
                false => "text/plain",
            };
            // Those that break off are errors here, too.
            drop(caller.get_with(path, "content-type", kind.as_bytes()).await);
        }
        plane.hears(2).await;
        let counted = plane.counted();
        println!("{path}: {counted:?}");
        assert_eq!(counted, expected, "{path}");
    }
}
