//! What the rules ask for, from one raw read of a request's headers.
//!
//! The host serialises a header map as a count, the lengths of all names and
//! values, and then all names and values, each with a zero byte behind it; all
//! numbers are 32 bits, little-endian. Reading it raw costs as much as asking
//! for one header by name.

use crate::trace::Incoming;

/// A header map as the host serialises it.
#[derive(Clone, Copy, Debug)]
pub struct HeaderMap<'a> {
    bytes: &'a [u8],
}

impl<'a> HeaderMap<'a> {
    /// The map that `bytes` hold. What is cut off or no map at all reads as fewer headers.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Names and values in their order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let (lengths, mut texts) = self
            .bytes
            .split_first_chunk::<4>()
            .and_then(|(count, rest)| {
                let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
                rest.split_at_checked(count.checked_mul(8)?)
            })
            .unwrap_or_default();
        lengths.as_chunks::<8>().0.iter().map_while(move |lengths| {
            let (name_length, value_length) = lengths.split_first_chunk::<4>()?;
            let name = text(&mut texts, name_length)?;
            let value = text(&mut texts, value_length.first_chunk()?)?;
            Some((name, value))
        })
    }
}

/// The next text, of the given length, without the zero byte behind it.
fn text<'a>(texts: &mut &'a [u8], length: &[u8; 4]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (text, rest) = texts.split_at_checked(length)?;
    *texts = rest.get(1..)?;
    Some(text)
}

/// A request, as far as rules can ask about it. What is missing is empty.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(crate) headers: HeaderMap<'a>,
    pub(crate) method: &'a [u8],
    pub(crate) authority: &'a [u8],
    /// Without the query.
    pub(crate) path: &'a [u8],
    /// What it says about its trace.
    pub traceparent: Incoming<'a>,
    /// Whether it came with a `tracestate`.
    pub has_tracestate: bool,
    /// Whether it is a gRPC request.
    pub is_grpc: bool,
}

impl<'a> Request<'a> {
    /// Reads the request's headers, once.
    #[must_use]
    pub fn read(headers: HeaderMap<'a>) -> Self {
        let mut request = Self {
            headers,
            method: b"",
            authority: b"",
            path: b"",
            traceparent: Incoming::Absent,
            has_tracestate: false,
            is_grpc: false,
        };
        for (name, value) in headers.iter() {
            match name {
                b":method" => request.method = value,
                b":authority" => request.authority = value,
                b":path" => request.path = value.split(|byte| *byte == b'?').next().unwrap_or(b""),
                b"traceparent" => {
                    request.traceparent = match request.traceparent {
                        Incoming::Absent => Incoming::Once(value),
                        Incoming::Once(_) | Incoming::Repeated => Incoming::Repeated,
                    }
                }
                b"tracestate" => request.has_tracestate = true,
                b"content-type" => request.is_grpc = is_grpc(value),
                _ => {}
            }
        }
        request
    }
}

/// `application/grpc`, alone or with a suffix such as `+proto`; not `application/grpc-web`, which is no gRPC to Envoy.
fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    content_type
        .split_at_checked(GRPC.len())
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';'))
        })
}

/// Serialises headers as the host reads them.
#[must_use]
pub fn serialised(headers: &[(&str, &[u8])]) -> Vec<u8> {
    // No text and no list that fits into a Wasm memory is longer than 32 bits can say.
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = length(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(length(name.len()));
        bytes.extend(length(value.len()));
    }
    for (name, value) in headers {
        for text in [name.as_bytes(), value] {
            bytes.extend(text);
            bytes.push(0);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_reading_finds_everything() {
        let bytes = serialised(&[
            (":method", b"POST"),
            (":authority", b"Payments:8080"),
            (":path", b"/charge?card=1"),
            ("content-type", b"application/grpc+proto"),
            ("traceparent", b"a"),
            ("tracestate", b"b"),
            ("x-bad", b"\xff\xfe"),
        ]);
        let request = Request::read(HeaderMap::new(&bytes));
        assert_eq!(request.method, b"POST");
        assert_eq!(request.authority, b"Payments:8080");
        assert_eq!(request.path, b"/charge");
        assert_eq!(request.traceparent, Incoming::Once(b"a"));
        assert!(request.has_tracestate && request.is_grpc);
        assert_eq!(request.headers.iter().count(), 7);
    }

    #[test]
    fn a_repeated_parent_is_seen() {
        let bytes = serialised(&[("traceparent", b"a"), ("traceparent", b"a")]);
        let request = Request::read(HeaderMap::new(&bytes));
        assert_eq!(request.traceparent, Incoming::Repeated);
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("Application/gRPC", true),
            ("application/grpc-web", false),
            ("application/grp", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(content_type.as_bytes()), expected, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_map_never_fails(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::read(HeaderMap::new(&bytes));
        }

        #[test]
        fn a_map_cut_off_never_fails(cut in 0usize..60) {
            let bytes = serialised(&[(":path", b"/a"), ("x", b"y"), ("traceparent", b"z")]);
            let cut = bytes.get(..cut.min(bytes.len())).unwrap();
            prop_assert!(HeaderMap::new(cut).iter().count() <= 3);
        }
    }
}
