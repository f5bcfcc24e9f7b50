//! What an Envoy needs to run as a sidecar under this control plane.
//!
//! [`Bootstrap::to_yaml`] writes a complete Envoy configuration: listeners for
//! both directions, each with the filter, and the way to the control plane.
//! [`plugin::resource`] makes what is pushed to such an Envoy. Both take the
//! plugin's settings from [`plugin`], because Envoy keeps the filter's memory
//! over a push only if they agree on the VM to the byte.
//!
//! The text is YAML with comments, as people edit it. Every value that comes
//! from outside is quoted.

mod address;
mod clusters;
mod fleet;
mod istio;
mod layers;
mod listeners;
mod node;
pub mod plugin;
mod text;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sloop_model::{ReportSettings, ServiceName};
use sloop_xds::Locality;

pub use address::{Address, InvalidAddress};
pub use fleet::FleetBootstrap;
pub use istio::{InvalidLabel, IstioManifests, Label, RuntimeLayer};
pub use layers::FLEET_LAYER;
pub use tls::ClientTls;

use crate::ads::Variant;
use layers::layers;
use text::quoted;

/// The Envoy cluster of the control plane, in every bootstrap.
pub const CONTROL_PLANE_CLUSTER: &str = "sloop_xds";

/// The Envoy cluster of the collector of spans, in every bootstrap that has one: what documents give as `spans.cluster`.
pub const COLLECTOR_CLUSTER: &str = "otel_collector";

/// A sidecar, to be written as an Envoy configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Envoy's node id, unique among all sidecars: `payments-7f9c`.
    pub node: String,
    /// The service that the sidecar belongs to; Envoy's node cluster.
    pub service: ServiceName,
    /// Where it runs, each part empty when not said.
    pub locality: Locality,
    /// What selectors may ask for beside that.
    pub metadata: BTreeMap<String, String>,
    /// Where Envoy's admin interface listens. Keep it on the loopback interface.
    pub admin: SocketAddr,
    /// Where the control plane takes discovery and reports.
    pub control_plane: Address,
    /// How the way there is secured, if it is.
    pub tls: Option<ClientTls>,
    /// How Envoy asks for its configuration; [`Variant::Delta`] unless there is a reason.
    pub variant: Variant,
    /// The filter's module, as Envoy sees it in its file system.
    pub module: String,
    /// Time between reports in milliseconds, 100 to 60,000.
    pub report_interval_ms: u32,
    /// Where spans can go: a collector that takes OTLP over gRPC, as the cluster [`COLLECTOR_CLUSTER`]. Whether any go
    /// there is for documents to say.
    pub collector: Option<Address>,
    /// Requests to the service, if the sidecar takes them.
    pub inbound: Option<Inbound>,
    /// Requests of the service to others, if the sidecar carries them.
    pub outbound: Option<Outbound>,
}

/// Requests to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Where Envoy listens.
    pub listen: SocketAddr,
    /// Where the service itself listens.
    pub app: Address,
}

/// Requests of the service to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Where Envoy listens.
    pub listen: SocketAddr,
    /// Who can be asked. Requests to anybody else get 404.
    pub upstreams: Vec<Upstream>,
}

/// A service that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The service.
    pub service: ServiceName,
    /// What requests to it have as authority (`Host`), with or without a port; `*` for all that is left.
    pub authorities: Vec<String>,
    /// Where it is: the address of its sidecar.
    pub address: Address,
}

impl Bootstrap {
    /// The configuration as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let node = format!(
            "# Envoy as a sidecar under Sloop.\n\
             node:\n  id: {}\n  # The service. The control plane sends the same to all nodes of one service.\n  cluster: {}\n",
            quoted(&self.node),
            quoted(self.service.as_str()),
        );
        let admin = format!(
            "admin:\n  address:\n{}",
            text::indented(4, &text::socket_address(&self.admin))
        );
        [
            node,
            node::whereabouts(&self.locality, &self.metadata),
            admin,
            discovery(self.variant),
            layers(),
            GENERAL.to_owned(),
            "static_resources:\n".to_owned(),
            text::indented(2, &self.listeners()),
            text::indented(2, &self.clusters()),
        ]
        .concat()
    }

    fn report(&self) -> ReportSettings {
        ReportSettings {
            cluster: CONTROL_PLANE_CLUSTER.to_owned(),
            interval_ms: self.report_interval_ms,
        }
    }
}

fn discovery(variant: Variant) -> String {
    let stream = text::indented(4, &stream(variant));
    format!("dynamic_resources:\n  ads_config:\n{stream}")
}

/// How Envoy asks Sloop: what is below `ads_config`, and below `api_config_source` where the aggregated stream is another's.
fn stream(variant: Variant) -> String {
    let api_type = match variant {
        Variant::Sotw => "GRPC",
        Variant::Delta => "DELTA_GRPC",
    };
    format!(
        "api_type: {api_type}
transport_api_version: V3
# Envoy's node has 61 KB; without this it goes along with every request.
set_node_on_first_message_only: true
grpc_services:
- envoy_grpc:
    cluster_name: {CONTROL_PLANE_CLUSTER}
    # Envoy's own limit is 30 s, which is a long time without policy.
    retry_policy:
      retry_back_off:
        base_interval: 0.1s
        max_interval: 2s
"
    )
}

/// What does not depend on the sidecar.
const GENERAL: &str = r#"# Statistics are put together when someone asks for them.
stats_flush_on_admin: true
overload_manager:
  resource_monitors:
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: 50000
"#;

#[cfg(test)]
mod tests;
