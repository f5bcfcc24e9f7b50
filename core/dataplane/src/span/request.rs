//! What a span says about its request, in words of OpenTelemetry.

use super::sampling::{Threshold, members, ot_of};
use crate::headers::HeaderMap;

/// What is read of a request for its span, when it has ended. What is missing is empty.
#[derive(Debug, Default)]
pub(super) struct Described<'a> {
    pub(super) method: &'a [u8],
    pub(super) scheme: &'a [u8],
    pub(super) authority: &'a [u8],
    /// Without the query, which may hold secrets.
    pub(super) path: &'a [u8],
    pub(super) user_agent: &'a [u8],
    /// All lines of it.
    pub(super) tracestate: Vec<u8>,
}

impl<'a> Described<'a> {
    /// Reads the headers. Where Envoy rewrote path or authority, what the client sent is meant.
    pub(super) fn read(headers: HeaderMap<'a>) -> Self {
        let mut described = Self::default();
        let mut path: Option<&[u8]> = None;
        let mut authority: Option<&[u8]> = None;
        for (name, value) in headers.iter() {
            match name {
                b":method" => described.method = value,
                b":scheme" => described.scheme = value,
                b":authority" => described.authority = value,
                b":path" => described.path = value,
                b"user-agent" => described.user_agent = value,
                b"x-envoy-original-path" => path = Some(value),
                b"x-envoy-original-host" => authority = Some(value),
                b"tracestate" => {
                    described.tracestate.extend_from_slice(value);
                    described.tracestate.push(b',');
                }
                _ => {}
            }
        }
        described.authority = authority.unwrap_or(described.authority);
        let path = path.unwrap_or(described.path);
        let query = path.iter().position(|byte| *byte == b'?');
        described.path = path.get(..query.unwrap_or(path.len())).unwrap_or_default();
        described
    }
}

/// The `tracestate` of a span: that of its request, with the span's own threshold or without one.
///
/// Members are left out from the one on that would make it longer than `bytes_max`.
pub(super) fn tracestate(
    received: &[u8],
    threshold: Option<Threshold>,
    bytes_max: usize,
) -> Vec<u8> {
    let mut list = Vec::with_capacity(received.len() + 32);
    ot_of(received)
        .unwrap_or_default()
        .write(threshold, &mut list);
    for member in members(received) {
        if member.starts_with(b"ot=") {
            continue;
        }
        if bytes_max < list.len() + 1 + member.len() {
            break;
        }
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(member);
    }
    list
}

/// The method, where it is one of those that the conventions know.
///
/// <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>: those of RFC 9110, PATCH and QUERY.
pub(super) fn known_method(method: &[u8]) -> Option<&'static str> {
    const KNOWN: [&str; 10] = [
        "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
    ];
    KNOWN
        .iter()
        .find(|known| known.as_bytes() == method)
        .copied()
}

/// Host and port of an authority. The port is that of the scheme when none is named.
pub(super) fn host_and_port<'a>(authority: &'a [u8], scheme: &[u8]) -> (&'a [u8], Option<u64>) {
    // What follows the last colon, unless that is inside the brackets of an IPv6 address.
    let colon = authority.iter().rposition(|byte| *byte == b':');
    let split = colon.and_then(|at| {
        let (host, port) = (authority.get(..at)?, authority.get(at + 1..)?);
        let is_whole = !host.contains(&b':') || host.ends_with(b"]");
        is_whole.then_some((host, number(port)?))
    });
    let (host, port) = match split {
        Some((host, port)) => (host, Some(port)),
        None if scheme == b"http" => (authority, Some(80)),
        None if scheme == b"https" => (authority, Some(443)),
        None => (authority, None),
    };
    let bare = host
        .strip_prefix(b"[")
        .and_then(|host| host.strip_suffix(b"]"));
    (bare.unwrap_or(host), port)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || 5 < digits.len() {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// The version of HTTP, where Envoy's property `request.protocol` names one.
pub(super) const fn http_version(protocol: &[u8]) -> &'static str {
    match protocol {
        b"HTTP/1.0" => "1.0",
        b"HTTP/1.1" => "1.1",
        b"HTTP/2" => "2",
        b"HTTP/3" => "3",
        _ => "",
    }
}

/// The name of a gRPC status: <https://grpc.io/docs/guides/status-codes/>. One that is unknown is `UNKNOWN`.
pub(super) fn grpc_name(status: u8) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(usize::from(status)).copied().unwrap_or("UNKNOWN")
}

/// Whether a server's span of a call that ended with this gRPC status is an error.
///
/// <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
/// UNAVAILABLE, DATA_LOSS; a status that is unknown counts as UNKNOWN. To a client all but OK are errors.
pub(super) const fn is_grpc_server_error(status: u8) -> bool {
    matches!(status, 2 | 4 | 12..=15 | 17..)
}

/// `bytes` as a text of at most `bytes_max` bytes. What is no UTF-8 becomes question marks.
pub(super) fn push_text(out: &mut Vec<u8>, bytes: &[u8], bytes_max: usize) {
    let mut end = bytes.len().min(bytes_max);
    if end < bytes.len() {
        // Not through the middle of a character, which has at most three bytes behind its first.
        for _ in 0..3 {
            if bytes.get(end).is_some_and(|byte| byte >> 6 == 0b10) {
                end = end.saturating_sub(1);
            }
        }
    }
    for chunk in bytes.get(..end).unwrap_or_default().utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.push(b'?');
        }
    }
}
