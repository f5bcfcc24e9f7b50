//! The gRPC service that filters report to.

use std::sync::Arc;

use sloop_controllers::Access;
use sloop_model::{Scope, Side};
use sloop_xds_protos::report::v1::{self as wire, ReportRequest, ReportResponse, ScopeReading};
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use super::bounded::{ReportDoor, ReportLimits};
use super::report::Report;
use crate::door::Peer;
use crate::engine::Reading;
use crate::metrics::{DoorMetrics, IngestMetrics};

/// Reports that may wait to be counted. Beyond, filters are asked to come again:
/// at a report a second each, this is two thousand sidecars of two workers in step.
pub const WAITING_MAX: usize = 4_096;

/// A report that waits to be counted.
#[derive(Debug)]
pub struct Arrival {
    /// The report.
    pub report: Report,
    /// Where the answer goes: when the report is durable, or when it will not be.
    pub answer: oneshot::Sender<Result<ReportResponse, Status>>,
}

/// Checks reports and hands them on.
#[derive(Clone, Debug)]
pub struct Reports {
    arrivals: mpsc::Sender<Arrival>,
    access: watch::Receiver<Arc<Access>>,
    metrics: IngestMetrics,
}

impl Reports {
    /// The service, to be added to a server. Reports within `limits` go to `arrivals`; who proves who
    /// they are may report what `access` says.
    #[must_use]
    pub fn service(
        arrivals: mpsc::Sender<Arrival>,
        access: watch::Receiver<Arc<Access>>,
        metrics: IngestMetrics,
        (limits, door): (ReportLimits, DoorMetrics),
    ) -> ReportDoor {
        let reports = Self {
            arrivals,
            access,
            metrics,
        };
        ReportDoor::new(reports, limits, door)
    }

    /// Counts what is no report at all.
    pub(super) fn refused(&self) {
        self.metrics.report_refused();
    }

    /// Takes a report of `peer`, and waits until it is durable.
    pub(super) async fn report(
        &self,
        request: ReportRequest,
        peer: Option<&Peer>,
    ) -> Result<ReportResponse, Status> {
        let report = Report::try_from(request).map_err(|error| {
            self.metrics.report_refused();
            Status::invalid_argument(error.to_string())
        })?;
        if let Some(peer) = peer {
            // The filter keeps what was denied and sends it again: nothing is lost when a rule is missing.
            let access = Arc::clone(&self.access.borrow());
            peer.report(&access, &report)
                .inspect_err(|_| self.metrics.report_denied())?;
        }
        let (answer, answered) = oneshot::channel();
        self.arrivals
            .try_send(Arrival { report, answer })
            .map_err(|error| {
                self.metrics.report_put_off();
                Status::unavailable(error.to_string())
            })?;
        let stopping = |_| Status::unavailable("the control plane is stopping");
        answered.await.map_err(stopping)?
    }
}

/// What a filter is told when its report is durable.
#[must_use]
pub fn response(readings: Vec<(Scope, Reading)>) -> ReportResponse {
    let readings = readings.into_iter().map(|(scope, reading)| ScopeReading {
        service: scope.service.into(),
        route: scope.route.into(),
        side: match scope.side {
            Side::Server => wire::Side::Server,
            Side::Client => wire::Side::Client,
        }
        .into(),
        requests: reading.requests,
        good: reading.good,
    });
    ReportResponse {
        readings: readings.collect(),
    }
}
