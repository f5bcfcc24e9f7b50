//! The kind `EnvoyResource`: a listener, cluster and the like, as Envoy writes them, for the nodes of a fleet.
//!
//! What Envoy's own YAML says is read by the descriptors of Envoy's messages, so
//! every field that Envoy has may be used, those of extensions too, and any other
//! is an error at its place.

mod message;
mod references;
mod selector;

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::DynamicMessage;
use sloop_xds::fleet::{Declared, Reference};
use sloop_xds::{Kind, Resource};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields, quoted};
use super::super::suggest;

/// What may be declared: the type, and the field with its name.
pub(in crate::documents) const TYPES: [(&str, &str); 5] = [
    (Kind::LISTENER, "name"),
    (Kind::CLUSTER, "name"),
    (Kind::ROUTES, "name"),
    (Kind::ENDPOINTS, "cluster_name"),
    (Kind::RUNTIME, "name"),
];

/// Reads a resource.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<Declared> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["selector", "resource"])?;
    let selector = fields.get("selector").map(|at| selector::read(&at));
    let resource = fields
        .required("resource")
        .and_then(|at| read_resource(&at));
    let (resource, references) = resource?;
    Some(Declared {
        document: format!("EnvoyResource/{}", metadata.name),
        selector: selector.unwrap_or_else(|| Some(Default::default()))?,
        resource,
        references,
    })
}

fn read_resource(at: &At<'_>) -> Option<(Resource, BTreeSet<Reference>)> {
    let (type_url, name_field) = read_type(at)?;
    let message = message::read(at)?;
    let name = message.get_field_by_name(name_field);
    let name = name.as_ref().and_then(|value| value.as_str());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        at.sink()
            .refuse(at.spot().field(name_field).says("is required"));
        return None;
    };
    // Encoding it twice may order maps in two ways; what is written is one.
    let content = message::json(at.node()).to_string();
    let bytes = message.encode_to_vec();
    let resource = Resource::with_content(type_url, name, &bytes, content.as_bytes());
    let resource = match endpoints(&message) {
        Some(endpoints) => resource.with_endpoints(&endpoints),
        None => resource,
    };
    Some((resource, references::of(&message, name)))
}

fn read_type(at: &At<'_>) -> Option<(&'static str, &'static str)> {
    let type_at = at.any_fields()?.required("@type")?;
    let given = type_at.text()?;
    let known = TYPES.iter().find(|(type_url, _)| *type_url == given);
    if known.is_none() {
        let known = TYPES.map(|(type_url, _)| type_url);
        let hint = suggest::hint(given, &known);
        type_at.refuse(format!("is {}; {hint}", quoted(given)));
    }
    known.copied()
}

/// What the endpoints of a cluster are called, where the cluster says so.
fn endpoints(message: &DynamicMessage) -> Option<String> {
    let eds = message.get_field_by_name("eds_cluster_config")?;
    let name = eds.as_message()?.get_field_by_name("service_name")?;
    let name = name.as_str().filter(|name| !name.is_empty());
    name.map(str::to_owned)
}

#[cfg(test)]
mod tests;
