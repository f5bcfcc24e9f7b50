//! The Envoy of a rival.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};
use sloop_controlplane::bootstrap::{CONTROL_PLANE_CLUSTER, plugin};
use sloop_model::{Side, WallTime};
use sloop_sim::goodput::{Rival, derived};

use crate::envoy;

/// Where nobody listens: the port of `tcpmux` (RFC 1078), below those that are given out.
const NOBODY: u16 = 1;

/// Where the Envoy listens, its hosts, and the control plane, if there is one.
type Place<'a> = (SocketAddr, &'a [SocketAddr], Option<SocketAddr>);

/// The configuration: a listener with what `rival` has, and the service behind it.
pub(super) fn config(
    rival: Rival,
    timeout: Duration,
    (listener, hosts, control): Place<'_>,
) -> anyhow::Result<String> {
    let mut filters: Vec<Value> = filter(rival)?.into_iter().collect();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": kind("filters.http.router.v3.Router")},
    }));
    let timeout = format!("{}s", timeout.as_secs_f64());
    let manager = json!({
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "goodput",
        "route_config": {"virtual_hosts": [{
            "name": "payments", "domains": ["*"],
            "routes": [{"name": "pay", "match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": timeout}}],
        }]},
        "http_filters": filters,
    });
    let mut config = json!({
        "admin": {"address": address(([127, 0, 0, 1], 0).into())},
        "node": {"id": "payments-1", "cluster": "payments"},
        "static_resources": {
            "clusters": [service(rival, hosts), sloop(control)],
            "listeners": [{
                "name": "goodput",
                "traffic_direction": "INBOUND",
                "address": address(listener),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
        },
    });
    if control.is_some()
        && let Some(config) = config.as_object_mut()
    {
        let asked = json!({"ads_config": {
            "api_type": "DELTA_GRPC", "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": CONTROL_PLANE_CLUSTER}}],
        }});
        config.insert("dynamic_resources".to_owned(), asked);
    }
    Ok(config.to_string())
}

/// What a rival has besides the router, if it is a filter. Defaults, and of what has none the example's values.
fn filter(rival: Rival) -> anyhow::Result<Option<Value>> {
    Ok(match rival {
        Rival::AdmissionControl => Some(json!({
            "name": "envoy.filters.http.admission_control",
            "typed_config": {
                "@type": kind("filters.http.admission_control.v3.AdmissionControl"),
                "enabled": {"default_value": true, "runtime_key": "goodput.admission"},
                // As by default, where nothing is said about HTTP: below 500.
                "success_criteria": {"http_criteria": {"http_success_status": [{"start": 100, "end": 500}]}},
            },
        })),
        Rival::AdaptiveConcurrency => Some(json!({
            "name": "envoy.filters.http.adaptive_concurrency",
            "typed_config": {
                "@type": kind("filters.http.adaptive_concurrency.v3.AdaptiveConcurrency"),
                "gradient_controller_config": {
                    "concurrency_limit_params": {"concurrency_update_interval": "0.1s"},
                    "min_rtt_calc_params": {"interval": "60s"},
                },
                "enabled": {"default_value": true, "runtime_key": "goodput.adaptive"},
            },
        })),
        Rival::Sloop | Rival::SloopOutliers => Some(wasm()?),
        Rival::SloopControlled => Some(json!({
            "name": plugin::name(Side::Server),
            "config_discovery": {
                "config_source": {"ads": {}, "resource_api_version": "V3"},
                "type_urls": [plugin::WASM_TYPE_URL],
            },
        })),
        Rival::Nothing | Rival::Outliers | Rival::Throttle | Rival::Resilience4j => None,
        Rival::SloopCallers | Rival::BudgetCallers => {
            anyhow::bail!("{} is played in virtual time only", rival.name())
        }
    })
}

/// Sloop's filter with what the controllers derive. It has no control plane: it decides alone.
fn wasm() -> anyhow::Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let config = derived(WallTime::from_millis(u64::try_from(now)?));
    let config = serde_json::to_string(&config.context("the controllers want nothing")?)?;
    Ok(json!({
        "name": "sloop",
        "typed_config": {
            "@type": kind("filters.http.wasm.v3.Wasm"),
            "config": {
                "name": "sloop",
                "root_id": "sloop-inbound",
                "failure_policy": "FAIL_CLOSED",
                "vm_config": {
                    "vm_id": "sloop",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": envoy::module()?}},
                },
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": config},
            },
        },
    }))
}

fn service(rival: Rival, hosts: &[SocketAddr]) -> Value {
    let endpoints: Vec<Value> = hosts
        .iter()
        .map(|host| json!({"endpoint": {"address": address(*host)}}))
        .collect();
    let mut cluster = json!({
        "name": "service",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "service", "endpoints": [{"lb_endpoints": endpoints}]},
        // One connection per request under way: what waits, waits in the service.
        "circuit_breakers": {"thresholds": [{"max_connections": LIMIT, "max_pending_requests": LIMIT, "max_requests": LIMIT}]},
    });
    if let Rival::Outliers | Rival::SloopOutliers = rival
        && let Some(cluster) = cluster.as_object_mut()
    {
        cluster.insert(
            "outlier_detection".to_owned(),
            json!({"max_ejection_percent": 100}),
        );
        cluster.remove("circuit_breakers");
    }
    cluster
}

/// More than callers have patience for: only who has `outliers` has Envoy's default of 1,024.
const LIMIT: u32 = 100_000;

/// The cluster that reports go to, and that says what the filter obeys, at `control`.
fn sloop(control: Option<SocketAddr>) -> Value {
    let (name, control) = match control {
        Some(control) => (CONTROL_PLANE_CLUSTER, control),
        None => ("sloop", ([127, 0, 0, 1], NOBODY).into()),
    };
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address(control)}},
        ]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": kind("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        },
    })
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn kind(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}
