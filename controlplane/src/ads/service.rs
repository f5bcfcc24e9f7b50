//! The gRPC service, mounted by hand so that it can write shared bytes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use sloop_xds::{DeltaStream, LegacyWildcard, Response, SotwStream, Stream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Code, Request, Status, Streaming};

use super::codec::Pieces;
use super::hub::Hub;
use super::run::run;
use super::status::Variant;

/// `envoy.service.discovery.v3.AggregatedDiscoveryService`, both methods.
#[derive(Clone, Debug)]
pub struct AdsService {
    hub: Hub,
}

/// `envoy.service.extension.v3.ExtensionConfigDiscoveryService`, both methods.
///
/// For Envoys that have another control plane, such as Istio's, on their
/// aggregated stream: they ask for each filter on a stream of its own.
#[derive(Clone, Debug)]
pub struct ExtensionService {
    hub: Hub,
}

impl AdsService {
    pub(super) const fn new(hub: Hub) -> Self {
        Self { hub }
    }
}

impl ExtensionService {
    pub(super) const fn new(hub: Hub) -> Self {
        Self { hub }
    }
}

impl NamedService for AdsService {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl NamedService for ExtensionService {
    const NAME: &'static str = "envoy.service.extension.v3.ExtensionConfigDiscoveryService";
}

impl Service<http::Request<Body>> for AdsService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(answer(self.hub.clone(), request))
    }
}

impl Service<http::Request<Body>> for ExtensionService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(answer(self.hub.clone(), request))
    }
}

/// The services differ in the names of their methods only.
async fn answer(
    hub: Hub,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible> {
    let response = match request.uri().path().rsplit('/').next() {
        Some("StreamAggregatedResources" | "StreamExtensionConfigs") => {
            serve(hub, Variant::Sotw, SotwStream::new, request).await
        }
        Some("DeltaAggregatedResources" | "DeltaExtensionConfigs") => {
            serve(hub, Variant::Delta, DeltaStream::new, request).await
        }
        _ => Status::new(Code::Unimplemented, "no such method").into_http(),
    };
    Ok(response)
}

/// Begins the state of a stream, once it is known who is on it.
type Begin<S> = fn(sloop_xds::StreamLimits, LegacyWildcard) -> S;

async fn serve<S: Stream + Send + 'static>(
    hub: Hub,
    variant: Variant,
    begin: Begin<S>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let request_bytes_max = hub.limits().request_bytes_max;
    let method = Method {
        hub,
        variant,
        begin,
    };
    Grpc::new(Pieces::<S::Request>::default())
        .max_decoding_message_size(request_bytes_max)
        .streaming(method, request)
        .await
}

struct Method<S> {
    hub: Hub,
    variant: Variant,
    begin: Begin<S>,
}

impl<S: Stream + Send + 'static> StreamingService<S::Request> for Method<S> {
    type Response = Response;
    type ResponseStream = ReceiverStream<Result<Response, Status>>;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, requests: Request<Streaming<S::Request>>) -> Self::Future {
        let connection = self.hub.admit(self.variant);
        let (hub, begin) = (self.hub.clone(), self.begin);
        Box::pin(async move {
            let connection = connection?;
            // Room for one: the next response is made when this one is on its way.
            let (to_client, responses) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                let requests = requests.into_inner();
                if let Err(status) = run(&hub, &connection, begin, requests, &to_client).await {
                    drop(to_client.send(Err(status)).await);
                }
            });
            Ok(tonic::Response::new(ReceiverStream::new(responses)))
        })
    }
}
