//! One resource, encoded once.

mod ttl;

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use sha2::{Digest, Sha256};

use crate::Kind;

/// Bytes of the hash that a version keeps. 128 bits: nobody meets a collision by chance.
const HASH_BYTES: usize = 16;

/// What a resource or a set of resources contains, as a hash: 32 hexadecimal digits.
///
/// Equal content has the equal version on every replica and after every restart. A number that only one store knows
/// is content, too: a filter's configuration carries how many there were before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// The version as text, as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A version that somebody made earlier, or says that it has.
    #[must_use]
    pub fn claimed(text: &str) -> Self {
        Self(text.into())
    }

    /// That of something of which it is not known what it contains: no resource has it.
    pub(crate) fn unknown() -> Self {
        Self::claimed("")
    }

    /// What a set of resources contains; they come sorted by name.
    pub(crate) fn of_set<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Self {
        Self::of(resources.into_iter().flat_map(|resource| {
            [
                resource.name().as_bytes(),
                resource.version().as_str().as_bytes(),
            ]
        }))
    }

    /// Hashes `parts`, each with its length, so that no two lists of parts run into one.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let digits: String = hash
            .finalize()
            .iter()
            .take(HASH_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(digits.into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A named resource, ready to be sent. Cheap to clone: the bytes are shared.
///
/// Equal when type, name and version are.
#[derive(Clone, Debug)]
pub struct Resource {
    type_url: Arc<str>,
    name: Arc<str>,
    version: Version,
    /// Of a cluster: what its endpoints are called, where that is not its own name.
    endpoints: Option<Arc<str>>,
    /// Field 2 of `DeltaDiscoveryResponse`, with its tag.
    delta: Bytes,
    /// Field 2 of `DiscoveryResponse`, with its tag, without a `ttl`: the end of `delta`, where that has none either.
    sotw: Bytes,
    /// How long a client keeps it that does not hear of it.
    ttl: Option<Duration>,
    /// Bytes of the message, with which `delta` ends.
    value_len: usize,
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        (&self.type_url, &self.name, &self.version, &self.endpoints)
            == (
                &other.type_url,
                &other.name,
                &other.version,
                &other.endpoints,
            )
    }
}

impl Eq for Resource {}

impl Resource {
    /// A resource of type `type_url` whose encoded message is `value`.
    #[must_use]
    pub fn new(type_url: &str, name: &str, value: &[u8]) -> Self {
        Self::with_content(type_url, name, value, value)
    }

    /// As [`Resource::new`], for messages that may be encoded in several ways, such as
    /// those with maps: the version is the hash of `content`, which is one for all of them.
    #[must_use]
    pub fn with_content(type_url: &str, name: &str, value: &[u8], content: &[u8]) -> Self {
        let version = Version::of([type_url.as_bytes(), content]);
        Self::with_version(type_url, name, value, version)
    }

    /// As [`Resource::new`], with a version that it was given earlier.
    #[must_use]
    pub fn with_version(type_url: &str, name: &str, value: &[u8], version: Version) -> Self {
        // `Any { type_url = 1, value = 2 }`
        let any_len = field_len(1, type_url.len()) + field_len(2, value.len());
        // `Resource { version = 1, resource = 2, name = 3 }`, with `resource` last: field 2 is also
        // what `DiscoveryResponse` calls its resources, so both responses share these bytes.
        let head_len = field_len(3, name.len()) + field_len(1, version.as_str().len());
        let sotw_len = field_len(2, any_len);
        let mut delta = BytesMut::with_capacity(field_len(2, head_len + sotw_len));
        put_head(2, head_len + sotw_len, &mut delta);
        put_field(3, name.as_bytes(), &mut delta);
        put_field(1, version.as_str().as_bytes(), &mut delta);
        let sotw_at = delta.len();
        put_head(2, any_len, &mut delta);
        put_field(1, type_url.as_bytes(), &mut delta);
        put_field(2, value, &mut delta);
        let delta = delta.freeze();
        Self {
            type_url: type_url.into(),
            name: name.into(),
            version,
            endpoints: None,
            ttl: None,
            sotw: delta.slice(sotw_at..),
            delta,
            value_len: value.len(),
        }
    }

    /// A runtime layer without numbers: what clients have that had one, or wait for one, of which there is none.
    ///
    /// Envoy takes the numbers of before back. In both variants there is a version to be acknowledged, and state of the
    /// world has no other word for a layer that is gone.
    #[must_use]
    pub fn empty_layer(name: &str) -> Self {
        // `Runtime { name = 1 }`
        let mut value = BytesMut::with_capacity(field_len(1, name.len()));
        put_field(1, name.as_bytes(), &mut value);
        Self::new(Kind::RUNTIME, name, &value)
    }

    /// The same, which a client drops when it does not hear of it for `ttl`. Another version: a client that has it without
    /// one does not wait for the end of it.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let version = Version::of([
            self.version.as_str().as_bytes(),
            b"ttl",
            &millis.to_be_bytes(),
        ]);
        let made = Self::with_version(&self.type_url, &self.name, &self.value(), version);
        let head = ttl::message(made.name(), made.version().as_str(), ttl);
        let whole = [head.as_slice(), &made.sotw].concat();
        Self {
            delta: ttl::field(&whole),
            ttl: Some(ttl),
            endpoints: self.endpoints,
            ..made
        }
    }

    /// A cluster whose endpoints go by another name (`eds_cluster_config.service_name`).
    #[must_use]
    pub fn with_endpoints(self, name: &str) -> Self {
        Self {
            endpoints: Some(name.into()),
            ..self
        }
    }

    /// What the endpoints of this cluster are called, where that is not its own name.
    #[must_use]
    pub fn own_endpoints(&self) -> Option<&str> {
        self.endpoints.as_deref()
    }

    /// What the endpoints of this cluster are called.
    pub(crate) fn endpoints(&self) -> &str {
        self.endpoints.as_deref().unwrap_or(&self.name)
    }

    /// The type URL.
    #[must_use]
    pub fn type_url(&self) -> &str {
        &self.type_url
    }

    /// The name, unique within its type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The encoded message.
    #[must_use]
    pub fn value(&self) -> Bytes {
        self.delta
            .slice(self.delta.len().saturating_sub(self.value_len)..)
    }

    /// What it contains, as a hash.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// How long a client keeps it that does not hear of it; `None` when for ever.
    #[must_use]
    pub const fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// What says that `version` of it still holds, as a field of `DeltaDiscoveryResponse`.
    pub(crate) fn as_delta_heartbeat(&self, version: &Version) -> Option<Bytes> {
        let message = ttl::message(&self.name, version.as_str(), self.ttl?);
        Some(ttl::field(&message))
    }

    /// The whole of it with its time to live, as a field of `DiscoveryResponse` in two pieces: the end is that of delta.
    pub(crate) fn as_sotw_renewal(&self) -> [Bytes; 2] {
        [ttl::wrapping(self.delta.len()), self.delta.clone()]
    }

    /// The resource as a field of `DiscoveryResponse`, without a time to live.
    pub(crate) fn as_sotw_field(&self) -> Bytes {
        self.sotw.clone()
    }

    /// The resource as a field of `DeltaDiscoveryResponse`.
    pub(crate) fn as_delta_field(&self) -> Bytes {
        self.delta.clone()
    }
}

/// Bytes of a length-delimited field with its tag.
pub(crate) fn field_len(tag: u32, content: usize) -> usize {
    key_len(tag) + encoded_len_varint(content as u64) + content
}

/// Writes a length-delimited field with its tag.
pub(crate) fn put_field(tag: u32, content: &[u8], to: &mut impl BufMut) {
    put_head(tag, content.len(), to);
    to.put_slice(content);
}

fn put_head(tag: u32, content: usize, to: &mut impl BufMut) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(content as u64, to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_it_contains() {
        let one = Resource::new("t", "a", b"x");
        assert_eq!(one.version(), Resource::new("t", "b", b"x").version());
        assert_ne!(one.version(), Resource::new("t", "a", b"y").version());
        assert_ne!(one.version(), Resource::new("tx", "a", b"").version());
        assert_eq!(one.version().as_str().len(), 2 * HASH_BYTES);
    }

    #[test]
    fn a_message_encoded_in_two_ways_is_one_resource() {
        let one = Resource::with_content("t", "a", b"xy", b"{x,y}");
        let other = Resource::with_content("t", "a", b"yx", b"{x,y}");
        assert_eq!(one, other);
        assert_eq!(
            (&one.value()[..], &other.value()[..]),
            (&b"xy"[..], &b"yx"[..])
        );
    }

    #[test]
    fn an_empty_layer_has_a_name_and_nothing_else() {
        let layer = Resource::empty_layer("fleet");
        // Field 1 of Envoy's `Runtime`.
        assert_eq!(&layer.value()[..], b"\x0a\x05fleet");
        assert_eq!((layer.type_url(), layer.name()), (Kind::RUNTIME, "fleet"));
    }

    /// Case 24.
    #[test]
    fn the_version_is_equal_on_every_machine() {
        let resource = Resource::new("t", "a", b"x");
        assert_eq!(
            resource.version().as_str(),
            "f704cb684e26236adb129748065c6d19",
            "a change of the hash makes every client load everything again"
        );
    }
}
