//! What a node says and hears: gRPC's framing, and the few fields of discovery that an answer needs.

use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use sloop_xds::{DeltaDiscoveryRequest, DiscoveryRequest, Node};

use super::Variant;

/// In front of each message: a byte for compression, and the length (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;

/// What all nodes of a fleet ask for.
#[derive(Clone, Debug)]
pub(super) struct Wants {
    pub(super) type_url: String,
    pub(super) names: Vec<String>,
}

/// What a node has: names and versions of resources, and the version of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Has {
    pub(super) version: String,
    pub(super) resources: Vec<(String, String)>,
}

/// As much of a response as it takes to acknowledge it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) version: &'a str,
    pub(super) nonce: &'a str,
    /// All bytes of the message.
    pub(super) bytes: &'a [u8],
}

/// `content` as a gRPC message.
pub(super) fn framed(content: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(PREFIX_BYTES + content.len());
    message.push(0);
    let length = u32::try_from(content.len()).unwrap_or_default();
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(content);
    message
}

/// Takes the first whole gRPC message from `bytes` and leaves the rest.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
    let [_, l1, l2, l3, l4] = *prefix;
    let length = usize::try_from(u32::from_be_bytes([l1, l2, l3, l4])).ok()?;
    let (message, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(message)
}

impl Wants {
    /// The first request of a stream, of the node with this encoded message, which `has` something from before.
    pub(super) fn first(&self, variant: Variant, node: &[u8], has: &Has) -> Vec<u8> {
        let (tag, rest) = match variant {
            Variant::Sotw => {
                let request = DiscoveryRequest {
                    version_info: has.version.clone(),
                    resource_names: self.names.clone(),
                    type_url: self.type_url.clone(),
                    ..DiscoveryRequest::default()
                };
                (2, request.encode_to_vec())
            }
            Variant::Delta => {
                let request = DeltaDiscoveryRequest {
                    type_url: self.type_url.clone(),
                    resource_names_subscribe: self.names.clone(),
                    initial_resource_versions: has.resources.iter().cloned().collect(),
                    ..DeltaDiscoveryRequest::default()
                };
                (1, request.encode_to_vec())
            }
        };
        let mut content = Vec::with_capacity(node.len() + rest.len() + 8);
        encode_key(tag, WireType::LengthDelimited, &mut content);
        encode_varint(node.len() as u64, &mut content);
        content.extend_from_slice(node);
        content.extend_from_slice(&rest);
        framed(&content)
    }

    /// Takes over what `response` carries.
    pub(super) fn acknowledge(&self, variant: Variant, response: Response<'_>) -> Vec<u8> {
        let nonce = response.nonce.to_owned();
        framed(&match variant {
            Variant::Sotw => DiscoveryRequest {
                version_info: response.version.to_owned(),
                resource_names: self.names.clone(),
                type_url: self.type_url.clone(),
                response_nonce: nonce,
                ..DiscoveryRequest::default()
            }
            .encode_to_vec(),
            Variant::Delta => DeltaDiscoveryRequest {
                type_url: self.type_url.clone(),
                response_nonce: nonce,
                ..DeltaDiscoveryRequest::default()
            }
            .encode_to_vec(),
        })
    }
}

/// The encoded node `id` of `cluster`, filled up to `bytes` with what a real Envoy fills it with: the names of its extensions.
pub(super) fn node(id: &str, cluster: &str, bytes: usize) -> Vec<u8> {
    /// As long as one of Envoy's own: a name, a category and type URLs.
    const EXTENSION: [u8; 114] = [b'e'; 114];
    /// `Node.extensions`, a list of messages whose field 1 is a name.
    const EXTENSIONS: u32 = 9;
    let mut node = Node {
        id: id.to_owned(),
        cluster: cluster.to_owned(),
        ..Node::default()
    }
    .encode_to_vec();
    let mut extension = Vec::new();
    encode_key(1, WireType::LengthDelimited, &mut extension);
    encode_varint(EXTENSION.len() as u64, &mut extension);
    extension.extend_from_slice(&EXTENSION);
    while node.len() + extension.len() + 2 <= bytes {
        encode_key(EXTENSIONS, WireType::LengthDelimited, &mut node);
        encode_varint(extension.len() as u64, &mut node);
        node.extend_from_slice(&extension);
    }
    node
}

/// The fields of `bytes` that are text, messages or bytes: (tag, content). Ends at what is no protobuf.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, wire_type) = decode_key(&mut bytes).ok()?;
        if wire_type != WireType::LengthDelimited {
            return None;
        }
        let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
        let (content, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        Some((tag, content))
    })
}

/// What both variants number alike: 1 is the version, 5 the nonce.
pub(super) fn response(bytes: &[u8]) -> Response<'_> {
    let mut response = Response {
        bytes,
        ..Response::default()
    };
    for (tag, content) in fields(bytes) {
        let text = || std::str::from_utf8(content).unwrap_or_default();
        match tag {
            1 => response.version = text(),
            5 => response.nonce = text(),
            _ => {}
        }
    }
    response
}

impl Response<'_> {
    /// Names and versions of the resources in it; state of the world gives them none.
    pub(super) fn resources(&self) -> Vec<(String, String)> {
        let resource = |content| {
            let mut pair = (String::new(), String::new());
            for (tag, content) in fields(content) {
                let text = || String::from_utf8_lossy(content).into_owned();
                match tag {
                    1 => pair.1 = text(),
                    3 => pair.0 = text(),
                    _ => {}
                }
            }
            pair
        };
        let resources = fields(self.bytes).filter(|(tag, _)| *tag == 2);
        resources.map(|(_, content)| resource(content)).collect()
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds::{
        DeltaStream, Kind, LegacyWildcard, Resource, Snapshot, SotwStream, Stream, StreamLimits,
    };

    use super::*;

    fn wants() -> Wants {
        Wants {
            type_url: Kind::EXTENSION.to_owned(),
            names: vec!["a".to_owned()],
        }
    }

    fn snapshot(content: &[u8]) -> Snapshot {
        let resource = Resource::new(Kind::EXTENSION, "a", content);
        Snapshot::builder().with(resource).build()
    }

    fn decoded<M: prost::Message + Default>(message: &[u8]) -> M {
        let mut rest = message;
        let content = next(&mut rest).unwrap();
        assert!(rest.is_empty());
        M::decode(content).unwrap()
    }

    /// Against the server's own state: what is said settles, and what comes back is nothing new.
    fn speaks<S: Stream>(variant: Variant, begin: fn(StreamLimits, LegacyWildcard) -> S) {
        let node = node("n-1", "bench", 0);
        let mut stream = begin(StreamLimits::default(), LegacyWildcard::Honoured);
        let first: S::Request = decoded(&wants().first(variant, &node, &Has::default()));
        assert_eq!(S::node(&first).map(|node| node.id.as_str()), Some("n-1"));
        stream.take(first).unwrap();
        let sent = stream.next(&snapshot(b"one")).unwrap();
        let bytes = sent.pieces.concat();
        let heard = response(&bytes);
        assert_eq!(heard.version, sent.sent.version.as_str());
        let acknowledges = wants().acknowledge(variant, heard);
        let verdict = stream.take(decoded(&acknowledges)).unwrap();
        assert!(
            matches!(verdict, Some(sloop_xds::Verdict::Acknowledged(_))),
            "{verdict:?}"
        );
        assert!(stream.next(&snapshot(b"one")).is_none());
        assert!(stream.next(&snapshot(b"two")).is_some());
    }

    #[test]
    fn both_variants_are_spoken_as_the_server_understands_them() {
        speaks(Variant::Sotw, SotwStream::new);
        speaks(Variant::Delta, DeltaStream::new);
    }

    #[test]
    fn who_comes_back_with_what_it_has_is_sent_nothing() {
        let mut stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Honoured);
        let node = node("n-1", "bench", 0);
        let first = wants().first(Variant::Delta, &node, &Has::default());
        stream.take(decoded(&first)).unwrap();
        let bytes = stream.next(&snapshot(b"one")).unwrap().pieces.concat();
        let has = Has {
            version: String::new(),
            resources: response(&bytes).resources(),
        };
        assert_eq!(has.resources.len(), 1);
        let mut stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Honoured);
        let again = wants().first(Variant::Delta, &node, &has);
        stream.take(decoded(&again)).unwrap();
        assert!(stream.next(&snapshot(b"one")).is_none());
    }

    #[test]
    fn a_node_is_as_large_as_envoys_and_the_rest_of_it_is_passed_over() {
        let large = node("n-1", "bench", 61_000);
        assert!((60_800..=61_000).contains(&large.len()), "{}", large.len());
        let read = Node::decode(large.as_slice()).unwrap();
        assert_eq!((read.id.as_str(), read.cluster.as_str()), ("n-1", "bench"));
        assert!(node("n-1", "bench", 0).len() < 32);
    }

    #[test]
    fn what_is_no_response_has_no_version() {
        for bytes in [&b""[..], b"\xff\xff", b"\x0a\x7fshort"] {
            assert_eq!(response(bytes).version, "", "{bytes:?}");
        }
        assert_eq!(next(&mut &b"\0\0\0\0\x02a"[..]), None, "not whole");
    }
}
