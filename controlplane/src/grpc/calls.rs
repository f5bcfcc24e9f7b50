//! The calls of one connection: whether there are too many, and where each goes.

use std::convert::Infallible;
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;

use super::{Beside, Piece, Services};
use crate::ads::{AdsService, Responses};
use crate::door::{Limit, Peer};
use crate::ingest::{Answer, ReportDoor};
use crate::metrics::DoorMetrics;

/// The calls of one connection.
#[derive(Debug)]
pub(super) struct Calls {
    services: Services,
    peer: Option<Peer>,
    beside: Beside,
    under_way: Arc<UnderWay>,
}

impl Calls {
    /// At most `max` are under way at a time: HTTP/2 refuses more.
    pub(super) fn new(services: Services, peer: Option<Peer>, beside: Beside, max: u32) -> Self {
        let under_way = UnderWay {
            count: AtomicU32::new(0),
            max,
            metrics: services.metrics.clone(),
        };
        Self {
            services,
            peer,
            beside,
            under_way: Arc::new(under_way),
        }
    }
}

/// How many calls of a connection are under way.
#[derive(Debug)]
struct UnderWay {
    count: AtomicU32,
    max: u32,
    metrics: Option<DoorMetrics>,
}

/// A call that is under way, until it is dropped.
#[derive(Debug)]
struct Begun(Arc<UnderWay>);

impl UnderWay {
    /// Counts when there is room for no other: who has more to ask waits where we do not see it.
    fn begin(self: &Arc<Self>) -> Begun {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) == self.max
            && let Some(metrics) = &self.metrics
        {
            metrics.hit(Limit::CallsPerConnection);
        }
        Begun(Arc::clone(self))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call comes to.
type Answered = Pin<Box<dyn Future<Output = Result<Response<Saying>, Infallible>> + Send>>;

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Saying>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, mut request: Request<Incoming>) -> Answered {
        let begun = self.under_way.begin();
        let saying = move |said| Saying {
            said,
            _begun: begun,
        };
        if let Err(refused) = self.peer.as_ref().map_or(Ok(()), Peer::call) {
            return Box::pin(future::ready(Ok(refused.into_http().map(saying))));
        }
        if let Some(reports) = &self.services.reports
            && ReportDoor::is_for(&request)
        {
            let answer = reports.call(request.into_body(), self.peer.clone());
            return Box::pin(answer.map(|answer| {
                let answer = answer.map_or_else(Status::into_http, Answer::into_http);
                Ok(answer.map(saying))
            }));
        }
        let known = request.extensions_mut();
        known.insert(self.beside.clone());
        if let Some(peer) = &self.peer {
            known.insert(peer.clone());
        }
        if let Some(discovery) = &self.services.discovery
            && AdsService::is_for(&request)
        {
            let answer = discovery.answer(request);
            let answer = answer.map_or_else(Status::into_http, |it| it.map(Said::Discovery));
            return Box::pin(future::ready(Ok(answer.map(saying))));
        }
        let answer = self.services.others.clone().call(request);
        Box::pin(answer.map_ok(|answer| answer.map(|body| saying(Said::Other(body)))))
    }
}

/// The body of an answer, whose call is under way until all of it is said.
#[derive(Debug)]
pub(super) struct Saying {
    said: Said,
    _begun: Begun,
}

/// The body of an answer.
#[derive(Debug)]
enum Said {
    /// To a report.
    Report(Answer),
    /// On a stream of discovery.
    Discovery(Responses),
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

impl hyper::body::Body for Saying {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        let frame = match &mut self.get_mut().said {
            Said::Report(answer) => {
                let frame = ready!(Pin::new(answer).poll_frame(context));
                frame.map(|it| it.map_err(|never| match never {}))
            }
            Said::Discovery(responses) => return responses.poll_piece(context),
            Said::Other(body) => ready!(Pin::new(body).poll_frame(context)),
        };
        Poll::Ready(frame.map(|it| it.map(|it| it.map_data(|bytes| bytes.chain(Bytes::new())))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.said {
            Said::Report(answer) => answer.is_end_stream(),
            Said::Discovery(responses) => responses.is_end_stream(),
            Said::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.said {
            Said::Report(answer) => answer.size_hint(),
            Said::Discovery(responses) => responses.size_hint(),
            Said::Other(body) => body.size_hint(),
        }
    }
}
