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
    /// What else it says about itself.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Scalars>,
    /// Where it runs.
    #[prost(message, optional, tag = "4")]
    pub locality: Option<Locality>,
    /// The program: `envoy`, or `gRPC C-core` and the like.
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
}

impl Node {
    /// The text, number or truth value that the metadata has under `name`, as text.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Option<String> {
        let scalar = self.metadata.as_ref()?.fields.get(name)?;
        let number = |bits| f64::from_bits(bits).to_string();
        scalar
            .text
            .clone()
            .or_else(|| scalar.is_true.map(|it| it.to_string()))
            .or_else(|| scalar.number_bits.map(number))
    }
}

/// `google.protobuf.Struct`, of which only scalars are kept: nothing nests, however deep it is sent.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Scalars {
    /// By name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Scalar>,
}

impl Scalars {
    /// Those that have a value: what was no scalar has none.
    #[must_use]
    pub fn with_values(&self) -> Self {
        let fields = self.valued();
        let fields = fields.map(|(name, scalar)| (name.clone(), scalar.clone()));
        Self {
            fields: fields.collect(),
        }
    }

    /// Bytes that those take which have a value, with what keeps each.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// Two texts' own, the other values, their place in a map, and what the allocator adds.
        const PLACE: usize = 160;
        let bytes = self.valued().map(|(name, scalar)| {
            let text = scalar.text.as_ref().map_or(0, String::len);
            PLACE + name.len() + text
        });
        bytes.sum()
    }

    fn valued(&self) -> impl Iterator<Item = (&String, &Scalar)> {
        let fields = self.fields.iter();
        fields.filter(|(_, scalar)| **scalar != Scalar::default())
    }
}

/// `google.protobuf.Value`, when it is a scalar; none of these otherwise.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Scalar {
    /// A number: the bits of a double, which look the same on the wire.
    #[prost(fixed64, optional, tag = "2")]
    pub number_bits: Option<u64>,
    /// A text.
    #[prost(string, optional, tag = "3")]
    pub text: Option<String>,
    /// A truth value.
    #[prost(bool, optional, tag = "4")]
    pub is_true: Option<bool>,
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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// `{"a": "x", "b": 1.5, "c": true, "d": [..]}` as Envoy sends it.
    #[test]
    fn scalars_of_metadata_are_read_and_the_rest_is_skipped() {
        let entry = |name: u8, value: &[u8]| {
            let mut entry = vec![0x0a, 1, name, 0x12, u8::try_from(value.len()).unwrap()];
            entry.extend(value);
            let mut field = vec![0x0a, u8::try_from(entry.len()).unwrap()];
            field.extend(entry);
            field
        };
        let mut number = vec![0x11];
        number.extend(1.5_f64.to_le_bytes());
        let metadata = [
            entry(b'a', &[0x1a, 1, b'x']),
            entry(b'b', &number),
            entry(b'c', &[0x20, 1]),
            entry(b'd', &[0x32, 2, 0x0a, 0]),
        ]
        .concat();
        let node = Node {
            metadata: Some(Scalars::decode(metadata.as_slice()).unwrap()),
            ..Node::default()
        };
        let scalars = ["a", "b", "c", "d", "e"].map(|name| node.scalar(name));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(scalars, [text("x"), text("1.5"), text("true"), None, None]);
        let kept = node.metadata.unwrap().with_values();
        assert!(kept.fields.keys().eq(["a", "b", "c"]));
        assert_eq!(kept.bytes(), 3 * 160 + "abc".len() + "x".len());
    }

    /// `{"a": [[[...]]]}`, two thousand lists inside each other.
    #[test]
    fn metadata_may_be_as_deep_as_it_likes() {
        let field = |tag: u32, held: &[u8]| {
            let mut field = Vec::new();
            prost::encoding::encode_key(
                tag,
                prost::encoding::WireType::LengthDelimited,
                &mut field,
            );
            prost::encoding::encode_varint(u64::try_from(held.len()).unwrap(), &mut field);
            field.extend(held);
            field
        };
        let deep = (0..2_000).fold(Vec::new(), |inner, _| field(6, &field(1, &inner)));
        let entry = [field(1, b"a"), field(2, &deep)].concat();
        let read = Scalars::decode(field(1, &entry).as_slice()).unwrap();
        assert_eq!(read.fields["a"], Scalar::default());
    }
}
