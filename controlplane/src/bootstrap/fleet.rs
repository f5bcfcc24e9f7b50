//! The bootstrap of an Envoy that gets everything from documents.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sloop_model::ServiceName;
use sloop_xds::Locality;

use super::node::whereabouts;
use super::text::{indented, quoted, socket_address};
use super::{Address, CONTROL_PLANE_CLUSTER, ClientTls, GENERAL, clusters, discovery, layers};
use crate::ads::Variant;

/// An Envoy that begins with nothing but the way to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetBootstrap {
    /// Envoy's node id, unique among all.
    pub node: String,
    /// The service that it belongs to; Envoy's node cluster.
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
}

impl FleetBootstrap {
    /// The configuration as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let admin = indented(4, &socket_address(&self.admin));
        [
            "# Envoy that gets everything from Sloop.\nnode:\n".to_owned(),
            format!(
                "  id: {}\n  cluster: {}\n",
                quoted(&self.node),
                quoted(self.service.as_str())
            ),
            whereabouts(&self.locality, &self.metadata),
            format!("admin:\n  address:\n{admin}"),
            discovery(self.variant),
            EVERYTHING.to_owned(),
            load_stats(),
            layers(),
            GENERAL.to_owned(),
            "static_resources:\n  clusters:\n".to_owned(),
            indented(
                2,
                &clusters::control_plane(&self.control_plane, self.tls.as_ref()),
            ),
        ]
        .concat()
    }
}

/// By what it counts itself a change that breaks requests is taken back. How often it says so, the control plane says.
fn load_stats() -> String {
    format!(
        "cluster_manager:
  # What requests came to, for changes that go to a few Envoys first.
  load_stats_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services:
    - envoy_grpc:
        cluster_name: {CONTROL_PLANE_CLUSTER}
"
    )
}

/// Below `dynamic_resources`.
const EVERYTHING: &str = "  cds_config:
    resource_api_version: V3
    ads: {}
  lds_config:
    resource_api_version: V3
    ads: {}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_it_is_and_asks_for_everything() {
        let yaml = FleetBootstrap {
            node: "edge-1".to_owned(),
            service: ServiceName::try_from("edge").unwrap(),
            locality: Locality {
                region: "eu".to_owned(),
                zone: String::new(),
                sub_zone: "rack-7".to_owned(),
            },
            metadata: BTreeMap::from([("tier".to_owned(), "a: \"b\"".to_owned())]),
            admin: "127.0.0.1:9901".parse().unwrap(),
            control_plane: "127.0.0.1:18000".parse().unwrap(),
            tls: None,
            variant: Variant::Delta,
        }
        .to_yaml();
        for part in [
            "  id: \"edge-1\"\n  cluster: \"edge\"\n  locality:\n    region: \"eu\"\n    sub_zone: \"rack-7\"\n",
            "  metadata:\n    \"tier\": \"a: \\\"b\\\"\"\n",
            "  cds_config:\n    resource_api_version: V3\n    ads: {}\n",
            "      name: fleet\n",
            "  load_stats_config:\n    api_type: GRPC\n",
            "static_resources:\n  clusters:\n  - name: \"sloop_xds\"\n",
        ] {
            assert!(yaml.contains(part), "{part}\nnot in\n{yaml}");
        }
    }
}
