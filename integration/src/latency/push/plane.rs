//! The control plane that pushes, and the Envoy that it pushes to.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use prost::Message;
use serde_json::{Value, json};
use sloop_bench::variants::SLOOP;
use sloop_controlplane::ads::{AdsLimits, Hub};
use sloop_controlplane::bootstrap::plugin;
use sloop_controlplane::clock;
use sloop_controlplane::grpc::Services;
use sloop_model::{FilterConfig, Side};
use sloop_xds::{Kind, Resource, Snapshot};
use sloop_xds_protos::envoy::envoy::config::core::v3::address::Address as OneAddress;
use sloop_xds_protos::envoy::envoy::config::core::v3::socket_address::PortSpecifier;
use sloop_xds_protos::envoy::envoy::config::core::v3::{Address, SocketAddress};
use sloop_xds_protos::envoy::envoy::config::listener::v3::{
    Filter, FilterChain, Listener, filter::ConfigType,
};
use sloop_xds_protos::envoy::envoy::config::route::v3::{
    DirectResponseAction, Route, RouteConfiguration, RouteMatch, VirtualHost, route::Action,
    route_match::PathSpecifier,
};
use sloop_xds_protos::envoy::envoy::extensions::filters::http::router::v3::Router;
use sloop_xds_protos::envoy::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, http_connection_manager::RouteSpecifier,
    http_filter::ConfigType as FilterConfigType,
};
use sloop_xds_protos::envoy::google::protobuf::Any;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;

use super::ROUTES;

/// The node's cluster, which is the group that a snapshot is for.
const GROUP: &str = "bench";
const TABLE: &str = "table";
const LISTENER: &str = "listener";
const MANAGER_TYPE_URL: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER_TYPE_URL: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

/// What each kind of resource has Envoy answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statuses {
    pub(super) extension: u16,
    pub(super) routes: u16,
    pub(super) listener: u16,
}

impl Default for Statuses {
    fn default() -> Self {
        Self {
            extension: 503,
            routes: 503,
            listener: 503,
        }
    }
}

/// A control plane that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Plane {
    hub: Hub,
    address: SocketAddr,
    module: PathBuf,
    serving: JoinHandle<()>,
}

impl Plane {
    /// Listens. `module` is what its sidecars run.
    pub(super) async fn start(module: &Path) -> anyhow::Result<Self> {
        let hub = Hub::new(AdsLimits::default(), clock::wall);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.await.context("listening for sidecars")?;
        let address = listener.local_addr()?;
        let services = Services::of(Routes::new(hub.service()));
        let serving = tokio::spawn(async move {
            let connections = TcpListenerStream::new(listener);
            let limits = AdsLimits::default();
            services.serve(&limits, connections, pending()).await;
        });
        hub.open();
        Ok(Self {
            hub,
            address,
            module: module.to_owned(),
            serving,
        })
    }

    /// Makes this the state that the Envoy with listeners at these addresses should have.
    pub(super) fn publish(
        &self,
        statuses: Statuses,
        addresses: [SocketAddr; 3],
    ) -> anyhow::Result<()> {
        let [_, _, of_listener] = addresses;
        let module = self
            .module
            .to_str()
            .context("the module's path is no text")?;
        let routes = table(TABLE, ROUTES, statuses.routes);
        let listener = listener(of_listener, statuses.listener);
        let snapshot = Snapshot::builder()
            .with(plugin::resource(module, &extension(statuses.extension)?))
            .with(Resource::new(Kind::ROUTES, TABLE, &routes.encode_to_vec()))
            .with(Resource::new(
                Kind::LISTENER,
                LISTENER,
                &listener.encode_to_vec(),
            ))
            .build();
        self.hub.publish(GROUP, Arc::new(snapshot));
        Ok(())
    }

    /// An Envoy with a listener for the extension and one for the table; the third comes from here too.
    pub(super) fn bootstrap(&self, addresses: [SocketAddr; 3]) -> String {
        let [of_extension, of_routes, _] = addresses;
        let ads = json!({"ads": {}, "resource_api_version": "V3"});
        let discovered = json!({
            "name": plugin::name(Side::Server),
            "config_discovery": {"config_source": ads, "type_urls": [plugin::WASM_TYPE_URL]},
        });
        let direct = json!({"route_config": {"virtual_hosts": [{
            "name": "shop", "domains": ["*"],
            "routes": [{"name": "pay", "match": {"prefix": "/pay"}, "direct_response": {"status": 200}}],
        }]}});
        let discovers = json!({"rds": {"route_config_name": TABLE, "config_source": ads}});
        let bootstrap = json!({
            "node": {"id": "bench-1", "cluster": GROUP},
            "admin": {"address": address_json("127.0.0.1:0".parse().ok())},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "DELTA_GRPC", "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "control"}}],
                },
                "lds_config": ads,
            },
            "static_resources": {
                "clusters": [{
                    "name": "control", "type": "STATIC", "connect_timeout": "5s",
                    "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http2_protocol_options": {}},
                    }},
                    "load_assignment": {"cluster_name": "control", "endpoints": [{"lb_endpoints": [
                        {"endpoint": {"address": address_json(Some(self.address))}},
                    ]}]},
                }],
                "listeners": [
                    listener_json("extension", of_extension, vec![discovered], &direct),
                    listener_json("routes", of_routes, vec![], &discovers),
                ],
            },
        });
        bootstrap.to_string()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Sloop with everything on, and a fault that answers each request for `pay` with this status.
fn extension(status: u16) -> anyhow::Result<FilterConfig> {
    let mut config: Value = serde_json::from_str(SLOOP)?;
    if let Some(config) = config.as_object_mut() {
        // Nobody takes them here.
        config.remove("report");
        config.remove("spans");
    }
    let scopes = config.get_mut("scopes").and_then(Value::as_array_mut);
    let pay = scopes
        .into_iter()
        .flatten()
        .find(|scope| scope.get("route").is_some_and(|route| route == "pay"));
    let faults = pay.and_then(|scope| scope.get_mut("faults"));
    *faults.context("the configuration has no faults")? = json!([
        {"id": "pushed", "seed": 7, "share": 10_000, "abort_status": status, "expires_at_ms": 4_102_444_800_000_u64},
    ]);
    Ok(FilterConfig::parse(config.to_string().as_bytes())?)
}

/// A table of so many routes, the last of which is for `/pay`, all answered with this status.
fn table(name: &str, routes: usize, status: u16) -> RouteConfiguration {
    let route = |name: String, prefix: String| Route {
        name,
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(prefix)),
            ..RouteMatch::default()
        }),
        action: Some(Action::DirectResponse(DirectResponseAction {
            status: u32::from(status),
            ..DirectResponseAction::default()
        })),
        ..Route::default()
    };
    let others =
        (1..routes).map(|number| route(format!("r{number}"), format!("/r{number}/orders")));
    let last = route("pay".to_owned(), "/pay".to_owned());
    RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![VirtualHost {
            name: "shop".to_owned(),
            domains: vec!["*".to_owned()],
            routes: others.chain([last]).collect(),
            ..VirtualHost::default()
        }],
        ..RouteConfiguration::default()
    }
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any {
        type_url: type_url.to_owned(),
        value: message.encode_to_vec(),
    }
}

/// A listener with one route.
fn listener(at: SocketAddr, status: u16) -> Listener {
    let manager = HttpConnectionManager {
        stat_prefix: LISTENER.to_owned(),
        route_specifier: Some(RouteSpecifier::RouteConfig(table("own", 1, status))),
        http_filters: vec![HttpFilter {
            name: "envoy.filters.http.router".to_owned(),
            config_type: Some(FilterConfigType::TypedConfig(any(
                ROUTER_TYPE_URL,
                &Router::default(),
            ))),
            ..HttpFilter::default()
        }],
        ..HttpConnectionManager::default()
    };
    Listener {
        name: LISTENER.to_owned(),
        address: Some(Address {
            address: Some(OneAddress::SocketAddress(SocketAddress {
                address: at.ip().to_string(),
                port_specifier: Some(PortSpecifier::PortValue(u32::from(at.port()))),
                ..SocketAddress::default()
            })),
        }),
        filter_chains: vec![FilterChain {
            filters: vec![Filter {
                name: "envoy.filters.network.http_connection_manager".to_owned(),
                config_type: Some(ConfigType::TypedConfig(any(MANAGER_TYPE_URL, &manager))),
            }],
            ..FilterChain::default()
        }],
        ..Listener::default()
    }
}

fn listener_json(name: &str, at: SocketAddr, mut filters: Vec<Value>, routes: &Value) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": ROUTER_TYPE_URL},
    }));
    let mut manager = json!({
        "@type": MANAGER_TYPE_URL, "stat_prefix": name, "http_filters": filters,
    });
    if let (Some(manager), Some(routes)) = (manager.as_object_mut(), routes.as_object()) {
        manager.extend(routes.clone());
    }
    json!({
        "name": name,
        "traffic_direction": "INBOUND",
        "address": address_json(Some(at)),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
        }]}],
    })
}

fn address_json(at: Option<SocketAddr>) -> Value {
    let at = at.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_of_an_extension_differ_in_the_status_alone() {
        let one = serde_json::to_string(&extension(503).unwrap()).unwrap();
        let other = serde_json::to_string(&extension(504).unwrap()).unwrap();
        assert_ne!(one, other);
        assert_eq!(one.replace(":503", ":504"), other);
    }

    #[test]
    fn the_table_is_as_long_as_is_said_and_ends_with_what_is_asked_for() {
        let table = table(TABLE, ROUTES, 503);
        let routes = &table.virtual_hosts[0].routes;
        assert_eq!(routes.len(), ROUTES);
        assert_eq!(routes.last().unwrap().name, "pay");
    }
}
