//! The requests of xDS, reduced to the fields that matter here.
//!
//! Same tags as Envoy's messages. Envoy's node names all of its extensions,
//! some 60 KB, in every first request; these types skip them while decoding.

use std::collections::BTreeMap;

/// Who asks: `envoy.config.core.v3.Node`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Node {
    /// Unique among all nodes.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The service that the node belongs to.
    #[prost(string, tag = "2")]
    pub cluster: String,
    /// Where it runs.
    #[prost(message, optional, tag = "4")]
    pub locality: Option<Locality>,
    /// The program: `envoy`, or `gRPC C-core` and the like.
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
}

/// Where a node runs: `envoy.config.core.v3.Locality`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Locality {
    /// The region.
    #[prost(string, tag = "1")]
    pub region: String,
    /// The zone in it.
    #[prost(string, tag = "2")]
    pub zone: String,
    /// The part of the zone.
    #[prost(string, tag = "3")]
    pub sub_zone: String,
}

/// Why a client refuses: `google.rpc.Status`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Status {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// `envoy.service.discovery.v3.DiscoveryRequest`: state of the world.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DiscoveryRequest {
    /// The last version that the client accepted. Not evidence: see [`crate::SotwStream`].
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// Who asks; in the first request of a stream at least.
    #[prost(message, optional, tag = "2")]
    pub node: Option<Node>,
    /// All names that the client wants.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// The type of what it wants.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The response that this is about; empty when it is about none.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Present when the client refuses.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Status>,
}

/// `envoy.service.discovery.v3.DeltaDiscoveryRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DeltaDiscoveryRequest {
    /// Who asks; in the first request of a stream at least.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// The type of what it wants.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// Names to add.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// Names to take away.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// What the client has from an earlier stream, in the first request of the type.
    #[prost(btree_map = "string, string", tag = "5")]
    pub initial_resource_versions: BTreeMap<String, String>,
    /// The response that this is about; empty when it is about none.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Present when the client refuses.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<Status>,
}
