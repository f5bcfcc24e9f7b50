//! An Envoy with both listeners whose configuration is all in its bootstrap.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sloop_integration::envoy::{Caller, Envoy, Options};
use sloop_integration::ports;

/// What such an Envoy is made of.
pub struct Fixed {
    pub module: String,
    /// Fields of the configuration of each filter, beyond those that every one has.
    pub server: Value,
    pub client: Value,
    /// Behind the inbound listener, and behind the outbound one.
    pub app: SocketAddr,
    pub callee: SocketAddr,
    /// What both of them speak.
    pub protocol: Value,
    /// Fields of how Envoy speaks with both of them.
    pub upstream: Value,
    /// Who takes reports, and who takes spans (the cluster `otel`).
    pub control_plane: Option<SocketAddr>,
    pub collector: Option<SocketAddr>,
    /// Fields of both connection managers, and HTTP filters that come before ours.
    pub manager: Value,
    pub first: Vec<Value>,
    /// Fields of both listeners, and of the bootstrap itself.
    pub listener: Value,
    pub bootstrap: Value,
}

/// One that runs.
pub struct Running {
    pub envoy: Envoy,
    /// Where it listens.
    pub inbound: SocketAddr,
    pub outbound: SocketAddr,
}

impl Fixed {
    /// With `app` behind both listeners, and nothing else.
    pub fn of(app: SocketAddr) -> Self {
        Self {
            module: super::module(),
            server: json!({}),
            client: json!({}),
            app,
            callee: app,
            protocol: json!({"http_protocol_options": {}}),
            upstream: json!({}),
            control_plane: None,
            collector: None,
            manager: json!({}),
            first: Vec::new(),
            listener: json!({}),
            bootstrap: json!({}),
        }
    }

    pub async fn start(self) -> Running {
        let inbound = ports::free_address().unwrap();
        let outbound = ports::free_address().unwrap();
        let bootstrap = self.bootstrap(inbound, outbound).to_string();
        let options = Options {
            name: "envoy-fixed".into(),
            ..Options::default()
        };
        Running {
            envoy: Envoy::start_with(&bootstrap, options).await.unwrap(),
            inbound,
            outbound,
        }
    }

    fn bootstrap(&self, inbound: SocketAddr, outbound: SocketAddr) -> Value {
        let more = [("sloop_xds", self.control_plane), ("otel", self.collector)];
        let grpc = more.into_iter().filter_map(|(name, at)| {
            at.map(|at| cluster(name, at, &json!({"http2_protocol_options": {}}), &json!({})))
        });
        let same = |name, at| cluster(name, at, &self.protocol, &self.upstream);
        let clusters: Vec<Value> = [same("app", self.app), same("callee", self.callee)]
            .into_iter()
            .chain(grpc)
            .collect();
        let bootstrap = json!({
            "node": {"id": "shop-1", "cluster": "shop"},
            "admin": {"address": address("127.0.0.1:0".parse().unwrap())},
            "stats_flush_on_admin": true,
            "static_resources": {
                "listeners": [
                    self.one_listener("inbound", inbound, "app", &self.server),
                    self.one_listener("outbound", outbound, "callee", &self.client),
                ],
                "clusters": clusters,
            },
        });
        with(bootstrap, &self.bootstrap)
    }

    fn one_listener(&self, name: &str, at: SocketAddr, cluster: &str, own: &Value) -> Value {
        let mut filters = self.first.clone();
        filters.push(self.filter(name, own));
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }));
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "http_filters": filters,
            "route_config": {"virtual_hosts": [{
                "name": cluster,
                "domains": ["*"],
                "routes": [{"name": cluster, "match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}],
            }]},
        });
        let listener = json!({
            "name": name,
            "address": address(at),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": with(manager, &self.manager),
            }]}],
        });
        with(listener, &self.listener)
    }

    fn filter(&self, listener: &str, own: &Value) -> Value {
        let side = match listener {
            "inbound" => "server",
            _ => "client",
        };
        let mut config = json!({"version": 1, "generation": 1, "service": "shop", "side": side});
        if self.control_plane.is_some() {
            config["report"] = json!({"cluster": "sloop_xds", "interval_ms": 100});
        }
        let name = format!("sloop-{listener}");
        json!({
            "name": name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": name,
                    "root_id": name,
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "vm_id": "sloop",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": self.module}},
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": with(config, own).to_string(),
                    },
                },
            },
        })
    }
}

impl Running {
    pub fn caller(&self) -> Caller {
        Caller::of(self.inbound)
    }

    /// No VM died, and no filter answered for one that had.
    pub async fn is_whole(&self) {
        let reloads = self.envoy.stats("vm_reload").await.unwrap();
        assert!(!reloads.is_empty(), "Envoy counts them from the beginning");
        let died: Vec<_> = reloads.iter().filter(|(_, count)| *count != 0).collect();
        assert!(died.is_empty(), "{died:?}");
    }
}

/// `value` with the fields of `more` in it, at every depth. What both have is `more`'s, unless it is an object.
pub fn with(mut value: Value, more: &Value) -> Value {
    match (&mut value, more) {
        (Value::Object(own), Value::Object(more)) => {
            for (name, more) in more {
                let before = own.remove(name).unwrap_or_default();
                own.insert(name.clone(), with(before, more));
            }
            value
        }
        _ => more.clone(),
    }
}

fn cluster(name: &str, at: SocketAddr, protocol: &Value, more: &Value) -> Value {
    let protocol = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": protocol,
    });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": with(protocol, more),
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(at)}}]}],
        },
    })
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}
