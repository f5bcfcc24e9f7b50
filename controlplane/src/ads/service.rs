//! The gRPC services, mounted by hand so that it can write shared bytes.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::task::{Context, Poll};

use sloop_xds::{DeltaStream, Kind, SotwStream, Stream};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};

use super::grpc::{Requests, Responses, ToClient};
use super::hub::Hub;
use super::run::{Manner, run};
use super::slot::Gone;
use super::status::Variant;
use crate::door::{Limit, Peer};
use crate::grpc::Beside;
use crate::ingest::Data;

/// A service of discovery. `T` says which one.
#[derive(Debug)]
pub struct DiscoveryService<T> {
    hub: Hub,
    which: PhantomData<fn() -> T>,
}

/// `envoy.service.discovery.v3.AggregatedDiscoveryService`, both methods.
pub type AdsService = DiscoveryService<Aggregated>;

/// `envoy.service.extension.v3.ExtensionConfigDiscoveryService`, both methods.
///
/// For Envoys that have another control plane, such as Istio's, on their
/// aggregated stream: they ask for each filter on a stream of its own.
pub type ExtensionService = DiscoveryService<Extensions>;

/// One of Envoy's services of discovery. They differ in names and in what their streams carry.
pub trait Which: 'static {
    /// The service, as in paths.
    const NAME: &'static str;
    /// What follows `Stream` and `Delta` in the names of its methods.
    const METHODS: &'static str;
    /// The one type that its streams carry; any when absent.
    const ONLY: Option<&'static str>;
}

macro_rules! which {
    ($($(#[$doc:meta])* $which:ident: $name:literal, $methods:literal, $only:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $which {}

            impl Which for $which {
                const NAME: &'static str = $name;
                const METHODS: &'static str = $methods;
                const ONLY: Option<&'static str> = $only;
            }
        )*
    };
}

which! {
    /// All types on one stream, in the order in which they are needed.
    Aggregated: "envoy.service.discovery.v3.AggregatedDiscoveryService", "AggregatedResources", None;
    /// Clusters.
    Clusters: "envoy.service.cluster.v3.ClusterDiscoveryService", "Clusters", Some(Kind::CLUSTER);
    /// Endpoints.
    Endpoints: "envoy.service.endpoint.v3.EndpointDiscoveryService", "Endpoints", Some(Kind::ENDPOINTS);
    /// Listeners.
    Listeners: "envoy.service.listener.v3.ListenerDiscoveryService", "Listeners", Some(Kind::LISTENER);
    /// Route tables.
    RouteTables: "envoy.service.route.v3.RouteDiscoveryService", "Routes", Some(Kind::ROUTES);
    /// Extensions.
    Extensions: "envoy.service.extension.v3.ExtensionConfigDiscoveryService", "ExtensionConfigs", Some(Kind::EXTENSION);
    /// Runtime layers.
    RuntimeLayers: "envoy.service.runtime.v3.RuntimeDiscoveryService", "Runtime", Some(Kind::RUNTIME);
}

/// All services of `hub`: the aggregated one, and one per type.
///
/// What waits for what between types holds within a stream, so on the aggregated one only.
pub(super) fn routes(hub: &Hub) -> Routes {
    Routes::new(DiscoveryService::<Aggregated>::new(hub.clone()))
        .add_service(DiscoveryService::<Clusters>::new(hub.clone()))
        .add_service(DiscoveryService::<Endpoints>::new(hub.clone()))
        .add_service(DiscoveryService::<Listeners>::new(hub.clone()))
        .add_service(DiscoveryService::<RouteTables>::new(hub.clone()))
        .add_service(DiscoveryService::<Extensions>::new(hub.clone()))
        .add_service(DiscoveryService::<RuntimeLayers>::new(hub.clone()))
}

impl<T> DiscoveryService<T> {
    pub(super) const fn new(hub: Hub) -> Self {
        Self {
            hub,
            which: PhantomData,
        }
    }
}

impl<T> Clone for DiscoveryService<T> {
    fn clone(&self) -> Self {
        Self::new(self.hub.clone())
    }
}

impl<T: Which> NamedService for DiscoveryService<T> {
    const NAME: &'static str = T::NAME;
}

impl<T: Which> Service<http::Request<Body>> for DiscoveryService<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.answer(request);
        let answer = answer.map_or_else(Status::into_http, |it| it.map(Body::new));
        ready(Ok(answer))
    }
}

impl<T: Which> DiscoveryService<T> {
    /// Whether a call is one of this service.
    pub(crate) fn is_for<B>(request: &http::Request<B>) -> bool {
        let path = request.uri().path().strip_prefix('/');
        let method = path.and_then(|it| it.strip_prefix(T::NAME));
        method.is_some_and(|it| it.starts_with('/'))
    }

    /// Answers a call, with whatever body it has.
    pub(crate) fn answer<B: Data>(
        &self,
        request: http::Request<B>,
    ) -> Result<http::Response<Responses>, Status> {
        let hub = self.hub.clone();
        let only = T::ONLY;
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        match method.strip_suffix(T::METHODS) {
            Some("Stream") => {
                let begin = SotwStream::new;
                serve(hub, Variant::Sotw, Manner { begin, only }, request)
            }
            Some("Delta") => {
                let begin = DeltaStream::new;
                serve(hub, Variant::Delta, Manner { begin, only }, request)
            }
            _ => Err(Status::new(Code::Unimplemented, "no such method")),
        }
    }
}

/// Answers at once, and serves the stream beside its answer.
fn serve<S: Stream + Send + 'static, B: Data>(
    hub: Hub,
    variant: Variant,
    manner: Manner<S>,
    request: http::Request<B>,
) -> Result<http::Response<Responses>, Status> {
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<Peer>().cloned();
    let connection = hub.admit(variant, peer)?;
    let requests = Requests::of(body, hub.limits().request_bytes_max);
    let (to_client, responses) = Responses::channel();
    let served = async move {
        if let Err(status) = run(&hub, &connection, manner, requests, &to_client).await {
            tell_end(&hub, status, &to_client, || connection.end()).await;
        }
    };
    go_on(head.extensions.get::<Beside>(), served);
    Ok(responses.into_http())
}

/// Says why a stream is over when there is room for that. Who reads nothing for long has its connection ended, by `end`:
/// it would keep its place for as long as it likes.
pub(super) async fn tell_end<T>(
    hub: &Hub,
    status: Status,
    to_client: &ToClient<T>,
    end: impl FnOnce() -> bool,
) {
    match tokio::time::timeout(hub.limits().stall_max, to_client.room()).await {
        Ok(Ok(())) => to_client.give(Err(status)),
        // The call is over.
        Ok(Err(Gone)) => {}
        // It cannot be told that either.
        Err(_elapsed) if end() => drop(hub.hit(Limit::Stall, "nothing is read")),
        Err(_elapsed) => {}
    }
}

/// Serves a stream beside the calls of its connection: it must hear of changes, and of time that passes, also while the
/// client reads nothing.
pub(super) fn go_on(beside: Option<&Beside>, served: impl Future<Output = ()> + Send + 'static) {
    match beside {
        Some(beside) => beside.run(served),
        // On a server of somebody else.
        None => drop(tokio::spawn(served)),
    }
}
