//! Numbers and encodings of the proxy-wasm ABI 0.2.1.
//!
//! From the specification, <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.

/// Headers in order. Names are lower case; values are any bytes.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// What a hostcall answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    ParseFailure = 4,
    CasMismatch = 8,
    InternalFailure = 10,
}

/// A header map of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    Request,
    Response,
}

impl Map {
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Request),
            2 => Some(Self::Response),
            _ => None,
        }
    }
}

/// Which way a stream is resumed or closed.
pub(super) const STREAM_REQUEST: u32 = 0;
/// The answer's way.
pub(super) const STREAM_RESPONSE: u32 = 1;

/// What is visible of a request's body.
pub(super) const BUFFER_REQUEST: u32 = 0;
/// What is visible of a response's body.
pub(super) const BUFFER_RESPONSE: u32 = 1;
/// The answer of a gRPC call.
pub(super) const BUFFER_GRPC: u32 = 5;
/// The configuration of the VM, which is always empty here.
pub(super) const BUFFER_VM: u32 = 6;
/// The configuration of a filter.
pub(super) const BUFFER_PLUGIN: u32 = 7;

/// `Action::Continue`; anything else pauses the stream.
pub(super) const CONTINUE: u32 = 0;

/// Encodes a header map: the number of pairs, their sizes, then names and values, each ended by a zero.
pub(super) fn encode(headers: &Headers) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
    let mut encoded = count.to_le_bytes().to_vec();
    for (name, value) in headers {
        encoded.extend(size(name));
        encoded.extend(size(value));
    }
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        encoded.extend(part);
        encoded.push(0);
    }
    encoded
}

/// Decodes what [`encode`] makes; nothing when it is cut short.
pub(super) fn decode(mut encoded: &[u8]) -> Option<Headers> {
    if encoded.is_empty() {
        return Some(Headers::new());
    }
    let count = take_u32(&mut encoded)?;
    let mut sizes = Vec::new();
    for _ in 0..count {
        sizes.push((take_u32(&mut encoded)?, take_u32(&mut encoded)?));
    }
    let mut headers = Headers::new();
    for (name, value) in sizes {
        headers.push((
            take_text(&mut encoded, name)?,
            take_text(&mut encoded, value)?,
        ));
    }
    Some(headers)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

fn take_text(bytes: &mut &[u8], size: u32) -> Option<Vec<u8>> {
    let (text, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
    *bytes = rest.strip_prefix(b"\0")?;
    Some(text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_way_through_bytes() {
        let headers = vec![
            (b":path".to_vec(), b"/a".to_vec()),
            (b"x".to_vec(), b"\xff\0\x01".to_vec()),
            (b"empty".to_vec(), Vec::new()),
        ];
        let encoded = encode(&headers);
        assert_eq!(decode(&encoded), Some(headers));
        assert_eq!(decode(&encoded[..encoded.len() - 1]), None);
        assert_eq!(decode(b""), Some(Vec::new()));
    }
}
