//! As much of HTTP/2 (RFC 9113) and HPACK (RFC 7541) as one gRPC client needs that never falls back on anything.
//!
//! Written here because ten thousand clients must fit beside the server that they
//! measure: a general HTTP/2 library has two tasks and tens of kilobytes for each connection.

/// What a client begins a connection with (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload that may be sent without asking (RFC 9113, 4.2).
pub(super) const PAYLOAD_MAX: usize = 16_384;

/// What a sender may send before it is allowed more (RFC 9113, 6.9.2).
pub(super) const WINDOW: i64 = 65_535;

/// The largest window there is (RFC 9113, 6.9.1): nothing that a fleet is sent comes near, so windows are never widened again.
pub(super) const WINDOW_MAX: u32 = 0x7fff_ffff;

const HEAD_BYTES: usize = 9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// The types of frames that matter here, by their numbers (RFC 9113, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Ping,
    GoAway,
    WindowUpdate,
    /// Anything else, which a receiver ignores (RFC 9113, 5.5) or, of a server, never meets.
    Other,
}

impl Kind {
    const NUMBERED: [(u8, Self); 7] = [
        (0x0, Self::Data),
        (0x1, Self::Headers),
        (0x3, Self::Reset),
        (0x4, Self::Settings),
        (0x6, Self::Ping),
        (0x7, Self::GoAway),
        (0x8, Self::WindowUpdate),
    ];

    fn of(number: u8) -> Self {
        let known = Self::NUMBERED.iter().find(|(own, _)| *own == number);
        known.map_or(Self::Other, |(_, kind)| *kind)
    }

    fn number(self) -> u8 {
        let known = Self::NUMBERED.iter().find(|(_, own)| *own == self);
        known.map_or(0xff, |(number, _)| *number)
    }
}

/// One frame that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// Whether it is the last of its stream.
    pub(super) fn ends(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags & END_STREAM != 0
    }

    /// The 31 bits that a window update carries.
    pub(super) fn increment(&self) -> i64 {
        let bytes = self.payload.first_chunk::<4>();
        bytes.map_or(0, |bytes| {
            i64::from(u32::from_be_bytes(*bytes) & WINDOW_MAX)
        })
    }
}

/// Takes the first frame from `bytes` and leaves the rest; `None` while it is not whole.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Option<Frame<'a>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = *head;
    let length = usize::try_from(u32::from_be_bytes([0, l1, l2, l3])).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    let kind = Kind::of(kind);
    let is_padded = matches!(kind, Kind::Data | Kind::Headers) && flags & PADDED != 0;
    Some(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes([s1, s2, s3, s4]) & WINDOW_MAX,
        payload: if is_padded {
            unpadded(payload)
        } else {
            payload
        },
    })
}

fn unpadded(payload: &[u8]) -> &[u8] {
    let Some((length, rest)) = payload.split_first() else {
        return payload;
    };
    let kept = rest.len().saturating_sub(usize::from(*length));
    rest.get(..kept).unwrap_or_default()
}

/// Writes one frame. A payload of more than [`PAYLOAD_MAX`] is cut there; [`put_data`] splits.
pub(super) fn put(kind: Kind, flags: u8, stream: u32, payload: &[u8], to: &mut Vec<u8>) {
    let payload = payload.get(..PAYLOAD_MAX).unwrap_or(payload);
    let length = u32::try_from(payload.len()).unwrap_or_default();
    let [_, l1, l2, l3] = length.to_be_bytes();
    to.extend_from_slice(&[l1, l2, l3, kind.number(), flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// Writes `content` in as many frames as it takes, the last of which has `flags`.
pub(super) fn put_data(flags: u8, stream: u32, content: &[u8], to: &mut Vec<u8>) {
    let mut chunks = content.chunks(PAYLOAD_MAX).peekable();
    while let Some(chunk) = chunks.next() {
        let flags = if chunks.peek().is_none() { flags } else { 0 };
        put(Kind::Data, flags, stream, chunk, to);
    }
}

/// The header block of a gRPC call, of literals alone, so that it is the same on every connection and for every call.
pub(super) fn call(path: &str, authority: &str) -> Vec<u8> {
    // Of the static table (RFC 7541, A): 3 is `:method: POST`, 6 `:scheme: http`.
    let mut block = vec![0x80 | 3, 0x80 | 6];
    for (name, value) in [(4, path), (1, authority), (31, "application/grpc")] {
        put_integer(0x00, 4, name, &mut block);
        put_text(value, &mut block);
    }
    block.push(0x00);
    put_text("te", &mut block);
    put_text("trailers", &mut block);
    block
}

/// A string literal without Huffman's code (RFC 7541, 5.2).
fn put_text(text: &str, to: &mut Vec<u8>) {
    put_integer(0x00, 7, text.len(), to);
    to.extend_from_slice(text.as_bytes());
}

/// An integer with a prefix of so many bits (RFC 7541, 5.1).
fn put_integer(above: u8, bits: u32, value: usize, to: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    if value < most {
        to.push(above | u8::try_from(value).unwrap_or_default());
        return;
    }
    to.push(above | u8::try_from(most).unwrap_or_default());
    let mut rest = value - most;
    while 0x80 <= rest {
        to.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or_default());
        rest >>= 7;
    }
    to.push(u8::try_from(rest).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written_and_not_before_it_is_whole() {
        let mut bytes = Vec::new();
        put(Kind::Data, END_STREAM, 7, b"content", &mut bytes);
        put(Kind::Ping, 0, 0, &[1; 8], &mut bytes);
        for cut in 0..HEAD_BYTES + 7 {
            assert_eq!(next(&mut &bytes[..cut]), None, "{cut} bytes");
        }
        let mut rest = bytes.as_slice();
        let frame = next(&mut rest).unwrap();
        assert_eq!((frame.kind, frame.stream), (Kind::Data, 7));
        assert!(frame.ends() && frame.payload == b"content");
        let ping = next(&mut rest).unwrap();
        assert!(ping.kind == Kind::Ping && !ping.ends() && rest.is_empty());
    }

    #[test]
    fn padding_is_taken_off_and_what_is_unknown_is_passed_over() {
        let mut bytes = Vec::new();
        put(Kind::Data, PADDED, 1, b"\x02ab00", &mut bytes);
        put(Kind::Other, 0, 0, b"x", &mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(next(&mut rest).unwrap().payload, b"ab");
        assert_eq!(next(&mut rest).unwrap().kind, Kind::Other);
    }

    #[test]
    fn what_is_too_large_for_one_frame_goes_in_several() {
        let mut bytes = Vec::new();
        put_data(END_STREAM, 1, &[7; 2 * PAYLOAD_MAX + 1], &mut bytes);
        let mut rest = bytes.as_slice();
        let frames: Vec<_> = std::iter::from_fn(|| next(&mut rest)).collect();
        let lengths: Vec<_> = frames.iter().map(|it| it.payload.len()).collect();
        assert_eq!(lengths, [PAYLOAD_MAX, PAYLOAD_MAX, 1]);
        let ends: Vec<_> = frames.iter().map(Frame::ends).collect();
        assert_eq!(ends, [false, false, true]);
    }

    /// RFC 7541, C.1.
    #[test]
    fn integers_are_those_of_the_specification() {
        let integer = |bits, value| {
            let mut bytes = Vec::new();
            put_integer(0, bits, value, &mut bytes);
            bytes
        };
        assert_eq!(integer(5, 10), [0b0000_1010]);
        assert_eq!(integer(5, 1_337), [0b0001_1111, 0b1001_1010, 0b0000_1010]);
        assert_eq!(integer(8, 42), [0b0010_1010]);
    }
}
