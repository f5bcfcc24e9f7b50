//! Which nodes get what, by what they say of themselves.

use std::collections::BTreeSet;

use prost::Message as _;
use sloop_xds::Kind;
use sloop_xds_protos::envoy::envoy::config::core::v3::{Locality, Node};
use sloop_xds_protos::envoy::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use sloop_xds_protos::envoy::envoy::service::runtime::v3::Runtime;
use sloop_xds_protos::envoy::google::protobuf::value::Kind as Scalar;
use sloop_xds_protos::envoy::google::protobuf::{Struct, Value};

use crate::discovery::Sidecar;
use crate::support::{Home, Sloop};

/// Layers by name, and who has numbers in each.
const LAYERS: [(&str, &str); 7] = [
    ("named", "ids: [\"edge-*\"]"),
    ("gold", "metadata: {tier: gold}"),
    ("weighty", "metadata: {weight: 1.5, canary: true}"),
    ("eu", "locality: {region: eu}"),
    ("eu-1", "locality: {region: eu, zone: eu-1}"),
    ("rack-7", "locality: {sub_zone: rack-7}"),
    ("gold-eu", "metadata: {tier: gold}, locality: {region: eu}"),
];

fn documents() -> String {
    let documents = LAYERS.map(|(name, selector)| {
        format!(
            "apiVersion: sloop.dev/v1
kind: EnvoyResource
metadata: {{name: {name}}}
spec:
  selector: {{{selector}}}
  resource:
    \"@type\": {}
    name: {name}
    layer: {{number: 1}}
",
            Kind::RUNTIME
        )
    });
    documents.join("---\n")
}

/// A node with this metadata, in this region, zone and part of a zone.
fn node(id: &str, metadata: &[(&str, Scalar)], place: [&str; 3]) -> Node {
    let value = |kind: &Scalar| Value {
        kind: Some(kind.clone()),
    };
    let fields = metadata.iter();
    let fields = fields.map(|(name, kind)| ((*name).to_owned(), value(kind)));
    let [region, zone, sub_zone] = place.map(str::to_owned);
    Node {
        id: id.to_owned(),
        cluster: "edge".to_owned(),
        metadata: Some(Struct {
            fields: fields.collect(),
        }),
        locality: Some(Locality {
            region,
            zone,
            sub_zone,
        }),
        ..Node::default()
    }
}

fn text(text: &str) -> Scalar {
    Scalar::StringValue(text.to_owned())
}

/// The layers in which a node has numbers. It is sent all that it asks for.
async fn numbers_of(sloop: &Sloop, node: Node) -> BTreeSet<String> {
    let first = DeltaDiscoveryRequest {
        node: Some(node),
        type_url: Kind::RUNTIME.to_owned(),
        resource_names_subscribe: LAYERS.map(|(name, _)| name.to_owned()).to_vec(),
        ..DeltaDiscoveryRequest::default()
    };
    let mut sidecar = Sidecar::open(sloop, first).await;
    let response = sidecar.answers(None).await;
    assert_eq!(response.resources.len(), LAYERS.len(), "{response:?}");
    let layers = response.resources.into_iter().map(|resource| {
        let layer = Runtime::decode(resource.resource.unwrap().value.as_slice()).unwrap();
        assert_eq!(layer.name, resource.name);
        let has_numbers = layer.layer.is_some_and(|it| !it.fields.is_empty());
        has_numbers.then_some(layer.name)
    });
    layers.flatten().collect()
}

#[tokio::test]
async fn nodes_are_chosen_by_their_ids_their_metadata_and_where_they_run() {
    let home = Home::new();
    home.write("layers.yaml", &documents());
    let sloop = home.start();
    let gold = [("tier", text("gold"))];
    let weighty = [
        ("weight", Scalar::NumberValue(1.5)),
        ("canary", Scalar::BoolValue(true)),
    ];
    // The same words, and a number and a truth value that only read so.
    let almost = [
        ("tier", text("silver")),
        ("weight", text("1.5")),
        ("canary", Scalar::BoolValue(false)),
    ];
    let nested = [("tier", Scalar::StructValue(Struct::default()))];
    let nowhere = ["", "", ""];
    for (node, layers) in [
        (node("edge-1", &[], nowhere), &["named"][..]),
        (node("web-1", &[], nowhere), &[]),
        (node("web-1", &gold, ["us", "eu-1", ""]), &["gold"]),
        (
            node("web-2", &gold, ["eu", "eu-2", "rack-8"]),
            &["gold", "gold-eu", "eu"],
        ),
        (node("web-3", &weighty, nowhere), &["weighty"]),
        (node("web-4", &almost, ["eu", "eu-1", ""]), &["eu", "eu-1"]),
        (node("web-5", &nested, ["", "", "rack-7"]), &["rack-7"]),
        (
            node("edge-2", &gold, ["eu", "eu-1", "rack-7"]),
            &["named", "gold", "gold-eu", "eu", "eu-1", "rack-7"],
        ),
    ] {
        let expected: BTreeSet<String> = layers.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(numbers_of(&sloop, node.clone()).await, expected, "{node:?}");
    }
}
