//! The gRPC port: discovery, and reports of filters and Envoys.

use opentelemetry::metrics::Meter;
use sloop_controllers::Access;
use tokio::net::TcpListener;
use tokio::sync::watch as latest;

use super::{ServeError, ServeSettings};
use crate::ads::{AdsLimits, Hub, LoadService};
use crate::door::{self, Door, Names, Speech, TlsFiles, TlsWatch};
use crate::grpc::Services;
use crate::ingest::ReportDoor;
use crate::metrics::DoorMetrics;

/// Secures the gRPC port, or says that it is not.
pub(super) fn keep(
    listener: TcpListener,
    settings: &ServeSettings,
    meter: &Meter,
) -> Result<Door, ServeError> {
    let metrics = DoorMetrics::register(meter, "grpc");
    let limits = settings.limits.door;
    let Some(files) = settings.tls.clone() else {
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
            names: Names::Required,
            speech: Speech::Grpc,
            metrics,
        });
    };
    let (tls, watch) = TlsWatch::begin(files, door::GRPC, metrics.clone())?;
    tokio::spawn(watch.run());
    Ok(Door {
        listener,
        tls: Some(tls),
        limits,
        names: Names::Required,
        speech: Speech::Grpc,
        metrics,
    })
}

/// Says what rules and TLS lack without each other.
pub(super) fn advise(tls: Option<&TlsFiles>, access: &Access) {
    match (tls, access.is_nobodys()) {
        (Some(_), true) => {
            tracing::warn!(
                "no AccessRule says who may be whose sidecar: nobody is sent anything, and nobody may report"
            );
        }
        (None, false) => {
            tracing::warn!("AccessRules hold with TLS only: everybody may do anything");
        }
        (Some(_), false) | (None, true) => {}
    }
}

/// Serves until `stopped` says so.
pub(super) async fn serve(
    door: Door,
    limits: AdsLimits,
    (hub, loads, reports): (Hub, LoadService, ReportDoor),
    mut stopped: latest::Receiver<bool>,
) {
    let stop = async move { drop(stopped.wait_for(|stop| *stop).await.map(|_| ())) };
    let services = Services::of(hub.routes().add_service(loads))
        .with_reports(reports)
        .with_discovery(hub.service())
        .counted_by(door.metrics.clone());
    services.serve(&limits, door.open(), stop).await;
}
