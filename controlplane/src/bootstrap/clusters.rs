//! Whom the sidecar talks to.

use super::text::{indented, quoted, upstream_address};
use super::{Address, Bootstrap, COLLECTOR_CLUSTER, CONTROL_PLANE_CLUSTER, ClientTls};

/// The service that the sidecar stands before.
pub(super) const APP_CLUSTER: &str = "app";

/// Keeps a connection under watch: without it a peer that vanished freezes the configuration in silence.
const CONTROL_PLANE_PROTOCOL: &str = r#"typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http2_protocol_options:
        # Without it, a control plane that vanished would go unnoticed.
        connection_keepalive:
          interval: 5s
          timeout: 2s
"#;

/// OTLP over gRPC. A batch that a collector that vanished does not take is given up after seconds, so nothing keeps watch.
const COLLECTOR_PROTOCOL: &str = r#"typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http2_protocol_options: {}
"#;

const SAME_PROTOCOL: &str = r#"typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    # What came by HTTP/2 goes on by HTTP/2, so that gRPC works.
    use_downstream_protocol_config:
      http_protocol_options: {}
      http2_protocol_options: {}
"#;

/// A breaker refuses a service as a whole. That one of several hosts is the trouble is for Envoy to see, which knows
/// them: five gateway errors in a row (Envoy's default), so failures that an answering service reports eject nobody; and
/// half of the hosts at most, as Envoy asks all of them again below half (its panic threshold).
const LEAVES_OUT_BAD_HOSTS: &str =
    "# A host that does not answer is left out for a while, where there are others.
outlier_detection:
  consecutive_gateway_failure: 5
  enforcing_consecutive_gateway_failure: 100
  enforcing_consecutive_5xx: 0
  enforcing_success_rate: 0
  max_ejection_percent: 50
";

impl Bootstrap {
    pub(super) fn clusters(&self) -> String {
        let mut clusters = vec![control_plane(&self.control_plane, self.tls.as_ref())];
        if let Some(collector) = &self.collector {
            clusters.push(cluster(COLLECTOR_CLUSTER, collector, COLLECTOR_PROTOCOL));
        }
        if let Some(inbound) = &self.inbound {
            clusters.push(cluster(APP_CLUSTER, &inbound.app, SAME_PROTOCOL));
        }
        for upstream in self
            .outbound
            .iter()
            .flat_map(|outbound| &outbound.upstreams)
        {
            let name = upstream_cluster(upstream.service.as_str());
            let more = [SAME_PROTOCOL, LEAVES_OUT_BAD_HOSTS].concat();
            clusters.push(cluster(&name, &upstream.address, &more));
        }
        format!("clusters:\n{}", clusters.concat())
    }
}

/// The way to the control plane.
pub(super) fn control_plane(address: &Address, tls: Option<&ClientTls>) -> String {
    let secured = tls.map(|tls| tls.transport_socket(address));
    let protocol = [
        CONTROL_PLANE_PROTOCOL,
        secured.as_deref().unwrap_or_default(),
    ]
    .concat();
    // A whole fleet that comes back at once waits for its handshakes.
    let patience = if tls.is_some() { "5s" } else { "1s" };
    patient_cluster(CONTROL_PLANE_CLUSTER, address, &protocol, patience)
}

/// The cluster of a service that is asked.
pub(super) fn upstream_cluster(service: &str) -> String {
    format!("to_{service}")
}

fn cluster(name: &str, address: &Address, protocol: &str) -> String {
    patient_cluster(name, address, protocol, "1s")
}

fn patient_cluster(name: &str, address: &Address, protocol: &str, patience: &str) -> String {
    let name = quoted(name);
    let address = indented(12, &upstream_address(address));
    let protocol = indented(2, protocol);
    format!(
        "- name: {name}
  # Resolves names, and takes addresses as they are.
  type: STRICT_DNS
  connect_timeout: {patience}
{protocol}  load_assignment:
    cluster_name: {name}
    endpoints:
    - lb_endpoints:
      - endpoint:
          address:
{address}"
    )
}
