//! Reports before everything else.
//!
//! They are more than all other calls, so none of them is routed: who they are from is known, their path is compared,
//! and what is for another service goes on.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tower_layer::Layer;

use super::bounded::ReportDoor;
use crate::door::Peer;

/// Lets calls pass whose connection has not begun too many, and takes reports out of them. Calls that did not come
/// through a [`crate::door::Door`] pass.
#[derive(Clone, Debug)]
pub struct ReportsFirst {
    reports: ReportDoor,
}

impl ReportsFirst {
    /// Reports go to `reports`, what is not one to the services behind it.
    #[must_use]
    pub const fn to(reports: ReportDoor) -> Self {
        Self { reports }
    }
}

impl<S> Layer<S> for ReportsFirst {
    type Service = Sorted<S>;

    fn layer(&self, others: S) -> Sorted<S> {
        Sorted {
            reports: self.reports.clone(),
            others,
        }
    }
}

/// All services, reports first.
#[derive(Clone, Debug)]
pub struct Sorted<S> {
    reports: ReportDoor,
    others: S,
}

impl<S> Service<http::Request<Body>> for Sorted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        if let Err(refused) = peer.map_or(Ok(()), Peer::call) {
            return Box::pin(ready(Ok(refused.into_http())));
        }
        if ReportDoor::is_for(&request) {
            return self.reports.call(request);
        }
        Box::pin(self.others.call(request))
    }
}
