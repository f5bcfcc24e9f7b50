//! The gRPC port: discovery and reports.

use sloop_xds_protos::report::v1::report_service_server::ReportServiceServer;
use tokio::net::TcpListener;
use tokio::sync::watch as latest;
use tonic::service::InterceptorLayer;

use super::{ServeError, ServeSettings};
use crate::ads::{AdsLimits, Hub};
use crate::door::{self, Door, TlsWatch};
use crate::ingest::Reports;
use crate::metrics::DoorMetrics;

/// Secures the gRPC port, or says that it is not.
pub(super) fn keep(
    listener: TcpListener,
    settings: &ServeSettings,
    metrics: DoorMetrics,
) -> Result<Door, ServeError> {
    let limits = settings.door.limits;
    let Some(files) = settings.door.tls.clone() else {
        let statement = "the gRPC port has no TLS: whoever reaches it may ask for any service's \
                         configuration and report for any service";
        if settings.listen.ip().is_loopback() {
            tracing::info!("{statement}");
        } else {
            tracing::warn!(listen = %settings.listen, "{statement}");
        }
        return Ok(Door {
            listener,
            tls: None,
            limits,
            metrics,
        });
    };
    let (tls, watch) = TlsWatch::begin(files, door::GRPC, metrics.clone())?;
    tokio::spawn(watch.run());
    Ok(Door {
        listener,
        tls: Some(tls),
        limits,
        metrics,
    })
}

/// Serves until `stopped` says so.
pub(super) async fn serve(
    door: Door,
    limits: AdsLimits,
    services: (Hub, ReportServiceServer<Reports>),
    mut stopped: latest::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let stop = async move { drop(stopped.wait_for(|stop| *stop).await.map(|_| ())) };
    let (hub, reports) = services;
    limits
        .server()
        .layer(InterceptorLayer::new(door::admit))
        .add_routes(hub.routes())
        .add_service(reports)
        .serve_with_incoming_shutdown(door.open(), stop)
        .await
}
