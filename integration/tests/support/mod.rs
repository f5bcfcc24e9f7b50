//! What the tests on a real Envoy share: a control plane in this process.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "shared by test binaries, each of which uses a part"
)]

pub mod collector;
pub mod control;
pub mod copier;
pub mod crashing;
pub mod doomed;
pub mod fixed;
pub mod fleet;
pub mod grpc;
pub mod istio;
pub mod load;
pub mod raw;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloop_controlplane::ads::{AdsLimits, Event, Hub, Variant, What};
use sloop_controlplane::bootstrap::{Bootstrap, Inbound, Outbound, Upstream, plugin};
use sloop_controlplane::clock;
use sloop_controlplane::grpc::Services;
use sloop_integration::envoy::{Caller, Envoy};
use sloop_integration::eventually::eventually;
use sloop_integration::{envoy, ports};
use sloop_model::{FilterConfig, ServiceName, Side};
use sloop_xds::{Kind, Snapshot};
use sloop_xds_protos::report::v1::report_service_server::{ReportService, ReportServiceServer};
use sloop_xds_protos::report::v1::{FilterStatus, ReportRequest, ReportResponse, ScopeDelta};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Long enough for a busy machine; nothing waits that long when all is well.
pub const SOON: Duration = Duration::from_secs(30);

/// A control plane: discovery as in `sloop`, and a service that adds up reports.
pub struct Plane {
    pub hub: Hub,
    pub address: SocketAddr,
    pub reports: Reports,
    /// Whose sidecars are pushed to.
    pub service: &'static str,
    events: broadcast::Receiver<Arc<Event>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Plane {
    /// A control plane that listens but has not opened its gate.
    pub async fn start() -> Self {
        let hub = Hub::new(AdsLimits::default(), clock::wall);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reports = Reports::default();
        let routes = Routes::new(hub.service())
            .add_service(hub.extension_service())
            .add_service(ReportServiceServer::new(reports.clone()));
        let services = Services::of(routes).with_discovery(hub.service());
        let serving = tokio::spawn(async move {
            let connections = TcpListenerStream::new(listener);
            let limits = AdsLimits::default();
            services.serve(&limits, connections, pending()).await;
        });
        Self {
            events: hub.events(),
            hub,
            address,
            reports,
            service: "shop",
            serving,
        }
    }

    /// Publishes `configs` for the service. The answer is their version.
    pub fn push(&self, configs: &[FilterConfig]) -> String {
        self.push_with(&module(), configs)
    }

    /// As [`Plane::push`], for sidecars with this module.
    pub fn push_with(&self, module: &str, configs: &[FilterConfig]) -> String {
        let snapshot = configs
            .iter()
            .fold(
                Snapshot::builder().manage(Kind::RUNTIME),
                |builder, config| builder.with(plugin::resource(module, config)),
            )
            .build();
        let filters = snapshot.of_type(Kind::EXTENSION);
        let version = filters.map_or_else(String::new, |it| it.version().to_string());
        self.hub.publish(self.service, Arc::new(snapshot));
        version
    }

    /// Publishes `configs` and waits for what the node says to them: `Ok` or its refusal.
    pub async fn push_and_wait(&mut self, configs: &[FilterConfig]) -> Result<(), String> {
        let pushed = self.push(configs);
        tokio::time::timeout(SOON, async {
            loop {
                match self.events.recv().await.unwrap().what.clone() {
                    What::Acknowledged { sent, .. } if sent.version.as_str() == pushed => {
                        return Ok(());
                    }
                    What::Refused { sent, message } if sent.version.as_str() == pushed => {
                        return Err(message);
                    }
                    What::Acknowledged { .. }
                    | What::Refused { .. }
                    | What::Connected
                    | What::Gone
                    | What::InForce { .. } => {}
                }
            }
        })
        .await
        .expect("the node answers")
    }

    /// Waits until the node runs with `count` filters of ours. Envoy may ask for each on its own.
    pub async fn has(&self, count: usize) {
        eventually(SOON, "the node has its filters", async || {
            let nodes = self.hub.nodes();
            let filters = nodes.first()?.types.get(Kind::EXTENSION)?;
            (filters.resources.len() == count).then_some(())
        })
        .await
        .unwrap();
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Adds up what filters report, each report once.
#[derive(Clone, Default)]
pub struct Reports {
    sums: Arc<Mutex<Sums>>,
}

#[derive(Default)]
struct Sums {
    last: BTreeMap<u64, u64>,
    scopes: BTreeMap<(String, i32), ScopeDelta>,
    filters: BTreeMap<(u64, i32), FilterStatus>,
    all: Vec<ReportRequest>,
}

#[tonic::async_trait]
impl ReportService for Reports {
    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let report = request.into_inner();
        let mut sums = self.sums.lock().unwrap();
        let last = sums.last.entry(report.incarnation).or_default();
        if *last < report.sequence {
            *last = report.sequence;
            sums.all.push(report.clone());
            for scope in report.scopes {
                let key = (scope.route.clone(), scope.side);
                let sum = sums.scopes.entry(key).or_default();
                add(sum, &scope);
            }
            for filter in report.filters {
                sums.filters
                    .insert((report.incarnation, filter.side), filter);
            }
        }
        Ok(Response::new(ReportResponse::default()))
    }
}

fn add(sum: &mut ScopeDelta, scope: &ScopeDelta) {
    sum.requests += scope.requests;
    sum.aborted += scope.aborted;
    sum.delayed += scope.delayed;
    let outcomes = scope.outcomes.len().max(sum.outcomes.len());
    sum.outcomes.resize(outcomes, 0);
    for (sum, count) in sum.outcomes.iter_mut().zip(&scope.outcomes) {
        *sum += count;
    }
    for objective in &scope.objectives {
        match sum
            .objectives
            .iter_mut()
            .find(|own| own.slo == objective.slo)
        {
            Some(own) => {
                own.total += objective.total;
                own.good += objective.good;
            }
            None => sum.objectives.push(objective.clone()),
        }
    }
    if let Some(breaker) = &scope.breaker {
        let own = sum.breaker.get_or_insert_default();
        own.refused += breaker.refused;
        own.state = breaker.state;
        own.changes.extend(breaker.changes.iter().cloned());
    }
}

impl Reports {
    /// The sums of a route on the server's side.
    pub fn of(&self, route: &str) -> ScopeDelta {
        let sums = self.sums.lock().unwrap();
        let key = (route.to_owned(), 1);
        sums.scopes.get(&key).cloned().unwrap_or_default()
    }

    /// All reports, each once.
    pub fn all(&self) -> Vec<ReportRequest> {
        self.sums.lock().unwrap().all.clone()
    }

    /// Waits until `count` requests of a route on the server's side are reported, and no more.
    pub async fn counted(&self, route: &str, count: u64) -> ScopeDelta {
        let what = format!("{count} requests of {route} are reported");
        let sum = eventually(SOON, &what, async || {
            let sum = self.of(route);
            (count <= sum.requests).then_some(sum)
        });
        let sum = sum.await.unwrap();
        assert_eq!(sum.requests, count, "{route}");
        sum
    }

    /// The generations that filters on the server's side run with.
    pub fn generations(&self) -> Vec<u64> {
        let sums = self.sums.lock().unwrap();
        let inbound = sums.filters.iter().filter(|((_, side), _)| *side == 1);
        inbound.map(|(_, filter)| filter.generation).collect()
    }
}

/// The path of the module, as text.
pub fn module() -> String {
    envoy::module().unwrap().to_str().unwrap().to_owned()
}

/// The path of the module that touches answers, as text.
pub fn answers_module() -> String {
    let path = envoy::answers_module().unwrap();
    path.to_str().unwrap().to_owned()
}

/// A sidecar of the service `shop`, and where to ask it.
pub struct Sidecar {
    pub envoy: Envoy,
    pub inbound: Caller,
    pub outbound: Caller,
}

impl Sidecar {
    pub async fn start(app: SocketAddr, plane: SocketAddr, variant: Variant) -> Self {
        Self::start_with(module(), app, plane, variant).await
    }

    /// With another module.
    pub async fn start_with(
        module: String,
        app: SocketAddr,
        plane: SocketAddr,
        variant: Variant,
    ) -> Self {
        Self::start_as("shop-1", module, app, (plane, variant)).await
    }

    /// With another id.
    pub async fn start_as(
        node: &str,
        module: String,
        app: SocketAddr,
        way: (SocketAddr, Variant),
    ) -> Self {
        Self::start_changed(app, way, |bootstrap| {
            node.clone_into(&mut bootstrap.node);
            bootstrap.module = module;
        })
        .await
    }

    /// With what `change` makes of its bootstrap.
    pub async fn start_changed(
        app: SocketAddr,
        way: (SocketAddr, Variant),
        change: impl FnOnce(&mut Bootstrap),
    ) -> Self {
        Self::start_rewritten(app, way, |mut bootstrap| {
            change(&mut bootstrap);
            bootstrap.to_yaml()
        })
        .await
    }

    /// With what `rewrite` makes of its bootstrap, as YAML.
    pub async fn start_rewritten(
        app: SocketAddr,
        (plane, variant): (SocketAddr, Variant),
        rewrite: impl FnOnce(Bootstrap) -> String,
    ) -> Self {
        let inbound = ports::free_address().unwrap();
        let outbound = ports::free_address().unwrap();
        let bootstrap = Bootstrap {
            node: "shop-1".into(),
            service: ServiceName::try_from("shop").unwrap(),
            locality: sloop_xds::Locality::default(),
            metadata: BTreeMap::new(),
            admin: "127.0.0.1:0".parse().unwrap(),
            control_plane: plane.into(),
            tls: None,
            variant,
            module: module(),
            report_interval_ms: 100,
            collector: None,
            inbound: Some(Inbound {
                listen: inbound,
                app: app.into(),
            }),
            outbound: Some(Outbound {
                listen: outbound,
                upstreams: vec![to(app)],
            }),
        };
        Self {
            envoy: Envoy::start(&rewrite(bootstrap)).await.unwrap(),
            inbound: Caller::of(inbound),
            outbound: Caller::of(outbound),
        }
    }

    /// As [`Sidecar::start_changed`], with `callee` behind the outbound listener.
    pub async fn start_between(
        app: SocketAddr,
        callee: SocketAddr,
        plane: SocketAddr,
        change: impl FnOnce(&mut Bootstrap),
    ) -> Self {
        Self::start_changed(app, (plane, Variant::Delta), |bootstrap| {
            if let Some(outbound) = &mut bootstrap.outbound {
                outbound.upstreams = vec![to(callee)];
            }
            change(bootstrap);
        })
        .await
    }
}

/// Whoever is asked for anything, at `address`.
fn to(address: SocketAddr) -> Upstream {
    Upstream {
        service: ServiceName::try_from("payments").unwrap(),
        authorities: vec!["*".into()],
        address: address.into(),
    }
}

/// A configuration of the service `shop` that reports often, with `scopes` in JSON.
pub fn config(side: Side, generation: u64, scopes: &str) -> FilterConfig {
    let json = format!(
        r#"{{"version": 1, "generation": {generation}, "service": "shop", "side": "{side}",
            "report": {{"cluster": "sloop_xds", "interval_ms": 100}}, "scopes": {scopes}}}"#
    );
    FilterConfig::parse(json.as_bytes()).unwrap()
}
