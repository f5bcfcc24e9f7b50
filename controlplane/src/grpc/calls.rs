//! The calls of one connection: whether there are too many, and where each goes.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;

use super::{Beside, Services};
use crate::door::Peer;
use crate::ingest::{Answer, ReportDoor};

/// The calls of one connection.
#[derive(Debug)]
pub(super) struct Calls {
    services: Services,
    peer: Option<Peer>,
    beside: Beside,
}

impl Calls {
    pub(super) const fn new(services: Services, peer: Option<Peer>, beside: Beside) -> Self {
        Self {
            services,
            peer,
            beside,
        }
    }
}

/// What a call comes to.
type Answered = Pin<Box<dyn Future<Output = Result<Response<Said>, Infallible>> + Send>>;

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Said>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, mut request: Request<Incoming>) -> Answered {
        if let Err(refused) = self.peer.as_ref().map_or(Ok(()), Peer::call) {
            return Box::pin(ready(Ok(refused.into_http())));
        }
        if let Some(reports) = &self.services.reports
            && ReportDoor::is_for(&request)
        {
            let answer = reports.call(request.into_body(), self.peer.clone());
            return Box::pin(async move {
                let answer = answer.await;
                Ok(answer.map_or_else(Status::into_http, Answer::into_http))
            });
        }
        let known = request.extensions_mut();
        known.insert(self.beside.clone());
        if let Some(peer) = &self.peer {
            known.insert(peer.clone());
        }
        let answer = self.services.others.clone().call(request);
        Box::pin(async move { Ok(answer.await?.map(Said::Other)) })
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Said {
    /// To a report.
    Report(Answer),
    /// To something else.
    Other(Body),
}

impl Default for Said {
    fn default() -> Self {
        Self::Other(Body::empty())
    }
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Self {
        Self::Report(answer)
    }
}

impl hyper::body::Body for Said {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Self::Report(answer) => Pin::new(answer)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Self::Other(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Report(answer) => answer.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Report(answer) => answer.size_hint(),
            Self::Other(body) => body.size_hint(),
        }
    }
}
