//! The message `envoy.service.discovery.v3.Resource`, for resources that a client drops when it hears nothing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};

use super::{field_len, put_field, put_head};

/// Its type, as state of the world wraps it.
const TYPE_URL: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

/// `Resource { version = 1, name = 3, ttl = 6 }`: what it says beside the resource itself, and all
/// that a heartbeat says.
pub(super) fn message(name: &str, version: &str, ttl: Duration) -> Vec<u8> {
    let mut duration = Vec::new();
    // `Duration { seconds = 1, nanos = 2 }`
    encode_key(1, WireType::Varint, &mut duration);
    encode_varint(ttl.as_secs(), &mut duration);
    encode_key(2, WireType::Varint, &mut duration);
    encode_varint(ttl.subsec_nanos().into(), &mut duration);
    let mut message = Vec::new();
    put_field(3, name.as_bytes(), &mut message);
    put_field(1, version.as_bytes(), &mut message);
    put_field(6, &duration, &mut message);
    message
}

/// The message as field 2 of `DeltaDiscoveryResponse`.
pub(super) fn field(message: &[u8]) -> Bytes {
    let mut field = BytesMut::with_capacity(field_len(2, message.len()));
    put_field(2, message, &mut field);
    field.freeze()
}

/// What comes before a [`field`] of `length` bytes that is to be in field 2 of `DiscoveryResponse`, as the second of
/// `Any { type_url = 1, value = 2 }`.
pub(super) fn wrapping(length: usize) -> Bytes {
    let any_len = field_len(1, TYPE_URL.len()) + length;
    let mut head = BytesMut::with_capacity(field_len(2, any_len) - length);
    put_head(2, any_len, &mut head);
    put_field(1, TYPE_URL.as_bytes(), &mut head);
    head.freeze()
}
