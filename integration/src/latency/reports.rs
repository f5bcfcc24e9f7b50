//! Takes the reports of the filter that is measured, and adds up what they count.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use sloop_xds_protos::report::v1::report_service_server::{ReportService, ReportServiceServer};
use sloop_xds_protos::report::v1::{ReportRequest, ReportResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A running service. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Reports {
    address: SocketAddr,
    counted: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Reports {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("listening for reports")?;
        let address = listener.local_addr()?;
        let counted = Arc::new(AtomicU64::new(0));
        let service = ReportServiceServer::new(Service(Arc::clone(&counted)));
        let server = tonic::transport::Server::builder().add_service(service);
        let serving = tokio::spawn(async move {
            // Without it, what was counted does not add up at the end, which is said then.
            server
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .ok();
        });
        Ok(Self {
            address,
            counted,
            serving,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that were reported. The service never fails, so no report comes twice.
    pub(super) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Service(Arc<AtomicU64>);

#[tonic::async_trait]
impl ReportService for Service {
    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let requests = request.get_ref().scopes.iter().map(|scope| scope.requests);
        self.0.fetch_add(requests.sum(), Ordering::Relaxed);
        Ok(Response::new(ReportResponse::default()))
    }
}
