//! What the sidecar listens on, and the filter in each listener.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use sloop_model::{
    FILTER_CONFIG_VERSION, FilterConfig, Ignored, ReportSettings, ServiceName, Side, StatsSettings,
    TraceSettings,
};

use super::clusters::{APP_CLUSTER, upstream_cluster};
use super::text::{indented, quoted, socket_address};
use super::{Bootstrap, Inbound, Outbound, plugin};

/// Whose word on deadlines is taken. Envoy takes `x-envoy-expected-rq-timeout-ms` away from callers that it
/// does not know as internal, and by itself it knows nobody.
const CALLERS: &str = r#"# Callers with private addresses may say how long they wait (x-envoy-expected-rq-timeout-ms).
use_remote_address: true
skip_xff_append: true
internal_address_config:
  cidr_ranges:
  - {address_prefix: 127.0.0.0, prefix_len: 8}
  - {address_prefix: 10.0.0.0, prefix_len: 8}
  - {address_prefix: 172.16.0.0, prefix_len: 12}
  - {address_prefix: 192.168.0.0, prefix_len: 16}
  - {address_prefix: "::1", prefix_len: 128}
  - {address_prefix: "fc00::", prefix_len: 7}
"#;

impl Bootstrap {
    pub(super) fn listeners(&self) -> String {
        let inbound = self.inbound.as_ref().map(|inbound| self.inbound(inbound));
        let outbound = self.outbound.as_ref().map(|it| self.outbound(it));
        let listeners: String = inbound.into_iter().chain(outbound).collect();
        if listeners.is_empty() {
            String::new()
        } else {
            format!("listeners:\n{listeners}")
        }
    }

    fn inbound(&self, inbound: &Inbound) -> String {
        let app = quoted(APP_CLUSTER);
        let hosts = format!(
            "- name: app
  domains: [\"*\"]
  routes:
  - name: app
    match: {{prefix: \"/\"}}
    # The caller decides how long it waits. Streams that are silent for 5 minutes end.
    route: {{cluster: {app}, timeout: 0s}}
"
        );
        self.listener("inbound", &inbound.listen, Side::Server, &hosts)
    }

    fn outbound(&self, outbound: &Outbound) -> String {
        let hosts: String = outbound
            .upstreams
            .iter()
            .map(|upstream| {
                let service = upstream.service.as_str();
                let name = quoted(service);
                let domains = domains(&upstream.authorities);
                let cluster = quoted(&upstream_cluster(service));
                format!(
                    "- name: {name}
  domains: [{domains}]
  # Tell a retry from a first attempt: those who are asked bound retries that do not help.
  include_request_attempt_count: true
  routes:
  - name: {name}
    match: {{prefix: \"/\"}}
    # The caller decides how long it waits: Envoy's own 15 s would end long calls. Streams that are silent for 5 minutes end.
    route: {{cluster: {cluster}, timeout: 0s}}
"
                )
            })
            .collect();
        let hosts = if hosts.is_empty() {
            "[]\n".to_owned()
        } else {
            hosts
        };
        self.listener("outbound", &outbound.listen, Side::Client, &hosts)
    }

    fn listener(&self, name: &str, listen: &SocketAddr, side: Side, hosts: &str) -> String {
        let (direction, callers) = match side {
            Side::Server => ("INBOUND", indented(8, CALLERS)),
            Side::Client => ("OUTBOUND", String::new()),
        };
        let address = indented(4, &socket_address(listen));
        let filter = indented(8, &self.filter(side));
        let hosts = indented(10, hosts);
        format!(
            "- name: {name}
  traffic_direction: {direction}
  address:
{address}  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: {name}
        # Leave the service's own headers alone.
        server_header_transformation: PASS_THROUGH
{callers}        upgrade_configs:
        - upgrade_type: websocket
        route_config:
          name: {name}
          # An authority is the same with and without its port.
          ignore_port_in_host_matching: true
          virtual_hosts:
{hosts}        http_filters:
{filter}        - name: envoy.filters.http.router
          typed_config:
            \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"
        )
    }

    /// The filter, which counts from the first request and obeys once the control plane has spoken.
    fn filter(&self, side: Side) -> String {
        let name = plugin::name(side);
        let config = counting(&self.service, side, self.report());
        let plugin = plugin::yaml(side, &self.module, &config);
        let plugin = indented(6, &plugin);
        format!(
            "- name: {name}
  config_discovery:
    config_source:
      resource_api_version: V3
      ads: {{}}
      initial_fetch_timeout: 2s
    type_urls:
    - {wasm}
    # Serve with the configuration below until the control plane sends another, and after
    # it takes that one away. Without these two lines Envoy answers 500 meanwhile.
    apply_default_config_without_warming: true
    default_config:
{plugin}",
            wasm = plugin::WASM_TYPE_URL,
        )
    }
}

/// The configuration of a sidecar of `service` that has no policy: it counts and reports.
pub(super) fn counting(service: &ServiceName, side: Side, report: ReportSettings) -> FilterConfig {
    FilterConfig {
        version: FILTER_CONFIG_VERSION,
        generation: 0,
        service: service.clone(),
        side,
        trace: TraceSettings::default(),
        report: Some(report),
        spans: None,
        dimensions: None,
        stats: StatsSettings::default(),
        route_names: false,
        deny: Vec::new(),
        scopes: Vec::new(),
        optional: Ignored {},
    }
}

/// Authorities without their ports, which Envoy takes off requests, too. Envoy refuses a name given twice.
fn domains(authorities: &[String]) -> String {
    let names: BTreeSet<&str> = authorities
        .iter()
        .map(|authority| match authority.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            _ => authority,
        })
        .collect();
    let quoted: Vec<String> = names.into_iter().map(quoted).collect();
    quoted.join(", ")
}
