//! A sidecar as Istio makes it: its agent starts Envoy with a bootstrap, to which that of a pod's annotation is added, and
//! istiod sends the rest. What istiod would send is in files here, with the Envoy parts of our manifests in it.

use std::net::SocketAddr;

use sloop_integration::envoy::{Caller, Envoy, Options};
use sloop_integration::ports;
use tempfile::TempDir;

use super::module;

/// The node cluster that Istio gives the app `payments` in the namespace `shop`.
pub const SERVICE: &str = "payments.shop";

/// What Istio calls the cluster of an app that listens on this port.
pub const APP: &str = "inbound|8080||";

/// A sidecar of the app `payments` in the namespace `shop`.
pub struct IstioSidecar {
    pub envoy: Envoy,
    pub inbound: Caller,
    _sent: TempDir,
}

/// The manifest's module and control plane as they are here.
fn placed(manifest: &str, plane: SocketAddr) -> String {
    manifest
        .replace("/etc/sloop/sloop_filter.wasm", &module())
        .replace("sloop.sloop-system.svc.cluster.local", "127.0.0.1")
        .replace("port_value: 9901", &format!("port_value: {}", plane.port()))
}

/// What is deeper than each line `marker` and right below it, as texts of their own.
fn below(marker: &str, by: usize, manifest: &str) -> Vec<String> {
    let indent = " ".repeat(by);
    let parts = manifest.split(marker).skip(1);
    parts
        .map(|part| {
            let lines = part.lines().map_while(|line| line.strip_prefix(&indent));
            lines.map(|line| format!("{line}\n")).collect()
        })
        .collect()
}

fn indented(by: usize, yaml: &str) -> String {
    let indent = " ".repeat(by);
    let lines = yaml.lines();
    lines.map(|line| format!("{indent}{line}\n")).collect()
}

fn list_item(by: usize, yaml: &str) -> String {
    let item = indented(by + 2, yaml);
    let (_, rest) = item.split_at(by + 2);
    format!("{}- {rest}", " ".repeat(by))
}

/// The clusters that istiod has, among them the one that the manifest adds.
fn clusters(added: &str, app: SocketAddr) -> String {
    let of_type = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";
    let own = format!(
        "name: {APP}
type: STATIC
connect_timeout: 1s
load_assignment:
  cluster_name: {APP}
  endpoints:
  - lb_endpoints:
    - endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}
",
        app.ip(),
        app.port(),
    );
    let items = [added, &own].map(|cluster| list_item(0, &[of_type, cluster].concat()));
    ["resources:\n", &items.concat()].concat()
}

/// The listener before the app, with the filters that the manifest puts before the router.
fn listener(at: SocketAddr, filters: &[String]) -> String {
    let filters: String = filters.iter().map(|it| list_item(8, it)).collect();
    format!(
        "resources:
- \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener
  name: virtualInbound
  address: {{socket_address: {{address: {}, port_value: {}}}}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: inbound
        route_config:
          virtual_hosts:
          - name: inbound
            domains: [\"*\"]
            routes:
            - {{match: {{prefix: /}}, route: {{cluster: \"{APP}\"}}}}
        http_filters:
{filters}        - name: envoy.filters.http.router
          typed_config:
            \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
",
        at.ip(),
        at.port(),
    )
}

/// What Istio's agent starts Envoy with, as far as others can add to it: its two layers, and a cluster of its own.
fn bootstrap(sent: &TempDir) -> String {
    let folder = sent.path().display();
    format!(
        "node: {{id: sidecar~127.0.0.1~payments-1.shop~shop.svc.cluster.local, cluster: {SERVICE}}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
layered_runtime:
  layers:
  - {{name: global config, static_layer: {{re2.max_program_size.error_level: 32768}}}}
  - {{name: admin, admin_layer: {{}}}}
dynamic_resources:
  cds_config: {{resource_api_version: V3, path_config_source: {{path: {folder}/cds.yaml}}}}
  lds_config: {{resource_api_version: V3, path_config_source: {{path: {folder}/lds.yaml}}}}
static_resources:
  clusters:
  - name: agent
    type: STATIC
    connect_timeout: 0.25s
    load_assignment:
      cluster_name: agent
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 15020}}}}}}
"
    )
}

impl IstioSidecar {
    /// With the `EnvoyFilter` in force, and beside it the `ConfigMap` if there is one.
    pub async fn start(
        envoy_filter: &str,
        bootstrap_override: Option<&str>,
        app: SocketAddr,
        plane: SocketAddr,
    ) -> Self {
        let parts = below("      value:\n", 8, &placed(envoy_filter, plane));
        let (cluster, filters) = parts.split_first().unwrap();
        assert_eq!(filters.len(), 2, "a filter for each side");
        let sent = TempDir::new().unwrap();
        let at = ports::free_address().unwrap();
        std::fs::write(sent.path().join("cds.yaml"), clusters(cluster, app)).unwrap();
        std::fs::write(sent.path().join("lds.yaml"), listener(at, filters)).unwrap();
        let beside = bootstrap_override.map_or_else(Vec::new, |map| {
            below("custom_bootstrap.json: |\n", 4, &placed(map, plane))
        });
        let options = Options {
            beside: beside.concat(),
            ..Options::default()
        };
        let envoy = Envoy::start_with(&bootstrap(&sent), options).await.unwrap();
        Self {
            envoy,
            inbound: Caller::of(at),
            _sent: sent,
        }
    }
}
