//! The gRPC service that Envoys of whole fleets report their load to: `envoy.service.load_stats.v3.LoadReportingService`.
//!
//! Each has one stream. It is asked to report often while a change is on its way to nodes of its service, and seldom
//! otherwise ([`Asking`]): with each report Envoy sends its whole node. What it counted goes to the hub, for who judges changes. What a
//! node says of itself is believed as in discovery: its connection decides whose sidecar it may be.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use prost::Message as _;
use sloop_model::WallTime;
use sloop_xds::Node;
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{
    Asked, Asking, Health, InvalidLoad, LoadPace, LoadReport, LoadReporter, RolloutPace,
};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::allowance::Allowance;
use super::grpc::{Messages, Responses, ToClient};
use super::hub::{Hub, Load, Room, Who};
use super::limits::AdsLimits;
use super::service::{go_on, tell_end};
use crate::bootstrap::CONTROL_PLANE_CLUSTER;
use crate::door::{Limit, Peer};
use crate::grpc::Beside;
use crate::metrics::LoadMetrics;

/// What the first report of a stream may be about: Envoy goes on counting while nobody asks.
const UNASKED_MAX: Duration = Duration::from_secs(60 * 60);

/// How load is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSettings {
    /// How often.
    pub pace: LoadPace,
    /// The Envoy cluster by which sidecars find the control plane. Nothing counts of it, nor of that of our bootstraps.
    pub cluster: String,
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self {
            pace: LoadPace::fits(RolloutPace::default().quiet),
            cluster: CONTROL_PLANE_CLUSTER.to_owned(),
        }
    }
}

/// The service. Clones are the same.
#[derive(Clone, Debug)]
pub struct LoadService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hub: Hub,
    pace: LoadPace,
    report: LoadReport,
    metrics: LoadMetrics,
}

impl Hub {
    /// The service for load reports, to be added to [`Hub::routes`].
    #[must_use]
    pub fn load_service(&self, settings: LoadSettings, metrics: LoadMetrics) -> LoadService {
        let report = LoadReport {
            ignored: vec![settings.cluster, CONTROL_PLANE_CLUSTER.to_owned()],
            clusters_max: self.limits().load_clusters_max,
        };
        let shared = Shared {
            hub: self.clone(),
            pace: settings.pace,
            report,
            metrics,
        };
        LoadService {
            shared: Arc::new(shared),
        }
    }
}

impl NamedService for LoadService {
    const NAME: &'static str = "envoy.service.load_stats.v3.LoadReportingService";
}

impl Service<http::Request<Body>> for LoadService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next();
        ready(Ok(match method {
            Some("StreamLoadStats") => serve(Arc::clone(&self.shared), request),
            _ => Status::new(Code::Unimplemented, "no such method").into_http(),
        }))
    }
}

fn serve(shared: Arc<Shared>, request: http::Request<Body>) -> http::Response<Body> {
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<Peer>().cloned();
    let room = match shared.hub.begin(peer) {
        Ok(room) => room,
        Err(status) => return status.into_http(),
    };
    let messages = Messages::of(body, shared.hub.limits().load_bytes_max);
    let (to_client, responses) = Responses::channel();
    let served = async move {
        if let Err(status) = shared.run(&room, messages, &to_client).await {
            tell_end(&shared.hub, status, &to_client, || room.end()).await;
        }
    };
    go_on(head.extensions.get::<Beside>(), served);
    responses.into_http().map(Body::new)
}

impl Shared {
    /// Serves a stream until the client ends it, breaks a rule or is gone.
    async fn run(
        &self,
        room: &Room,
        mut messages: Messages<Body>,
        to_client: &ToClient<Vec<u8>>,
    ) -> Result<(), Status> {
        let (hub, limits) = (&self.hub, self.hub.limits());
        let Some((node, health)) = self.first(&mut messages).await? else {
            return Ok(());
        };
        limits.check(&node, hub)?;
        // Before anything is checked by what may change: no change is missed.
        let mut common = hub.common();
        room.check(&node.cluster)?;
        let mut trying = hub.trying();
        let mut counts = Counts::of(&node, hub.now(), limits);
        let mut asking = Asking::at(self.pace);
        self.note(&mut counts, &mut asking, health);
        loop {
            let stages = trying.borrow_and_update().clone();
            let of_service = |cohort: &Cohort| *cohort.service == *counts.who.0;
            let stages = stages.iter().filter(|(cohort, _)| of_service(cohort));
            asking.follow(stages.map(|(_, since)| *since).max());
            let wants = asking.wants();
            tokio::select! {
                health = self.next(&mut messages) => {
                    let Some(health) = health? else { return Ok(()) };
                    if !counts.allowance.take(hub.now()) {
                        return Err(hub.hit(Limit::Requests, "too many requests"));
                    }
                    self.note(&mut counts, &mut asking, health);
                }
                room = to_client.room(), if wants.is_some() => {
                    let (Ok(()), Some(interval)) = (room, wants) else { return Ok(()) };
                    to_client.give(Ok(Asked::each(interval)));
                    asking.ask(interval, hub.now());
                }
                Ok(()) = trying.changed() => {}
                Ok(()) = common.changed() => room.check(&counts.who.0)?,
            }
        }
    }

    /// The first message, which says who reports and does not take for ever.
    async fn first(&self, messages: &mut Messages<Body>) -> Result<Option<(Node, Health)>, Status> {
        let read = |message: &[u8]| {
            let reporter = LoadReporter::decode(message).or(Err(InvalidLoad::Malformed));
            let node = reporter.map_err(|error| self.refuse(error))?.node;
            let missing = || Status::invalid_argument("node is missing in the first request");
            Ok((node.ok_or_else(missing)?, self.read(message)?))
        };
        let first = tokio::time::timeout(self.hub.limits().stall_max, messages.next(read));
        let first = first.await;
        first
            .map_err(|_elapsed| self.hub.hit(Limit::Stall, "nothing is reported"))?
            .map_err(|status| self.too_large(status))
    }

    /// What the next report counts. The node in it is passed over: who is on a stream is said once.
    async fn next(&self, messages: &mut Messages<Body>) -> Result<Option<Health>, Status> {
        let next = messages.next(|message| self.read(message)).await;
        next.map_err(|status| self.too_large(status))
    }

    fn read(&self, message: &[u8]) -> Result<Health, Status> {
        self.report
            .read(message)
            .map_err(|error| self.refuse(error))
    }

    fn refuse(&self, error: InvalidLoad) -> Status {
        self.metrics.refused();
        match error {
            InvalidLoad::Malformed => Status::invalid_argument(error.to_string()),
            InvalidLoad::TooManyClusters { .. } => {
                self.hub.hit(Limit::LoadClusters, error.to_string())
            }
        }
    }

    /// Counts when a message has too many bytes, which is what is said of it.
    fn too_large(&self, status: Status) -> Status {
        if status.code() != Code::OutOfRange {
            return status;
        }
        self.metrics.refused();
        self.hub.hit(Limit::LoadBytes, status.message())
    }

    fn note(&self, counts: &mut Counts, asking: &mut Asking, health: Health) {
        let now = self.hub.now();
        let load = Load {
            health,
            from: asking.hear(now),
        };
        if counts.max(now) < health.requests {
            self.metrics.left_out();
            self.hub.hit(Limit::LoadCounts, "");
        } else if self.hub.note_load(&counts.who, load) {
            self.metrics.received();
        } else {
            self.metrics.left_out();
        }
    }
}

/// What the node on a stream may report.
#[derive(Debug)]
struct Counts {
    who: Who,
    allowance: Allowance,
    per_second: u32,
    /// When its last report came.
    last: Option<WallTime>,
}

impl Counts {
    fn of(node: &Node, now: WallTime, limits: &AdsLimits) -> Self {
        Self {
            who: (node.cluster.as_str().into(), node.id.as_str().into()),
            allowance: Allowance::new(limits.requests_burst, limits.requests_per_second, now),
            per_second: limits.load_requests_per_second,
            last: None,
        }
    }

    /// Requests that a report which comes at `now` may count.
    fn max(&mut self, now: WallTime) -> u64 {
        let since = self.last.replace(now);
        let span = since.map_or(UNASKED_MAX, |last| now.since(last));
        // Rounded up: a report that was held up is soon followed by the next.
        let seconds = span.as_secs().saturating_add(1);
        seconds.saturating_mul(self.per_second.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_may_count_what_there_can_have_been_since_the_last() {
        let limits = AdsLimits {
            load_requests_per_second: 10,
            ..AdsLimits::default()
        };
        let at = |seconds: u64| WallTime::from_millis(1_000_000 + seconds * 1_000);
        let mut counts = Counts::of(&Node::default(), at(0), &limits);
        assert_eq!(counts.max(at(0)), 36_010, "nobody asked before");
        assert_eq!(
            [2, 2, 1].map(|seconds| counts.max(at(seconds))),
            [30, 10, 10]
        );
    }
}
