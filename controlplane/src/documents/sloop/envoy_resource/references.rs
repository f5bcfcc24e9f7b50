//! What a resource refers to.
//!
//! Fields are told by the messages that they are in, wherever these are: inside
//! of listeners, of filters, of retry policies. What is not in the tables is not
//! checked, such as a cluster that a request names by a header.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage as _, Value};
use sloop_xds::Kind;
use sloop_xds::fleet::Reference;

use super::message;

/// A message, its field, and the type of what the field names.
const FIELDS: [(&str, &str, &str); 9] = [
    (
        "envoy.config.route.v3.RouteAction",
        "cluster",
        Kind::CLUSTER,
    ),
    (
        "envoy.config.route.v3.RouteAction.RequestMirrorPolicy",
        "cluster",
        Kind::CLUSTER,
    ),
    (
        "envoy.config.route.v3.WeightedCluster.ClusterWeight",
        "name",
        Kind::CLUSTER,
    ),
    (
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "cluster",
        Kind::CLUSTER,
    ),
    (
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight",
        "name",
        Kind::CLUSTER,
    ),
    (
        "envoy.config.core.v3.GrpcService.EnvoyGrpc",
        "cluster_name",
        Kind::CLUSTER,
    ),
    ("envoy.config.core.v3.HttpUri", "cluster", Kind::CLUSTER),
    (
        "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
        "clusters",
        Kind::CLUSTER,
    ),
    (
        "envoy.extensions.filters.network.http_connection_manager.v3.Rds",
        "route_config_name",
        Kind::ROUTES,
    ),
];

/// `Cluster.DiscoveryType.EDS`.
const EDS: i32 = 3;

/// Everything that `message`, a resource called `name`, refers to.
pub(super) fn of(message: &DynamicMessage, name: &str) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    walk(message, "", &mut found);
    found.extend(endpoints(message, name));
    found
}

fn walk(message: &DynamicMessage, path: &str, found: &mut BTreeSet<Reference>) {
    let descriptor = message.descriptor();
    let full_name = descriptor.full_name();
    // Another server than this one may know what it is called there.
    let is_elsewhere = message
        .get_field_by_name("config_source")
        .is_some_and(|source| !is_from_here(&source));
    for (field, value) in message.fields() {
        let path = below(path, &field);
        let names = FIELDS
            .iter()
            .find(|(message, name, _)| *message == full_name && *name == field.name())
            .map(|(_, _, type_url)| *type_url);
        match names {
            Some(type_url) if !is_elsewhere => note(value, type_url, &path, found),
            _ => walk_value(value, &path, found),
        }
    }
}

fn below(path: &str, field: &FieldDescriptor) -> String {
    if path.is_empty() {
        field.name().to_owned()
    } else {
        format!("{path}.{}", field.name())
    }
}

fn note(value: &Value, type_url: &'static str, path: &str, found: &mut BTreeSet<Reference>) {
    if let Some(name) = value.as_str().filter(|name| !name.is_empty()) {
        found.insert(Reference {
            type_url,
            name: name.to_owned(),
            field: path.to_owned(),
        });
    }
    for (index, item) in value.as_list().unwrap_or_default().iter().enumerate() {
        note(item, type_url, &format!("{path}[{index}]"), found);
    }
}

fn walk_value(value: &Value, path: &str, found: &mut BTreeSet<Reference>) {
    if let Some(message) = value.as_message() {
        match typed(message) {
            Some(inner) => walk(&inner, path, found),
            None => walk(message, path, found),
        }
    }
    for (index, item) in value.as_list().unwrap_or_default().iter().enumerate() {
        walk_value(item, &format!("{path}[{index}]"), found);
    }
    for (key, item) in value.as_map().into_iter().flatten() {
        if let MapKey::String(key) = key {
            walk_value(item, &format!("{path}['{}']", key.escape_debug()), found);
        }
    }
}

/// The message in a `google.protobuf.Any`.
fn typed(message: &DynamicMessage) -> Option<DynamicMessage> {
    if message.descriptor().full_name() != "google.protobuf.Any" {
        return None;
    }
    let type_url = message.get_field_by_name("type_url")?;
    let descriptor = message::descriptor(type_url.as_str()?)?;
    let value = message.get_field_by_name("value")?;
    DynamicMessage::decode(descriptor, value.as_bytes()?.clone()).ok()
}

/// The endpoints of a cluster that has them by discovery from here.
fn endpoints(message: &DynamicMessage, name: &str) -> Option<Reference> {
    if message.descriptor().full_name() != "envoy.config.cluster.v3.Cluster"
        || message.get_field_by_name("type")?.as_enum_number()? != EDS
    {
        return None;
    }
    let eds = message.get_field_by_name("eds_cluster_config")?;
    let eds = eds.as_message()?;
    let source = eds.get_field_by_name("eds_config")?;
    if !is_from_here(source.as_ref()) {
        return None;
    }
    let other = eds.get_field_by_name("service_name")?;
    let other = other.as_str().filter(|name| !name.is_empty());
    Some(Reference {
        type_url: Kind::ENDPOINTS,
        name: other.unwrap_or(name).to_owned(),
        field: "eds_cluster_config".to_owned(),
    })
}

/// Whether a `ConfigSource` leads to the server that sends it.
fn is_from_here(source: &Value) -> bool {
    source
        .as_message()
        .is_some_and(|source| source.has_field_by_name("ads") || source.has_field_by_name("self"))
}
