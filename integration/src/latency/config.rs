//! The Envoy with one listener for each variant.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sloop_bench::closed::Certificate;

use super::variants::Variant;

/// Who answers requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// A service behind Envoy.
    #[default]
    Proxied,
    /// Envoy itself, by its route: what is left is the part before and after the proxying.
    Direct,
}

impl Service {
    /// What a route does, in YAML.
    const fn action(self) -> &'static str {
        match self {
            Self::Proxied => "route: {cluster: service}",
            Self::Direct => "direct_response: {status: 200, body: {inline_string: ok}}",
        }
    }
}

/// How Envoy is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// The service behind everything.
    pub(super) upstream: SocketAddr,
    /// Who takes Sloop's reports.
    pub(super) reports: SocketAddr,
    /// Who answers.
    pub(super) service: Service,
    /// What its listeners present; in the clear without.
    pub(super) tls: Option<&'a Certificate>,
}

/// Where nobody listens: the port of `tcpmux` (RFC 1078), below those that are given out.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Spaces before the filters of a listener.
const INDENT: &str = "          ";

/// The configuration: all listeners share the clusters, and so the connections to the service.
///
/// Statistics are flushed as seldom as Envoy allows: each flush is work for the
/// worker that belongs to no request.
pub(super) fn config(around: Around<'_>, listeners: &[(Variant, SocketAddr)]) -> String {
    let mut text = format!(
        r#"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
stats_flush_interval: 299s
static_resources:
  clusters:
  - name: service
    type: STATIC
    connect_timeout: 5s
    load_assignment: {service}
  - name: nobody
    type: STATIC
    connect_timeout: 1s
    load_assignment: {nobody}
    typed_extension_protocol_options: &http2
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
  - name: reports
    type: STATIC
    connect_timeout: 5s
    load_assignment: {reports}
    typed_extension_protocol_options: *http2
  listeners:
"#,
        service = endpoint("service", around.upstream),
        reports = endpoint("reports", around.reports),
        nobody = endpoint("nobody", NOBODY),
    );
    for (variant, address) in listeners {
        listener(&mut text, variant, *address, around);
    }
    text
}

fn listener(text: &mut String, variant: &Variant, address: SocketAddr, around: Around<'_>) {
    let action = around.service.action();
    let socket = around.tls.map_or_else(String::new, transport_socket);
    let tracing = variant.tracer.map_or("", |_| TRACING);
    let name = &variant.name;
    let mut filters = String::new();
    for line in variant.filters.lines() {
        filters.push_str(INDENT);
        filters.push_str(line);
        filters.push('\n');
    }
    // Writing into a string cannot fail.
    writeln!(
        text,
        r#"  - name: {name}
    traffic_direction: INBOUND
    address: {{socket_address: {{address: {ip}, port_value: {port}}}}}
    filter_chains:
    - {socket}filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
{tracing}          route_config:
            virtual_hosts:
            - name: shop
              domains: ["*"]
              routes:
              - {{name: cart, match: {{prefix: "/cart"}}, {action}}}
              - {{name: pay, match: {{prefix: "/pay"}}, {action}}}
              - {{name: catalog, match: {{prefix: "/"}}, {action}}}
          http_filters:
{filters}{INDENT}- name: envoy.filters.http.router
{INDENT}  typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"#,
        ip = address.ip(),
        port = address.port(),
    )
    .ok();
}

/// Envoy's own tracer; who takes Sloop's reports refuses its spans: what it costs to make them is measured, and not to take them.
const TRACING: &str = r#"          tracing:
            random_sampling: {value: 0}
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                service_name: shop
                grpc_service: {envoy_grpc: {cluster_name: reports}, timeout: 1s}
"#;

/// The first field of a filter chain, in JSON, and what comes before the next.
fn transport_socket(certificate: &Certificate) -> String {
    let socket = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": {"inline_string": certificate.pem},
                    "private_key": {"inline_string": certificate.key_pem},
                }],
            },
        },
    });
    format!("transport_socket: {socket}\n      ")
}

fn endpoint(cluster: &str, address: SocketAddr) -> String {
    format!(
        "{{cluster_name: {cluster}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}}}]}}]}}",
        address.ip(),
        address.port()
    )
}
