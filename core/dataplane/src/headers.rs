//! What the rules ask for, from one raw read of a request's headers.
//!
//! The host serialises a header map as a count, the lengths of all names and
//! values, and then all names and values, each with a zero byte behind it; all
//! numbers are 32 bits, little-endian. Reading it raw costs as much as asking
//! for one header by name.

use crate::bytes::{is_same, is_same_in_any_case};
use crate::context::Incoming;

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
        self.places().filter_map(Place::header)
    }

    /// The value of the last header called `name`. Those with names of other lengths are not looked at.
    #[must_use]
    pub fn last(self, name: &[u8]) -> Option<&'a [u8]> {
        let mut last = None;
        for place in self.places() {
            if place.name_bytes == name.len()
                && let Some((found, value)) = place.header()
                && is_same(found, name)
            {
                last = Some(value);
            }
        }
        last
    }

    /// Where the headers are, in their order, up to the first that is cut off.
    #[inline]
    fn places(self) -> impl Iterator<Item = Place<'a>> {
        let (lengths, texts) = self
            .bytes
            .split_first_chunk::<4>()
            .and_then(|(count, rest)| {
                let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
                rest.split_at_checked(count.checked_mul(8)?)
            })
            .unwrap_or_default();
        let mut rest = texts;
        lengths.as_chunks::<8>().0.iter().map_while(move |lengths| {
            // One number of 64 bits: the value's length is its upper half.
            let lengths = u64::from_le_bytes(*lengths);
            let name_bytes = lengths & u64::from(u32::MAX);
            let all = name_bytes + (lengths >> 32) + ZEROS;
            // Compared as they are, one test is all that it takes.
            if u64::try_from(rest.len()).is_ok_and(|rest| rest < all) {
                return None;
            }
            let (text, behind) = rest.split_at_checked(usize::try_from(all).ok()?)?;
            rest = behind;
            Some(Place {
                name_bytes: usize::try_from(name_bytes).ok()?,
                text,
            })
        })
    }
}

/// A zero byte behind the name, and one behind the value.
const ZEROS: u64 = 2;

/// Where a header is.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    name_bytes: usize,
    /// Name and value, each with its zero byte.
    text: &'a [u8],
}

impl<'a> Place<'a> {
    /// Its name and its value. There always is one: what is cut off has no place.
    #[inline]
    fn header(self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, rest) = self.text.split_at_checked(self.name_bytes)?;
        let [_, value @ .., _] = rest else {
            return None;
        };
        Some((name, value))
    }
}

/// The lines of one header, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines<'a> {
    Absent,
    Once(&'a [u8]),
    /// Where to find them.
    Repeated(HeaderMap<'a>, &'static [u8]),
}

impl<'a> Lines<'a> {
    fn add(&mut self, value: &'a [u8], map: HeaderMap<'a>, name: &'static [u8]) {
        *self = match self {
            Lines::Absent => Lines::Once(value),
            Lines::Once(_) | Lines::Repeated(..) => Lines::Repeated(map, name),
        }
    }

    /// All lines. A repeated header is looked for again, so that those that are not cost nothing.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let (once, (map, name)) = match self {
            Lines::Absent => (None, (HeaderMap::new(b""), &b""[..])),
            Lines::Once(value) => (Some(value), (HeaderMap::new(b""), &b""[..])),
            Lines::Repeated(map, name) => (None, (map, name)),
        };
        let repeated = map.iter().filter(move |(given, _)| *given == name);
        once.into_iter().chain(repeated.map(|(_, value)| value))
    }
}

/// Headers that a configuration asks for besides those that every request is looked through for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// That which names the caller; empty when none does.
    caller: Box<[u8]>,
    /// That which says which attempt it is; empty when nobody asks.
    attempt: &'static [u8],
    /// The lengths of these names, as bits.
    lengths: u64,
}

/// What was found of what is [`Wanted`]. Of a repeated header the last one counts: the nearest hop wrote it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found<'a> {
    pub(crate) caller: Option<&'a [u8]>,
    pub(crate) attempt: Option<&'a [u8]>,
}

impl Wanted {
    /// Headers of these names; an empty name is none.
    pub(crate) fn new(caller: &[u8], attempt: &'static [u8]) -> Self {
        let bit = |name: &[u8]| match name.len() {
            0 => 0,
            length => 1 << (length & LENGTH),
        };
        Self {
            caller: caller.into(),
            attempt,
            lengths: bit(caller) | bit(attempt),
        }
    }
}

/// What of a length is a bit of [`Wanted::lengths`]: longer names share one with shorter ones, and are then compared.
const LENGTH: usize = 63;

impl<'a> Found<'a> {
    #[inline(never)]
    fn take(&mut self, wanted: &Wanted, name: &[u8], value: &'a [u8]) {
        if is_same(name, &wanted.caller) {
            self.caller = Some(value);
        }
        if is_same(name, wanted.attempt) {
            self.attempt = Some(value);
        }
    }
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
    /// Whether it came with `b3` or with any `x-b3-` header that is read.
    pub has_b3: bool,
    pub(crate) tracestate: Lines<'a>,
    pub(crate) baggage: Lines<'a>,
    pub(crate) grpc_timeout: &'a [u8],
    pub(crate) expected_timeout: &'a [u8],
    /// `x-request-id`.
    pub(crate) id: &'a [u8],
    /// Whether it is a gRPC request.
    pub is_grpc: bool,
    /// What was [`Wanted`]; none when it was not looked for.
    pub(crate) found: Option<Found<'a>>,
}

impl<'a> Request<'a> {
    /// Reads the request's headers, once.
    #[must_use]
    pub fn read(headers: HeaderMap<'a>) -> Self {
        let mut request = Self::unread(headers);
        request.look_through(&Wanted::default());
        request.found = None;
        request
    }

    /// A request that says nothing yet, for [`crate::Plane::read_request`] to read.
    #[must_use]
    pub const fn unread(headers: HeaderMap<'a>) -> Self {
        Self {
            headers,
            method: b"",
            authority: b"",
            path: b"",
            traceparent: Incoming::Absent,
            has_tracestate: false,
            has_b3: false,
            tracestate: Lines::Absent,
            baggage: Lines::Absent,
            grpc_timeout: b"",
            expected_timeout: b"",
            id: b"",
            is_grpc: false,
            found: None,
        }
    }

    /// Reads the headers, and looks for what else is wanted.
    ///
    /// It fills what stays where it is: a request that was returned would be copied there.
    #[inline(never)]
    pub(crate) fn look_through(&mut self, wanted: &Wanted) {
        let mut found = Found::default();
        let lengths = LENGTHS | wanted.lengths;
        for place in self.headers.places() {
            // Few names are as long as one that is looked for, so most headers cost this test.
            let length = place.name_bytes & LENGTH;
            if lengths >> length & 1 != 0
                && let Some((name, value)) = place.header()
            {
                if wanted.lengths >> length & 1 != 0 {
                    found.take(wanted, name, value);
                }
                self.take(name, value);
            }
        }
        self.found = Some(found);
    }

    /// Whether it came with `baggage`.
    pub(crate) const fn has_baggage(&self) -> bool {
        !matches!(self.baggage, Lines::Absent)
    }

    /// Keeps what one header says.
    ///
    /// Not inlined: the loop around it would carry every field from one header to the next.
    #[inline(never)]
    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        match shape(name) {
            PATH => self.path = without_query(value),
            METHOD => self.method = value,
            AUTHORITY => self.authority = value,
            CONTENT_TYPE => self.is_grpc = is_grpc(value),
            REQUEST_ID => self.id = value,
            TRACEPARENT => {
                self.traceparent = match self.traceparent {
                    Incoming::Absent => Incoming::Once(value),
                    Incoming::Once(_) | Incoming::Repeated => Incoming::Repeated,
                }
            }
            TRACESTATE => {
                self.has_tracestate = true;
                self.tracestate.add(value, self.headers, b"tracestate");
            }
            BAGGAGE => self.baggage.add(value, self.headers, b"baggage"),
            GRPC_TIMEOUT => self.grpc_timeout = value,
            B3_TRACE | B3_SPAN | B3_SAMPLED | B3_FLAGS => self.has_b3 = true,
            _ => match name {
                b"b3" => self.has_b3 = true,
                b"x-envoy-expected-rq-timeout-ms" => self.expected_timeout = value,
                _ => {}
            },
        }
    }
}

/// The length of a name, and its first and last bytes: eight of each, or four if there are not so many.
///
/// For names of 4 to 16 bytes that is all of it, and comparing it is three numbers instead of a call.
type Shape = (usize, u64, u64);

const fn shape(name: &[u8]) -> Shape {
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return (name.len(), first, last);
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return (name.len(), first as u64, last as u64);
    }
    (name.len(), 0, 0)
}

const PATH: Shape = shape(b":path");
const METHOD: Shape = shape(b":method");
const BAGGAGE: Shape = shape(b"baggage");
const AUTHORITY: Shape = shape(b":authority");
const TRACESTATE: Shape = shape(b"tracestate");
const B3_FLAGS: Shape = shape(b"x-b3-flags");
const TRACEPARENT: Shape = shape(b"traceparent");
const B3_SPAN: Shape = shape(b"x-b3-spanid");
const CONTENT_TYPE: Shape = shape(b"content-type");
const GRPC_TIMEOUT: Shape = shape(b"grpc-timeout");
const REQUEST_ID: Shape = shape(b"x-request-id");
const B3_TRACE: Shape = shape(b"x-b3-traceid");
const B3_SAMPLED: Shape = shape(b"x-b3-sampled");

/// The lengths of names that are looked for: `b3`, the above, and `x-envoy-expected-rq-timeout-ms`.
const LENGTHS: u64 = 1 << 2 | 1 << 5 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 30;

/// `path` up to the first question mark, eight bytes at a time: paths are long.
fn without_query(path: &[u8]) -> &[u8] {
    if !may_have_mark(path) {
        return path;
    }
    let (words, _) = path.as_chunks::<8>();
    let before = words.iter().take_while(|word| !has_mark(**word)).count() * 8;
    let rest = path.get(before..).unwrap_or_default();
    let mark = rest.iter().position(|byte| *byte == b'?');
    mark.and_then(|mark| path.get(..before + mark))
        .unwrap_or(path)
}

/// Whether a question mark may be in `path`. The last eight bytes, or four, may have been looked at before.
fn may_have_mark(path: &[u8]) -> bool {
    if let Some(last) = path.last_chunk::<8>() {
        let (words, _) = path.as_chunks::<8>();
        return has_mark(*last) || words.iter().any(|word| has_mark(*word));
    }
    match (path.first_chunk::<4>(), path.last_chunk::<4>()) {
        (Some([a, b, c, d]), Some([e, f, g, h])) => has_mark([*a, *b, *c, *d, *e, *f, *g, *h]),
        (None, _) | (_, None) => path.contains(&b'?'),
    }
}

/// Whether a question mark is among these bytes.
///
/// A byte is zero here where it is a question mark there. Taking one from each byte borrows from the upper bit of those
/// that are zero, and a wrong alarm costs no more than looking closer.
#[inline]
fn has_mark(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let differs = u64::from_le_bytes(word) ^ (u64::from(b'?') * ONES);
    differs.wrapping_sub(ONES) & !differs & (ONES << 7) != 0
}

/// Whether a `content-type` is that of gRPC: `application/grpc`, alone or with a suffix such as `+proto`; not
/// `application/grpc-web`, which is no gRPC to Envoy.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    content_type
        .split_at_checked(GRPC.len())
        .is_some_and(|(start, rest)| {
            is_same_in_any_case(start, GRPC) && matches!(rest.first(), None | Some(b'+' | b';'))
        })
}

/// Serialises headers as the host reads them.
#[must_use]
pub fn serialised(headers: &[(&str, &[u8])]) -> Vec<u8> {
    // No text and no list that fits into a Wasm memory is longer than 32 bits can say.
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let of_one = |(name, value): &(&str, &[u8])| name.len() + value.len() + 10;
    let mut bytes = Vec::with_capacity(4 + headers.iter().map(of_one).sum::<usize>());
    bytes.extend_from_slice(&length(headers.len()));
    for (name, value) in headers {
        bytes.extend_from_slice(&length(name.len()));
        bytes.extend_from_slice(&length(value.len()));
    }
    for (name, value) in headers {
        for text in [name.as_bytes(), value] {
            bytes.extend_from_slice(text);
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
    fn the_last_of_a_repeated_header_is_found() {
        let bytes = serialised(&[("x", b"1"), ("y", b"2"), ("x", b""), ("xx", b"3")]);
        let map = HeaderMap::new(&bytes);
        assert_eq!(map.last(b"x"), Some(&b""[..]));
        assert_eq!(map.last(b"y"), Some(&b"2"[..]));
        assert_eq!(map.last(b"z"), None);
        assert_eq!(map.last(b""), None);
    }

    #[test]
    fn what_the_context_needs_is_found_by_its_whole_name() {
        let bytes = serialised(&[
            ("grpc-timeout", b"1S"),
            ("x-envoy-expected-rq-timeout-ms", b"15000"),
            ("x-request-id", b"id"),
            ("grpc-timeou7", b"2S"),
            ("x-envoy-expected-rq-timeout-m5", b"1"),
            ("x-request-ib", b"no"),
            ("x-b3-sampler", b"1"),
            ("ba", b"1"),
            ("", b"1"),
        ]);
        let request = Request::read(HeaderMap::new(&bytes));
        assert_eq!(request.grpc_timeout, b"1S");
        assert_eq!(request.expected_timeout, b"15000");
        assert_eq!(request.id, b"id");
        assert!(!request.has_b3);
        for name in [
            "b3",
            "x-b3-traceid",
            "x-b3-spanid",
            "x-b3-sampled",
            "x-b3-flags",
        ] {
            let bytes = serialised(&[(name, b"1")]);
            assert!(Request::read(HeaderMap::new(&bytes)).has_b3, "{name}");
        }
    }

    #[test]
    fn all_lines_of_a_header_are_found_in_their_order() {
        let lines: [&[u8]; 3] = [b"1", b"", b"3"];
        for count in 0..=3 {
            let mut headers = vec![("a", &b"x"[..])];
            for line in &lines[..count] {
                headers.push(("tracestate", line));
                headers.push(("baggage", line));
            }
            let bytes = serialised(&headers);
            let request = Request::read(HeaderMap::new(&bytes));
            assert!(request.tracestate.iter().eq(lines[..count].iter().copied()));
            assert!(request.baggage.iter().eq(lines[..count].iter().copied()));
            assert_eq!(request.has_tracestate, count != 0);
        }
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

    #[test]
    fn what_is_wanted_is_found_whatever_its_length() {
        for length in [1, 11, 62, 63, 64, 65, 75, 200] {
            let name = "n".repeat(length);
            let other = "n".repeat(length + 64);
            let bytes = serialised(&[("traceparent", b"t"), (&name, b"1"), (&other, b"2")]);
            let wanted = Wanted::new(name.as_bytes(), b"");
            let mut request = Request::unread(HeaderMap::new(&bytes));
            request.look_through(&wanted);
            assert_eq!(request.found.unwrap().caller, Some(&b"1"[..]), "{length}");
            assert_eq!(request.traceparent, Incoming::Once(b"t"));
        }
    }

    proptest! {
        #[test]
        fn what_is_no_map_never_fails(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::read(HeaderMap::new(&bytes));
        }

        #[test]
        fn a_path_ends_at_its_first_question_mark(path in "[>?@\\x7f-\u{84}a/]{0,40}") {
            let path = path.as_bytes();
            prop_assert_eq!(without_query(path), path.split(|byte| *byte == b'?').next().unwrap());
        }

        #[test]
        fn a_map_cut_off_never_fails(cut in 0usize..60) {
            let bytes = serialised(&[(":path", b"/a"), ("x", b"y"), ("traceparent", b"z")]);
            let cut = bytes.get(..cut.min(bytes.len())).unwrap();
            prop_assert!(HeaderMap::new(cut).iter().count() <= 3);
        }
    }
}
